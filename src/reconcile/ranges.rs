//! Compares what both hold, whatever they have seen, and settles what differs by rule 6.

use std::collections::VecDeque;

use super::{
    Effect, Report, Violation,
    descent::{Descending, Stepped},
};
use crate::{
    causality::{Dot, SEQ_MAX, SeenSet},
    digest::Digests,
    types::Key,
    wire::{CLAIMS_MAX, Claim, Claims, Descent, ExchangeFrame, Items, Verdict, Verdicts, Way},
};

/// Claims wait for their verdicts until they take so many bytes; only then no more are made. A window
/// in frames would cost a round trip each time it is full.
pub const CLAIMS_AHEAD_BYTES: usize = 4 * 1024 * 1024;
/// What a claim takes beside its key.
const CLAIM_BYTES: usize = size_of::<(Dot, Key)>();
/// So often what became live meanwhile is claimed, too, before the frontier is given up.
pub const LATE_ROUNDS_MAX: u32 = 4;

/// One end of a comparison of ranges.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, any of them in any order")]
#[derive(Debug)]
pub struct Ranges {
    way: Way,
    descending: Descending,
    through: bool,
    /// What is still to be claimed, and what was claimed last.
    unclaimed: SeenSet,
    reading: bool,
    /// Claims that wait for their verdicts, frame by frame.
    asked: VecDeque<Vec<(Dot, Key)>>,
    /// What they take.
    asked_bytes: usize,
    /// Verdicts that are being carried out: wanted versions are read.
    carrying_out: usize,
    /// Claims of the peer that are being judged, and items that are being stored.
    pub busy: usize,
    claimed: bool,
    pub peer_claimed: bool,
    late_rounds: u32,
    /// What is dead to the peer: dropped in one batch with the merge of its floors, and not before. Who
    /// dropped it earlier, and then heard no more of the peer, would vouch to others for a death that
    /// nothing tells of any more.
    pub dead: Vec<(Dot, Key)>,
    /// What the peer holds or was asked about: a frontier may be merged over it.
    pub settled: SeenSet,
}

impl Ranges {
    /// Begins on a snapshot with these digests. `first`: whether this end says the first word.
    pub fn begin(
        digests: Digests,
        own: &SeenSet,
        peer: &SeenSet,
        nonces: (u64, u64),
        way: Way,
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
            unclaimed: SeenSet::new(),
            reading: false,
            asked: VecDeque::new(),
            asked_bytes: 0,
            carrying_out: 0,
            busy: 0,
            claimed: false,
            peer_claimed: false,
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
            Stepped::More => {}
            Stepped::Answer(frames) => send_steps(frames, effects),
            Stepped::Through(frames) => {
                send_steps(frames, effects);
                self.through = true;
                self.unclaimed = std::mem::take(&mut self.descending.mine);
                self.settled.union(&std::mem::take(&mut self.descending.theirs));
                let colliding = self.descending.collisions();
                if !colliding.is_empty() && self.way.gives() {
                    self.carrying_out += 1;
                    effects.push(Effect::ReadItems(colliding));
                }
                self.claim(effects);
            }
        }
        Ok(())
    }

    /// Has the next claims read, or says that there are no more.
    fn claim(&mut self, effects: &mut Vec<Effect>) {
        if !self.unclaimed.is_empty() && !self.reading && self.asked_bytes < CLAIMS_AHEAD_BYTES {
            let next = super::parts::take_dots(&mut self.unclaimed, CLAIMS_MAX as u64);
            self.reading = true;
            self.settled.union(&next);
            effects.push(Effect::ReadClaims(next));
        }
        let idle = self.through && self.unclaimed.is_empty() && !self.reading;
        if idle && self.asked.is_empty() && self.carrying_out == 0 && !self.claimed {
            self.claimed = true;
            effects.push(Effect::Send(ExchangeFrame::Claimed));
        }
    }

    pub fn on_claims_read(
        &mut self,
        claims: Vec<(Dot, Key)>,
        report: &mut Report,
        effects: &mut Vec<Effect>,
    ) {
        assert!(self.reading, "claims were read that nobody asked for");
        self.reading = false;
        if !claims.is_empty() {
            report.claims_out += claims.len() as u64;
            let said = claims.iter().map(|(dot, key)| self.said(*dot, key)).collect();
            effects.push(Effect::Send(ExchangeFrame::Claims(Claims { claims: said })));
            self.asked_bytes += bytes(&claims);
            self.asked.push_back(claims);
        }
        self.claim(effects);
    }

    fn said(&self, dot: Dot, key: &Key) -> Claim {
        // Only what one of both had seen when the exchange began is claimed, and that is numbered.
        let origin = self.descending.number(&dot.origin).expect("claims are of origins that were shown");
        Claim { origin, seq: dot.seq, key: key.clone() }
    }

    pub fn on_claims(
        &mut self,
        claims: Claims,
        report: &mut Report,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Violation> {
        report.claims_in += claims.claims.len() as u64;
        let mut judged = Vec::with_capacity(claims.claims.len());
        for Claim { origin, seq, key } in claims.claims {
            if !(1..=SEQ_MAX).contains(&seq) {
                return Err(Violation::ClaimMalformed);
            }
            let name = self.descending.name(origin).map_err(|_| Violation::ClaimMalformed)?;
            let dot = Dot::new(name, seq);
            // The peer holds it, so it need not be asked about it.
            self.settled.insert(dot);
            judged.push((dot, key));
        }
        self.busy += 1;
        effects.push(Effect::Judge(judged));
        Ok(())
    }

    pub fn on_judged(&mut self, verdicts: Vec<Verdict>, items: Vec<Items>, effects: &mut Vec<Effect>) {
        self.busy -= 1;
        // Who only takes says what it knows of a claim, and keeps what it holds.
        let items = items.into_iter().filter(|_| self.way.gives());
        effects.extend(items.map(|items| Effect::Send(ExchangeFrame::Items(items))));
        effects.push(Effect::Send(ExchangeFrame::Verdicts(Verdicts { verdicts })));
    }

    pub fn on_verdicts(
        &mut self,
        verdicts: &Verdicts,
        report: &mut Report,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Violation> {
        let Some(asked) = self.asked.pop_front() else { return Err(Violation::VerdictsUnasked) };
        if asked.len() != verdicts.verdicts.len() {
            return Err(Violation::VerdictsUnasked);
        }
        self.asked_bytes -= bytes(&asked);
        let mut wanted = Vec::new();
        for ((dot, key), verdict) in asked.into_iter().zip(&verdicts.verdicts) {
            match verdict {
                Verdict::Want if self.way.gives() => wanted.push(dot),
                Verdict::Dead if self.way.takes() => {
                    report.dropped += 1;
                    self.dead.push((dot, key));
                }
                // The last two: one is not given, the other stays, for versions go the other way only.
                Verdict::Held | Verdict::Superseded | Verdict::Want | Verdict::Dead => {}
            }
        }
        report.wanted += wanted.len() as u64;
        if !wanted.is_empty() {
            self.carrying_out += 1;
            effects.push(Effect::ReadItems(wanted));
        }
        self.claim(effects);
        Ok(())
    }

    pub fn on_items_read(&mut self, items: Vec<Items>, report: &mut Report, effects: &mut Vec<Effect>) {
        self.carrying_out -= 1;
        for items in items {
            report.versions_out += items.versions.len() as u64;
            effects.push(Effect::Send(ExchangeFrame::Items(items)));
        }
        self.claim(effects);
    }

    pub fn on_items(&mut self, items: Items, report: &mut Report, effects: &mut Vec<Effect>) {
        report.versions_in += items.versions.len() as u64;
        self.busy += 1;
        effects.push(Effect::Settle(items));
    }

    /// Versions in the peer's frontier became live here meanwhile: they are claimed, too. False if
    /// that happened too often.
    pub fn on_late(&mut self, late: SeenSet, effects: &mut Vec<Effect>) -> bool {
        self.late_rounds += 1;
        if self.late_rounds > LATE_ROUNDS_MAX {
            return false;
        }
        self.unclaimed = late;
        self.claim(effects);
        true
    }

    /// Whether all that both claimed is settled here.
    pub fn is_settled(&self) -> bool {
        self.claimed
            && self.peer_claimed
            && self.busy == 0
            && self.asked.is_empty()
            && self.carrying_out == 0
            && !self.reading
            && self.unclaimed.is_empty()
    }
}

fn bytes(claims: &[(Dot, Key)]) -> usize {
    claims.iter().map(|(_, key)| CLAIM_BYTES + key.as_bytes().len()).sum()
}

fn send_steps(frames: Vec<Descent>, effects: &mut Vec<Effect>) {
    effects.extend(frames.into_iter().map(|step| Effect::Send(ExchangeFrame::Descent(step))));
}
