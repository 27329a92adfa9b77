//! Shapes that chance draws.

use std::collections::BTreeSet;

use super::{Layout, parts, place};
use crate::{dice::Dice, plan::NodeNo};

type Links = BTreeSet<(NodeNo, NodeNo)>;

fn link(from: NodeNo, to: NodeNo) -> (NodeNo, NodeNo) {
    (from.min(to), from.max(to))
}

fn connected(links: Links, places: Vec<(f64, f64)>) -> Layout {
    let mut links: Vec<_> = links.into_iter().collect();
    parts::connect(&mut links, &places);
    Layout { links, places, ferry: Vec::new() }
}

pub(super) fn geometric(nodes: usize, radius: Option<f64>, dice: &mut Dice) -> Layout {
    let places: Vec<_> =
        (0..nodes).map(|_| (place::inside(dice.unit()), place::inside(dice.unit()))).collect();
    let radius = radius.unwrap_or_else(|| usual_radius(nodes));
    let near = |pair: &(NodeNo, NodeNo)| parts::distance(&places, *pair) <= radius;
    let links = super::shape::all_pairs(0, nodes).into_iter().filter(near).collect();
    connected(links, places)
}

/// A little above where a random geometric graph becomes connected: `sqrt(ln n / (π n))`.
fn usual_radius(nodes: usize) -> f64 {
    let count = f64::from(u32::try_from(nodes).unwrap_or(u32::MAX));
    1.2 * (count.ln() / (std::f64::consts::PI * count)).sqrt()
}

pub(super) fn small_world(nodes: usize, degree: usize, rewire: f64, dice: &mut Dice) -> Layout {
    let ring = (1..=degree / 2).flat_map(|step| (0..nodes).map(move |node| (node, (node + step) % nodes)));
    let mut links: Links = ring.clone().map(|(from, to)| link(from, to)).collect();
    for (from, to) in ring {
        let moved = dice.chance(rewire);
        let target = dice.index(nodes);
        let free = target != from && !links.contains(&link(from, target));
        if moved && free && links.remove(&link(from, to)) {
            links.insert(link(from, target));
        }
    }
    connected(links, place::round(nodes))
}

pub(super) fn scale_free(nodes: usize, brings: usize, dice: &mut Dice) -> Layout {
    let mut links: Links = super::shape::all_pairs(0, brings + 1).into_iter().collect();
    // Every node as often as it has links: to pick of these is to prefer the well-linked.
    let mut ends: Vec<NodeNo> = links.iter().flat_map(|&(from, to)| [from, to]).collect();
    for node in brings + 1..nodes {
        let mut targets = BTreeSet::new();
        while targets.len() < brings {
            targets.extend(dice.pick(&ends));
        }
        for target in targets {
            links.insert(link(target, node));
            ends.extend([target, node]);
        }
    }
    connected(links, hubs_inside(nodes, &ends))
}

/// A circle whose well-linked nodes are nearer to its middle.
fn hubs_inside(nodes: usize, ends: &[NodeNo]) -> Vec<(f64, f64)> {
    let degree = |node: NodeNo| ends.iter().filter(|&&end| end == node).count();
    let least = (0..nodes).map(degree).min().unwrap_or(1);
    let nearness = |(node, (x, y)): (NodeNo, (f64, f64))| {
        let pull = place::share(least, degree(node)).sqrt();
        (place::inside(0.5 + (x - 0.5) * pull), place::inside(0.5 + (y - 0.5) * pull))
    };
    place::round(nodes).into_iter().enumerate().map(nearness).collect()
}
