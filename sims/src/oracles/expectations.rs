//! Expectations: what a plan says of latency and messages.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use tidings::{causality::Dot, types::Key};

use super::{
    Oracle,
    index::{Index, supersedes},
    violation::{Findings, clock},
    weather::Weather,
};
use crate::{
    history::{Seen, What},
    plan::NodeNo,
};

pub(super) const ORACLE: Oracle = Oracle {
    name: "expectations",
    about: "writes reach all nodes as fast, and with as few messages, as the plan expects",
    find,
};

fn find(index: &Index<'_>, findings: &mut Findings) {
    let expect = &index.plan.expect;
    if expect.median_latency.is_some() || expect.max_latency.is_some() {
        let mut latencies = latencies(index);
        latencies.sort_unstable();
        let median = latencies.get(latencies.len() / 2).copied();
        let max = latencies.last().copied();
        for (name, got, bound) in
            [("median", median, expect.median_latency), ("greatest", max, expect.max_latency)]
        {
            if let (Some(((got, at), node)), Some(bound)) = (got, bound)
                && got > bound
            {
                findings.add(at, node, || {
                    format!(
                        "the {name} time from an acknowledged write to all nodes that were up and connected is {}, expected {} (the write of {} reached this node last)",
                        clock(got), clock(bound), clock(at)
                    )
                });
            }
        }
    }
    messages(index, findings);
}

/// Messages between nodes per operation that was answered with a write or a read.
fn messages(index: &Index<'_>, findings: &mut Findings) {
    let Some(bound) = index.plan.expect.messages_per_operation else { return };
    let events = &index.history.events;
    let last = events.iter().rev().find_map(|event| match &event.what {
        What::Sample(samples) => Some(samples),
        _ => None,
    });
    let Some(last) = last else { return };
    let sent: u64 = last.iter().map(|sample| sample.sent.gossip_messages).sum();
    let answered =
        |event: &&crate::history::Event| matches!(event.what, What::Acknowledged { .. } | What::Read { .. });
    let operations = events.iter().filter(answered).count();
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
    let ratio = sent as f64 / operations.max(1) as f64;
    if ratio > bound {
        findings.add(index.end, None, || {
            format!(
                "{sent} messages for {operations} operations are {ratio:.1} each, expected at most {bound:.1}"
            )
        });
    }
}

/// A latency with the time its write was acknowledged, and the node that it reached last.
type Latency = ((Duration, Duration), NodeNo);

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
fn latencies(index: &Index<'_>) -> Vec<Latency> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        oracles::fixture::{ANT, BAT, CAT, Fixture, millis},
        plan::{FaultKind, How},
    };

    #[test]
    fn latencies_beyond_what_is_expected_are_found() {
        let mut lawful = Fixture::new();
        for _ in 0..3 {
            let dot = lawful.put(ANT, "nest");
            lawful.spread(dot);
        }
        lawful.wait(100);
        let slow = lawful.put(CAT, "worm");
        lawful.wait(200);
        lawful.spread(slow);
        lawful.agree();
        (lawful.plan.expect.median_latency, lawful.plan.expect.max_latency) =
            (Some(millis(50)), Some(millis(250)));
        lawful.doctored(&ORACLE, "the median time", |doctored| {
            doctored.plan.expect.median_latency = Some(millis(49));
        });
        lawful.doctored(&ORACLE, "the greatest time", |doctored| {
            doctored.plan.expect.max_latency = Some(millis(249));
        });
    }

    #[test]
    fn nodes_that_are_cut_off_are_not_waited_for() {
        let mut cut = Fixture::new();
        cut.plan.expect.max_latency = Some(millis(50));
        let kind = FaultKind::Partition { groups: vec![vec![ANT, BAT], vec![CAT]], how: How::Freeze };
        let mut dot = None;
        cut.during(kind, |cut| {
            let written = cut.put(ANT, "nest");
            cut.apply(BAT, written, false);
            dot = Some(written);
        });
        cut.spread(dot.expect("written"));
        assert_eq!(cut.judge(&ORACLE), vec![]);
        cut.doctored(&ORACLE, "the greatest time", |doctored| {
            doctored.forget(|what| matches!(what, What::Broke { .. } | What::Mended { .. }));
        });
    }

    #[test]
    fn too_many_messages_are_found() {
        let mut lawful = Fixture::lawful();
        lawful.plan.expect.messages_per_operation = Some(10.0);
        lawful.doctored(&ORACLE, "expected at most 10.0", |doctored| {
            doctored.sample(|_, sample| sample.sent.gossip_messages = 31);
        });
    }
}
