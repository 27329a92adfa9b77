//! A replica in memory, and what must hold of it, told by a model that knows nothing of contexts.
//!
//! The model ([`World`]) remembers every version ever written with all its ancestors: what its
//! writer had in front of it, and what the writers of that had. A replica that knows a set of
//! versions must hold exactly those that are no ancestor of another one it knows.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{Plan, Precondition, plan_merge, plan_write};
use crate::{
    causality::{DeadSet, Dot, Hlc, NodeId, Origin, SeenSet},
    conflict::{Body, Payload, Put, Record, Strategy, Version},
    types::{ContentType, Key},
};

/// A mistake planted in a replica, to see that the model notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mutation {
    /// None.
    #[default]
    None,
    /// The frontier is merged when an exchange begins.
    FrontierEarly,
    /// The frontier is merged although the exchange broke off.
    FrontierAfterCut,
    /// The frontier that is merged is the sender's at the end, not that of its snapshot.
    FrontierTooNew,
    /// A version that comes late is added although the context covers it.
    ContextIgnored,
    /// What an arriving version supersedes stays.
    SupersedesIgnored,
    /// A version that is superseded, or comes late, is not marked dead.
    NotMarkedDead,
    /// What a frontier names and did not come is not marked dead.
    FrontierNotDead,
    /// A version that was seen is merged again.
    SeenIgnored,
    /// A local write supersedes nothing.
    WriteWithoutContext,
    /// Every earlier number of its origin is taken for seen with a dot.
    PrefixSeen,
}

/// One replica.
#[derive(Clone, Debug)]
pub struct TestReplica {
    pub origin: Origin,
    pub mutation: Mutation,
    pub written: u64,
    pub seen: SeenSet,
    pub dead: DeadSet,
    pub records: BTreeMap<Key, Record>,
    pub held: BTreeMap<Dot, Key>,
}

impl TestReplica {
    pub fn new(n: u8, mutation: Mutation) -> Self {
        Self {
            origin: Origin { node: NodeId([n; 32]), epoch: u64::from(n) },
            mutation,
            written: 0,
            seen: SeenSet::new(),
            dead: DeadSet::new(),
            records: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }

    /// Rule 1: a put of `value`, or a delete; nothing if there is nothing to delete.
    pub fn write(&mut self, key: &Key, value: Option<u8>, now: u64) -> Option<Version> {
        let body = value.map_or(Body::Delete, |byte| {
            let payload = Payload::Inline(Bytes::from(vec![byte; 3]));
            Body::Put(Put { content_type: ContentType::octets(), payload })
        });
        let dot = Dot::new(self.origin, self.written + 1);
        let current = match self.mutation {
            Mutation::WriteWithoutContext if value.is_some() => None,
            _ => self.records.get(key),
        };
        let stamp = |superseded: &[Version]| {
            let latest = superseded.iter().map(|version| version.hlc).max().unwrap_or_default();
            latest.next().max(Hlc::from_millis(now))
        };
        let rules = super::Rules::default();
        let planned =
            plan_write(current, key.clone(), dot, body, Precondition::None, None, rules, stamp).ok()?;
        self.written = dot.seq;
        self.apply(dot, key.clone(), planned.plan);
        Some(planned.version)
    }

    /// Rule 2: a version arrives, by whatever way.
    pub fn receive(&mut self, version: Version) {
        if self.seen.contains(version.dot) && self.mutation != Mutation::SeenIgnored {
            return;
        }
        let (dot, key) = (version.dot, version.key.clone());
        let mut plan = plan_merge(self.records.get(&key), version.clone());
        match self.mutation {
            Mutation::ContextIgnored if plan.held.is_none() => {
                let mut siblings = plan.record.siblings().to_vec();
                siblings.push(version.clone());
                plan.record = Record::from_parts(siblings, plan.record.context().clone());
                plan.held = Some(version);
                plan.dead.retain(|dead| *dead != dot);
            }
            Mutation::SupersedesIgnored => {
                let mut siblings = plan.record.siblings().to_vec();
                siblings.append(&mut plan.superseded);
                plan.record = Record::from_parts(siblings, plan.record.context().clone());
                plan.dead.clear();
            }
            Mutation::PrefixSeen => self.seen.insert_range(dot.origin, 1, dot.seq),
            _ => {}
        }
        self.apply(dot, key, plan);
    }

    fn apply(&mut self, dot: Dot, key: Key, plan: Plan) {
        for gone in &plan.superseded {
            self.held.remove(&gone.dot);
        }
        if let Some(version) = plan.held {
            self.held.insert(version.dot, key.clone());
        }
        if self.mutation != Mutation::NotMarkedDead {
            plan.dead.iter().for_each(|dot| _ = self.dead.insert(*dot));
        }
        self.seen.insert(dot);
        self.records.insert(key, plan.record);
    }

    /// Rule 4: what a peer that has seen `theirs` lacks, in dot order.
    pub fn delta(&self, theirs: &SeenSet) -> Vec<Version> {
        let lacking = self.held.iter().filter(|(dot, _)| !theirs.contains(**dot));
        lacking.map(|(dot, key)| self.records[key].get(*dot).expect("held").clone()).collect()
    }

    /// Rule 4: the last page is applied; what a peer has seen and did not send is dead.
    pub fn absorb(&mut self, frontier: &SeenSet) {
        for (origin, seqs) in frontier.difference(&self.seen).iter() {
            for (first, last) in seqs.iter() {
                self.seen.insert_range(*origin, first, last);
                if self.mutation != Mutation::FrontierNotDead {
                    self.dead.insert_range(*origin, first, last, |_, _| ());
                }
            }
        }
    }
}

/// Every version ever written, with its ancestors.
#[derive(Debug, Default)]
pub struct World {
    pub versions: BTreeMap<Dot, Version>,
    ancestors: BTreeMap<Dot, BTreeSet<Dot>>,
}

impl World {
    /// Remembers a version, made from the siblings `parents`.
    pub fn add(&mut self, version: Version, parents: &[Dot]) {
        let mut ancestors: BTreeSet<Dot> = parents.iter().copied().collect();
        for parent in parents {
            ancestors.extend(&self.ancestors[parent]);
        }
        self.ancestors.insert(version.dot, ancestors);
        self.versions.insert(version.dot, version);
    }

    /// What must be held of `known`: the versions that are no ancestor of another.
    fn maximal(&self, known: &BTreeSet<Dot>) -> BTreeSet<Dot> {
        let superseded: BTreeSet<Dot> = known.iter().flat_map(|dot| &self.ancestors[dot]).copied().collect();
        known.difference(&superseded).copied().collect()
    }

    /// Whether `replica` holds what it must, and accounts for all it has seen (rule 3).
    pub fn check(&self, replica: &TestReplica, known: &BTreeSet<Dot>) -> Result<(), String> {
        let who = replica.origin;
        let seen: BTreeSet<Dot> =
            self.versions.keys().copied().filter(|dot| replica.seen.contains(*dot)).collect();
        if seen != *known || replica.seen.count() != known.len() as u64 {
            return Err(format!("{who:?} has seen {seen:?}, was told {known:?}"));
        }
        let held: BTreeSet<Dot> = replica.held.keys().copied().collect();
        let must = self.maximal(known);
        if held != must {
            return Err(format!("{who:?} holds {held:?}, must hold {must:?}"));
        }
        let stands = |(key, record): (&Key, &Record)| {
            let here = |version: &Version| replica.held.get(&version.dot) == Some(key);
            record.siblings().iter().all(here)
        };
        let siblings: usize = replica.records.values().map(|record| record.siblings().len()).sum();
        if siblings != held.len() || !replica.records.iter().all(stands) {
            return Err(format!("{who:?}: the dot index differs from the records"));
        }
        let dead = |dot: &&Dot| replica.dead.contains(**dot);
        let both = known.iter().filter(|dot| held.contains(dot) == dead(dot)).collect::<Vec<_>>();
        if !both.is_empty() || replica.dead.count() + held.len() as u64 != replica.seen.count() {
            return Err(format!("{who:?}: {both:?} are held and dead, or neither"));
        }
        Ok(())
    }
}

/// What all must agree on: the records, and what readers see.
pub fn agree(replicas: &[TestReplica]) -> Result<(), String> {
    for pair in replicas.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        if a.seen != b.seen || a.dead != b.dead {
            return Err(format!("{:?} and {:?} have not seen the same", a.origin, b.origin));
        }
        for key in a.records.keys().chain(b.records.keys()) {
            let reads = |replica: &TestReplica| {
                replica.records.get(key)?.visible(&Strategy::default(), 0).map(|seen| seen.version.dot)
            };
            let siblings =
                |replica: &TestReplica| replica.records.get(key).map(|record| record.siblings().to_vec());
            if siblings(a) != siblings(b) || reads(a) != reads(b) {
                return Err(format!("{:?} and {:?} differ at {key}", a.origin, b.origin));
            }
        }
    }
    Ok(())
}
