//! A run read once, for all that is drawn of it.

use std::time::Duration;

use super::{
    number::{float, ratio, size},
    spread::Spread,
};
use crate::{
    history::{History, Sample, What},
    plan::{FaultKind, NodeNo, Plan},
};

/// What the page is made of. Times are in seconds.
pub(super) struct Facts<'a> {
    pub(super) plan: &'a Plan,
    pub(super) history: &'a History,
    pub(super) end: f64,
    pub(super) samples: Vec<(f64, &'a [Sample])>,
    /// When writes were acknowledged, reads answered, operations refused.
    pub(super) written: Vec<f64>,
    pub(super) read: Vec<f64>,
    pub(super) refused: Vec<f64>,
    pub(super) spread: Spread,
    /// From the end of the last fault, or from the last write where there was no fault, to agreement.
    pub(super) agreed_after: Option<Duration>,
    pub(super) healed: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn of(plan: &'a Plan, history: &'a History) -> Self {
        let spread = Spread::of(plan, history);
        let end = history.events.last().map_or(1.0, |event| event.at.as_secs_f64()).max(1.0);
        let (agreed_after, healed) = agreement(history);
        let (written, read, refused) = (vec![], vec![], vec![]);
        let mut facts = Self {
            plan,
            history,
            end,
            samples: vec![],
            written,
            read,
            refused,
            spread,
            agreed_after,
            healed,
        };
        for event in &history.events {
            let at = event.at.as_secs_f64();
            match &event.what {
                What::Acknowledged { .. } => facts.written.push(at),
                What::Read { .. } => facts.read.push(at),
                What::Refused { .. } => facts.refused.push(at),
                What::Sample(samples) => facts.samples.push((at, samples)),
                _ => {}
            }
        }
        facts
    }

    fn answered(&self) -> f64 {
        size(self.written.len() + self.read.len())
    }

    fn sent(&self, of: impl Fn(&Sample) -> u64) -> f64 {
        float(self.samples.last().map_or(0, |(_, samples)| samples.iter().map(of).sum()))
    }

    pub(super) fn messages_per_operation(&self) -> f64 {
        ratio(self.sent(|sample| sample.sent.gossip_messages), self.answered())
    }

    pub(super) fn bytes_per_operation(&self) -> f64 {
        ratio(self.sent(|sample| sample.sent.wire), self.answered())
    }

    /// The side of a node in the first partition that has it on a side.
    pub(super) fn side(&self, node: NodeNo) -> Option<usize> {
        self.plan.faults.iter().find_map(|fault| match &fault.kind {
            FaultKind::Partition { groups, .. } => {
                Some(groups.iter().position(|group| group.contains(&node)))
            }
            _ => None,
        })?
    }
}

fn agreement(history: &History) -> (Option<Duration>, bool) {
    let (mut agreed, mut since, mut healed, mut took) = (true, Duration::ZERO, false, None);
    for event in &history.events {
        match &event.what {
            What::Mended { .. } => (since, healed, took) = (event.at, true, agreed.then_some(Duration::ZERO)),
            What::Acknowledged { .. } if !healed => {
                (since, took) = (event.at, agreed.then_some(Duration::ZERO));
            }
            What::Agreed => {
                agreed = true;
                took = took.or(Some(event.at.saturating_sub(since)));
            }
            What::Disagreed => agreed = false,
            _ => {}
        }
    }
    (took, healed)
}
