//! Which gaps were seen, and when they may be asked for again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    causality::{Intervals, Origin},
    types::Namespace,
    wire::{NEED_SEQS_MAX, Need},
};

/// The most origins whose gaps are remembered; beyond that the next comparison finds them.
const GAPS_MAX: usize = 256;
/// The most requests for one origin at a time; what more is missing is a case for an exchange.
const NEEDS_MAX: usize = 4;
/// A gap that was asked for is asked for again after this time …
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// … which doubles with every time, up to this.
const ASK_AGAIN_MAX: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Gap {
    /// The first number missing when it was last asked for.
    first: u64,
    next: Instant,
    wait: Duration,
}

/// The gaps that one peer was, or will be, asked about.
#[derive(Debug, Default)]
pub struct Gaps {
    noticed: BTreeSet<(Namespace, Origin)>,
    asked: BTreeMap<(Namespace, Origin), Gap>,
}

/// What is to be asked about the gaps of one origin.
#[derive(Debug, PartialEq, Eq)]
pub enum Asking {
    /// These.
    Needs(Vec<Need>),
    /// So much is missing that an exchange is cheaper.
    Exchange(Namespace),
}

impl Gaps {
    /// Takes note of a gap; true if it is the first since they were last looked at.
    pub fn notice(&mut self, namespace: Namespace, origin: Origin) -> bool {
        let first = self.noticed.is_empty();
        if self.noticed.len() < GAPS_MAX {
            self.noticed.insert((namespace, origin));
        }
        first
    }

    /// What is to be asked now. `missing` tells what an origin's gaps are by now.
    pub fn ask(&mut self, now: Instant, missing: impl Fn(&Namespace, &Origin) -> Intervals) -> Vec<Asking> {
        let noticed = std::mem::take(&mut self.noticed);
        let mut asking = Vec::new();
        for (namespace, origin) in noticed {
            let gaps = missing(&namespace, &origin);
            let Some((first, _)) = gaps.iter().next() else {
                self.asked.remove(&(namespace, origin));
                continue;
            };
            if self.may_ask(now, &namespace, origin, first) {
                asking.push(asked(namespace, origin, &gaps));
            }
        }
        asking
    }

    /// A gap is asked for at once when it is new, and then ever more rarely: one that nobody can
    /// close must not cost a message for each write that comes after it.
    fn may_ask(&mut self, now: Instant, namespace: &Namespace, origin: Origin, first: u64) -> bool {
        if self.asked.len() >= GAPS_MAX {
            self.asked.pop_first();
        }
        let key = (namespace.clone(), origin);
        match self.asked.get_mut(&key) {
            Some(gap) if gap.first == first && now < gap.next => false,
            Some(gap) if gap.first == first => {
                gap.wait = (gap.wait * 2).min(ASK_AGAIN_MAX);
                gap.next = now + gap.wait;
                true
            }
            _ => {
                self.asked.insert(key, Gap { first, next: now + ASK_AGAIN, wait: ASK_AGAIN });
                true
            }
        }
    }
}

fn asked(namespace: Namespace, origin: Origin, gaps: &Intervals) -> Asking {
    let total = NEED_SEQS_MAX * NEEDS_MAX as u64;
    if gaps.count() > total || gaps.fragments() > NEEDS_MAX {
        return Asking::Exchange(namespace);
    }
    let mut needs = Vec::new();
    for (mut first, end) in gaps.iter() {
        while first <= end {
            let last = end.min(first + (NEED_SEQS_MAX - 1));
            needs.push(Need { namespace: namespace.clone(), origin, first, last });
            first = last + 1;
        }
    }
    Asking::Needs(needs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causality::NodeId;

    fn origin() -> Origin {
        Origin { node: NodeId([1; 32]), epoch: 1 }
    }

    #[tokio::test(start_paused = true)]
    async fn a_gap_is_asked_for_at_once_and_then_ever_more_rarely() {
        let ns = Namespace::default();
        let mut gaps = Gaps::default();
        let missing = |_: &Namespace, _: &Origin| Intervals::from_range(3, 4);
        let mut times = Vec::new();
        let start = Instant::now();
        for tick in 0..100_u64 {
            let now = start + Duration::from_millis(tick * 50);
            assert!(gaps.notice(ns.clone(), origin()));
            if !gaps.ask(now, missing).is_empty() {
                times.push(tick * 50);
            }
        }
        assert_eq!(times, [0, 250, 750, 1_750, 3_750]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_gap_is_not_asked_for_and_a_great_one_is_left_to_an_exchange() {
        let ns = Namespace::default();
        let mut gaps = Gaps::default();
        gaps.notice(ns.clone(), origin());
        assert_eq!(gaps.ask(Instant::now(), |_, _| Intervals::new()), []);
        gaps.notice(ns.clone(), origin());
        let asking = gaps.ask(Instant::now(), |_, _| Intervals::up_to(1 << 40));
        assert_eq!(asking, [Asking::Exchange(ns.clone())]);
        gaps.notice(ns.clone(), origin());
        let asking = gaps.ask(Instant::now(), |_, _| Intervals::from_range(2, 300));
        let need = |first, last| Need { namespace: ns.clone(), origin: origin(), first, last };
        assert_eq!(asking, [Asking::Needs(vec![need(2, 257), need(258, 300)])]);
    }
}
