//! What a second neighbour brings to a replica that another one sends everything: single versions, the latest
//! first, with no frontier and no floors behind them; and what the replica tells the first one of it.

use std::rc::Rc;

use super::{
    dots::{Dot, DotSet, Node},
    message::Message,
    mistake::Mistake,
    replica::Replica,
    session::Session,
    version::Version,
    world::World,
};

/// A part of a delta under way.
pub struct Loan {
    /// What is still to come, in dot order: the last comes next.
    pages: Vec<Rc<Version>>,
    /// Nothing that is asked for comes any more from here on.
    low: Option<Dot>,
    /// What the lender had seen when it began. Nobody is to take that over.
    frontier: DotSet,
}

impl Loan {
    /// What `lender` holds of what is `wanted`.
    fn of(lender: &Replica, wanted: &DotSet) -> Self {
        let mut pages: Vec<_> =
            lender.versions().filter(|version| wanted.contains(version.dot)).cloned().collect();
        pages.sort_by_key(|version| version.dot);
        Self { pages, low: None, frontier: lender.seen }
    }

    fn lies_above(&self, dot: Dot) -> bool {
        self.low.is_some_and(|low| low <= dot)
    }
}

impl World {
    /// Replicas with the peers that send to them, as far as their hellos came.
    pub fn receivers(&self) -> Vec<(Node, Node)> {
        let pairs = self.sessions.iter().flat_map(|((a, b), session)| [(session, *a, *b), (session, *b, *a)]);
        pairs.filter(|(session, at, _)| session.is_sent_to(*at)).map(|(_, at, main)| (at, main)).collect()
    }

    /// Who lends, and to whom.
    pub fn lenders(&self) -> Vec<(Node, Node)> {
        self.loans.keys().map(|(at, from)| (*from, *at)).collect()
    }

    /// `at` asks `from` for what `main` is to send it.
    pub fn borrow(&mut self, at: Node, from: Node, main: Node) {
        let frontier = self.session(at, main).and_then(|session| session.frontier_for(at));
        let (Some(here), Some(lender), Some(frontier)) =
            (self.replicas.get(&at), self.replicas.get(&from).filter(|_| from != at), frontier)
        else {
            return;
        };
        let loan = Loan::of(lender, &frontier.difference(&here.seen));
        self.loans.insert((at, from), loan);
    }

    /// The next version arrives.
    pub fn lend(&mut self, from: Node, at: Node) {
        let (Some(loan), Some(here)) = (self.loans.get_mut(&(at, from)), self.replicas.get_mut(&at)) else {
            return;
        };
        match loan.pages.pop() {
            Some(version) => {
                loan.low = Some(version.dot);
                here.receive(&version);
            }
            None => {
                if self.mistake == Some(Mistake::LenderVouchedFor) {
                    here.absorb(&loan.frontier);
                }
                self.loans.remove(&(at, from));
            }
        }
    }

    /// `at` tells `main` what it has seen since it said hello.
    pub fn tell(&mut self, at: Node, main: Node) {
        let frontier = self.session(at, main).and_then(|session| session.frontier_for(at));
        let (Some(here), Some(frontier)) = (self.replicas.get(&at), frontier) else { return };
        let of_loans = |is_told: &dyn Fn(&Loan, Dot) -> bool| -> DotSet {
            let loans = self.loans.iter().filter(|((to, _), _)| *to == at);
            let dots = loans.flat_map(|(_, loan)| frontier.iter().filter(|dot| is_told(loan, *dot)));
            dots.collect()
        };
        let more = match self.mistake {
            Some(Mistake::SkippedByPosition) => of_loans(&Loan::lies_above),
            Some(Mistake::ToldBeforeItCame) => {
                of_loans(&|loan, dot| loan.pages.iter().any(|version| version.dot == dot))
            }
            _ => DotSet::default(),
        };
        let got = here.seen.union(&more).intersection(&frontier);
        if let Some(session) = self.session_mut(at, main) {
            session.tell(at, got);
        }
    }
}

impl Session {
    /// Whether pages are still to come to `at`.
    fn is_sent_to(&self, at: Node) -> bool {
        let side = &self.sides[self.side_of(at)];
        side.peer.is_some() && !side.ended
    }

    /// What `at` is to have seen when all has come.
    fn frontier_for(&self, at: Node) -> Option<DotSet> {
        let hello = self.sides[self.side_of(at)].peer.filter(|_| self.is_sent_to(at))?;
        Some(hello.frontier)
    }

    /// What the peer vouches for. What it was told of it leaves out, whoever holds it: that is none of it, so what
    /// was told wrongly comes with the next exchange, and is not taken for dead.
    pub fn frontier(&self, side: usize, here: &Replica) -> DotSet {
        let all = self.peer(side).frontier;
        match here.mistake {
            Some(Mistake::SkippedByPosition | Mistake::ToldBeforeItCame) => all,
            _ => all.difference(&self.sides[side].told),
        }
    }

    fn tell(&mut self, at: Node, got: DotSet) {
        let side = self.side_of(at);
        self.sides[side].told = self.sides[side].told.union(&got);
        self.send(side, Message::Got(Box::new(got)));
    }

    /// Rule 4: what the peer has seen by now is not sent any more, and nobody has to vouch for it. Where the end
    /// is sent already it comes too late.
    pub fn on_got(&mut self, side: usize, got: &DotSet) {
        let missing = self.snapshot(side).missing();
        let peer = &mut self.sides[1 - side];
        peer.got = peer.got.union(got);
        let seen = self.sides[side].peer.map_or(DotSet::default(), |hello| hello.frontier);
        let peer = &mut self.sides[1 - side];
        peer.inbox.retain(|message| !matches!(message, Message::Page(version) if got.contains(version.dot)));
        let adds_up = missing.difference(&seen).difference(&peer.got).is_empty();
        for message in peer.inbox.iter_mut().filter(|message| adds_up && matches!(message, Message::Broken)) {
            *message = Message::End;
        }
    }
}
