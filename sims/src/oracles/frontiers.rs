//! Frontiers never lie: what a node says it has seen is accounted for by what it holds (rule 3).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tidings::causality::{Dot, Origin, SeenSet};

use super::{
    Oracle,
    index::{Index, accounted},
    violation::Findings,
};
use crate::{
    history::{Seen, What},
    plan::{FaultKind, NodeNo},
};

pub(super) const ORACLE: Oracle = Oracle {
    name: "frontiers",
    about: "every write that a node says it has seen is held or superseded there, and a crash takes none away",
    find,
};

/// A moment at which a node says what it has.
struct Statement<'a> {
    number: usize,
    at: Duration,
    node: NodeNo,
    records: &'a [Seen],
    seen: &'a SeenSet,
}

fn find(index: &Index<'_>, findings: &mut Findings) {
    if index.plan.forgets() {
        return;
    }
    let mut has: BTreeMap<NodeNo, SeenSet> = BTreeMap::new();
    let mut robbed: BTreeSet<NodeNo> = BTreeSet::new();
    for (number, event) in index.history.events.iter().enumerate() {
        match &event.what {
            What::Started { node, records, seen } => {
                let says = Statement { number, at: event.at, node: *node, records, seen };
                adds_up(index, &says, findings);
                if !robbed.remove(node) {
                    keeps(has.get(node), &says, "after a restart", findings);
                }
                has.insert(*node, seen.clone());
            }
            What::Applied { node, version, .. } => _ = has.entry(*node).or_default().insert(version.dot),
            What::Broke { kind: FaultKind::LosePower { node } | FaultKind::Wipe { node }, .. } => {
                robbed.insert(*node);
            }
            _ => {}
        }
    }
    for (node, last) in &index.history.finals {
        let (number, at) = (index.history.events.len(), index.end);
        let says = Statement { number, at, node: *node, records: &last.records, seen: &last.seen };
        adds_up(index, &says, findings);
        keeps(has.get(node), &says, "at the end", findings);
    }
    equal(index, findings);
}

/// Nothing that was seen or applied before is missing.
fn keeps(had: Option<&SeenSet>, says: &Statement<'_>, when: &str, findings: &mut Findings) {
    let Some(had) = had else { return };
    let gone = had.difference(says.seen);
    if let Some(dot) = first(&gone) {
        findings.add(says.at, says.node, || {
            format!("had seen {dot:?} and has not {when} ({} writes are missing)", gone.count())
        });
    }
}

fn first(set: &SeenSet) -> Option<Dot> {
    let (origin, seqs) = set.iter().next()?;
    Some(Dot::new(*origin, seqs.iter().next()?.0))
}

fn adds_up(index: &Index<'_>, says: &Statement<'_>, findings: &mut Findings) {
    let accounted = accounted(says.records);
    for (origin, seqs) in says.seen.iter() {
        let last = index.writers.last(origin);
        invented(index, says, *origin, seqs.max(), findings);
        for seq in seqs.iter().flat_map(|(from, to)| from..=to.min(last)) {
            let dot = Dot::new(*origin, seq);
            let Some(known) = index.known(dot) else {
                invented(index, says, *origin, seq, findings);
                continue;
            };
            let key = &known.version.key;
            if known.written.is_some_and(|(written, ..)| written > says.number) {
                findings
                    .add(says.at, says.node, || format!("has seen {dot:?} of {key} before it was written"));
            }
            if !accounted.get(key).is_some_and(|context| context.covers(dot)) {
                findings.add(says.at, says.node, || {
                    format!("has seen {dot:?} of {key}, but neither holds it nor anything that supersedes it")
                });
            }
        }
    }
    for version in says.records.iter().filter(|version| !says.seen.contains(version.dot)) {
        findings.add(says.at, says.node, || {
            format!("holds {:?} of {} and does not say that it has seen it", version.dot, version.key)
        });
    }
}

/// Nobody vouches for a write that nobody made.
fn invented(index: &Index<'_>, says: &Statement<'_>, origin: Origin, seq: u64, findings: &mut Findings) {
    let dot = Dot::new(origin, seq);
    if index.known(dot).is_none() && !index.writers.may_be_unseen(dot) {
        findings.add(says.at, says.node, || format!("has seen {dot:?}, which nobody ever wrote"));
    }
}

/// Nodes that can reach each other have seen the same at the end.
fn equal(index: &Index<'_>, findings: &mut Findings) {
    for group in &index.groups {
        let mut finals = index.finals_of(group);
        let Some((one, first_of_all)) = finals.next() else { continue };
        for (other, last) in finals {
            for (has, lacks, gap) in [
                (one, other, first_of_all.seen.difference(&last.seen)),
                (other, one, last.seen.difference(&first_of_all.seen)),
            ] {
                if let Some(dot) = first(&gap) {
                    findings.add(index.end, lacks, || {
                        format!(
                            "has not seen {dot:?} at the end, node {has} has ({} such writes)",
                            gap.count()
                        )
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracles::fixture::{ANT, CAT, Fixture};

    #[test]
    fn a_node_that_vouches_for_what_it_lacks_is_found() {
        let lawful = Fixture::lawful();
        lawful.doctored(&ORACLE, "neither holds it", |doctored| doctored.last(CAT).records.clear());
        lawful.doctored(&ORACLE, "which nobody ever wrote", |doctored| {
            let origin = doctored.applied().next().expect("ant's").2.dot.origin;
            doctored.last(CAT).seen.insert(Dot::new(origin, 9));
        });
        lawful.doctored(&ORACLE, "before it was written", |doctored| {
            let dot = doctored.applied().next().expect("ant's").2.dot;
            let What::Started { seen, .. } = &mut doctored.history.events[0].what else { panic!("a start") };
            seen.insert(dot);
        });
    }

    #[test]
    fn a_node_that_does_not_say_what_it_has_is_found() {
        let lawful = Fixture::lawful();
        let worm = lawful.clone().applied().last().expect("worm").2.dot;
        lawful.doctored(&ORACLE, "does not say", |doctored| _ = doctored.last(CAT).seen.remove(worm));
        lawful.doctored(&ORACLE, "has not seen", |doctored| _ = doctored.last(CAT).seen.remove(worm));
        lawful
            .doctored(&ORACLE, "and has not at the end", |doctored| _ = doctored.last(CAT).seen.remove(worm));
    }

    #[test]
    fn what_a_crash_took_is_found_and_what_a_loss_of_power_took_is_not() {
        let restarted = |power: bool| {
            let mut fixture = Fixture::new();
            let before = fixture.clone();
            fixture.put(ANT, "nest");
            let kind =
                if power { FaultKind::LosePower { node: ANT } } else { FaultKind::Crash { node: ANT } };
            fixture.during(kind, |fixture| fixture.stop(ANT, false));
            fixture.roll_back(ANT, &before);
            fixture.start(ANT);
            fixture.agree();
            fixture.judge(&ORACLE)
        };
        assert_eq!(restarted(true), vec![]);
        assert!(restarted(false)[0].text.contains("and has not after a restart"));
    }
}
