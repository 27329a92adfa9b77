//! Shapes without chance.

use super::{Layout, place};
use crate::plan::NodeNo;

fn layout(links: Vec<(NodeNo, NodeNo)>, places: Vec<(f64, f64)>) -> Layout {
    Layout { links, places, ferry: Vec::new() }
}

pub(super) fn line(nodes: usize) -> Layout {
    layout((1..nodes).map(|node| (node - 1, node)).collect(), place::row(nodes, 0.5))
}

pub(super) fn ring(nodes: usize) -> Layout {
    let mut links: Vec<_> = (1..nodes).map(|node| (node - 1, node)).collect();
    links.push((0, nodes - 1));
    layout(links, place::round(nodes))
}

pub(super) fn star(nodes: usize) -> Layout {
    let mut places = vec![(0.5, 0.5)];
    // One beam alone would stand on the hub.
    places.extend(if nodes == 2 { vec![(0.5, 0.05)] } else { place::round(nodes - 1) });
    layout((1..nodes).map(|node| (0, node)).collect(), places)
}

pub(super) fn grid(nodes: usize) -> Layout {
    let columns = (1..=nodes).find(|columns| columns * columns >= nodes).unwrap_or(nodes);
    let rows = nodes.div_ceil(columns);
    let mut links = Vec::new();
    for node in 0..nodes {
        if node % columns + 1 < columns && node + 1 < nodes {
            links.push((node, node + 1));
        }
        if node + columns < nodes {
            links.push((node, node + columns));
        }
    }
    let rows = (0..rows).flat_map(|row| place::row(columns, place::share(2 * row + 1, 2 * rows)));
    layout(links, rows.take(nodes).collect())
}

pub(super) fn tree(nodes: usize, fan_out: usize) -> Layout {
    let links: Vec<_> = (1..nodes).map(|node| ((node - 1) / fan_out, node)).collect();
    let mut levels = vec![0; nodes];
    for &(above, node) in &links {
        levels[node] = levels[above] + 1;
    }
    let depth = levels.last().map_or(1, |deepest| deepest + 1);
    let widths = (0..depth).map(|level| levels.iter().filter(|&&of| of == level).count());
    let places = widths
        .enumerate()
        .flat_map(|(level, width)| place::row(width, place::share(2 * level + 1, 2 * depth)));
    layout(links, places.collect())
}

pub(super) fn full(nodes: usize) -> Layout {
    layout(all_pairs(0, nodes), place::round(nodes))
}

pub(super) fn edges(nodes: usize, edges: &[(NodeNo, NodeNo)]) -> Layout {
    layout(edges.to_vec(), place::round(nodes))
}

/// All pairs of `count` nodes from `first`.
pub(super) fn all_pairs(first: NodeNo, count: usize) -> Vec<(NodeNo, NodeNo)> {
    let end = first + count;
    (first..end).flat_map(|from| (from + 1..end).map(move |to| (from, to))).collect()
}
