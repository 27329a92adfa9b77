//! Truth: who says that it is in sync with a peer holds exactly what that peer held not long before it
//! said so.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use tidings::types::Key;

use super::{
    Oracle,
    index::Index,
    replay::{Held, Replay},
    violation::{Findings, clock},
};
use crate::{
    history::{Event, InSync, What},
    plan::{FaultKind, NodeNo, Plan},
};

pub(super) const ORACLE: Oracle = Oracle {
    name: "truth",
    about: "who says that it is in sync with a peer holds what that peer held when both were compared",
    find,
};

/// A word of a peer is under way, and waits to be read, for so long at most where nothing goes wrong.
const TRIP: Duration = Duration::from_secs(2);
/// Nodes say in whole milliseconds when they compared.
const ROUNDING: Duration = Duration::from_millis(1);

fn find(index: &Index<'_>, findings: &mut Findings) {
    // What is forgotten changes what a node holds, and nobody sees it.
    if index.plan.forgets() {
        return;
    }
    let mut past = Past::default();
    for event in &index.history.events {
        past.read(event);
        let What::Sample(samples) = &event.what else { continue };
        for (node, sample) in samples.iter().enumerate() {
            if !sample.in_sync.is_empty() && !is_set_wrong(index.plan, node) {
                let claims = sample.in_sync.iter();
                claims.for_each(|claim| check(index.plan, &past, node, claim, findings));
            }
        }
    }
}

/// A clock that jumps cannot tell when anything was.
fn is_set_wrong(plan: &Plan, node: NodeNo) -> bool {
    plan.faults
        .iter()
        .any(|fault| matches!(fault.kind, FaultKind::Clock { node: wrong, .. } if wrong == node))
}

fn check(plan: &Plan, past: &Past<'_>, node: NodeNo, claim: &InSync, findings: &mut Findings) {
    let from = said_since(plan, claim.matched);
    let until = claim.matched + ROUNDING;
    if !past.at(node, claim.at).any(|state| past.held(claim.peer, state, from, until)) {
        findings.add(claim.at, node, || {
            format!(
                "says that since {} it is in sync with node {}, which at no time from {} to then held what it holds",
                clock(claim.matched),
                claim.peer,
                clock(from)
            )
        });
    }
}

/// What was heard at `heard` was not said before this: whatever goes wrong holds words up.
fn said_since(plan: &Plan, heard: Duration) -> Duration {
    let mut since = heard.saturating_sub(TRIP);
    for fault in plan.faults.iter().rev().filter(|fault| fault.at <= heard) {
        if fault.lasts.is_none_or(|lasts| fault.at + lasts >= since) {
            since = since.min(fault.at.saturating_sub(TRIP));
        }
    }
    since
}

/// What all that a node holds hashes to.
type State = u64;

/// What each node held, and when.
#[derive(Default)]
struct Past<'a> {
    replay: Replay<'a>,
    states: BTreeMap<NodeNo, Vec<(Duration, State)>>,
    /// From when to when each was held.
    times: HashMap<(NodeNo, State), Vec<(Duration, Duration)>>,
}

impl<'a> Past<'a> {
    fn read(&mut self, event: &'a Event) {
        match &event.what {
            What::Started { node, .. } => {
                self.replay.read(&event.what);
                let all = self.replay.siblings(*node).map(|(key, sibling)| one(key, sibling.dot));
                self.holds(*node, event.at, all.fold(0, |all, one| all ^ one));
            }
            What::Applied { node, version, .. } => {
                let key = &version.key;
                let before = of_key(key, self.replay.held(*node, key));
                self.replay.read(&event.what);
                let after = of_key(key, self.replay.held(*node, key));
                let last = self.states.get(node).and_then(|states| states.last());
                let last = last.map_or(0, |(_, state)| *state);
                self.holds(*node, event.at, last ^ before ^ after);
            }
            _ => {}
        }
    }

    fn holds(&mut self, node: NodeNo, at: Duration, state: State) {
        let states = self.states.entry(node).or_default();
        if let Some((_, last)) = states.last() {
            let times = self.times.get_mut(&(node, *last)).and_then(|times| times.last_mut());
            if let Some((_, until)) = times {
                *until = at;
            }
        }
        states.push((at, state));
        self.times.entry((node, state)).or_default().push((at, Duration::MAX));
    }

    /// All that a node held at a moment, which may be several things: much happens at once.
    fn at(&self, node: NodeNo, at: Duration) -> impl Iterator<Item = State> + '_ {
        let states = self.states.get(&node).map_or(&[][..], |states| &states[..]);
        let before = states.partition_point(|(since, _)| *since < at).saturating_sub(1);
        states[before..].iter().take_while(move |(since, _)| *since <= at).map(|(_, state)| *state)
    }

    fn held(&self, node: NodeNo, state: State, from: Duration, until: Duration) -> bool {
        let times = self.times.get(&(node, state));
        times.is_some_and(|times| times.iter().rev().any(|(since, end)| *since <= until && *end >= from))
    }
}

/// All siblings of a key; the order does not matter.
fn of_key(key: &Key, held: Option<&Held<'_>>) -> State {
    let siblings = held.into_iter().flat_map(|held| &held.siblings);
    siblings.fold(0, |all, sibling| all ^ one(key, sibling.dot))
}

fn one(key: &Key, dot: impl Hash) -> State {
    let mut hasher = DefaultHasher::new();
    (key, dot).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracles::fixture::{ANT, BAT, CAT, Fixture, millis};

    /// A history in which ant says, a second after `matched`, that it is in sync with bat since then.
    fn says(fixture: &mut Fixture, matched: Duration) {
        fixture.wait(1_000);
        let at = fixture.now;
        fixture.sample(|node, sample| {
            if node == ANT {
                sample.in_sync = vec![InSync { peer: BAT, at, matched }];
            }
        });
    }

    fn agreed() -> Fixture {
        let mut fixture = Fixture::new();
        let dot = fixture.put(ANT, "nest");
        fixture.spread(dot);
        fixture.wait(5_000);
        fixture
    }

    #[test]
    fn who_holds_what_the_peer_held_may_say_so() {
        let mut fixture = agreed();
        let matched = fixture.now;
        says(&mut fixture, matched);
        assert_eq!(fixture.judge(&ORACLE), vec![]);
        let mut unheard = agreed();
        let matched = unheard.now;
        unheard.put(BAT, "worm");
        says(&mut unheard, matched);
        assert_eq!(unheard.judge(&ORACLE), vec![], "what was written there since cannot be known");
    }

    #[test]
    fn who_has_written_since_may_not() {
        agreed().doctored(&ORACLE, "in sync with node 1", |doctored| {
            let matched = doctored.now;
            let dot = doctored.put(ANT, "worm");
            doctored.spread(dot);
            says(doctored, matched);
        });
    }

    #[test]
    fn what_the_peer_has_said_before_it_wrote_counts_for_the_time_of_a_trip_and_of_a_freeze() {
        let late = |held_up: bool| {
            let mut fixture = agreed();
            fixture.put(BAT, "worm");
            let trip = |fixture: &mut Fixture| fixture.wait(2_500);
            let links = vec![(ANT, BAT)];
            let kind = FaultKind::Cut { links, how: crate::plan::How::Freeze, one_way: true };
            if held_up {
                fixture.during(kind, trip);
            } else {
                trip(&mut fixture);
            }
            let matched = fixture.now;
            says(&mut fixture, matched);
            fixture.judge(&ORACLE).len()
        };
        assert_eq!((late(false), late(true)), (1, 0));
    }

    #[test]
    fn a_node_that_lost_what_it_held_and_says_so_all_the_same_is_found() {
        agreed().doctored(&ORACLE, "in sync", |doctored| {
            let (matched, empty) = (doctored.now + millis(100), Fixture::new());
            doctored.stop(ANT, false);
            doctored.roll_back(ANT, &empty);
            doctored.start(ANT);
            says(doctored, matched);
        });
        let mut other = agreed();
        let dot = other.put(CAT, "worm");
        let matched = other.now;
        says(&mut other, matched);
        other.spread(dot);
        assert_eq!(other.judge(&ORACLE), vec![], "what a third node holds does not matter");
    }
}
