//! Compares what both hold, whatever they have seen, and settles what differs by rule 6.

mod asking;
mod giving;
mod judging;

use std::collections::VecDeque;

use self::{asking::Asked, giving::Giving};
use super::{
    Effect, Violation,
    descent::{Descending, Stepped},
};
use crate::{
    causality::{Dot, SeenSet},
    digest::Digests,
    types::Key,
    wire::{Descent, ExchangeFrame, Items, RangeHeld, Wants, Way},
};

/// Claims wait for their verdicts until they take so many bytes; only then no more are made. A window
/// in frames, or too small a one, would cost a round trip each time it is full.
pub const CLAIMS_AHEAD_BYTES: usize = 8 * 1024 * 1024;
/// So often what became live meanwhile is claimed, too, before the frontier is given up.
pub const LATE_ROUNDS_MAX: u32 = 4;
/// The most claims and items of a peer that are under way, in frames; until then no frame is wanted.
const UNDER_WAY_MAX: usize = 8;

/// One end of a comparison of ranges.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, any of them in any order")]
#[derive(Debug)]
pub struct Ranges {
    way: Way,
    descending: Descending,
    through: bool,
    /// What this end lacks, step by step: it is being looked up what of that it would have.
    sifting: VecDeque<Vec<RangeHeld>>,
    /// What is still to be claimed, and whether the next of it are being read.
    unclaimed: SeenSet,
    reading: bool,
    asked: Asked,
    giving: Giving,
    /// What the peer asks and is being judged, frame by frame; with what it offers, if it does.
    judging: VecDeque<Option<Items>>,
    /// Items that are being stored.
    storing: usize,
    /// Verdicts of this end that want something, and what they want did not come whole.
    owed: usize,
    /// Nothing can become known that would have to be claimed later.
    never_late: bool,
    claimed: bool,
    peer_claimed: bool,
    pub bye_said: bool,
    pub bye_came: bool,
    late_rounds: u32,
    /// What is dead to the peer: dropped in one batch with the merge of its floors, and not before. Who
    /// dropped it earlier, and then heard no more of the peer, would vouch to others for a death that
    /// nothing tells of any more.
    pub dead: Vec<(Dot, Key)>,
    /// What the peer holds or was asked about: a frontier may be merged over it.
    pub settled: SeenSet,
}

impl Ranges {
    /// Begins on a snapshot with these digests. The end with the lesser nonce says the first word. `never_late`: this end
    /// has no frontier to take over, so nothing that becomes live meanwhile is in it.
    pub fn begin(
        digests: Digests,
        own: &SeenSet,
        peer: &SeenSet,
        nonces: (u64, u64),
        (way, never_late): (Way, bool),
        effects: &mut Vec<Effect>,
    ) -> Self {
        let descending = Descending::new(digests, own, peer, nonces);
        if nonces.0 < nonces.1 {
            send_steps(descending.first(), effects);
        }
        Self {
            way,
            descending,
            through: false,
            sifting: VecDeque::new(),
            unclaimed: SeenSet::new(),
            reading: false,
            asked: Asked::default(),
            giving: Giving::default(),
            judging: VecDeque::new(),
            storing: 0,
            owed: 0,
            never_late,
            claimed: false,
            peer_claimed: false,
            bye_said: false,
            bye_came: false,
            late_rounds: 0,
            dead: Vec::new(),
            settled: SeenSet::new(),
        }
    }

    pub fn on_descent(&mut self, step: Descent, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        if self.through {
            return Err(Violation::AfterEnd("digests of ranges"));
        }
        match self.descending.on_step(step)? {
            Stepped::More => return Ok(()),
            Stepped::Answer(frames) => send_steps(frames, effects),
            Stepped::Through(frames) => {
                send_steps(frames, effects);
                self.through = true;
                if self.way.gives() {
                    self.giving.collisions(self.descending.collisions());
                }
            }
        }
        // Nothing waits for the end of the descent but the word that all is claimed.
        self.unclaimed.union(&std::mem::take(&mut self.descending.mine));
        self.settled.union(&std::mem::take(&mut self.descending.theirs));
        self.sift(effects);
        self.go_on(effects);
        Ok(())
    }

    /// Has looked up what this end would have of what it just said it lacks.
    fn sift(&mut self, effects: &mut Vec<Effect>) {
        let lacked = std::mem::take(&mut self.descending.lacked);
        if lacked.is_empty() {
            return;
        }
        let names = self.descending.names(&lacked);
        self.sifting.push_back(lacked);
        if self.way.takes() {
            effects.push(Effect::Sift(names));
        } else {
            self.on_sifted(&SeenSet::new(), effects);
        }
    }

    pub fn on_sifted(&mut self, wanted: &SeenSet, effects: &mut Vec<Effect>) {
        let lacked = self.sifting.pop_front().expect("nothing is sifted that was not handed out");
        let said = self.descending.wants(&lacked, wanted);
        effects.extend(said.into_iter().map(|wants| Effect::Send(ExchangeFrame::Wants(wants))));
        self.go_on(effects);
    }

    pub fn on_wants(&mut self, wants: &Wants, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        let mut offered = SeenSet::new();
        for said in &wants.ranges {
            self.descending.on_wants(said, &mut offered, &mut self.unclaimed)?;
        }
        if !offered.is_empty() {
            if !self.way.gives() {
                return Err(Violation::WrongWay("what it wants"));
            }
            self.settled.union(&offered);
            self.giving.offer(offered);
        }
        self.go_on(effects);
        Ok(())
    }

    /// Versions in the peer's frontier became live here meanwhile: they are claimed, too. False if
    /// that happened too often.
    pub fn on_late(&mut self, late: SeenSet, effects: &mut Vec<Effect>) -> bool {
        self.late_rounds += 1;
        if self.late_rounds > LATE_ROUNDS_MAX {
            return false;
        }
        self.unclaimed = late;
        self.go_on(effects);
        true
    }

    /// The peer claims nothing more, but perhaps what becomes live meanwhile; `bye`: not even that.
    pub fn on_claimed(&mut self, bye: bool) -> Result<(), Violation> {
        let name = if bye { "a bye" } else { "that all is claimed" };
        if !self.through || !self.descending.learned.is_empty() {
            return Err(Violation::NotThrough(name));
        }
        self.peer_claimed = true;
        self.bye_came |= bye;
        Ok(())
    }

    /// Has read what is next to be said, and says that nothing more is claimed as soon as that is so. With
    /// the bye, if nothing can become known later: then the peer need not wait for it.
    pub fn go_on(&mut self, effects: &mut Vec<Effect>) {
        self.claim(effects);
        self.give(effects);
        if self.claimed || !self.is_all_claimed() {
            return;
        }
        self.claimed = true;
        if self.never_late {
            self.say_bye(effects);
        } else {
            effects.push(Effect::Send(ExchangeFrame::Claimed));
        }
    }

    /// Says that nothing more is claimed at all, unless that was said.
    pub fn say_bye(&mut self, effects: &mut Vec<Effect>) {
        if !std::mem::replace(&mut self.bye_said, true) {
            effects.push(Effect::Send(ExchangeFrame::Bye));
        }
    }

    fn is_all_claimed(&self) -> bool {
        self.through
            && self.sifting.is_empty()
            && self.descending.learned.is_empty()
            && self.unclaimed.is_empty()
            && !self.reading
            && self.giving.asks_nothing()
    }

    /// Whether the next frame should be read: not while too much is under way, and not after the last one.
    pub fn wants_frame(&self) -> bool {
        self.judging.len() + self.storing < UNDER_WAY_MAX && (!self.bye_came || self.is_owed())
    }

    /// Whether the peer has still to answer something.
    fn is_owed(&self) -> bool {
        !self.asked.is_empty() || self.owed > 0
    }

    /// A frame that answers nothing, and nothing is to come.
    pub fn is_out_of_place(&self, frame: &ExchangeFrame) -> bool {
        use ExchangeFrame as F;
        let answers = matches!(frame, F::Verdicts(_) | F::Items(_) | F::Sent);
        self.bye_came && !(answers && self.is_owed())
    }

    /// Whether all that both claimed is settled here, and all that the peer wants is sent.
    pub fn is_settled(&self) -> bool {
        self.claimed
            && self.peer_claimed
            && !self.is_owed()
            && self.judging.is_empty()
            && self.storing == 0
            && self.giving.is_empty()
            && self.unclaimed.is_empty()
            && !self.reading
    }
}

fn send_steps(frames: Vec<Descent>, effects: &mut Vec<Effect>) {
    effects.extend(frames.into_iter().map(|step| Effect::Send(ExchangeFrame::Descent(step))));
}
