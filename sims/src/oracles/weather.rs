//! Who can reach whom, as far as the plan's links and the faults of the moment say.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    history::What,
    plan::{FaultKind, NodeNo, Plan},
};

/// The faults of a moment and the nodes that are up.
///
/// Nodes may know of more links than the plan has (peer exchange), so who is together here may
/// still be more together in truth, never less.
#[derive(Clone, Debug)]
pub(crate) struct Weather<'a> {
    plan: &'a Plan,
    faults: BTreeMap<usize, &'a FaultKind>,
    up: BTreeSet<NodeNo>,
}

impl<'a> Weather<'a> {
    pub(crate) fn new(plan: &'a Plan) -> Self {
        Self { plan, faults: BTreeMap::new(), up: BTreeSet::new() }
    }

    /// Takes note of an event; whether it changed who can reach whom.
    pub(crate) fn read(&mut self, what: &'a What) -> bool {
        match what {
            What::Started { node, .. } => self.up.insert(*node),
            What::Stopped { node, .. } => self.up.remove(node),
            What::Broke { fault, kind } => self.faults.insert(*fault, kind).is_none(),
            What::Mended { fault } => self.faults.remove(fault).is_some(),
            _ => false,
        }
    }

    /// Exactly these nodes are up.
    pub(crate) fn set_up(&mut self, up: BTreeSet<NodeNo>) {
        self.up = up;
    }

    /// Whether no fault is under way.
    pub(crate) fn is_fair(&self) -> bool {
        self.faults.is_empty()
    }

    pub(crate) fn is_up(&self, node: NodeNo) -> bool {
        self.up.contains(&node)
    }

    /// Whether a node can do anything with what it gets.
    fn works(&self, node: NodeNo) -> bool {
        let broken = |kind: &&FaultKind| matches!(kind, FaultKind::StallDisk { node: n } | FaultKind::FailDisk { node: n } if *n == node);
        self.is_up(node) && !self.faults.values().any(broken)
    }

    /// Whether what one end says reaches the other, and the other way round.
    pub(crate) fn passes(&self, a: NodeNo, b: NodeNo) -> bool {
        let joins = |(from, to): (NodeNo, NodeNo)| (from, to) == (a, b) || (from, to) == (b, a);
        let cut = |kind: &&FaultKind| match kind {
            FaultKind::Partition { groups, .. } => {
                let side = |node| groups.iter().position(|group| group.contains(&node));
                matches!((side(a), side(b)), (Some(one), Some(other)) if one != other)
            }
            FaultKind::Cut { links, .. } => links.iter().copied().any(joins),
            FaultKind::Flap { link, .. } => joins(*link),
            _ => false,
        };
        !self.faults.values().any(cut)
    }

    /// The plan's links between nodes that work and are not cut off from each other.
    pub(crate) fn links(&self) -> impl Iterator<Item = (NodeNo, NodeNo)> + '_ {
        let links = self.plan.edges.iter().map(|edge| (edge.from, edge.to));
        links.filter(|(a, b)| self.works(*a) && self.works(*b) && self.passes(*a, *b))
    }

    /// The nodes that work, grouped by who can reach whom.
    pub(crate) fn groups(&self) -> Vec<BTreeSet<NodeNo>> {
        let mut neighbours: BTreeMap<NodeNo, Vec<NodeNo>> = BTreeMap::new();
        for (a, b) in self.links() {
            neighbours.entry(a).or_default().push(b);
            neighbours.entry(b).or_default().push(a);
        }
        let mut left: BTreeSet<NodeNo> = self.up.iter().copied().filter(|node| self.works(*node)).collect();
        let mut groups = Vec::new();
        while let Some(first) = left.pop_first() {
            let (mut group, mut next) = (BTreeSet::from([first]), vec![first]);
            while let Some(node) = next.pop() {
                for other in neighbours.get(&node).into_iter().flatten() {
                    if left.remove(other) {
                        group.insert(*other);
                        next.push(*other);
                    }
                }
            }
            groups.push(group);
        }
        groups
    }
}
