//! How long writes take to all nodes that could have them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use tidings::{causality::Dot, types::Key};

use super::{
    index::{Index, supersedes},
    weather::Weather,
};
use crate::{
    history::{Seen, What},
    plan::NodeNo,
};

/// A latency with the time its write was acknowledged, and the node that it reached last.
pub(super) type Latency = ((Duration, Duration), NodeNo);

/// A write that is on its way.
struct UnderWay {
    dot: Dot,
    acknowledged: Duration,
    writer: NodeNo,
    left: BTreeSet<NodeNo>,
    last: (Duration, NodeNo),
}

#[derive(Default)]
struct Ways<'a> {
    by_key: HashMap<&'a Key, Vec<UnderWay>>,
    /// Where each version is already, for those that travel faster than their acknowledgement.
    early: HashMap<Dot, BTreeMap<NodeNo, Duration>>,
    done: Vec<Latency>,
}

/// How long each acknowledged write took to all nodes that were up and connected with its writer
/// from then on. A node has it when it has applied it or what supersedes it.
pub(super) fn latencies(index: &Index<'_>) -> Vec<Latency> {
    let mut weather = Weather::new(index.plan);
    let mut groups = Vec::new();
    let mut ways = Ways::default();
    for event in &index.history.events {
        if weather.read(&event.what) {
            groups = weather.groups();
            ways.part(&groups);
        }
        match &event.what {
            What::Acknowledged { dots, .. } => {
                dots.iter().for_each(|dot| ways.begin(index, &groups, *dot, event.at));
            }
            What::Applied { node, version, .. } => ways.arrive(event.at, *node, version),
            _ => {}
        }
    }
    ways.done
}

fn group_of(groups: &[BTreeSet<NodeNo>], node: NodeNo) -> BTreeSet<NodeNo> {
    groups.iter().find(|group| group.contains(&node)).cloned().unwrap_or_default()
}

impl<'a> Ways<'a> {
    fn begin(&mut self, index: &Index<'a>, groups: &[BTreeSet<NodeNo>], dot: Dot, at: Duration) {
        let Some(known) = index.known(dot) else { return };
        let Some((.., writer)) = known.written else { return };
        let early = self.early.remove(&dot).unwrap_or_default();
        let left = group_of(groups, writer).into_iter().filter(|node| !early.contains_key(node)).collect();
        let way = UnderWay { dot, acknowledged: at, writer, left, last: (at, writer) };
        self.by_key.entry(&known.version.key).or_default().push(way);
        self.end(&known.version.key);
    }

    fn arrive(&mut self, at: Duration, node: NodeNo, version: &'a Seen) {
        let ways = self.by_key.entry(&version.key).or_default();
        let mut known = false;
        for way in ways.iter_mut() {
            known |= way.dot == version.dot;
            if (way.dot == version.dot || supersedes(version, way.dot)) && way.left.remove(&node) {
                way.last = (at, node);
            }
        }
        if !known {
            self.early.entry(version.dot).or_default().insert(node, at);
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
            let (at, node) = way.last;
            self.done.push(((at.saturating_sub(way.acknowledged), way.acknowledged), node));
        }
    }
}
