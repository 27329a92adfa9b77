//! No acknowledged write is lost: at the end it is held, or superseded by something that saw it.
//!
//! Excused is what no store that is left has ever had: the writer lost its disk, or lost power
//! under `buffer`, or is gone for good, before another store that is still there took the write in.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use tidings::{
    causality::{Context, Dot, SeenSet},
    types::Key,
};

use super::{
    Oracle,
    index::{Index, accounted},
    violation::{Findings, clock, list},
};
use crate::{
    history::What,
    plan::{Durability, FaultKind, NodeNo},
};

pub(super) const ORACLE: Oracle = Oracle {
    name: "lost-writes",
    about: "every acknowledged write is read, a sibling, or superseded at the end, unless all that had it lost their disks",
    find,
};

/// An acknowledged write that is not everywhere.
#[derive(Default)]
struct Missing {
    operation: usize,
    acknowledged: Duration,
    /// The nodes that can reach each other and do not account for it.
    lacking: BTreeSet<NodeNo>,
    /// The nodes whose present store has taken it in.
    holders: BTreeSet<NodeNo>,
    /// How its writer came to be without it, where that must not be.
    blame: Option<String>,
}

fn find(index: &Index<'_>, findings: &mut Findings) {
    if index.plan.forgets() {
        return;
    }
    let mut missing = missing(index);
    if missing.is_empty() {
        return;
    }
    follow(index, &mut missing);
    for (dot, lost) in &missing {
        let able = lost.lacking.iter().filter_map(|node| index.group_of(*node)).flatten();
        let able: BTreeSet<NodeNo> = able.copied().collect();
        let holders: Vec<NodeNo> = lost.holders.intersection(&able).copied().collect();
        if !holders.is_empty() || lost.blame.is_some() {
            tell(index, *dot, lost, &holders, findings);
        }
    }
}

fn tell(index: &Index<'_>, dot: Dot, lost: &Missing, holders: &[NodeNo], findings: &mut Findings) {
    findings.add(index.end, lost.lacking.first().copied(), || {
        let why = match &lost.blame {
            Some(blame) if holders.is_empty() => blame.clone(),
            _ => format!("it was taken in by nodes {}", list(holders.iter().copied())),
        };
        let key = index.known(dot).map_or("a key that no node ever held".to_owned(), |known| known.version.key.to_string());
        let (operation, when) = (lost.operation, clock(lost.acknowledged));
        let lacking = list(lost.lacking.iter().copied());
        format!(
            "{dot:?} of {key}, operation {operation} acknowledged at {when}, is neither held nor superseded at nodes {lacking}; {why}"
        )
    });
}

/// The acknowledged writes that some node does not account for at the end.
fn missing(index: &Index<'_>) -> BTreeMap<Dot, Missing> {
    let finals = |group| index.finals_of(group);
    let stores: Vec<_> = index
        .groups
        .iter()
        .flat_map(finals)
        .map(|(node, last)| (node, &last.seen, accounted(&last.records)))
        .collect();
    let mut missing = BTreeMap::new();
    for event in &index.history.events {
        let What::Acknowledged { operation, dots } = &event.what else { continue };
        for dot in dots {
            let covers = |seen: &SeenSet, store: &HashMap<&Key, Context>| match index.known(*dot) {
                Some(known) => store.get(&known.version.key).is_some_and(|context| context.covers(*dot)),
                // Its node died before anybody could look: seen is superseded.
                None => seen.contains(*dot),
            };
            let lacks = stores.iter().filter(|(_, seen, store)| !covers(seen, store));
            let lacking: BTreeSet<NodeNo> = lacks.map(|(node, ..)| *node).collect();
            if !lacking.is_empty() {
                let (operation, acknowledged) = (*operation, event.at);
                missing.insert(*dot, Missing { operation, acknowledged, lacking, ..Missing::default() });
            }
        }
    }
    missing
}

/// Follows the missing writes from store to store.
fn follow(index: &Index<'_>, missing: &mut BTreeMap<Dot, Missing>) {
    let mut causes: BTreeMap<NodeNo, &FaultKind> = BTreeMap::new();
    for event in &index.history.events {
        match &event.what {
            What::Acknowledged { operation, dots } => {
                let Some(asked) = index.plan.operations.get(*operation) else { continue };
                for dot in dots {
                    missing.entry(*dot).and_modify(|lost| _ = lost.holders.insert(asked.node));
                }
            }
            What::Applied { node, version, .. } => {
                missing.entry(version.dot).and_modify(|lost| _ = lost.holders.insert(*node));
            }
            What::Broke {
                kind: kind @ (FaultKind::LosePower { node } | FaultKind::Wipe { node }), ..
            } => {
                causes.insert(*node, kind);
            }
            What::Started { node, seen, .. } => {
                let cause = causes.remove(node);
                missing
                    .iter_mut()
                    .for_each(|(dot, lost)| restarted(index, event.at, (*node, seen, cause), *dot, lost));
            }
            _ => {}
        }
    }
    for (node, last) in &index.history.finals {
        for (_, lost) in missing.iter_mut().filter(|(dot, _)| last.seen.contains(**dot)) {
            lost.holders.insert(*node);
        }
    }
}

/// A node is up again: with the write or without it.
fn restarted(
    index: &Index<'_>,
    at: Duration,
    (node, seen, cause): (NodeNo, &SeenSet, Option<&FaultKind>),
    dot: Dot,
    lost: &mut Missing,
) {
    if seen.contains(dot) {
        lost.holders.insert(node);
    } else if lost.holders.remove(&node) {
        let own = index.plan.operations.get(lost.operation).is_some_and(|asked| asked.node == node);
        if own && at >= lost.acknowledged && !excused(index, cause) {
            let when = clock(at);
            lost.blame =
                Some(format!("node {node}, which wrote it, was without it when it started at {when}"));
        }
    }
}

/// Whether a node may lose its own acknowledged writes to this.
fn excused(index: &Index<'_>, cause: Option<&FaultKind>) -> bool {
    match cause {
        Some(FaultKind::Wipe { .. }) => true,
        Some(FaultKind::LosePower { .. }) => index.plan.settings.durability == Durability::Buffer,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracles::{
        Violation,
        fixture::{ANT, BAT, CAT, Fixture},
    };

    #[test]
    fn a_write_that_is_nowhere_accounted_for_is_found() {
        let lawful = Fixture::lawful();
        lawful.doctored(&ORACLE, "neither held nor superseded at nodes 2", |doctored| {
            doctored.last(CAT).records.retain(|version| version.key.as_str() != "worm");
        });
        lawful.doctored(&ORACLE, "a key that no node ever held", |doctored| {
            let origin = doctored.applied().next().expect("ant's").2.dot.origin;
            doctored.say(What::Acknowledged { operation: 0, dots: vec![Dot::new(origin, 9)] });
        });
    }

    /// Ant writes, dies of `fault`, and comes back without what it wrote; the write may have been
    /// taken in by bat before.
    fn lost(fault: FaultKind, durability: Durability, bat_has_it: bool) -> Vec<Violation> {
        let mut fixture = Fixture::new();
        fixture.plan.settings.durability = durability;
        let before = fixture.clone();
        let dot = fixture.put(ANT, "nest");
        if bat_has_it {
            fixture.apply(BAT, dot, false);
        }
        fixture.during(fault, |fixture| fixture.stop(ANT, false));
        fixture.roll_back(ANT, &before);
        fixture.start(ANT);
        fixture.agree();
        fixture.judge(&ORACLE)
    }

    #[test]
    fn only_what_no_store_that_is_left_ever_had_may_be_lost() {
        let (power, wipe, crash) = (
            FaultKind::LosePower { node: ANT },
            FaultKind::Wipe { node: ANT },
            FaultKind::Crash { node: ANT },
        );
        assert_eq!(lost(power.clone(), Durability::Buffer, false), vec![]);
        assert_eq!(lost(wipe.clone(), Durability::Fsync, false), vec![]);
        for (fault, durability, bat_has_it, words) in [
            (power.clone(), Durability::Fsync, false, "was without it when it started"),
            (crash, Durability::Buffer, false, "was without it when it started"),
            (power, Durability::Buffer, true, "was taken in by nodes 1"),
            (wipe, Durability::Buffer, true, "was taken in by nodes 1"),
        ] {
            let found = lost(fault.clone(), durability, bat_has_it);
            assert!(found.iter().any(|violation| violation.text.contains(words)), "{fault:?}: {found:?}");
        }
    }
}
