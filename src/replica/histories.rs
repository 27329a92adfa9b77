//! Random histories: whatever the mesh does to messages, replicas hold what they must.

use std::collections::BTreeSet;

use proptest::{
    collection,
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

use super::model::{Mutation, TestReplica, World, agree};
use crate::{
    causality::{Dot, SeenSet},
    conflict::Version,
    types::Key,
};

/// One thing that happens. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
pub enum Event {
    /// A replica writes (a delete where `value` is none), and some of the others hear of it at once.
    Write { replica: usize, key: usize, value: Option<u8>, heard_by: u8 },
    /// Any version ever written arrives, for the first time or again.
    Arrive { replica: usize, version: usize },
    /// A replica begins to take from another what it has not seen.
    Begin { to: usize, from: usize },
    /// Some versions of an exchange under way arrive as one batch; after the last, the frontier.
    Page { exchange: usize, versions: usize },
    /// An exchange breaks off.
    Cut { exchange: usize },
}

pub fn event() -> impl Strategy<Value = Event> {
    let index = || 0..usize::MAX;
    prop_oneof![
        4 => (index(), index(), proptest::option::weighted(0.7, any::<u8>()), any::<u8>(), any::<u8>())
            .prop_map(|(replica, key, value, a, b)| Event::Write { replica, key, value, heard_by: a & b }),
        3 => (index(), index()).prop_map(|(replica, version)| Event::Arrive { replica, version }),
        2 => (index(), index()).prop_map(|(to, from)| Event::Begin { to, from }),
        4 => (index(), 0..4_usize).prop_map(|(exchange, versions)| Event::Page { exchange, versions }),
        1 => index().prop_map(|exchange| Event::Cut { exchange }),
    ]
}

#[derive(Clone, Debug)]
pub struct History {
    replicas: usize,
    keys: usize,
    events: Vec<Event>,
}

/// Histories of a few replicas that write up to `keys_max` keys.
pub fn history(keys_max: usize) -> impl Strategy<Value = History> {
    (2..=5_usize, 1..=keys_max, collection::vec(event(), 1..90))
        .prop_map(|(replicas, keys, events)| History { replicas, keys, events })
}

/// A delta under way: what is still to come from the sender's snapshot, and its frontier.
struct Delta {
    to: usize,
    from: usize,
    rest: Vec<Version>,
    frontier: SeenSet,
}

/// The replicas, the model, and what each replica was told.
pub struct Play {
    mutation: Mutation,
    pub world: World,
    pub replicas: Vec<TestReplica>,
    pub known: Vec<BTreeSet<Dot>>,
    deltas: Vec<Delta>,
    keys: Vec<Key>,
    now: u64,
}

impl Play {
    fn new(history: &History, mutation: Mutation) -> Self {
        let replicas =
            (1..=history.replicas).map(|n| TestReplica::new(u8::try_from(n).expect("few"), mutation));
        Self {
            mutation,
            world: World::default(),
            replicas: replicas.collect(),
            known: vec![BTreeSet::new(); history.replicas],
            deltas: vec![],
            keys: (0..history.keys).map(|n| Key::new(format!("k/{n}")).expect("lawful")).collect(),
            now: 0,
        }
    }

    /// What there is after `history`, without mistakes.
    pub fn after(history: &History) -> Self {
        let mut play = Self::new(history, Mutation::None);
        history.events.iter().for_each(|event| play.step(event).expect("no mistake is planted"));
        play
    }

    pub fn step(&mut self, event: &Event) -> Result<(), String> {
        let count = self.replicas.len();
        match *event {
            Event::Write { replica, key, value, heard_by } => {
                let (at, key) = (replica % count, &self.keys[key % self.keys.len()]);
                // A stamp of the second replica is always ahead, one of the third always behind.
                self.now += 1;
                let now = match at {
                    1 => self.now + 1_000,
                    2 => 0,
                    _ => self.now,
                };
                let record = self.replicas[at].records.get(key);
                let parents: Vec<Dot> =
                    record.map_or(vec![], |record| record.siblings().iter().map(|v| v.dot).collect());
                if let Some(version) = self.replicas[at].write(key, value, now) {
                    self.world.add(version.clone(), &parents);
                    self.known[at].insert(version.dot);
                    for other in (0..count).filter(|other| *other != at && heard_by >> other & 1 == 1) {
                        self.arrive(other, version.clone());
                    }
                }
            }
            Event::Arrive { replica, version } => {
                let versions = &self.world.versions;
                let picked = versions.values().nth(version % versions.len().max(1)).cloned();
                if let Some(version) = picked {
                    self.arrive(replica % count, version);
                }
            }
            Event::Begin { to, from } => self.begin(to % count, from % count),
            Event::Page { exchange, versions } if !self.deltas.is_empty() => {
                self.page(exchange % self.deltas.len(), versions);
            }
            Event::Cut { exchange } if !self.deltas.is_empty() => {
                let delta = self.deltas.swap_remove(exchange % self.deltas.len());
                if self.mutation == Mutation::FrontierAfterCut {
                    self.replicas[delta.to].absorb(&delta.frontier);
                }
            }
            Event::Page { .. } | Event::Cut { .. } => {}
        }
        self.check()
    }

    pub fn arrive(&mut self, at: usize, version: Version) {
        self.known[at].insert(version.dot);
        self.replicas[at].receive(version);
    }

    fn begin(&mut self, to: usize, from: usize) {
        if to == from {
            return;
        }
        let rest = self.replicas[from].delta(&self.replicas[to].seen);
        let frontier = self.replicas[from].seen.clone();
        if self.mutation == Mutation::FrontierEarly {
            self.replicas[to].absorb(&frontier);
        }
        self.deltas.push(Delta { to, from, rest, frontier });
    }

    fn page(&mut self, index: usize, versions: usize) {
        let delta = &mut self.deltas[index];
        let (to, from) = (delta.to, delta.from);
        let page: Vec<Version> = delta.rest.drain(..versions.min(delta.rest.len())).collect();
        let last = delta.rest.is_empty();
        for version in page {
            self.arrive(to, version);
        }
        if last {
            let delta = self.deltas.swap_remove(index);
            let known = self.world.versions.keys().filter(|dot| delta.frontier.contains(**dot));
            self.known[to].extend(known);
            let frontier = match self.mutation {
                Mutation::FrontierTooNew => self.replicas[from].seen.clone(),
                _ => delta.frontier,
            };
            self.replicas[to].absorb(&frontier);
        }
    }

    pub fn check(&self) -> Result<(), String> {
        self.replicas
            .iter()
            .zip(&self.known)
            .try_for_each(|(replica, known)| self.world.check(replica, known))
    }

    /// Exchanges along a line, there and back: after that everybody has everything.
    fn settle(&mut self) -> Result<(), String> {
        self.deltas.clear();
        let last = self.replicas.len() - 1;
        let there = (0..last).map(|n| (n + 1, n));
        let back = (0..last).rev().map(|n| (n, n + 1));
        for (to, from) in there.chain(back).collect::<Vec<_>>() {
            self.begin(to, from);
            self.page(0, usize::MAX);
            self.check()?;
        }
        agree(&self.replicas)
    }
}

fn run(history: &History, mutation: Mutation) -> Result<(), String> {
    let mut play = Play::new(history, mutation);
    for event in &history.events {
        play.step(event)?;
    }
    play.settle()
}

proptest! {
    #![proptest_config(Config::with_cases(400))]

    #[test]
    fn replicas_hold_the_versions_that_nothing_they_know_supersedes(history in history(4)) {
        if let Err(problem) = run(&history, Mutation::None) {
            return Err(TestCaseError::fail(problem));
        }
    }
}

#[test]
fn each_planted_mistake_is_caught() {
    for mutation in [
        Mutation::FrontierEarly,
        Mutation::FrontierAfterCut,
        Mutation::FrontierTooNew,
        Mutation::ContextIgnored,
        Mutation::SupersedesIgnored,
        Mutation::NotMarkedDead,
        Mutation::FrontierNotDead,
        Mutation::SeenIgnored,
        Mutation::WriteWithoutContext,
        Mutation::PrefixSeen,
    ] {
        let mut runner = TestRunner::deterministic();
        let caught = (0..400).any(|_| {
            let history = history(4).new_tree(&mut runner).expect("a history").current();
            run(&history, mutation).is_err()
        });
        assert!(caught, "{mutation:?} went unnoticed");
    }
}
