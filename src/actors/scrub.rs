//! The part of Storage that looks at what is stored while nobody asks for it, a page at a time.

use std::time::Duration;

use ractor::ActorRef;

use super::storage::{StorageMsg, StorageState};
use crate::{causality::SeenSet, report::NodeEvent, storage::StoreError, types::Namespace};

/// So many entries are looked at between two other messages: a few milliseconds.
const PAGE_ENTRIES: usize = 256;
/// Between two passes lie so many pauses between pages.
const PAUSES_BETWEEN_PASSES: u32 = 1_000;

impl StorageState {
    /// Looks at the next page; what is bad leaves the seen set and is fetched from the peers.
    pub(super) fn scrub(&mut self, myself: &ActorRef<StorageMsg>) -> Result<(), StoreError> {
        self.flush()?;
        let page = self.ledger.scrub(self.scrub_at.as_ref(), PAGE_ENTRIES)?;
        self.tell_found();
        self.society.metrics.scrubbed.inc_by(page.looked);
        for what in &page.bad {
            tracing::warn!(what, "the store is damaged");
        }
        if let Some(first) = page.bad.first() {
            let text = format!(
                "{} entries of the store are damaged (the first: {first}): they are fetched from the peers",
                page.bad.len()
            );
            self.society.metrics.damaged.inc_by(page.bad.len() as u64);
            self.society.tell(NodeEvent::Warning(text));
            page.lost.iter().for_each(|(namespace, lost)| self.tell_lost(namespace, lost));
            let _stopping = myself.cast(StorageMsg::Tally);
        }
        let pauses = if page.next.is_some() { 1 } else { PAUSES_BETWEEN_PASSES };
        self.scrub_at = page.next;
        self.scrub_later(myself, pauses);
        Ok(())
    }

    /// Has the next page looked at after so many pauses; never, where there is to be no scrub.
    pub(super) fn scrub_later(&self, myself: &ActorRef<StorageMsg>, pauses: u32) {
        let pause: Duration = self.society.settings.scrub_interval;
        if pause.is_zero() {
            return;
        }
        let myself = myself.clone();
        self.society.scope.spawn(async move {
            tokio::time::sleep(pause.saturating_mul(pauses)).await;
            let _stopped_meanwhile = myself.cast(StorageMsg::Scrub);
        });
    }

    /// Goes on with digests that have to be made anew, behind what waits in the mailbox.
    pub(super) fn tally(&mut self, myself: &ActorRef<StorageMsg>) -> Result<(), StoreError> {
        self.flush()?;
        if self.ledger.tally_on()? {
            let _stopping = myself.cast(StorageMsg::Tally);
        }
        self.tell_found();
        Ok(())
    }

    /// Says what the account of the store (rule 3) found to be lost.
    pub(super) fn tell_found(&mut self) {
        for (namespace, lost) in self.ledger.take_found() {
            self.tell_lost(&namespace, &lost);
        }
    }

    pub(super) fn tell_lost(&self, namespace: &Namespace, lost: &SeenSet) {
        let count = lost.count();
        if count == 0 {
            return;
        }
        self.society.metrics.lost.inc_by(count);
        let then = if namespace.is_companion() {
            "they were below local-only prefixes, and no other node has them"
        } else {
            "they are fetched from the peers"
        };
        let home = namespace.home();
        let text =
            format!("{count} writes that were stored here in {home} are lost (a damaged disk?): {then}");
        self.society.tell(NodeEvent::Warning(text));
        if namespace.is_companion() {
            return;
        }
        self.society.anti_entropy.cast(super::anti_entropy::AntiEntropyMsg::Learned);
    }
}
