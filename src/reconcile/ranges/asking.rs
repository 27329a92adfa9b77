//! What this end asks: what only it holds, by its name, or together with the version where that is wanted.

use std::collections::VecDeque;

use super::{CLAIMS_AHEAD_BYTES, Ranges};
use crate::{
    causality::Dot,
    reconcile::{Effect, Report, Violation, parts},
    types::Key,
    wire::{CLAIMS_MAX, Claim, Claims, ExchangeFrame, Verdict, Verdicts},
};

/// Claims and offers that wait for their verdicts, frame by frame.
#[derive(Debug, Default)]
pub struct Asked {
    frames: VecDeque<Frame>,
    bytes: usize,
}

#[derive(Debug)]
struct Frame {
    claims: Vec<Claim>,
    offered: bool,
}

impl Asked {
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub fn has_room(&self) -> bool {
        self.bytes < CLAIMS_AHEAD_BYTES
    }

    pub fn push(&mut self, claims: Vec<Claim>, offered: bool) {
        self.bytes += bytes(&claims);
        self.frames.push_back(Frame { claims, offered });
    }

    fn pop(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.bytes -= bytes(&frame.claims);
        Some(frame)
    }
}

fn bytes(claims: &[Claim]) -> usize {
    claims.iter().map(|claim| size_of::<Claim>() + claim.key.as_bytes().len()).sum()
}

impl Ranges {
    /// Has the next claims read.
    pub(super) fn claim(&mut self, effects: &mut Vec<Effect>) {
        if !self.unclaimed.is_empty() && !self.reading && self.asked.has_room() {
            let next = parts::take_dots(&mut self.unclaimed, CLAIMS_MAX as u64);
            self.reading = true;
            self.settled.union(&next);
            effects.push(Effect::ReadClaims(next));
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
            let claims: Vec<Claim> = claims.into_iter().map(|(dot, key)| self.said(dot, key)).collect();
            effects.push(Effect::Send(ExchangeFrame::Claims(Claims { claims: claims.clone() })));
            self.asked.push(claims, false);
        }
        self.go_on(effects);
    }

    pub(super) fn said(&self, dot: Dot, key: Key) -> Claim {
        // Only what one of both had seen when the exchange began is claimed, and that is numbered.
        let origin = self.descending.number(&dot.origin).expect("claims are of origins that were shown");
        Claim { origin, seq: dot.seq, key }
    }

    pub fn on_verdicts(
        &mut self,
        verdicts: &Verdicts,
        report: &mut Report,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Violation> {
        let Some(Frame { claims, offered }) = self.asked.pop() else {
            return Err(Violation::VerdictsUnasked);
        };
        if claims.len() != verdicts.verdicts.len() {
            return Err(Violation::VerdictsUnasked);
        }
        let mut wanted = Vec::new();
        for (Claim { origin, seq, key }, verdict) in claims.into_iter().zip(&verdicts.verdicts) {
            let dot = Dot::new(self.descending.name(origin)?, seq);
            match verdict {
                // It has it already.
                Verdict::Want if offered => return Err(Violation::VerdictsUnasked),
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
            self.giving.wanted(wanted);
        }
        self.go_on(effects);
        Ok(())
    }
}
