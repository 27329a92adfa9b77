//! Small histories, made by hand: what lawful nodes would do, to be doctored by tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tidings::{
    causality::{Context, Dot, Hlc, NodeId, Origin, SeenSet},
    types::Key,
};

use super::{
    Oracle, Violation,
    index::{past, rank, supersedes},
};
use crate::{
    history::{Event, Final, History, Sample, Seen, Traffic, What},
    os::EPOCH,
    plan::{Action, Edge, Expect, Fault, FaultKind, NodeNo, Operation, Plan, Quality, Settings},
};

/// A node as simple as it can be.
#[derive(Clone, Default)]
struct Store {
    life: u64,
    written: u64,
    records: BTreeMap<Key, Vec<Seen>>,
    contexts: BTreeMap<Key, Context>,
    seen: SeenSet,
}

/// A history in the making, on a line of nodes.
#[derive(Clone)]
pub(super) struct Fixture {
    pub(super) plan: Plan,
    pub(super) history: History,
    pub(super) now: Duration,
    stores: Vec<Store>,
    up: BTreeSet<NodeNo>,
    versions: BTreeMap<Dot, Seen>,
}

pub(super) const ANT: NodeNo = 0;
pub(super) const BAT: NodeNo = 1;
pub(super) const CAT: NodeNo = 2;

pub(super) fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn key(text: &str) -> Key {
    text.parse().expect("lawful")
}

impl Fixture {
    /// Ant, bat and cat, in a line, up and connected.
    pub(super) fn new() -> Self {
        let nodes = 3;
        let edge = |from| Edge { from, to: from + 1, quality: Quality::default() };
        let plan = Plan {
            scenario: "by hand".into(),
            about: "A history made by hand.".into(),
            seed: 0,
            nodes,
            late: BTreeSet::new(),
            settings: Settings::default(),
            edges: (0..nodes - 1).map(edge).collect(),
            places: vec![(0.5, 0.5); nodes],
            operations: vec![],
            faults: vec![],
            ends: Duration::from_secs(60),
            expect: Expect::default(),
        };
        let (history, stores) = (History::default(), vec![Store::default(); nodes]);
        let (now, up, versions) = (Duration::ZERO, BTreeSet::new(), BTreeMap::new());
        let mut fixture = Self { plan, history, now, stores, up, versions };
        (0..nodes).for_each(|node| fixture.start(node));
        fixture
    }

    /// One that saw a bit of everything, and in which all is well.
    pub(super) fn lawful() -> Self {
        let mut fixture = Self::new();
        let first = fixture.put(ANT, "nest");
        fixture.spread(first);
        let (left, right) = (fixture.put(ANT, "nest"), fixture.put(CAT, "nest"));
        fixture.read(CAT, "nest");
        fixture.spread(left);
        fixture.spread(right);
        fixture.read(CAT, "nest");
        let gone = fixture.delete(BAT, "nest");
        fixture.spread(gone);
        let worm = fixture.put(BAT, "worm");
        fixture.read(BAT, "worm");
        fixture.spread(worm);
        fixture.stop(BAT, false);
        fixture.start(BAT);
        fixture.agree();
        fixture
    }

    pub(super) fn say(&mut self, what: What) {
        self.history.events.push(Event { at: self.now, what });
    }

    pub(super) fn wait(&mut self, ms: u64) {
        self.now += millis(ms);
    }

    fn origin(&self, node: NodeNo) -> Origin {
        let byte = u8::try_from(node + 1).expect("few");
        Origin { node: NodeId([byte; 32]), epoch: self.stores[node].life }
    }

    pub(super) fn start(&mut self, node: NodeNo) {
        let store = &self.stores[node];
        let (records, seen) = (store.records.values().flatten().cloned().collect(), store.seen.clone());
        self.say(What::Started { node, records, seen });
        for other in self.neighbours(node) {
            self.say(What::Connected { node, to: other });
            self.say(What::Connected { node: other, to: node });
        }
        self.up.insert(node);
        self.wait(100);
    }

    fn neighbours(&self, node: NodeNo) -> Vec<NodeNo> {
        self.up.iter().copied().filter(|other| other.abs_diff(node) == 1).collect()
    }

    pub(super) fn stop(&mut self, node: NodeNo, orderly: bool) {
        self.up.remove(&node);
        self.say(What::Stopped { node, orderly });
        for other in self.neighbours(node) {
            self.say(What::Parted { node: other, from: node });
        }
        self.wait(100);
    }

    /// A fault that takes a second; what happens meanwhile is up to the caller.
    pub(super) fn during(&mut self, kind: FaultKind, then: impl FnOnce(&mut Self)) {
        let fault = self.plan.faults.len();
        self.plan.faults.push(Fault { at: self.now, lasts: Some(millis(1_000)), kind: kind.clone() });
        self.say(What::Broke { fault, kind });
        then(self);
        self.now = self.now.max(self.plan.faults[fault].at + millis(1_000));
        self.say(What::Mended { fault });
    }

    /// The node's store is what it was at an earlier time, in a new life.
    pub(super) fn roll_back(&mut self, node: NodeNo, to: &Self) {
        let life = self.stores[node].life + 1;
        self.stores[node] = Store { life, written: 0, ..to.stores[node].clone() };
    }

    fn operation(&mut self, node: NodeNo, action: Action) -> usize {
        self.plan.operations.push(Operation { at: self.now, node, action });
        let operation = self.plan.operations.len() - 1;
        self.say(What::Asked { operation });
        operation
    }

    pub(super) fn put(&mut self, node: NodeNo, name: &str) -> Dot {
        let number = u8::try_from(self.versions.len() + 1).expect("few");
        let action = Action::Put { key: name.into(), size: 16 };
        self.write(node, name, Some([number; 32]), action)
    }

    pub(super) fn delete(&mut self, node: NodeNo, name: &str) -> Dot {
        self.write(node, name, None, Action::Delete { key: name.into() })
    }

    fn write(&mut self, node: NodeNo, name: &str, value: Option<[u8; 32]>, action: Action) -> Dot {
        let operation = self.operation(node, action);
        let dot = self.commit(node, name, value);
        self.say(What::Acknowledged { operation, dots: vec![dot] });
        self.wait(10);
        dot
    }

    /// A write that nobody is told of.
    pub(super) fn commit(&mut self, node: NodeNo, name: &str, value: Option<[u8; 32]>) -> Dot {
        let origin = self.origin(node);
        let store = &mut self.stores[node];
        store.written += 1;
        let (key, dot) = (key(name), Dot::new(origin, store.written));
        let context = store.contexts.get(&key).cloned().unwrap_or_default().without(&origin);
        let context = context.iter().map(|(origin, seq)| Dot::new(origin, seq)).collect();
        let wall = u64::try_from((EPOCH + self.now).as_millis()).expect("soon");
        let version =
            Seen { dot, key, hlc: Hlc::from_millis(wall), context, base: vec![], value, bytes: 100 };
        self.versions.insert(dot, version);
        self.apply(node, dot, true);
        dot
    }

    pub(super) fn apply(&mut self, node: NodeNo, dot: Dot, local: bool) {
        let version = self.versions[&dot].clone();
        let store = &mut self.stores[node];
        store.seen.insert(dot);
        let context = store.contexts.entry(version.key.clone()).or_default();
        let siblings = store.records.entry(version.key.clone()).or_default();
        siblings.retain(|sibling| !supersedes(&version, sibling.dot));
        let late = context.covers(dot);
        past(&version).chain([dot]).for_each(|dot| context.insert(dot));
        if !late {
            siblings.push(version.clone());
            self.say(What::Applied { node, local, version });
        }
    }

    /// Its writer's clock had shown something else.
    pub(super) fn restamp(&mut self, dot: Dot, hlc: Hlc) {
        self.versions.get_mut(&dot).expect("written").hlc = hlc;
        let held = self.stores.iter_mut().flat_map(|store| store.records.values_mut()).flatten();
        let said = self.history.events.iter_mut().filter_map(|event| match &mut event.what {
            What::Applied { version, .. } => Some(version),
            _ => None,
        });
        held.chain(said).filter(|version| version.dot == dot).for_each(|version| version.hlc = hlc);
    }

    /// It arrives wherever it is not yet, 20 ms a link.
    pub(super) fn spread(&mut self, dot: Dot) {
        for node in 0..self.plan.nodes {
            if self.up.contains(&node) && !self.stores[node].seen.contains(dot) {
                self.wait(20);
                self.apply(node, dot, false);
            }
        }
    }

    pub(super) fn read(&mut self, node: NodeNo, name: &str) {
        let operation = self.operation(node, Action::Get { key: name.into() });
        let found = self.stores[node].reads().get(&key(name)).copied();
        self.say(What::Read { operation, found });
        self.wait(10);
    }

    pub(super) fn sample(&mut self, change: impl Fn(NodeNo, &mut Sample)) {
        let sample = |node| {
            let queues = BTreeMap::from([("writes".to_owned(), (0, 4_096))]);
            let sent =
                Traffic { wire: u64::try_from(self.now.as_millis()).expect("soon"), ..Traffic::default() };
            let mut sample = Sample { up: true, queues, sent, store_bytes: 1_000, ..Sample::default() };
            change(node, &mut sample);
            sample
        };
        let samples = (0..self.plan.nodes).map(sample).collect();
        self.say(What::Sample(samples));
        self.wait(1_000);
    }

    /// All is well, and a minute and a half of quiet follows.
    pub(super) fn agree(&mut self) {
        self.say(What::Agreed);
        (0..90).for_each(|_| self.sample(|_, _| ()));
        for node in self.up.clone() {
            let store = &self.stores[node];
            let records = store.records.values().flatten().cloned().collect();
            let last = Final { root: "root".into(), reads: store.reads(), records, seen: store.seen.clone() };
            self.history.finals.insert(node, last);
        }
    }

    /// What an oracle says of it.
    pub(super) fn judge(&self, oracle: &Oracle) -> Vec<Violation> {
        oracle.judge(&self.plan, &self.history)
    }

    /// An oracle finds it lawful, and unlawful once it is doctored, in these words.
    pub(super) fn doctored(&self, oracle: &Oracle, words: &str, doctor: impl FnOnce(&mut Self)) {
        assert_eq!(self.judge(oracle), vec![]);
        let mut doctored = self.clone();
        doctor(&mut doctored);
        let found = doctored.judge(oracle);
        assert!(
            found.iter().any(|violation| violation.text.contains(words)),
            "{words:?} is not in {found:#?}"
        );
    }

    /// The versions in all that was applied, to be doctored.
    pub(super) fn applied(&mut self) -> impl Iterator<Item = (NodeNo, bool, &mut Seen)> {
        self.history.events.iter_mut().filter_map(|event| match &mut event.what {
            What::Applied { node, local, version } => Some((*node, *local, version)),
            _ => None,
        })
    }

    /// What a node held at the end, to be doctored.
    pub(super) fn last(&mut self, node: NodeNo) -> &mut Final {
        self.history.finals.get_mut(&node).expect("up")
    }

    /// Forgets events.
    pub(super) fn forget(&mut self, which: impl Fn(&What) -> bool) {
        self.history.events.retain(|event| !which(&event.what));
    }
}

impl Store {
    fn reads(&self) -> BTreeMap<Key, (Dot, [u8; 32])> {
        let winner = |siblings: &Vec<Seen>| {
            let winner = siblings.iter().max_by_key(|version| rank(version))?;
            Some((winner.dot, winner.value?))
        };
        self.records.iter().filter_map(|(key, siblings)| Some((key.clone(), winner(siblings)?))).collect()
    }
}
