//! The connected parts of a mesh.

use std::collections::BTreeSet;

use crate::plan::NodeNo;

/// Who is linked with each node.
pub(crate) fn neighbours(nodes: usize, links: &[(NodeNo, NodeNo)]) -> Vec<BTreeSet<NodeNo>> {
    let mut of = vec![BTreeSet::new(); nodes];
    for &(from, to) in links {
        of[from].insert(to);
        of[to].insert(from);
    }
    of
}

/// The connected parts, each in order; the first is that of node 0.
pub(crate) fn parts(nodes: usize, links: &[(NodeNo, NodeNo)]) -> Vec<Vec<NodeNo>> {
    let neighbours = neighbours(nodes, links);
    let mut found = BTreeSet::new();
    let mut parts = Vec::new();
    for start in 0..nodes {
        if !found.insert(start) {
            continue;
        }
        let mut part = vec![start];
        let mut next = 0;
        while let Some(&node) = part.get(next) {
            next += 1;
            part.extend(neighbours[node].iter().filter(|&&other| found.insert(other)));
        }
        part.sort_unstable();
        parts.push(part);
    }
    parts
}

/// Adds the shortest links that connect all parts.
pub(super) fn connect(links: &mut Vec<(NodeNo, NodeNo)>, places: &[(f64, f64)]) {
    loop {
        let parts = parts(places.len(), links);
        if parts.len() < 2 {
            return;
        }
        let (inside, outside) = (&parts[0], &parts[1..]);
        let nearest = inside
            .iter()
            .flat_map(|&from| outside.iter().flatten().map(move |&to| (from, to)))
            .min_by(|a, b| distance(places, *a).total_cmp(&distance(places, *b)));
        links.extend(nearest.map(|(from, to)| (from.min(to), from.max(to))));
    }
}

/// How far two nodes are apart.
pub(super) fn distance(places: &[(f64, f64)], (from, to): (NodeNo, NodeNo)) -> f64 {
    let ((x, y), (other_x, other_y)) = (places[from], places[to]);
    (x - other_x).hypot(y - other_y)
}
