//! Dots name one write each: rule 7, over crashes, losses of power, wipes and restarts.

use std::time::Duration;

use super::{
    Oracle,
    index::Index,
    violation::{Findings, clock},
};
use crate::{
    history::{Seen, What},
    plan::NodeNo,
};

pub(super) const ORACLE: Oracle = Oracle {
    name: "dots-unique",
    about: "a dot names one write, the same wherever it is seen, and an origin's numbers have no holes",
    find,
};

fn find(index: &Index<'_>, findings: &mut Findings) {
    for (number, event) in index.history.events.iter().enumerate() {
        let at = event.at;
        match &event.what {
            What::Applied { node, local, version } => {
                same(index, at, *node, version, findings);
                if *local {
                    first(index, number, at, *node, version, findings);
                }
            }
            What::Started { node, records, .. } => {
                records.iter().for_each(|version| same(index, at, *node, version, findings));
            }
            What::Read { operation, found: Some((dot, value)) } => {
                let node = index.plan.operations.get(*operation).map(|operation| operation.node);
                read(index, at, node, (*dot, *value), findings);
            }
            _ => {}
        }
    }
    for (node, last) in &index.history.finals {
        last.records.iter().for_each(|version| same(index, index.end, *node, version, findings));
        last.reads.values().for_each(|found| read(index, index.end, Some(*node), *found, findings));
    }
    holes(index, findings);
}

/// A dot has the content that it had when it was first seen.
fn same(index: &Index<'_>, at: Duration, node: NodeNo, version: &Seen, findings: &mut Findings) {
    let Some(known) = index.known(version.dot) else { return };
    let first = known.version;
    if std::ptr::eq(first, version) || first == version {
        return;
    }
    findings.add(at, node, || {
        format!("{:?} is {}; elsewhere it is {}", version.dot, describe(version), describe(first))
    });
}

fn describe(version: &Seen) -> String {
    let value = version.value.map_or("a delete".to_owned(), |hash| {
        format!("value {:02x}{:02x}{:02x}{:02x}…", hash[0], hash[1], hash[2], hash[3])
    });
    format!("{value} of {} with stamp {} and context {:?}", version.key, version.hlc, version.context)
}

/// No dot is written twice.
fn first(
    index: &Index<'_>,
    number: usize,
    at: Duration,
    node: NodeNo,
    version: &Seen,
    findings: &mut Findings,
) {
    if let Some((before, when, who)) = index.known(version.dot).and_then(|known| known.written)
        && before != number
    {
        findings.add(at, node, || {
            format!(
                "wrote {:?} of {}, a dot that node {who} had given to a write at {}",
                version.dot,
                version.key,
                clock(when)
            )
        });
    }
}

/// Readers get the value that the dot names.
fn read(
    index: &Index<'_>,
    at: Duration,
    node: Option<NodeNo>,
    (dot, value): (tidings::causality::Dot, [u8; 32]),
    findings: &mut Findings,
) {
    if index.known(dot).is_some_and(|known| known.version.value != Some(value)) {
        findings.add(at, node, || format!("a reader was given {dot:?} with another value than was written"));
    }
}

/// Numbers run 1, 2, 3 …, in order of time, but for what nobody could see.
fn holes(index: &Index<'_>, findings: &mut Findings) {
    for (origin, writer) in index.writers.iter() {
        let mut last = (0, Duration::ZERO);
        for (seq, at) in &writer.writes {
            let missing = tidings::causality::Dot::new(*origin, last.0 + 1);
            if *seq > last.0 + 1 && !index.writers.may_be_unseen(missing) {
                findings.add(*at, writer.node, || {
                    format!(
                        "wrote number {seq} of {origin:?} after number {}: no number may be left out",
                        last.0
                    )
                });
            }
            if *at < last.1 {
                findings.add(*at, writer.node, || {
                    format!("wrote number {seq} of {origin:?} before number {}, at {}", last.0, clock(last.1))
                });
            }
            last = (*seq, *at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracles::fixture::{ANT, CAT, Fixture};

    #[test]
    fn a_dot_that_is_given_twice_is_found() {
        Fixture::lawful().doctored(&ORACLE, "a dot that node 0 had given", |doctored| {
            let first = doctored.applied().next().expect("some").2.clone();
            doctored.say(What::Applied { node: ANT, local: true, version: first });
        });
    }

    #[test]
    fn a_dot_with_two_contents_is_found_wherever_it_shows() {
        let lawful = Fixture::lawful();
        lawful.doctored(&ORACLE, "elsewhere it is", |doctored| {
            let version = doctored.applied().find(|(_, local, _)| !local).expect("some").2;
            version.value = Some([99; 32]);
        });
        lawful.doctored(&ORACLE, "elsewhere it is", |doctored| {
            doctored.last(CAT).records[0].hlc = tidings::causality::Hlc(7);
        });
        lawful.doctored(&ORACLE, "with another value", |doctored| {
            doctored.last(CAT).reads.values_mut().next().expect("some").1 = [99; 32];
        });
    }

    #[test]
    fn a_number_left_out_is_found_unless_its_node_died_then() {
        let without_second = |mut fixture: Fixture| {
            fixture.put(ANT, "nest");
            fixture.put(ANT, "nest");
            fixture.put(ANT, "nest");
            fixture.forget(|what| matches!(what, What::Applied { version, .. } if version.dot.seq == 2));
            fixture.judge(&ORACLE).len()
        };
        assert_eq!(without_second(Fixture::new()), 1);
        let mut crashed = Fixture::new();
        crashed.put(ANT, "nest");
        crashed.commit(ANT, "nest", Some([7; 32]));
        crashed.stop(ANT, false);
        crashed.start(ANT);
        crashed.put(ANT, "nest");
        crashed.forget(|what| matches!(what, What::Applied { version, .. } if version.dot.seq == 2));
        assert_eq!(crashed.judge(&ORACLE), vec![]);
    }
}
