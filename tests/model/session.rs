//! One exchange of two replicas (rules 4 and 6), message by message.
//!
//! Each side takes a snapshot when it says hello. Then either both deltas are absorbed, or, where a
//! delta cannot be trusted to be complete, live sets are compared, each side claims what only it
//! holds, and what the peer answers is settled against the state of that moment.

use std::{collections::VecDeque, rc::Rc};

use super::{
    dots::{Dot, DotSet, Node},
    message::{Hello, Message},
    mistake::Mistake,
    replica::{Replica, Verdict},
    version::{Key, Version},
};

/// How an exchange stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Running,
    Over,
    /// Over, because this node found damage at itself.
    Damaged(Node),
}

#[derive(Clone, Debug, Default)]
pub struct Side {
    pub inbox: VecDeque<Message>,
    snapshot: Option<Box<Replica>>,
    pub peer: Option<Hello>,
    /// All pages came.
    pub ended: bool,
    /// What the peer was told of that was seen here meanwhile.
    pub told: DotSet,
    /// What the peer, whose pages stand in the way here, was told of: as it arrived there.
    pub got: DotSet,
    /// The second snapshot, from which ranges are computed.
    second: Option<Box<Replica>>,
    /// What the peer holds or was told of.
    settled: DotSet,
    /// Claims without an answer.
    open: usize,
    /// What the peer knows as dead. It is dropped when the peer's floors are merged, and not before.
    dead: Vec<(Dot, Key)>,
    merged: bool,
}

impl Side {
    fn second_live(&self) -> DotSet {
        self.second.as_ref().map(|second| second.live()).unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
pub struct Session {
    /// Whose sides they are.
    nodes: [Node; 2],
    pub sides: [Side; 2],
}

impl Session {
    /// `replica` says hello to `peer`.
    pub fn begin(replica: &Replica, peer: Node) -> Self {
        let mut session =
            Self { nodes: [replica.origin.node, peer], sides: [Side::default(), Side::default()] };
        session.say_hello(0, replica);
        session
    }

    pub fn side_of(&self, node: Node) -> usize {
        usize::from(node == self.nodes[1])
    }

    /// Whether a message is on its way to `node`.
    pub fn has_mail(&self, node: Node) -> bool {
        !self.sides[self.side_of(node)].inbox.is_empty()
    }

    /// The next message arrives at `here`.
    pub fn deliver(&mut self, here: &mut Replica) -> Progress {
        let side = self.side_of(here.origin.node);
        match self.sides[side].inbox.pop_front() {
            None => return Progress::Running,
            Some(Message::Hello(hello)) => return self.on_hello(side, here, &hello),
            Some(Message::Page(version)) => here.receive(&version),
            Some(Message::Got(got)) => self.on_got(side, &got),
            Some(Message::End) => self.on_end(side, here),
            Some(Message::Broken) => return Progress::Damaged(self.nodes[1 - side]),
            Some(Message::Outdated) => return Progress::Over,
            Some(Message::Live(live)) => return self.on_live(side, here, &live),
            Some(Message::Claim(dot, key)) => self.on_claim(side, here, dot, key),
            Some(Message::Answer(dot, key, verdict)) => return self.on_answer(side, here, dot, key, verdict),
            Some(Message::Wanted(version)) => self.on_wanted(side, here, &version),
        }
        self.progress()
    }

    fn progress(&self) -> Progress {
        let done = self.sides.iter().all(|side| side.merged && side.inbox.is_empty());
        if done { Progress::Over } else { Progress::Running }
    }

    pub fn send(&mut self, from: usize, message: Message) {
        self.sides[1 - from].inbox.push_back(message);
    }

    fn say_hello(&mut self, side: usize, here: &Replica) {
        let hello = Message::Hello(Box::new(Hello::of(here)));
        self.sides[side].snapshot = Some(Box::new(here.clone()));
        self.send(side, hello);
    }

    pub fn snapshot(&self, side: usize) -> &Replica {
        self.sides[side].snapshot.as_ref().expect("a side that got a hello has said its own")
    }

    pub fn peer(&self, side: usize) -> &Hello {
        self.sides[side].peer.as_ref().expect("hellos come first")
    }

    fn on_hello(&mut self, side: usize, here: &mut Replica, hello: &Hello) -> Progress {
        if self.sides[side].snapshot.is_none() {
            self.say_hello(side, here);
        }
        self.sides[side].peer = Some(*hello);
        if here.mistake == Some(Mistake::FrontierMergedEarly) {
            here.absorb(&hello.frontier);
        }
        if Hello::of(self.snapshot(side)) == *hello {
            // The peer sees the same in the hello that is on its way to it, if it is still to come.
            return Progress::Over;
        }
        self.send_delta(side, here, hello);
        Progress::Running
    }

    /// Rule 4: what the peer has not seen, as the snapshot has it.
    fn send_delta(&mut self, side: usize, here: &Replica, hello: &Hello) {
        let snapshot = self.snapshot(side);
        let lacking = snapshot.versions().filter(|version| !hello.frontier.contains(version.dot));
        let mut pages: Vec<_> = lacking.cloned().collect();
        pages.sort_by_key(|version| version.dot);
        // Rule 3: only blocks that tell the peer something new are scanned, and so checked.
        let counted = if here.mistake == Some(Mistake::CountedTooLate) { here } else { snapshot };
        let adds_up = counted.missing().difference(&hello.frontier).is_empty();
        pages.into_iter().for_each(|version| self.send(side, Message::Page(version)));
        self.send(side, if adds_up { Message::End } else { Message::Broken });
    }

    fn needs_ranges(&self, side: usize, here: &Replica) -> bool {
        let own = Hello::of(self.snapshot(side));
        here.mistake != Some(Mistake::NoRanges) && own.needs_ranges(self.peer(side))
    }

    fn on_end(&mut self, side: usize, here: &mut Replica) {
        self.sides[side].ended = true;
        if self.needs_ranges(side, here) {
            self.sides[side].second = Some(Box::new(here.clone()));
            self.send(side, Message::Live(Box::new(here.live())));
        } else {
            self.merge(side, here);
        }
    }

    fn merge(&mut self, side: usize, here: &mut Replica) {
        let peer = *self.peer(side);
        here.absorb(&self.frontier(side, here));
        here.absorb_floors(&peer.floors);
        self.sides[side].merged = true;
    }

    fn on_live(&mut self, side: usize, here: &mut Replica, live: &DotSet) -> Progress {
        self.sides[side].settled = *live;
        let only_here = self.sides[side].second_live().difference(live);
        self.claim(side, here, &only_here);
        self.try_merge(side, here)
    }

    fn claim(&mut self, side: usize, here: &Replica, dots: &DotSet) {
        let versions =
            here.versions().chain(self.sides[side].second.iter().flat_map(|second| second.versions()));
        let mut claims: Vec<_> = versions
            .filter(|version| dots.contains(version.dot))
            .map(|version| (version.dot, version.key))
            .collect();
        claims.sort();
        claims.dedup();
        self.sides[side].open += claims.len();
        self.sides[side].settled = self.sides[side].settled.union(dots);
        claims.into_iter().for_each(|(dot, key)| self.send(side, Message::Claim(dot, key)));
    }

    fn on_claim(&mut self, side: usize, here: &Replica, dot: Dot, key: Key) {
        let verdict = match (here.mistake, &self.sides[side].second) {
            (Some(Mistake::SettledAgainstSnapshot), Some(second)) => second.verdict(dot, key),
            _ => here.verdict(dot, key),
        };
        let outdated = here.floors != self.snapshot(side).floors
            && here.mistake != Some(Mistake::AnsweredAfterForgetting);
        if matches!(verdict, Verdict::Dead) && outdated {
            return self.send(side, Message::Outdated);
        }
        self.send(side, Message::Answer(dot, key, verdict));
    }

    fn on_answer(
        &mut self,
        side: usize,
        here: &mut Replica,
        dot: Dot,
        key: Key,
        verdict: Verdict,
    ) -> Progress {
        let drops_at_once =
            matches!(here.mistake, Some(Mistake::DroppedAtOnce | Mistake::DroppedAtOnceWithContext));
        match verdict {
            Verdict::Superseded(version) => {
                here.settle(&version);
                here.drop_superseded(&version);
            }
            Verdict::Want => self.give(side, here, dot, key),
            Verdict::Held => {}
            Verdict::Dead if drops_at_once => here.drop(dot, key),
            Verdict::Dead => self.sides[side].dead.push((dot, key)),
        }
        self.sides[side].open -= 1;
        self.try_merge(side, here)
    }

    /// Sends what was wanted, or what superseded it by now.
    fn give(&mut self, side: usize, here: &Replica, dot: Dot, key: Key) {
        let siblings = here.records[key].siblings.iter();
        let stands_for_it = |version: &&Rc<Version>| version.dot == dot || version.supersedes(dot);
        let given: Vec<_> = siblings.filter(stands_for_it).cloned().collect();
        given.into_iter().for_each(|version| self.send(side, Message::Wanted(version)));
    }

    fn on_wanted(&mut self, side: usize, here: &mut Replica, version: &Rc<Version>) {
        let unseen = |second: &Replica| !second.seen.contains(version.dot);
        let by_snapshot = self.sides[side].second.as_ref().is_some_and(|second| unseen(second));
        if here.mistake == Some(Mistake::SettledAgainstSnapshot) && by_snapshot {
            here.dead.remove(version.dot);
            here.lose(version.dot);
            here.take_back(version);
        } else {
            here.settle(version);
        }
    }

    /// Rule 6: the frontier is merged once the peer knows all that became live here inside of it.
    ///
    /// What arrived late was not compared, and may be dead to the peer.
    fn try_merge(&mut self, side: usize, here: &mut Replica) -> Progress {
        if self.sides[side].open > 0 || self.sides[side].merged {
            return self.progress();
        }
        let frontier = self.peer(side).frontier;
        let missing = !here.missing().intersection(&frontier).is_empty();
        if missing && here.mistake != Some(Mistake::MergedWithoutCounting) {
            return Progress::Damaged(here.origin.node);
        }
        let inside = here.live().intersection(&self.frontier(side, here));
        let late = inside.difference(&self.sides[side].second_live()).difference(&self.sides[side].settled);
        if late.is_empty() || here.mistake == Some(Mistake::MergedOverLateArrivals) {
            let dead = std::mem::take(&mut self.sides[side].dead);
            dead.into_iter().for_each(|(dot, key)| here.drop(dot, key));
            self.merge(side, here);
        } else {
            self.claim(side, here, &late);
        }
        self.progress()
    }
}
