//! The mesh: replicas, their exchanges, and everything ever written.

use std::{collections::BTreeMap, rc::Rc};

use super::{
    dots::{DotSet, EPOCHS, Node, SEQ_MAX},
    event::Event,
    loan::Loan,
    mistake::Mistake,
    oracle,
    replica::Replica,
    session::{Progress, Session},
    version::{Key, Version},
};

/// A write as the world remembers it.
#[derive(Clone, Debug)]
pub struct Written {
    pub version: Rc<Version>,
    /// What its writer had seen.
    pub seen: DotSet,
}

pub struct World {
    pub mistake: Option<Mistake>,
    pub replicas: BTreeMap<Node, Replica>,
    pub written: Vec<Written>,
    /// Versions that stood nowhere else when they went with a restore, a leaver, or by damage.
    pub gone: DotSet,
    /// Those of them that went since there was damage.
    pub destroyed: DotSet,
    pub has_damage: bool,
    /// Replicas with damage that nobody noticed.
    pub damaged: Vec<Node>,
    pub sessions: BTreeMap<(Node, Node), Session>,
    /// To whom, and by whom.
    pub loans: BTreeMap<(Node, Node), Loan>,
    backups: BTreeMap<Node, Replica>,
    epochs: BTreeMap<Node, usize>,
    left: Vec<Node>,
    clock: u32,
}

impl World {
    pub fn new(nodes: usize, mistake: Option<Mistake>) -> Self {
        let nodes = Node::ALL.into_iter().take(nodes);
        Self {
            mistake,
            replicas: nodes.map(|node| (node, Replica::new(node, mistake))).collect(),
            written: vec![],
            gone: DotSet::default(),
            destroyed: DotSet::default(),
            has_damage: false,
            damaged: vec![],
            sessions: BTreeMap::new(),
            loans: BTreeMap::new(),
            backups: BTreeMap::new(),
            epochs: BTreeMap::new(),
            left: vec![],
            clock: 0,
        }
    }

    /// One event, and what must hold after it.
    pub fn step(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Put(at, key) => self.write(at, key, false),
            Event::Delete(at, key) => self.write(at, key, true),
            Event::Gossip(writer, nth, to) => self.gossip(writer, nth, to),
            Event::Begin(a, b) => self.begin(a, b),
            Event::Step(from, to) => self.deliver(from, to),
            Event::Run(a, b) => self.run(a, b)?,
            Event::Cut(a, b) => self.cut(a, b),
            Event::Borrow(at, from, main) => self.borrow(at, from, main),
            Event::Lend(from, at) => self.lend(from, at),
            Event::Tell(at, main) => self.tell(at, main),
            Event::Forget(at, key) => self.forget(at, key),
            Event::Save(at) => self.save(at),
            Event::Restore(at) => self.restore(at),
            Event::Join(node) => self.join(node),
            Event::Leave(node) => self.leave(node),
            Event::Lose(writer, nth, at) => self.lose(writer, nth, at),
            Event::LoseRecord(at, key) => self.damage(at, |replica| replica.records[key] = <_>::default()),
            Event::Account(at) => self.account(at),
        }
        oracle::at_any_time(self)
    }

    fn at(&mut self, node: Node, change: impl FnOnce(&mut Replica)) {
        if let Some(replica) = self.replicas.get_mut(&node) {
            change(replica);
        }
    }

    fn write(&mut self, at: Node, key: Key, is_delete: bool) {
        let Some(replica) = self.replicas.get_mut(&at).filter(|replica| replica.written < SEQ_MAX) else {
            return;
        };
        self.clock += 10;
        // A clock that is ahead, and one that stands still: order must not come from clocks.
        let now = match at {
            Node::Bat => self.clock + 1_000,
            Node::Cat => 0,
            _ => self.clock,
        };
        let seen = replica.seen;
        let version = replica.write(key, is_delete, now);
        self.written.push(Written { version, seen });
    }

    /// Rule 5: a sweep. It vouches for what it forgets, so it counts first (rule 3).
    fn forget(&mut self, at: Node, key: Key) {
        let adds_up = |replica: &Replica| {
            let context = &replica.records[key].context;
            replica.missing().iter().all(|dot| !context.covers(dot))
        };
        let counts = self.mistake != Some(Mistake::ForgottenWithoutCounting);
        if counts && !self.replicas.get(&at).is_none_or(adds_up) {
            self.account(at);
        }
        self.at(at, |replica| replica.forget(key));
    }

    /// The `nth` version that `writer` wrote, from 1.
    fn version(&self, writer: Node, nth: usize) -> Option<Rc<Version>> {
        let mut written = self.written.iter().filter(|written| written.version.dot.origin.node == writer);
        written.nth(nth - 1).map(|written| written.version.clone())
    }

    fn gossip(&mut self, writer: Node, nth: usize, to: Node) {
        if let Some(version) = self.version(writer, nth) {
            self.at(to, |replica| replica.receive(&version));
        }
    }

    fn begin(&mut self, a: Node, b: Node) {
        let both = a != b && self.replicas.contains_key(&b) && !self.sessions.contains_key(&pair(a, b));
        if let Some(replica) = self.replicas.get(&a).filter(|_| both) {
            let session = Session::begin(replica, b);
            self.sessions.insert(pair(a, b), session);
        }
    }

    fn deliver(&mut self, from: Node, to: Node) {
        let (Some(session), Some(here)) =
            (self.sessions.get_mut(&pair(from, to)), self.replicas.get_mut(&to))
        else {
            return;
        };
        match session.deliver(here) {
            Progress::Running => {}
            Progress::Over => _ = self.sessions.remove(&pair(from, to)),
            Progress::Damaged(node) => {
                // The damage may be healed by now. What the snapshot lacked was not sent all the same.
                self.sessions.remove(&pair(from, to));
                self.account(node);
            }
        }
    }

    fn run(&mut self, a: Node, b: Node) -> Result<(), String> {
        self.begin(a, b);
        for _ in 0..2_000 {
            let Some(session) = self.sessions.get(&pair(a, b)) else {
                return Ok(());
            };
            let to = if session.has_mail(b) { b } else { a };
            self.deliver(if to == a { b } else { a }, to);
        }
        Err(format!("the exchange of {a:?} and {b:?} does not end"))
    }

    /// Pairs of nodes that exchange, and to whom a message is on its way.
    pub fn mail(&self) -> Vec<(Node, Node)> {
        let both = self.sessions.iter().flat_map(|((a, b), session)| [(session, *a, *b), (session, *b, *a)]);
        both.filter(|(session, _, to)| session.has_mail(*to)).map(|(_, from, to)| (from, to)).collect()
    }

    pub fn session(&self, a: Node, b: Node) -> Option<&Session> {
        self.sessions.get(&pair(a, b))
    }

    pub fn session_mut(&mut self, a: Node, b: Node) -> Option<&mut Session> {
        self.sessions.get_mut(&pair(a, b))
    }

    fn cut(&mut self, a: Node, b: Node) {
        self.sessions.remove(&pair(a, b));
        self.loans.retain(|lent, _| pair(lent.0, lent.1) != pair(a, b));
    }

    pub fn cut_sessions_of(&mut self, node: Node) {
        self.loans.retain(|(a, b), _| *a != node && *b != node);
        self.sessions.retain(|(a, b), _| *a != node && *b != node);
    }

    fn save(&mut self, at: Node) {
        if let Some(replica) = self.replicas.get(&at) {
            self.backups.insert(at, replica.clone());
        }
    }

    /// Rule 7: a new life, from what the backup holds.
    fn restore(&mut self, at: Node) {
        let Some(mut replica) = self.backups.get(&at).filter(|_| self.replicas.contains_key(&at)).cloned()
        else {
            return;
        };
        if self.mistake != Some(Mistake::NoNewEpoch) {
            let epoch = self.epochs.entry(at).or_default();
            if *epoch + 1 == EPOCHS {
                return;
            }
            *epoch += 1;
            replica.origin.epoch = *epoch;
            replica.written = 0;
        }
        self.cut_sessions_of(at);
        let before = self.replicas.insert(at, replica).expect("it was looked for");
        // A backup that was made of a damaged store is damaged.
        self.damaged.push(at);
        self.note_gone(&before);
    }

    fn join(&mut self, node: Node) {
        if !self.left.contains(&node) && !self.replicas.contains_key(&node) {
            self.replicas.insert(node, Replica::new(node, self.mistake));
        }
    }

    fn leave(&mut self, node: Node) {
        if self.replicas.len() < 2 {
            return;
        }
        if let Some(before) = self.replicas.remove(&node) {
            self.cut_sessions_of(node);
            self.left.push(node);
            self.note_gone(&before);
        }
    }

    fn lose(&mut self, writer: Node, nth: usize, at: Node) {
        if let Some(version) = self.version(writer, nth) {
            self.damage(at, |replica| replica.lose(version.dot));
        }
    }

    fn damage(&mut self, at: Node, change: impl FnOnce(&mut Replica)) {
        let Some(before) = self.replicas.get(&at).cloned() else {
            return;
        };
        self.at(at, change);
        self.damaged.push(at);
        self.has_damage = true;
        self.note_gone(&before);
    }

    /// Remembers what `before` held and nobody holds now.
    fn note_gone(&mut self, before: &Replica) {
        let held = self.replicas.values().fold(DotSet::default(), |all, replica| all.union(&replica.held()));
        let gone = before.held().difference(&held);
        self.gone = self.gone.union(&gone);
        if self.has_damage {
            self.destroyed = self.destroyed.union(&gone);
        }
    }

    pub fn account(&mut self, at: Node) {
        let missing = self.replicas.get(&at).is_some_and(|replica| !replica.missing().is_empty());
        if missing {
            self.at(at, Replica::account);
            self.cut_sessions_of(at);
        }
        self.damaged.retain(|node| *node != at);
    }

    /// Full exchanges of all with all, until nothing changes any more.
    pub fn settle(&mut self) -> Result<(), String> {
        self.sessions.clear();
        self.loans.clear();
        let nodes: Vec<Node> = self.replicas.keys().copied().collect();
        for _ in 0..12 {
            for (n, a) in nodes.iter().enumerate() {
                for b in &nodes[n + 1..] {
                    self.run(*a, *b)?;
                    oracle::at_any_time(self)?;
                }
            }
            if oracle::agree(self).is_ok() {
                break;
            }
        }
        oracle::at_the_end(self)
    }
}

fn pair(a: Node, b: Node) -> (Node, Node) {
    (a.min(b), a.max(b))
}
