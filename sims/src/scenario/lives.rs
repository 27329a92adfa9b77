//! When which node is busy with a fault, so that no second one meets it there by accident.

use std::{collections::BTreeMap, time::Duration};

use super::file::Kind;
use crate::plan::NodeNo;

/// What of a node a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Aspect {
    /// Whether it runs.
    Process,
    /// Its disk.
    Disk,
    /// Its clock.
    Clock,
}

impl Aspect {
    /// That of a kind of fault, where it is about nodes.
    pub(super) fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Crash | Kind::LosePower | Kind::Wipe | Kind::Leave | Kind::Join => Some(Self::Process),
            Kind::StallDisk | Kind::FailDisk => Some(Self::Disk),
            Kind::Clock => Some(Self::Clock),
            Kind::Partition | Kind::Cut | Kind::Flap | Kind::Slow => None,
        }
    }
}

/// From when to when; for good where there is no end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    pub(super) from: Duration,
    pub(super) until: Option<Duration>,
}

impl Interval {
    fn meets(&self, other: &Self) -> bool {
        let begins_within = |a: &Self, b: &Self| b.until.is_none_or(|until| a.from <= until);
        begins_within(self, other) && begins_within(other, self)
    }
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Lives {
    busy: BTreeMap<(NodeNo, Aspect), Vec<Interval>>,
}

impl Lives {
    /// Whether nothing is the matter with it in all this time.
    pub(super) fn is_free(&self, node: NodeNo, aspect: Aspect, interval: Interval) -> bool {
        self.busy.get(&(node, aspect)).is_none_or(|busy| busy.iter().all(|other| !other.meets(&interval)))
    }

    /// Something is.
    pub(super) fn take(&mut self, node: NodeNo, aspect: Aspect, interval: Interval) {
        self.busy.entry((node, aspect)).or_default().push(interval);
    }

    /// Whether it was never the matter.
    pub(super) fn is_untouched(&self, node: NodeNo) -> bool {
        !self.busy.contains_key(&(node, Aspect::Process))
    }

    /// A node that was not there joins: it is free from then on.
    pub(super) fn join(&mut self, node: NodeNo, at: Duration) {
        let absent = Interval { from: Duration::ZERO, until: Some(at) };
        self.busy.insert((node, Aspect::Process), vec![absent]);
    }

    /// How many nodes do not run at some point of this time.
    pub(super) fn down(&self, interval: Interval) -> usize {
        let processes = self.busy.iter().filter(|((_, aspect), _)| *aspect == Aspect::Process);
        processes.filter(|(_, busy)| busy.iter().any(|other| other.meets(&interval))).count()
    }

    /// How many nodes end down.
    pub(super) fn down_for_good(&self) -> usize {
        let processes = self.busy.iter().filter(|((_, aspect), _)| *aspect == Aspect::Process);
        processes.filter(|(_, busy)| busy.iter().any(|interval| interval.until.is_none())).count()
    }
}
