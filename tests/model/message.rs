//! What two replicas say to each other in an exchange.

use std::rc::Rc;

use super::{
    dots::{Dot, DotSet},
    replica::{Floors, Replica, Verdict},
    version::{Key, Version},
};

/// What a side says of its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    pub frontier: DotSet,
    pub floors: Floors,
    pub live: DotSet,
}

impl Hello {
    pub fn of(replica: &Replica) -> Self {
        Self { frontier: replica.seen, floors: replica.floors, live: replica.live() }
    }

    /// Whether all that `other` forgot has been seen here, and what it superseded.
    fn reaches(&self, other: &Self) -> bool {
        self.frontier.reaches(&other.floors.forgotten)
    }

    pub fn needs_ranges(&self, other: &Self) -> bool {
        let unexplained = self.frontier == other.frontier && self.live != other.live;
        unexplained || !self.reaches(other) || !other.reaches(self)
    }
}

#[derive(Clone, Debug)]
pub enum Message {
    Hello(Box<Hello>),
    /// A page of one version.
    Page(Rc<Version>),
    /// What the sender has seen meanwhile of what it is being sent.
    Got(Box<DotSet>),
    /// All pages were sent.
    End,
    /// All pages were sent, and what was scanned for them does not add up (rule 3).
    Broken,
    /// The peer has forgotten something since its hello.
    Outdated,
    /// The live set after all pages were applied.
    Live(Box<DotSet>),
    /// "You do not hold this."
    Claim(Dot, Key),
    Answer(Dot, Key, Verdict),
    /// A version that was wanted.
    Wanted(Rc<Version>),
}
