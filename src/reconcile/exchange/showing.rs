//! The first two frames each way: what each has seen.

use std::sync::Arc;

use super::{Effect, Exchange, Receiving, Sending};
use crate::{
    causality::SeenSet,
    reconcile::{
        Outcome, Parting, Violation,
        parts::{self, SEEN_FRAGMENTS_MAX},
    },
    wire::{ExchangeFrame, SeenPart, SeenSince},
};

impl Exchange {
    pub(super) fn on_first_frame(
        &mut self,
        frame: ExchangeFrame,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Violation> {
        self.report.rounds = 1;
        let outcome = match frame {
            ExchangeFrame::Busy => Outcome::Busy,
            ExchangeFrame::NotCarried => Outcome::NotCarried,
            ExchangeFrame::Hello(hello) => {
                if hello.namespace != self.namespace {
                    return Err(Violation::Namespace {
                        expected: self.namespace.clone(),
                        got: hello.namespace,
                    });
                }
                let roots_match = hello.root.zip(self.hello.root).map(|(a, b)| a == b);
                self.report.roots_matched = roots_match == Some(true);
                let equal = hello.seen_hash == self.hello.seen_hash
                    && hello.floors_hash == self.hello.floors_hash
                    && roots_match != Some(false);
                let seen_the_same =
                    hello.seen_hash == self.hello.seen_hash && hello.floors_hash == self.hello.floors_hash;
                self.peer_hello = Some(hello);
                if !equal && seen_the_same {
                    self.compare_at_once(effects);
                    return Ok(());
                }
                if !equal {
                    self.report.roots_matched = false;
                    self.report.rounds = 2;
                    self.receiving = Receiving::Seen { so_far: SeenSet::new(), fragments: 0 };
                    self.show(effects);
                    return Ok(());
                }
                Outcome::Equal
            }
            other => return Err(Violation::BeforeHello(other.name())),
        };
        self.report.outcome = outcome;
        self.sending = Sending::Ended;
        self.receiving = Receiving::Ended;
        Ok(())
    }

    /// What both had seen when they last parted, if both remember the same.
    fn common(&self) -> Option<&Parting> {
        let theirs = self.peer_hello.as_ref()?.parting?;
        self.parting.as_ref().filter(|parting| parting.tag() == theirs)
    }

    /// Shows what this side has seen: how far it differs from what both remember, or everything.
    fn show(&self, effects: &mut Vec<Effect>) {
        if let Some(since) = self.common().and_then(|parting| parting.since(&self.own)) {
            let floors = (!self.floors_agree()).then(|| self.floors.clone());
            return effects.push(Effect::Send(ExchangeFrame::SeenSince(SeenSince { floors, ..since })));
        }
        let parts = parts::for_frames(&self.own);
        let last = parts.len() - 1;
        effects.extend(parts.into_iter().enumerate().map(|(index, set)| {
            let floors = (index == last).then(|| self.floors.clone());
            Effect::Send(ExchangeFrame::Seen(SeenPart { set, more: index < last, floors }))
        }));
    }

    /// Whether the hellos say that both have forgotten the same deletes.
    fn floors_agree(&self) -> bool {
        self.peer_hello.as_ref().is_some_and(|theirs| theirs.floors_hash == self.hello.floors_hash)
    }

    /// Both have seen the same, and forgotten the same, and hold something else. Neither has anything
    /// to say that the other does not know, but what ranges tell; both find so from the hellos.
    fn compare_at_once(&mut self, effects: &mut Vec<Effect>) {
        self.report.outcome = Outcome::Ranges;
        self.peer_floors = self.floors.clone();
        self.peer_seen = Arc::new(self.own.clone());
        self.compares_ranges = true;
        self.sending = Sending::Ended;
        self.receiving = Receiving::Ranges { frontier: SeenSet::new() };
        effects.extend([Effect::PeerSeen(Arc::clone(&self.peer_seen)), Effect::OpenRanges]);
    }

    /// Whether what the two have seen cannot explain all that may differ; both find the same.
    fn needs_ranges(&self, peer: &SeenSet) -> bool {
        let Some(theirs) = &self.peer_hello else { return false };
        let unexplained = theirs.seen_hash == self.hello.seen_hash
            && theirs.root.zip(self.hello.root).is_some_and(|(a, b)| a != b);
        // A root that is not known yet cannot be gone down from.
        let possible = theirs.root.is_some() && self.hello.root.is_some();
        // What an end may take over is settled by what the other has forgotten.
        let ours = !self.way.gives() || self.floors.are_reached_by(peer);
        let reached = ours && (!self.way.takes() || self.peer_floors.are_reached_by(&self.own));
        unexplained || possible && !reached
    }

    /// Whether a frontier must not be merged although no ranges can be compared.
    fn must_wait(&self, peer: &SeenSet) -> bool {
        self.way.takes() && !self.peer_floors.are_reached_by(&self.own) && !self.needs_ranges(peer)
    }

    pub(super) fn on_seen(&mut self, part: SeenPart, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        let Receiving::Seen { so_far, fragments } = &mut self.receiving else {
            return Err(if self.has_peers_end() {
                Violation::AfterEnd("a seen set")
            } else {
                Violation::SecondSeen
            });
        };
        *fragments += parts::fragments(&part.set);
        if *fragments > SEEN_FRAGMENTS_MAX {
            return Err(Violation::SeenTooLarge(SEEN_FRAGMENTS_MAX));
        }
        so_far.union(&part.set);
        match part.floors {
            None if part.more => return Ok(()),
            Some(floors) if !part.more => self.peer_floors = floors,
            _ => return Err(Violation::Floors),
        }
        let peer = Arc::new(std::mem::take(so_far));
        self.on_peer_seen(peer, effects);
        Ok(())
    }

    pub(super) fn on_seen_since(
        &mut self,
        since: &SeenSince,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Violation> {
        match &self.receiving {
            Receiving::Seen { fragments: 0, .. } => {}
            _ if self.has_peers_end() => return Err(Violation::AfterEnd("a seen set")),
            _ => return Err(Violation::SecondSeen),
        }
        let seen = self.common().and_then(|parting| parting.restore(since)).ok_or(Violation::NoParting)?;
        if parts::fragments(&seen) > SEEN_FRAGMENTS_MAX {
            return Err(Violation::SeenTooLarge(SEEN_FRAGMENTS_MAX));
        }
        let said = self.peer_hello.as_ref().map(|hello| hello.seen_hash);
        if said.as_ref().map(|said| &said[..]) != Some(&seen.hash()[..16]) {
            return Err(Violation::SeenMismatch);
        }
        self.peer_floors = match &since.floors {
            Some(floors) => floors.clone(),
            None if self.floors_agree() => self.floors.clone(),
            None => return Err(Violation::Floors),
        };
        self.on_peer_seen(Arc::new(seen), effects);
        Ok(())
    }

    /// What the peer has seen came whole.
    fn on_peer_seen(&mut self, peer: Arc<SeenSet>, effects: &mut Vec<Effect>) {
        let what = |goes: bool, of: &SeenSet, beyond: &SeenSet| {
            if goes { of.difference(beyond) } else { SeenSet::new() }
        };
        let missing = Arc::new(what(self.way.gives(), &self.own, &peer));
        self.receiving = Receiving::Pages {
            frontier: what(self.way.takes(), &peer, &self.own),
            peer: Arc::clone(&peer),
            after: None,
            unapplied: 0,
            ended: false,
        };
        self.compares_ranges = self.needs_ranges(&peer);
        self.waits = self.must_wait(&peer);
        self.peer_seen = Arc::clone(&peer);
        effects.push(Effect::PeerSeen(peer));
        if missing.is_empty() {
            self.end(SeenSet::new(), effects);
        } else {
            let (after, lost) = (None, SeenSet::new());
            self.sending = Sending::Pages { missing, after, reading: false, unsent: 0, lost };
            self.read_ahead(effects);
        }
    }
}
