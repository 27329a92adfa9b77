//! Dense groups with little between them.

use super::{Layout, place, shape};
use crate::plan::NodeNo;

/// Above this many nodes a group is not full any more: links would grow with the square.
const FULL_MAX: usize = 8;

/// Two halves; an odd node stands between them.
pub(super) fn dumbbell(nodes: usize) -> Layout {
    let half = nodes / 2;
    let mut links = dense(0, half);
    links.extend(dense(half, half));
    let mut places = place::circle(half, (0.25, 0.5), 0.2);
    places.extend(place::circle(half, (0.75, 0.5), 0.2));
    if nodes.is_multiple_of(2) {
        links.push((0, half));
    } else {
        links.extend([(0, nodes - 1), (half, nodes - 1)]);
        places.push((0.5, 0.5));
    }
    Layout { links, places, ferry: Vec::new() }
}

/// Islands of nearly equal size, and the ferry as the last node.
pub(super) fn islands(nodes: usize, islands: usize) -> Layout {
    let ashore = nodes - 1;
    let middles = place::circle(islands, (0.5, 0.5), 0.35);
    let radius = 0.14_f64.min(0.5 * place::share(1, islands));
    let mut layout = Layout::default();
    let mut first = 0;
    for (island, &middle) in middles.iter().enumerate() {
        let size = ashore / islands + usize::from(island < ashore % islands);
        layout.links.extend(dense(first, size));
        layout.places.extend(place::circle(size, middle, radius));
        layout.ferry.push((first, ashore));
        first += size;
    }
    layout.links.extend(&layout.ferry);
    layout.places.push((0.5, 0.5));
    layout
}

/// All linked with all, or each with those 1, 2, 4, 8 … further where there are many.
fn dense(first: NodeNo, count: usize) -> Vec<(NodeNo, NodeNo)> {
    if count <= FULL_MAX {
        return shape::all_pairs(first, count);
    }
    let mut links = Vec::new();
    for node in 0..count {
        let mut step = 1;
        while 2 * step < count {
            let other = (node + step) % count;
            links.push((first + node.min(other), first + node.max(other)));
            step *= 2;
        }
    }
    links
}
