//! Stamps: later than what their write supersedes, and not far ahead of the time (rule 8).

use std::{collections::BTreeMap, time::Duration};

use tidings::causality::MAX_DRIFT;

use super::{
    Oracle,
    index::Index,
    replay::Replay,
    violation::{Findings, clock},
};
use crate::{
    history::{Seen, What},
    os::EPOCH,
    plan::{FaultKind, NodeNo},
};

pub(super) const ORACLE: Oracle = Oracle {
    name: "stamps",
    about: "a stamp is later than those its write supersedes, and ahead of the wall clock no further than the drift allowed",
    find,
};

/// A write is stamped when it is planned and seen when it is committed; without stalls it takes no
/// longer than this.
const COMMIT: Duration = Duration::from_secs(1);

fn find(index: &Index<'_>, findings: &mut Findings) {
    let clocks = Clocks::new(index);
    let mut replay = Replay::default();
    for event in &index.history.events {
        if let What::Applied { node, local: true, version } = &event.what {
            let wall = clocks.wall(*node, event.at);
            ahead(wall, event.at, *node, version, findings);
            let held = replay.held(*node, &version.key).into_iter().flat_map(|held| &held.siblings);
            // A delete may have been forgotten: then it is not in front of anybody any more.
            let known = |sibling: &&&Seen| !index.plan.forgets() || sibling.value.is_some();
            for sibling in held.filter(known) {
                later(wall, event.at, *node, version, sibling, findings);
            }
        }
        replay.read(&event.what);
    }
}

fn ahead((_, latest): (i128, i128), at: Duration, node: NodeNo, version: &Seen, findings: &mut Findings) {
    let ahead = i128::from(version.hlc.millis()) - latest - millis(MAX_DRIFT);
    if ahead > 0 {
        findings.add(at, node, || {
            format!(
                "stamped {:?} of {} with {}, {ahead} ms further ahead of its wall clock than the {} allowed",
                version.dot,
                version.key,
                version.hlc,
                clock(MAX_DRIFT)
            )
        });
    }
}

fn later(
    (earliest, _): (i128, i128),
    at: Duration,
    node: NodeNo,
    version: &Seen,
    sibling: &Seen,
    findings: &mut Findings,
) {
    // Beyond the drift allowed stamps are not followed: contexts alone order such writes.
    let followed = i128::from(sibling.hlc.millis()) < earliest + millis(MAX_DRIFT);
    if followed && version.hlc <= sibling.hlc {
        findings.add(at, node, || {
            format!(
                "stamped {:?} of {} with {}, not later than {} of {:?}, which it had in front of it",
                version.dot, version.key, version.hlc, sibling.hlc, sibling.dot
            )
        });
    }
}

fn millis(duration: Duration) -> i128 {
    i128::try_from(duration.as_millis()).unwrap_or(i128::MAX)
}

/// What the wall clocks of nodes may have shown, in milliseconds since 1970.
struct Clocks<'a> {
    index: &'a Index<'a>,
    /// From when to when by how much, by node; for good where the fault was not put right.
    skews: BTreeMap<NodeNo, Vec<Skew>>,
}

struct Skew {
    fault: usize,
    from: Duration,
    to: Duration,
    ms: i64,
}

impl<'a> Clocks<'a> {
    fn new(index: &'a Index<'a>) -> Self {
        let mut skews: BTreeMap<NodeNo, Vec<Skew>> = BTreeMap::new();
        for event in &index.history.events {
            match &event.what {
                What::Broke { fault, kind: FaultKind::Clock { node, skew_ms } } => {
                    let skew = Skew { fault: *fault, from: event.at, to: Duration::MAX, ms: *skew_ms };
                    skews.entry(*node).or_default().push(skew);
                }
                What::Mended { fault } => {
                    let mended = skews.values_mut().flatten().filter(|skew| skew.fault == *fault);
                    mended.for_each(|skew| skew.to = event.at);
                }
                _ => {}
            }
        }
        Self { index, skews }
    }

    /// The earliest and the latest that a node may have read when it stamped what it commits `at`.
    fn wall(&self, node: NodeNo, at: Duration) -> (i128, i128) {
        let planned = at.saturating_sub(COMMIT + self.index.stalls(node));
        let (mut least, mut most) = (0, 0);
        for Skew { from, to, ms, .. } in self.skews.get(&node).into_iter().flatten() {
            if *from <= at && *to >= planned {
                least += i128::from(*ms.min(&0));
                most += i128::from(*ms.max(&0));
            }
        }
        (millis(EPOCH + planned) + least, millis(EPOCH + at) + most)
    }
}

#[cfg(test)]
mod tests {
    use tidings::causality::Hlc;

    use super::*;
    use crate::{
        history::Event,
        oracles::fixture::{ANT, BAT, Fixture},
    };

    /// The clock of a node is wrong from the beginning.
    fn skew(fixture: &mut Fixture, node: NodeNo, skew_ms: i64) {
        let what = What::Broke { fault: 0, kind: FaultKind::Clock { node, skew_ms } };
        fixture.history.events.insert(0, Event { at: Duration::ZERO, what });
    }

    #[test]
    fn a_stamp_that_is_not_later_than_what_it_supersedes_is_found() {
        Fixture::lawful().doctored(&ORACLE, "not later than", |doctored| {
            let version = doctored.applied().filter(|(_, local, _)| *local).last().expect("some").2;
            assert_eq!(version.key.as_str(), "worm", "it supersedes nothing");
            let delete = doctored.applied().find(|(.., version)| version.value.is_none()).expect("some").2;
            delete.hlc = Hlc::from_millis(delete.hlc.millis() - 200);
        });
    }

    #[test]
    fn a_delete_that_may_be_forgotten_orders_nothing_any_more() {
        let mut early = Fixture::new();
        let gone = early.delete(ANT, "nest");
        early.put(ANT, "nest");
        let delete = early.applied().find(|(.., version)| version.dot == gone).expect("some").2;
        delete.hlc = Hlc::from_millis(delete.hlc.millis() + 30_000);
        assert_eq!(early.judge(&ORACLE).len(), 1);
        early.plan.settings.delete_retention = Some(Duration::from_secs(5));
        assert_eq!(early.judge(&ORACLE), vec![]);
    }

    #[test]
    fn a_stamp_too_far_ahead_is_found_unless_the_clock_is_wrong() {
        let ahead = |doctored: &mut Fixture| {
            for (_, _, version) in doctored.applied().filter(|(.., version)| version.key.as_str() == "worm") {
                version.hlc = Hlc::from_millis(version.hlc.millis() + 65_000);
            }
        };
        let lawful = Fixture::lawful();
        lawful.doctored(&ORACLE, "further ahead of its wall clock", ahead);
        let mut skewed = lawful;
        skew(&mut skewed, BAT, 10_000);
        ahead(&mut skewed);
        assert_eq!(skewed.judge(&ORACLE), vec![]);
    }

    #[test]
    fn a_stamp_beyond_the_drift_is_not_followed() {
        let mut far = Fixture::new();
        let dot = far.put(ANT, "nest");
        far.spread(dot);
        far.put(BAT, "nest");
        skew(&mut far, ANT, 300_000);
        let stamp = |ms| {
            move |far: &mut Fixture| {
                for (_, _, version) in far.applied().filter(|(.., version)| version.dot == dot) {
                    version.hlc = Hlc::from_millis(version.hlc.millis() + ms);
                }
            }
        };
        far.doctored(&ORACLE, "not later than", stamp(30_000));
        stamp(300_000)(&mut far);
        assert_eq!(far.judge(&ORACLE), vec![]);
    }
}
