//! A history read once, for all oracles.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use tidings::{
    causality::{Context, Dot, Hlc},
    types::Key,
};

use super::{weather::Weather, writers::Writers};
use crate::{
    history::{Event, Final, History, Seen, What},
    plan::{FaultKind, NodeNo, Plan},
};

/// A version, and who was seen making it.
#[derive(Debug)]
pub(super) struct Known<'a> {
    /// It, as it was first seen.
    pub(super) version: &'a Seen,
    /// The number of the event, the time and the node of its making.
    pub(super) written: Option<(usize, Duration, NodeNo)>,
}

/// What several oracles ask of a plan and a history.
pub(super) struct Index<'a> {
    pub(super) plan: &'a Plan,
    pub(super) history: &'a History,
    /// All versions of each key, as they were first seen.
    pub(super) by_key: BTreeMap<&'a Key, Vec<&'a Seen>>,
    pub(super) writers: Writers,
    /// The last time that something changed from outside: a write, a fault, a start.
    pub(super) disturbed: Duration,
    /// When the last event happened.
    pub(super) end: Duration,
    /// Nodes that are up at the end and can reach each other, group by group.
    pub(super) groups: Vec<BTreeSet<NodeNo>>,
    /// The weather that never ended.
    pub(super) weather: Weather<'a>,
    dots: HashMap<Dot, Known<'a>>,
}

impl<'a> Index<'a> {
    pub(super) fn new(plan: &'a Plan, history: &'a History) -> Self {
        let mut index = Self {
            plan,
            history,
            by_key: BTreeMap::new(),
            writers: Writers::default(),
            disturbed: Duration::ZERO,
            end: history.events.last().map_or(Duration::ZERO, |event| event.at),
            groups: Vec::new(),
            weather: Weather::new(plan),
            dots: HashMap::new(),
        };
        for (number, event) in history.events.iter().enumerate() {
            index.read(number, event);
        }
        for held in history.finals.values().flat_map(|held| &held.records) {
            index.add(held, None);
        }
        index.weather.set_up(history.finals.keys().copied().collect());
        index.groups = index.weather.groups();
        index
    }

    fn read(&mut self, number: usize, event: &'a Event) {
        let at = event.at;
        self.weather.read(&event.what);
        match &event.what {
            What::Started { records, .. } => records.iter().for_each(|held| self.add(held, None)),
            What::Stopped { node, orderly: false }
            | What::Broke { kind: FaultKind::FailDisk { node }, .. } => self.writers.upset(*node, at),
            What::Applied { node, local: true, version } => {
                self.writers.wrote(*node, version.dot, at);
                self.add(version, Some((number, at, *node)));
            }
            What::Applied { version, .. } => self.add(version, None),
            What::Mended { fault } => {
                if let Some(FaultKind::FailDisk { node }) = self.plan.faults.get(*fault).map(|f| &f.kind) {
                    self.writers.upset(*node, at);
                }
            }
            _ => {}
        }
        if disturbs(&event.what) {
            self.disturbed = at;
        }
    }

    fn add(&mut self, version: &'a Seen, written: Option<(usize, Duration, NodeNo)>) {
        let by_key = &mut self.by_key;
        let known = self.dots.entry(version.dot).or_insert_with(|| {
            by_key.entry(&version.key).or_default().push(version);
            Known { version, written: None }
        });
        known.written = known.written.or(written);
    }

    /// The version that `dot` names, if anybody ever had it.
    pub(super) fn known(&self, dot: Dot) -> Option<&Known<'a>> {
        self.dots.get(&dot)
    }

    /// How many versions there are.
    pub(super) fn versions(&self) -> usize {
        self.dots.len()
    }

    /// The nodes that can reach `node` at the end; nobody if it is down.
    pub(super) fn group_of(&self, node: NodeNo) -> Option<&BTreeSet<NodeNo>> {
        self.groups.iter().find(|group| group.contains(&node))
    }

    /// What the nodes of a group held at the end.
    pub(super) fn finals_of<'b>(
        &'b self,
        group: &'b BTreeSet<NodeNo>,
    ) -> impl Iterator<Item = (NodeNo, &'a Final)> + 'b {
        group.iter().filter_map(|node| Some((*node, self.history.finals.get(node)?)))
    }

    /// How long the disk of a node stands still, at most: one stall may begin as another ends.
    pub(super) fn stalls(&self, node: NodeNo) -> Duration {
        let stalls =
            self.plan.faults.iter().filter(
                |fault| matches!(fault.kind, FaultKind::StallDisk { node: stalled } if stalled == node),
            );
        stalls.map(|fault| fault.lasts.unwrap_or_default()).sum()
    }
}

fn disturbs(what: &What) -> bool {
    matches!(
        what,
        What::Started { .. }
            | What::Stopped { .. }
            | What::Acknowledged { .. }
            | What::Applied { local: true, .. }
            | What::Broke { .. }
            | What::Mended { .. }
    )
}

/// Whose life ends with this event. Who still answers between a fault and the note that its node is
/// down answers out of a store that is gone.
pub(super) fn dies(what: &What) -> Option<NodeNo> {
    match what {
        What::Stopped { node, .. }
        | What::Broke {
            kind: FaultKind::Crash { node } | FaultKind::LosePower { node } | FaultKind::Wipe { node },
            ..
        } => Some(*node),
        _ => None,
    }
}

/// Whether `by` was written with `dot`, a write of the same key, in front of it.
pub(super) fn supersedes(by: &Seen, dot: Dot) -> bool {
    let own_past = dot.origin == by.dot.origin && dot.seq < by.dot.seq;
    own_past
        || by.context.iter().chain(&by.base).any(|entry| entry.origin == dot.origin && dot.seq <= entry.seq)
}

/// The place of a version in the total order that breaks ties.
pub(super) fn rank(version: &Seen) -> (Hlc, Dot) {
    (version.hlc, version.dot)
}

/// What a version supersedes: its context, and the past of its origin.
pub(super) fn past(version: &Seen) -> impl Iterator<Item = Dot> + '_ {
    let own = Dot::new(version.dot.origin, version.dot.seq.saturating_sub(1));
    version.context.iter().chain(&version.base).copied().chain((own.seq > 0).then_some(own))
}

/// What records account for, by key.
pub(super) fn accounted<'a>(records: &'a [Seen]) -> HashMap<&'a Key, Context> {
    let mut accounted: HashMap<&'a Key, Context> = HashMap::new();
    for sibling in records {
        let context = accounted.entry(&sibling.key).or_default();
        past(sibling).chain([sibling.dot]).for_each(|dot| context.insert(dot));
    }
    accounted
}
