//! Rule 2, last paragraph: one dot, two contents.

use super::Plan;
use crate::{
    causality::Dot,
    conflict::{Base, Record, Version, VersionHash},
    types::Key,
};

/// Two contents under one dot: a cloned machine, a mistake, or a liar. Both are to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision {
    /// The content that the dot names from now on: the one with the greater hash.
    pub kept: VersionHash,
    /// The other one.
    pub lost: VersionHash,
    /// What becomes of the records concerned, to be carried out in this order, in one batch. A
    /// record may be left without siblings; it stays, for its context.
    pub plans: Vec<(Key, Plan)>,
}

/// Plans what to do when `other` arrives under the dot of `held`, a sibling in `record`; nothing
/// if both are the same. `others_record` is the record of the key of `other`, where that is not
/// the key of `held`.
///
/// Replicas to which both contents came, before anything that supersedes them did, end equal,
/// whichever came first: the content with the greater hash stays, and what *either* had in front
/// of it is superseded. A replica to which only one came is told the difference by ranges.
///
/// # Panics
/// When the two have different dots, or `held` is no sibling in `record`: a mistake of the caller.
#[must_use]
pub fn plan_collision(
    record: &Record,
    others_record: Option<&Record>,
    held: &Version,
    other: Version,
) -> Option<Collision> {
    assert_eq!(held.dot, other.dot, "contents collide under one dot");
    assert!(record.get(held.dot).is_some(), "the content that is held is a sibling");
    let (held_hash, other_hash) = (held.hash(), other.hash());
    let other_wins = match other_hash.cmp(&held_hash) {
        std::cmp::Ordering::Equal => return None,
        order => order.is_gt(),
    };
    let other_key = other.key.clone();
    let plans = if held.key == other.key {
        vec![(other_key, same_key(record, other, other_wins))]
    } else if other_wins {
        vec![(held.key.clone(), taken_out(record, held)), (other_key, put_in(others_record, other))]
    } else {
        vec![(other_key, passed_over(others_record, &other))]
    };
    let (kept, lost) = if other_wins { (other_hash, held_hash) } else { (held_hash, other_hash) };
    Some(Collision { kept, lost, plans })
}

/// Both are of one key: drop what `other` supersedes, and let the winner stand.
fn same_key(record: &Record, other: Version, other_wins: bool) -> Plan {
    let mut plan = superseding_only(Some(record), &other);
    if other_wins {
        stand(&mut plan, other);
    }
    plan
}

/// The winner enters the record of its key. Not the context decides whether it comes late, for an
/// earlier content of the same dot may have widened that; the siblings do.
fn put_in(record: Option<&Record>, winner: Version) -> Plan {
    let mut plan = superseding_only(record, &winner);
    if plan.record.siblings().iter().any(|sibling| sibling.supersedes(winner.dot)) {
        plan.dead.push(winner.dot);
    } else {
        stand(&mut plan, winner);
    }
    plan
}

/// Makes `version` the sibling of its dot.
fn stand(plan: &mut Plan, version: Version) {
    let mut siblings = plan.record.siblings().to_vec();
    siblings.retain(|sibling| sibling.dot != version.dot);
    siblings.push(version.clone());
    plan.record = Record::from_parts(siblings, plan.record.context().clone());
    plan.held = Some(version);
}

/// What `version` supersedes goes, but `version` itself does not stand.
fn superseding_only(record: Option<&Record>, version: &Version) -> Plan {
    let siblings = record.map_or(&[][..], Record::siblings);
    let (superseded, kept): (Vec<_>, Vec<_>) =
        siblings.iter().cloned().partition(|sibling| version.supersedes(sibling.dot));
    let mut context = record.map(|record| record.context().clone()).unwrap_or_default();
    version.extend(&mut context);
    let dead = superseded.iter().map(|sibling| sibling.dot).collect();
    Plan { record: Record::from_parts(kept, context), held: None, superseded, dead }
}

/// A loser that was never held: what it supersedes goes, but its record does not account for it. Else its
/// death would be told of to those who hold it, when its dot dies for what the winner was.
fn passed_over(record: Option<&Record>, loser: &Version) -> Plan {
    let plan = superseding_only(record, loser);
    let mut context = record.map(|record| record.context().clone()).unwrap_or_default();
    context.extend(&loser.context);
    if let Some(covers) = loser.base.as_ref().and_then(Base::covers) {
        context.extend(covers);
    }
    if loser.dot.seq > 1 {
        context.insert(Dot::new(loser.dot.origin, loser.dot.seq - 1));
    }
    Plan { record: Record::from_parts(plan.record.siblings().to_vec(), context), ..plan }
}

/// The loser leaves the record of its key. Its dot is not dead: it names the winner now.
fn taken_out(record: &Record, loser: &Version) -> Plan {
    let mut siblings = record.siblings().to_vec();
    siblings.retain(|sibling| sibling.dot != loser.dot);
    let record = Record::from_parts(siblings, record.context().clone());
    Plan { record, held: None, superseded: vec![loser.clone()], dead: vec![] }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::{collection, prelude::*};

    use super::*;
    use crate::{
        causality::{Context, Hlc, NodeId, Origin},
        conflict::Body,
        replica::plan_merge,
    };

    fn dot(n: u8, seq: u64) -> Dot {
        Dot::new(Origin { node: NodeId([n; 32]), epoch: 0 }, seq)
    }

    #[derive(Default, Debug)]
    struct Store {
        records: BTreeMap<Key, Record>,
        held: BTreeMap<Dot, Key>,
        dead: BTreeSet<Dot>,
    }

    impl Store {
        fn siblings(&self) -> Vec<(&Key, &[Version])> {
            let all = self.records.iter().map(|(key, record)| (key, record.siblings()));
            all.filter(|(_, siblings)| !siblings.is_empty()).collect()
        }

        fn receive(&mut self, version: Version) {
            let plans = match self.held.get(&version.dot) {
                None => {
                    vec![(version.key.clone(), plan_merge(self.records.get(&version.key), version.clone()))]
                }
                Some(key) => {
                    let record = &self.records[key];
                    let held = record.get(version.dot).expect("held").clone();
                    let others = self.records.get(&version.key);
                    plan_collision(record, others, &held, version).map_or(vec![], |found| found.plans)
                }
            };
            for (key, plan) in plans {
                for gone in &plan.superseded {
                    self.held.remove(&gone.dot);
                }
                if let Some(version) = &plan.held {
                    self.held.insert(version.dot, key.clone());
                }
                self.dead.extend(plan.dead);
                self.records.insert(key, plan.record);
            }
        }
    }

    /// Contents under the dot of the cloned ant, among writes of others that know nothing of it.
    fn versions() -> impl Strategy<Value = Vec<Version>> {
        let context = collection::vec((1..5_u8, 1..4_u64), 0..4);
        let cloned = (0..2_u8, context.clone(), any::<u64>())
            .prop_map(|(key, context, hlc)| (dot(0, 1), key, context, hlc));
        let honest = (1..5_u8, 1..4_u64, context, any::<u64>())
            .prop_map(|(n, seq, context, hlc)| (dot(n, seq), n % 2, context, hlc));
        let honest = collection::vec(honest, 0..6).prop_map(|mut all| {
            let mut names = BTreeSet::new();
            all.retain(|(dot, ..)| names.insert(*dot));
            all
        });
        (collection::vec(cloned, 1..4), honest).prop_map(|(cloned, honest)| {
            let version = |(dot, key, context, hlc): (Dot, u8, Vec<(u8, u64)>, u64)| {
                let context: Context = context.into_iter().map(|(n, seq)| self::dot(n, seq)).collect();
                let context = context.without(&dot.origin);
                let key = Key::new(format!("k/{key}")).expect("lawful");
                Version { dot, hlc: Hlc(hlc), base: None, context, key, body: Body::Delete }
            };
            cloned.into_iter().chain(honest).map(version).collect()
        })
    }

    proptest! {
        #[test]
        fn two_contents_of_one_dot_end_equal_in_any_order(
            (versions, shuffled) in versions().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        ) {
            let (mut ant, mut bat) = (Store::default(), Store::default());
            versions.iter().cloned().for_each(|version| ant.receive(version));
            shuffled.into_iter().for_each(|version| bat.receive(version));
            let greatest = versions.iter().filter(|version| version.dot == dot(0, 1)).max_by_key(|v| v.hash());
            let greatest = greatest.expect("at least one content");
            let at = ant.held.get(&greatest.dot).expect("nothing supersedes it");
            prop_assert_eq!(ant.records[at].get(greatest.dot), Some(greatest));
            prop_assert!(ant.held.keys().all(|dot| !ant.dead.contains(dot)));
            // Whether a record accounts for a loser depends on whether it was held.
            prop_assert_eq!(ant.siblings(), bat.siblings());
            prop_assert_eq!((ant.held, ant.dead), (bat.held, bat.dead));
        }
    }

    #[test]
    fn the_same_content_again_is_no_collision() {
        let key = Key::new("k").expect("lawful");
        let version = Version {
            dot: dot(0, 1),
            hlc: Hlc(1),
            base: None,
            context: Context::new(),
            key,
            body: Body::Delete,
        };
        let record = plan_merge(None, version.clone()).record;
        assert_eq!(plan_collision(&record, None, &version.clone(), version), None);
    }
}
