//! Convergence: nodes that can reach each other hold the same, soon after the last disturbance.

use std::{collections::BTreeSet, time::Duration};

use super::{
    Oracle,
    index::Index,
    violation::{Findings, clock},
};
use crate::{
    history::{Final, What},
    plan::NodeNo,
};

pub(super) const ORACLE: Oracle = Oracle {
    name: "convergence",
    about: "nodes that can reach each other hold the same, within a bound after the last disturbance",
    find,
};

fn find(index: &Index<'_>, findings: &mut Findings) {
    for group in &index.groups {
        let mut finals = index.finals_of(group);
        let Some(first) = finals.next() else { continue };
        finals.for_each(|other| compare(index.end, first, other, findings));
    }
    // The observer speaks of all nodes: that says something where they are one group.
    if !index.plan.forgets() && index.groups.len() == 1 && index.groups[0].len() == index.history.finals.len()
    {
        in_time(index, findings);
    }
}

fn compare(at: Duration, first: (NodeNo, &Final), other: (NodeNo, &Final), findings: &mut Findings) {
    let ((one, a), (two, b)) = (first, other);
    if a.root != b.root {
        let text = || format!("ended with root {}, node {one} with {}: they must be equal", b.root, a.root);
        findings.add(at, two, text);
    }
    for key in a.reads.keys().chain(b.reads.keys().filter(|key| !a.reads.contains_key(key))) {
        let (here, there) = (b.reads.get(key).map(|read| read.0), a.reads.get(key).map(|read| read.0));
        if a.reads.get(key) != b.reads.get(key) {
            let text = || format!("reads {here:?} of {key}, node {one} reads {there:?}: they must agree");
            findings.add(at, two, text);
        }
    }
    let (ours, theirs) = (held(a), held(b));
    for (key, dot) in ours.symmetric_difference(&theirs) {
        let (has, lacks) = if ours.contains(&(*key, *dot)) { (one, two) } else { (two, one) };
        let text = || format!("does not hold {dot:?} of {key}, which node {has} holds: records must agree");
        findings.add(at, lacks, text);
    }
}

fn held(last: &Final) -> BTreeSet<(&tidings::types::Key, tidings::causality::Dot)> {
    // Deletes that stand alone may be forgotten by some and remembered by others.
    let lives: BTreeSet<_> =
        last.records.iter().filter(|version| version.value.is_some()).map(|version| &version.key).collect();
    let compared = last.records.iter().filter(|version| lives.contains(&version.key));
    compared.map(|version| (&version.key, version.dot)).collect()
}

/// They agreed within the bound, and for good.
fn in_time(index: &Index<'_>, findings: &mut Findings) {
    let mut since = None;
    for event in &index.history.events {
        match event.what {
            What::Agreed => since = since.or(Some(event.at)),
            What::Disagreed => {
                if let Some(since) = since.filter(|since| *since > index.disturbed) {
                    let (since, last) = (clock(since), clock(index.disturbed));
                    findings.add(event.at, None, || {
                        format!("the nodes had agreed at {since} and do not any more, though nothing happened since {last}")
                    });
                }
                since = None;
            }
            _ => {}
        }
    }
    let within = index.plan.expect.agree_within;
    let (last, bound) = (clock(index.disturbed), clock(within));
    match since {
        Some(since) if since > index.disturbed + within => findings.add(since, None, || {
            format!(
                "the nodes agreed at {}, later than {bound} after the last disturbance at {last}",
                clock(since)
            )
        }),
        None if index.versions() > 0 => findings.add(index.end, None, || {
            format!("the nodes do not agree at the end; the last disturbance was at {last}, they had {bound}")
        }),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        oracles::fixture::{ANT, BAT, CAT, Fixture, millis},
        plan::{FaultKind, How},
    };

    #[test]
    fn nodes_that_hold_the_same_in_time_converge() {
        assert_eq!(Fixture::lawful().judge(&ORACLE), vec![]);
    }

    #[test]
    fn what_differs_at_the_end_is_found() {
        let lawful = Fixture::lawful();
        lawful.doctored(&ORACLE, "they must be equal", |doctored| doctored.last(BAT).root = "other".into());
        lawful.doctored(&ORACLE, "they must agree", |doctored| doctored.last(BAT).reads.clear());
        lawful.doctored(&ORACLE, "records must agree", |doctored| _ = doctored.last(CAT).records.pop());
    }

    #[test]
    fn agreement_that_is_late_or_does_not_last_is_found() {
        let lawful = Fixture::lawful();
        lawful.doctored(&ORACLE, "later than 1s after", |doctored| {
            doctored.plan.expect.agree_within = millis(1_000);
            let agreed = doctored.history.events.iter().position(|event| matches!(event.what, What::Agreed));
            doctored.history.events.remove(agreed.expect("they agree"));
            doctored.say(What::Agreed);
        });
        lawful.doctored(&ORACLE, "do not any more", |doctored| doctored.say(What::Disagreed));
        lawful.doctored(&ORACLE, "do not agree at the end", |doctored| {
            doctored.forget(|what| matches!(what, What::Agreed));
        });
    }

    #[test]
    fn nodes_that_are_cut_off_for_good_need_not_agree() {
        let mut cut = Fixture::new();
        let kind = FaultKind::Partition { groups: vec![vec![ANT, BAT], vec![CAT]], how: How::Freeze };
        cut.say(What::Broke { fault: 0, kind });
        let dot = cut.put(ANT, "nest");
        cut.apply(BAT, dot, false);
        cut.agree();
        cut.forget(|what| matches!(what, What::Agreed));
        cut.last(CAT).root = "another".into();
        cut.doctored(&ORACLE, "they must be equal", |doctored| doctored.last(BAT).root = "other".into());
    }
}
