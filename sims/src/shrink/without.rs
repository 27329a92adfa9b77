//! A plan without one of its nodes.

use crate::{
    plan::{Edge, Fault, FaultKind, NodeNo, Plan},
    topology::parts,
};

/// The plan without this node, its operations and its faults, the nodes after it renumbered.
///
/// Nothing where the rest would be less connected. A node between two others leaves a link between them.
pub(super) fn without(plan: &Plan, node: NodeNo) -> Option<Plan> {
    if plan.nodes < 2 || (0..plan.nodes).all(|other| other == node || plan.late.contains(&other)) {
        return None;
    }
    let edges = edges(plan, node)?;
    let operations = plan.operations.iter().filter(|operation| operation.node != node).cloned();
    let faults: Vec<Fault> = plan
        .faults
        .iter()
        .filter_map(|fault| Some(Fault { kind: rest(&fault.kind, node)?, ..fault.clone() }))
        .collect();
    let mut smaller = Plan {
        nodes: plan.nodes - 1,
        late: plan.late.iter().filter(|late| **late != node).map(|late| moved(*late, node)).collect(),
        edges,
        operations: operations.collect(),
        faults,
        ..plan.clone()
    };
    smaller.places.remove(node);
    for operation in &mut smaller.operations {
        operation.node = moved(operation.node, node);
    }
    for fault in &mut smaller.faults {
        renumber(&mut fault.kind, node);
    }
    Some(smaller)
}

/// The number of a node after `gone` is.
fn moved(node: NodeNo, gone: NodeNo) -> NodeNo {
    node - usize::from(node > gone)
}

/// The edges that are left, renumbered.
fn edges(plan: &Plan, node: NodeNo) -> Option<Vec<Edge>> {
    let (own, mut left): (Vec<Edge>, Vec<Edge>) =
        plan.edges.iter().partition(|edge| edge.from == node || edge.to == node);
    if count_parts(plan.nodes, &left) > count_parts(plan.nodes, &plan.edges) + 1 {
        let [first, second] = own[..] else { return None };
        let other = |edge: Edge| if edge.from == node { edge.to } else { edge.from };
        left.push(Edge { from: other(first), to: other(second), quality: first.quality });
    }
    for edge in &mut left {
        edge.from = moved(edge.from, node);
        edge.to = moved(edge.to, node);
    }
    Some(left)
}

/// The parts a mesh has; a node that lost all its links is one.
fn count_parts(nodes: usize, edges: &[Edge]) -> usize {
    let links: Vec<_> = edges.iter().map(|edge| (edge.from, edge.to)).collect();
    parts(nodes, &links).len()
}

/// What is left of a fault, with the old numbers; nothing where nothing is.
fn rest(kind: &FaultKind, node: NodeNo) -> Option<FaultKind> {
    let touches = |(from, to): (NodeNo, NodeNo)| from == node || to == node;
    let mut kind = kind.clone();
    match &mut kind {
        FaultKind::Partition { groups, .. } => {
            groups.iter_mut().for_each(|group| group.retain(|member| *member != node));
            groups.retain(|group| !group.is_empty());
            (groups.len() > 1).then_some(kind)
        }
        FaultKind::Cut { links, .. } | FaultKind::Slow { links, .. } => {
            links.retain(|link| !touches(*link));
            (!links.is_empty()).then_some(kind)
        }
        FaultKind::Flap { link, .. } => (!touches(*link)).then_some(kind),
        _ => (!kind.nodes().contains(&node)).then_some(kind),
    }
}

fn renumber(kind: &mut FaultKind, gone: NodeNo) {
    let down = |number: &mut NodeNo| *number = moved(*number, gone);
    match kind {
        FaultKind::Partition { groups, .. } => groups.iter_mut().flatten().for_each(down),
        FaultKind::Cut { links, .. } | FaultKind::Slow { links, .. } => {
            links.iter_mut().flat_map(|(from, to)| [from, to]).for_each(down);
        }
        FaultKind::Flap { link, .. } => [&mut link.0, &mut link.1].into_iter().for_each(down),
        FaultKind::Crash { node }
        | FaultKind::LosePower { node }
        | FaultKind::Wipe { node }
        | FaultKind::Leave { node }
        | FaultKind::Join { node }
        | FaultKind::StallDisk { node }
        | FaultKind::FailDisk { node }
        | FaultKind::Clock { node, .. } => down(node),
    }
}
