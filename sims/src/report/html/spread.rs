//! How writes spread.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use tidings::{causality::Dot, types::Key};

use crate::{
    history::{History, Seen, What},
    oracles::weather::Weather,
    plan::{NodeNo, Plan},
};

/// How acknowledged writes came to all nodes that were up and connected with their writer from then
/// on. A node has a write when it has applied it, or what supersedes it. In milliseconds.
#[derive(Debug, Default)]
pub(super) struct Spread {
    /// How long each took to all of them, sorted.
    pub(super) everywhere: Vec<f64>,
    /// How long each arrival took, by the distance of the nodes, sorted.
    pub(super) by_hops: BTreeMap<usize, Vec<f64>>,
}

/// A write that is on its way.
struct UnderWay {
    dot: Dot,
    acknowledged: Duration,
    writer: NodeNo,
    left: BTreeSet<NodeNo>,
    last: Duration,
}

#[derive(Default)]
struct Ways<'a> {
    by_key: HashMap<&'a Key, Vec<UnderWay>>,
    /// Who wrote it, and where it was before it was acknowledged.
    early: HashMap<Dot, (NodeNo, &'a Key, BTreeSet<NodeNo>)>,
    everywhere: Vec<f64>,
    arrivals: Vec<(NodeNo, NodeNo, f64)>,
}

impl Spread {
    pub(super) fn of(plan: &Plan, history: &History) -> Self {
        let mut weather = Weather::new(plan);
        let (mut groups, mut ways) = (Vec::new(), Ways::default());
        for event in &history.events {
            if weather.read(&event.what) {
                groups = weather.groups();
                ways.part(&groups);
            }
            match &event.what {
                What::Acknowledged { dots, .. } => {
                    dots.iter().for_each(|dot| ways.begin(&groups, *dot, event.at));
                }
                What::Applied { node, version, local } => ways.arrive(event.at, *node, version, *local),
                _ => {}
            }
        }
        ways.into_spread(plan)
    }
}

impl<'a> Ways<'a> {
    fn begin(&mut self, groups: &[BTreeSet<NodeNo>], dot: Dot, at: Duration) {
        let Some((writer, key, early)) = self.early.remove(&dot) else { return };
        let group = group_of(groups, writer);
        let there = group.intersection(&early).filter(|node| **node != writer);
        self.arrivals.extend(there.map(|node| (writer, *node, 0.0)));
        let left = group.difference(&early).copied().collect();
        self.by_key.entry(key).or_default().push(UnderWay { dot, acknowledged: at, writer, left, last: at });
        self.end(key);
    }

    fn arrive(&mut self, at: Duration, node: NodeNo, version: &'a Seen, local: bool) {
        if local {
            self.early.entry(version.dot).or_insert_with(|| (node, &version.key, BTreeSet::new()));
        }
        if let Some((.., early)) = self.early.get_mut(&version.dot) {
            early.insert(node);
        }
        for way in self.by_key.get_mut(&version.key).into_iter().flatten() {
            if (way.dot == version.dot || version.supersedes(way.dot)) && way.left.remove(&node) {
                way.last = at;
                self.arrivals.push((way.writer, node, millis(at.saturating_sub(way.acknowledged))));
            }
        }
        self.end(&version.key);
    }

    /// Nodes that are down or cut off from a writer are not waited for.
    fn part(&mut self, groups: &[BTreeSet<NodeNo>]) {
        for way in self.by_key.values_mut().flatten() {
            let group = group_of(groups, way.writer);
            way.left.retain(|node| group.contains(node));
        }
    }

    fn end(&mut self, key: &Key) {
        let Some(ways) = self.by_key.get_mut(key) else { return };
        for way in ways.extract_if(.., |way| way.left.is_empty()) {
            self.everywhere.push(millis(way.last.saturating_sub(way.acknowledged)));
        }
    }

    fn into_spread(mut self, plan: &Plan) -> Spread {
        let distances: Vec<Vec<Option<usize>>> = (0..plan.nodes).map(|node| distances(plan, node)).collect();
        let mut by_hops = BTreeMap::<usize, Vec<f64>>::new();
        for (from, to, took) in self.arrivals {
            if let Some(hops) = distances[from][to] {
                by_hops.entry(hops).or_default().push(took);
            }
        }
        by_hops.values_mut().chain([&mut self.everywhere]).for_each(|took| took.sort_by(f64::total_cmp));
        Spread { everywhere: self.everywhere, by_hops }
    }
}

fn group_of(groups: &[BTreeSet<NodeNo>], node: NodeNo) -> BTreeSet<NodeNo> {
    groups.iter().find(|group| group.contains(&node)).cloned().unwrap_or_default()
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// The links from a node to each other.
fn distances(plan: &Plan, from: NodeNo) -> Vec<Option<usize>> {
    let mut distances = vec![None; plan.nodes];
    distances[from] = Some(0);
    let mut next = VecDeque::from([(from, 0)]);
    while let Some((node, hops)) = next.pop_front() {
        let links = plan.edges.iter().flat_map(|edge| [(edge.from, edge.to), (edge.to, edge.from)]);
        for (_, to) in links.filter(|(from, _)| *from == node) {
            if distances[to].is_none() {
                distances[to] = Some(hops + 1);
                next.push_back((to, hops + 1));
            }
        }
    }
    distances
}
