//! What comes from the peer, until its frontier is taken over.

use std::sync::Arc;

use super::{Effect, Exchange, sending::Sending};
use crate::{
    causality::{Dot, SeenSet},
    reconcile::{
        Outcome, Violation,
        parts::{self, ABSORB_DOTS_MAX},
    },
    wire::{End, PAGE_VERSIONS, Page},
};

/// What this side still has to receive.
#[derive(Debug)]
pub(super) enum Receiving {
    /// The hello.
    Hello,
    /// (The rest of) what the peer has seen.
    Seen { so_far: SeenSet, fragments: usize },
    /// Pages and the end. `frontier` is what the peer has seen, without what came and could not
    /// be applied, nor what the peer does not vouch for.
    Pages { peer: Arc<SeenSet>, frontier: SeenSet, after: Option<Dot>, unapplied: usize, ended: bool },
    /// Everything came and is applied; ranges are compared before `frontier` is absorbed.
    Ranges { frontier: SeenSet },
    /// Everything came and is applied; `rest` is still to be handed out for absorbing, `piece` was
    /// last.
    Absorbing { rest: SeenSet, piece: SeenSet, floors: bool },
    /// Nothing.
    Ended,
}

impl Exchange {
    pub(super) fn on_page(&mut self, page: Page, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        let ended = self.has_peers_end();
        if !self.way.takes() {
            return Err(Violation::WrongWay("a page"));
        }
        let Receiving::Pages { peer, after, unapplied, .. } = &mut self.receiving else {
            return Err(if ended { Violation::AfterEnd("a page") } else { Violation::BeforeSeen("a page") });
        };
        if ended {
            return Err(Violation::AfterEnd("a page"));
        }
        match page.versions.len() {
            0 => return Err(Violation::EmptyPage),
            count if count > PAGE_VERSIONS => return Err(Violation::PageTooLarge(count)),
            count => self.report.versions_in += count as u64,
        }
        for version in &page.versions {
            let dot = version.dot;
            if let Some(after) = *after
                && dot <= after
            {
                return Err(Violation::Order { dot, after });
            }
            if !peer.contains(dot) {
                return Err(Violation::Unannounced(dot));
            }
            *after = Some(dot);
        }
        *unapplied += 1;
        self.report.pages_in += 1;
        effects.push(Effect::Apply(page));
        Ok(())
    }

    pub(super) fn on_end(&mut self, end: &End, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        let again = self.has_peers_end();
        let Receiving::Pages { peer, frontier, ended, .. } = &mut self.receiving else {
            return Err(if again { Violation::AfterEnd("an end") } else { Violation::BeforeSeen("an end") });
        };
        if again {
            return Err(Violation::AfterEnd("an end"));
        }
        if !peer.includes(&end.lost) {
            return Err(Violation::LostUnannounced);
        }
        *frontier = frontier.difference(&end.lost);
        *ended = true;
        self.absorb_if_all_applied(effects);
        Ok(())
    }

    pub(super) fn on_applied(&mut self, set_aside: &[Dot], effects: &mut Vec<Effect>) {
        let Receiving::Pages { frontier, unapplied, .. } = &mut self.receiving else {
            panic!("a page was applied that was not handed out");
        };
        *unapplied = unapplied.checked_sub(1).expect("a page was applied that was not handed out");
        for dot in set_aside {
            frontier.remove(*dot);
        }
        self.report.set_aside += set_aside.len() as u64;
        self.absorb_if_all_applied(effects);
    }

    pub(super) fn absorb_if_all_applied(&mut self, effects: &mut Vec<Effect>) {
        // Ranges are compared when all pages are sent, too: the peer expects none of theirs before the end.
        if self.compares_ranges && !matches!(self.sending, Sending::Ended) {
            return;
        }
        if let Receiving::Pages { frontier, unapplied: 0, ended: true, .. } = &mut self.receiving {
            let frontier = std::mem::take(frontier);
            if self.compares_ranges {
                self.report.outcome = Outcome::Ranges;
                self.receiving = Receiving::Ranges { frontier };
                effects.push(Effect::OpenRanges);
            } else if self.waits {
                self.report.late = true;
                self.receiving = Receiving::Ended;
            } else {
                self.receiving =
                    Receiving::Absorbing { rest: frontier, piece: SeenSet::new(), floors: false };
                self.absorb(effects);
            }
        }
    }

    /// Hands out the next piece of the frontier, if there is more of it.
    pub(super) fn absorb(&mut self, effects: &mut Vec<Effect>) {
        let Receiving::Absorbing { rest, piece, floors } = &mut self.receiving else {
            panic!("something was absorbed that was not handed out");
        };
        if !self.way.takes() {
            return self.say_bye(effects);
        }
        let nothing_to_drop = self.ranges.as_ref().is_none_or(|ranges| ranges.dead.is_empty());
        let floors_known = *floors || nothing_to_drop && self.floors.includes(&self.peer_floors);
        if rest.is_empty() && floors_known {
            return self.say_bye(effects);
        }
        *piece = parts::take_dots(rest, ABSORB_DOTS_MAX);
        *floors = rest.is_empty();
        effects.push(Effect::Absorb {
            frontier: piece.clone(),
            floors: floors.then(|| self.peer_floors.clone()),
            settled: self.ranges.as_ref().map(|ranges| ranges.settled.clone()),
            drop: match &self.ranges {
                Some(ranges) if *floors => ranges.dead.clone(),
                _ => Vec::new(),
            },
        });
    }

    pub(super) fn has_peers_end(&self) -> bool {
        match self.receiving {
            Receiving::Hello | Receiving::Seen { .. } => false,
            Receiving::Pages { ended, .. } => ended,
            Receiving::Ranges { .. } | Receiving::Absorbing { .. } | Receiving::Ended => true,
        }
    }
}
