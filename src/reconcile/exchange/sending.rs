//! What one side has and the other has not seen, page by page.

use std::sync::Arc;

use super::{Effect, Exchange, PAGES_AHEAD_MAX};
use crate::{
    causality::{Dot, SeenSet},
    wire::{End, ExchangeFrame, Page},
};

/// What this side still has to send.
#[derive(Debug)]
pub(super) enum Sending {
    /// What the peer lacks is not known yet.
    Waiting,
    /// Pages are read and sent.
    Pages { missing: Arc<SeenSet>, after: Option<Dot>, reading: bool, unsent: usize, lost: SeenSet },
    /// The end was handed out.
    Ended,
}

impl Exchange {
    pub(super) fn on_page_read(&mut self, page: Page, gone: &SeenSet, last: bool, effects: &mut Vec<Effect>) {
        let Sending::Pages { after, reading, unsent, lost, .. } = &mut self.sending else {
            panic!("a page was read that nobody asked for");
        };
        assert!(*reading, "a page was read that nobody asked for");
        assert!(last || !page.versions.is_empty(), "a page that is not the last holds something");
        *reading = false;
        lost.union(gone);
        self.report.lost += gone.count();
        if let Some(version) = page.versions.last() {
            *after = Some(version.dot);
            *unsent += 1;
            self.report.pages_out += 1;
            self.report.versions_out += page.versions.len() as u64;
            effects.push(Effect::Send(ExchangeFrame::Page(page)));
        }
        if last {
            let lost = std::mem::take(lost);
            self.end(lost, effects);
        } else {
            self.read_ahead(effects);
        }
    }

    pub(super) fn on_page_sent(&mut self, effects: &mut Vec<Effect>) {
        if let Sending::Pages { unsent, .. } = &mut self.sending {
            *unsent = unsent.checked_sub(1).expect("a page was sent that was not handed out");
            self.read_ahead(effects);
        }
    }

    /// Asks for the next page, unless one is being read or enough wait for the stream.
    pub(super) fn read_ahead(&mut self, effects: &mut Vec<Effect>) {
        if let Sending::Pages { missing, after, reading, unsent, .. } = &mut self.sending
            && !*reading
            && *unsent < PAGES_AHEAD_MAX
        {
            *reading = true;
            effects.push(Effect::ReadPage { missing: Arc::clone(missing), after: *after });
        }
    }

    pub(super) fn end(&mut self, lost: SeenSet, effects: &mut Vec<Effect>) {
        effects.push(Effect::Send(ExchangeFrame::End(End { lost })));
        self.sending = Sending::Ended;
        self.absorb_if_all_applied(effects);
    }
}
