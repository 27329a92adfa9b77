//! The model: a set of all versions, and nothing else. A node must hold of what it has seen
//! exactly those that no other one supersedes, and show readers the greatest of them (rule 9).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tidings::{
    causality::{Context, Dot, SeenSet},
    types::Key,
};

use super::{
    Oracle,
    index::{Index, past, rank},
    violation::Findings,
};
use crate::{
    history::{Final, Seen},
    plan::NodeNo,
};

pub(super) const ORACLE: Oracle = Oracle {
    name: "model",
    about: "what a node holds and shows at the end is what a naive set of the versions it has seen says",
    find,
};

/// By key, the versions that no other one supersedes.
type Survivors<'a> = BTreeMap<&'a Key, Vec<&'a Seen>>;

fn find(index: &Index<'_>, findings: &mut Findings) {
    // Nodes that agree have seen the same: the model is asked once for all of them.
    let mut models: HashMap<&SeenSet, Survivors<'_>> = HashMap::new();
    for (node, last) in &index.history.finals {
        let survivors = models.entry(&last.seen).or_insert_with(|| model(index, &last.seen));
        records(index, *node, last, survivors, findings);
        if index.plan.forgets() {
            // A delete that was forgotten ranks no more: what is read follows from what is held, and
            // must be the same everywhere, which is for convergence to judge.
            continue;
        }
        reads(index, *node, last, survivors, findings);
    }
}

fn model<'a>(index: &Index<'a>, seen: &SeenSet) -> Survivors<'a> {
    let mut survivors = Survivors::new();
    for (key, versions) in &index.by_key {
        let known: Vec<&Seen> =
            versions.iter().copied().filter(|version| seen.contains(version.dot)).collect();
        let superseded: Context = known.iter().flat_map(|version| past(version)).collect();
        let left: Vec<&Seen> = known.into_iter().filter(|version| !superseded.covers(version.dot)).collect();
        if !left.is_empty() {
            survivors.insert(key, left);
        }
    }
    survivors
}

fn records(
    index: &Index<'_>,
    node: NodeNo,
    last: &Final,
    survivors: &Survivors<'_>,
    findings: &mut Findings,
) {
    let must: BTreeSet<Dot> = survivors.values().flatten().map(|version| version.dot).collect();
    let mut holds = BTreeSet::new();
    for version in &last.records {
        if !must.contains(&version.dot) {
            findings.add(index.end, node, || {
                format!(
                    "holds {:?} of {}, which is superseded by something it has seen, or unseen",
                    version.dot, version.key
                )
            });
        }
        if !holds.insert(version.dot) {
            findings.add(index.end, node, || format!("holds {:?} of {} twice", version.dot, version.key));
        }
    }
    let forgets = index.plan.forgets();
    let held = |version: &&&Seen| holds.contains(&version.dot) || forgets && version.value.is_none();
    for version in survivors.values().flatten().filter(|version| !held(version)) {
        findings.add(index.end, node, || {
            format!(
                "does not hold {:?} of {}, which it has seen and nothing supersedes",
                version.dot, version.key
            )
        });
    }
}

fn reads(index: &Index<'_>, node: NodeNo, last: &Final, survivors: &Survivors<'_>, findings: &mut Findings) {
    for (key, siblings) in survivors {
        let winner = siblings.iter().copied().max_by_key(|version| rank(version));
        let must = winner.and_then(|winner| Some((winner.dot, winner.value?)));
        let got = last.reads.get(*key).copied();
        if must != got {
            let (must, got) = (must.map(|read| read.0), got.map(|read| read.0));
            findings.add(index.end, node, || {
                format!(
                    "shows {got:?} of {key}, must show {must:?}, the greatest of {} siblings",
                    siblings.len()
                )
            });
        }
    }
    for (key, (dot, _)) in last.reads.iter().filter(|(key, _)| !survivors.contains_key(key)) {
        findings.add(index.end, node, || format!("shows {dot:?} of {key}, of which it has seen nothing"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracles::fixture::{ANT, BAT, CAT, Fixture};

    #[test]
    fn a_record_without_a_sibling_or_with_a_superseded_one_is_found() {
        let mut lawful = Fixture::new();
        let (left, right) = (lawful.put(ANT, "nest"), lawful.put(CAT, "nest"));
        [left, right].into_iter().for_each(|dot| lawful.spread(dot));
        let old = lawful.put(ANT, "worm");
        lawful.spread(old);
        let new = lawful.put(CAT, "worm");
        lawful.spread(new);
        lawful.agree();
        lawful.doctored(&ORACLE, "nothing supersedes", |doctored| _ = doctored.last(BAT).records.remove(0));
        lawful.doctored(&ORACLE, "superseded by something", |doctored| {
            let version = doctored.applied().find(|(.., version)| version.dot == old).expect("it").2.clone();
            doctored.last(BAT).records.push(version);
        });
        lawful.doctored(&ORACLE, "must show", |doctored| {
            let loser =
                doctored.last(BAT).records.iter().find(|version| version.dot == left).expect("it").clone();
            doctored.last(BAT).reads.insert(loser.key, (loser.dot, [1; 32]));
        });
        lawful.doctored(&ORACLE, "has seen nothing", |doctored| {
            doctored.last(CAT).reads.insert("moon".parse().expect("lawful"), (left, [1; 32]));
        });
    }

    #[test]
    fn a_delete_shows_nothing() {
        let mut lawful = Fixture::new();
        let put = lawful.put(ANT, "nest");
        lawful.spread(put);
        let delete = lawful.delete(BAT, "nest");
        lawful.spread(delete);
        lawful.agree();
        lawful.doctored(&ORACLE, "must show None", |doctored| {
            doctored.last(ANT).reads.insert("nest".parse().expect("lawful"), (put, [1; 32]));
        });
    }
}
