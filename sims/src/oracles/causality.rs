//! Causality, per key: no effect before its cause, no reader sent back in time, and a write
//! supersedes what its writer had in front of it: all of that, and nothing else (rule 1).

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use tidings::causality::{Context, Dot};

use super::{
    Oracle,
    index::{Index, dies},
    replay::{Held, Replay},
    violation::Findings,
};
use crate::{
    history::{Seen, What},
    plan::{Action, NodeNo},
};

pub(super) const ORACLE: Oracle = Oracle {
    name: "causality",
    about: "nobody sees an effect before its cause, and a write supersedes exactly what its writer had seen of the key",
    find,
};

fn find(index: &Index<'_>, findings: &mut Findings) {
    let mut replay = Replay::default();
    let (mut reads, mut dead) = (HashMap::new(), BTreeSet::new());
    for (number, event) in index.history.events.iter().enumerate() {
        let at = event.at;
        if let Some(node) = dies(&event.what) {
            dead.insert(node);
        }
        match &event.what {
            What::Started { node, .. } => _ = dead.remove(node),
            What::Applied { node, local: true, version } => {
                causes(index, (number, at), *node, version, findings);
                in_front(index, replay.held(*node, &version.key), at, *node, version, findings);
            }
            What::Asked { operation } => {
                if let Some(superseded) = before_read(index, &replay, *operation) {
                    reads.insert(*operation, superseded);
                }
            }
            What::Read { operation, found } => {
                let asked = index.plan.operations.get(*operation);
                let alive = asked.is_some_and(|asked| !dead.contains(&asked.node));
                let superseded = reads.remove(operation).filter(|_| alive).unwrap_or_default();
                read(index, (number, at), *operation, found.map(|found| found.0), &superseded, findings);
            }
            _ => {}
        }
        replay.read(&event.what);
    }
}

/// What a context names was written before, and to the same key.
fn causes(
    index: &Index<'_>,
    (number, at): (usize, Duration),
    node: NodeNo,
    version: &Seen,
    findings: &mut Findings,
) {
    if index.plan.forgets() {
        // What a context has from the base of another version may be of any key.
        return;
    }
    let what = || format!("{:?} of {} names {{}} in its context", version.dot, version.key);
    // That of its own origin is implied: it is superseded whatever key it was of.
    for dot in version.context.iter().filter(|dot| dot.origin != version.dot.origin) {
        match index.known(*dot) {
            Some(known) if known.version.key != version.key => findings.add(at, node, || {
                format!("{}, a write of {}", what().replace("{}", &format!("{dot:?}")), known.version.key)
            }),
            Some(known) if known.written.is_some_and(|(cause, ..)| cause > number) => {
                findings.add(at, node, || {
                    format!("{}, which was written only later", what().replace("{}", &format!("{dot:?}")))
                });
            }
            None if !index.writers.may_be_unseen(*dot) => findings.add(at, node, || {
                format!("{}, which nobody ever wrote", what().replace("{}", &format!("{dot:?}")))
            }),
            _ => {}
        }
    }
}

/// A write supersedes all that its writer had of the key, and nothing else.
fn in_front(
    index: &Index<'_>,
    held: Option<&Held<'_>>,
    at: Duration,
    node: NodeNo,
    version: &Seen,
    findings: &mut Findings,
) {
    let origin = &version.dot.origin;
    let had = held.map_or_else(Context::new, |held| held.context.clone()).without(origin);
    let names = version.context.iter().chain(&version.base).copied().collect::<Context>().without(origin);
    if let Some(dot) = beyond(&had, &names) {
        findings.add(at, node, || {
            format!(
                "{:?} of {} does not supersede {dot:?}, which its writer had applied",
                version.dot, version.key
            )
        });
    }
    if index.plan.forgets() {
        return;
    }
    if let Some(dot) = beyond(&names, &had).filter(|dot| !index.writers.may_be_unseen(*dot)) {
        findings.add(at, node, || {
            format!(
                "{:?} of {} supersedes {dot:?}, which its writer had not applied",
                version.dot, version.key
            )
        });
    }
}

/// Something that the first covers and the second does not.
fn beyond(first: &Context, second: &Context) -> Option<Dot> {
    first.iter().map(|(origin, seq)| Dot::new(origin, seq)).find(|dot| !second.covers(*dot))
}

/// What was superseded at a node when it was asked to read.
fn before_read(index: &Index<'_>, replay: &Replay<'_>, operation: usize) -> Option<Context> {
    let operation = index.plan.operations.get(operation)?;
    let Action::Get { key } = &operation.action else { return None };
    Some(replay.held(operation.node, &key.parse().ok()?)?.superseded.clone())
}

fn read(
    index: &Index<'_>,
    (number, at): (usize, Duration),
    operation: usize,
    found: Option<Dot>,
    superseded: &Context,
    findings: &mut Findings,
) {
    let Some(dot) = found else { return };
    let node = index.plan.operations.get(operation).map(|operation| operation.node);
    match index.known(dot) {
        None if index.writers.may_be_unseen(dot) => {}
        None => findings
            .add(at, node, || format!("read number {operation} found {dot:?}, which nobody ever wrote")),
        Some(known)
            if known.written.is_some_and(|(cause, ..)| cause > number && index_at(index, cause) > at) =>
        {
            findings.add(at, node, || {
                format!(
                    "read number {operation} found {dot:?} of {} before it was written",
                    known.version.key
                )
            });
        }
        Some(known) if superseded.covers(dot) => findings.add(at, node, || {
            format!(
                "read number {operation} found {dot:?} of {}, though the node had applied what supersedes it",
                known.version.key
            )
        }),
        Some(_) => {}
    }
}

fn index_at(index: &Index<'_>, number: usize) -> Duration {
    index.history.events[number].at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracles::fixture::{ANT, BAT, CAT, Fixture};

    #[test]
    fn a_write_that_forgets_what_its_writer_had_is_found() {
        Fixture::lawful().doctored(&ORACLE, "which its writer had applied", |doctored| {
            doctored
                .applied()
                .find(|(.., version)| version.value.is_none())
                .expect("a delete")
                .2
                .context
                .clear();
        });
    }

    #[test]
    fn a_write_that_supersedes_what_its_writer_had_not_seen_is_found() {
        Fixture::lawful().doctored(&ORACLE, "which its writer had not applied", |doctored| {
            let left = doctored.applied().find(|(.., version)| version.dot.seq == 2).expect("ant's").2.dot;
            doctored.applied().find(|(node, local, _)| *local && *node == CAT).expect("cat's").2.context =
                vec![left];
        });
    }

    #[test]
    fn an_effect_before_its_cause_is_found() {
        let lawful = Fixture::lawful();
        let name = |which: fn(&Seen) -> bool, seq_more: u64| {
            move |doctored: &mut Fixture| {
                let named = doctored.applied().find(|(.., version)| which(version)).expect("some").2.dot;
                let cat =
                    doctored.applied().find(|(node, local, _)| *local && *node == CAT).expect("cat's").2;
                cat.context.push(Dot::new(named.origin, named.seq + seq_more));
            }
        };
        lawful.doctored(&ORACLE, "written only later", name(|version| version.value.is_none(), 0));
        lawful.doctored(&ORACLE, "a write of worm", name(|version| version.key.as_str() == "worm", 0));
        lawful.doctored(&ORACLE, "nobody ever wrote", |doctored| {
            doctored.forget(|what| matches!(what, What::Stopped { .. }));
            name(|version| version.key.as_str() == "worm", 9)(doctored);
        });
    }

    #[test]
    fn a_reader_sent_back_in_time_is_found() {
        let mut lawful = Fixture::new();
        let first = lawful.put(ANT, "nest");
        lawful.spread(first);
        let second = lawful.put(BAT, "nest");
        lawful.spread(second);
        lawful.read(CAT, "nest");
        let find = |dot: Dot| {
            move |doctored: &mut Fixture| {
                for event in &mut doctored.history.events {
                    if let What::Read { found: Some((found, _)), .. } = &mut event.what {
                        *found = dot;
                    }
                }
            }
        };
        lawful.doctored(&ORACLE, "applied what supersedes it", find(first));
        lawful.doctored(&ORACLE, "which nobody ever wrote", find(Dot::new(first.origin, 9)));
    }
}
