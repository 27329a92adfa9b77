//! What this end sends of what it holds, a page at a time, and few of them ahead of the stream.

use std::{collections::VecDeque, sync::Arc};

use super::Ranges;
use crate::{
    causality::{Dot, SeenSet},
    reconcile::{Effect, PAGES_AHEAD_MAX, Report},
    wire::{ExchangeFrame, Items},
};

/// Versions that are to be sent, in the order of what they answer.
#[derive(Debug, Default)]
pub struct Giving {
    gifts: VecDeque<Gift>,
    /// The last one read of the first gift.
    after: Option<Dot>,
    reading: bool,
    /// Frames of versions that wait for the stream.
    unsent: usize,
}

#[derive(Debug)]
struct Gift {
    dots: Arc<SeenSet>,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// The peer would have them: they are claimed, and come with the claim.
    Offer,
    /// A frame of verdicts wants them.
    Wanted,
    /// Both hold something else under these names.
    Colliding,
}

impl Giving {
    pub fn offer(&mut self, dots: SeenSet) {
        self.push(dots, Why::Offer);
    }

    pub fn wanted(&mut self, dots: Vec<Dot>) {
        self.push(dots.into_iter().collect(), Why::Wanted);
    }

    pub fn collisions(&mut self, dots: Vec<Dot>) {
        if !dots.is_empty() {
            self.push(dots.into_iter().collect(), Why::Colliding);
        }
    }

    fn push(&mut self, dots: SeenSet, why: Why) {
        self.gifts.push_back(Gift { dots: Arc::new(dots), why });
    }

    pub fn is_empty(&self) -> bool {
        self.gifts.is_empty()
    }

    /// Whether all that is left to be sent are answers.
    pub fn asks_nothing(&self) -> bool {
        self.gifts.iter().all(|gift| gift.why == Why::Wanted)
    }
}

impl Ranges {
    /// Has the next page read, unless one is being read or enough wait for the stream.
    pub(super) fn give(&mut self, effects: &mut Vec<Effect>) {
        let giving = &mut self.giving;
        let Some(Gift { dots, why }) = giving.gifts.front() else { return };
        let room = *why != Why::Offer || self.asked.has_room();
        if room && !giving.reading && giving.unsent < PAGES_AHEAD_MAX {
            giving.reading = true;
            effects.push(Effect::ReadItems { dots: Arc::clone(dots), after: giving.after });
        }
    }

    /// `next`: after which one to go on, if there is more.
    pub fn on_items_read(
        &mut self,
        items: Items,
        next: Option<Dot>,
        report: &mut Report,
        effects: &mut Vec<Effect>,
    ) {
        assert!(std::mem::take(&mut self.giving.reading), "items were read that nobody asked for");
        let why = self.giving.gifts.front().expect("one is being read").why;
        report.versions_out += items.versions.len() as u64;
        match why {
            _ if items.versions.is_empty() => {}
            Why::Offer => self.send_offers(items, report, effects),
            Why::Wanted | Why::Colliding => self.send_items(items, effects),
        }
        self.giving.after = next;
        if next.is_none() {
            self.giving.gifts.pop_front();
            if why == Why::Wanted {
                effects.push(Effect::Send(ExchangeFrame::Sent));
            }
        }
        self.go_on(effects);
    }

    fn send_offers(&mut self, items: Items, report: &mut Report, effects: &mut Vec<Effect>) {
        report.claims_out += items.versions.len() as u64;
        report.wanted += items.versions.len() as u64;
        let said = items.versions.iter().map(|version| self.said(version.dot, version.key.clone()));
        let claims = said.collect();
        self.asked.push(claims, true);
        self.giving.unsent += 1;
        effects.push(Effect::Send(ExchangeFrame::Offers(items)));
    }

    pub(super) fn send_items(&mut self, items: Items, effects: &mut Vec<Effect>) {
        self.giving.unsent += 1;
        effects.push(Effect::Send(ExchangeFrame::Items(items)));
    }

    /// A frame of versions is on its way.
    pub fn on_sent(&mut self, effects: &mut Vec<Effect>) {
        // The last page of a delta may be under way yet when ranges begin: then one more is read ahead.
        self.giving.unsent = self.giving.unsent.saturating_sub(1);
        self.go_on(effects);
    }
}
