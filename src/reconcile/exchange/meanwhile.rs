//! What one side has seen since it showed what it has seen: another neighbour brought it.
//!
//! From then on the exchange is one that began with the seen set of that time, the first part of which is
//! through. So the sender leaves those writes out, exactly those and no range around them, and does not vouch
//! for them; and they are no part of the frontier that the receiver takes over: what is told by mistake, or
//! lost here afterwards, is not taken for dead, and comes with the next exchange.

use std::sync::Arc;

use super::{Effect, Exchange, receiving::Receiving, sending::Sending};
use crate::{
    causality::{Intervals, SeenSet},
    reconcile::{Violation, parts},
    wire::{ExchangeFrame, Got},
};

impl Exchange {
    /// Seen here. When the peer has sent its end it is of no use any more.
    pub(super) fn on_got_here(&mut self, got: &SeenSet, effects: &mut Vec<Effect>) {
        let Receiving::Pages { frontier, ended: false, .. } = &mut self.receiving else { return };
        let told = take_out(frontier, got);
        if !told.is_empty() {
            let frames = parts::for_frames(&told).into_iter().map(|seen| ExchangeFrame::Got(Got { seen }));
            effects.extend(frames.map(Effect::Send));
        }
    }

    /// Seen at the peer. It may cross the end.
    pub(super) fn on_got_there(&mut self, got: &Got) -> Result<(), Violation> {
        match &mut self.sending {
            _ if !self.way.gives() => Err(Violation::WrongWay(GOT)),
            Sending::Waiting => Err(Violation::BeforeSeen(GOT)),
            Sending::Pages { missing, .. } => {
                take_out(Arc::make_mut(missing), &got.seen);
                Ok(())
            }
            Sending::Ended => Ok(()),
        }
    }
}

const GOT: &str = "what it has seen meanwhile";

/// Takes `dots` out of `set`, and returns what of them was in it.
fn take_out(set: &mut SeenSet, dots: &SeenSet) -> SeenSet {
    let mut taken = SeenSet::new();
    for (origin, seqs) in dots.iter() {
        let before = set.get(origin).map_or_else(Intervals::new, Clone::clone);
        let rest = before.difference(seqs);
        taken.set(*origin, before.difference(&rest));
        set.set(*origin, rest);
    }
    taken
}
