//! Storage wakes when a deadline has passed, so that what expired is counted as a key no more.

use std::time::Duration;

use ractor::ActorRef;

use super::storage::{StorageMsg, StorageState};
use crate::storage::{Change, StoreError};

/// So many deadlines are gone through in one batch.
const EXPIRE_RECORDS: usize = 512;
/// Deadlines are met within this time, in milliseconds: those of one such span share a timer.
const GRAIN_MS: u64 = 250;
/// Nobody sleeps longer: the wall clock may have been put right meanwhile.
const NAP_MAX: Duration = Duration::from_secs(60);

/// The deadlines that Storage waits for.
#[derive(Debug, Default)]
pub struct Deadlines {
    /// The first one that is known of.
    next: Option<u64>,
    /// When the timer that was set last wakes.
    awaited: Option<u64>,
    /// Its number.
    timer: u64,
}

impl Deadlines {
    /// Takes note of what became part of the store.
    pub(super) fn note(&mut self, changes: &[Change]) {
        let first = changes.iter().filter_map(|change| change.version.expires_at()).min();
        self.next = first.into_iter().chain(self.next).min();
    }
}

impl StorageState {
    /// Counts out what has expired, and sets the timer for what expires next.
    pub(super) fn expire(&mut self, myself: &ActorRef<StorageMsg>, timer: u64) -> Result<(), StoreError> {
        if timer != self.deadlines.timer {
            return Ok(());
        }
        self.flush()?;
        let now = self.society.clock.wall_ms();
        (self.deadlines.next, self.deadlines.awaited) = (None, None);
        for namespace in self.ledger.reader().spaces() {
            let next = self.ledger.expire(&namespace, now, EXPIRE_RECORDS)?;
            self.flush()?;
            self.deadlines.next = next.into_iter().chain(self.deadlines.next).min();
        }
        self.expire_later(myself);
        Ok(())
    }

    /// Sets a timer for the first deadline, unless one runs that wakes early enough.
    pub(super) fn expire_later(&mut self, myself: &ActorRef<StorageMsg>) {
        let Some(next) = self.deadlines.next else { return };
        let due = next.div_ceil(GRAIN_MS).saturating_mul(GRAIN_MS);
        if self.deadlines.awaited.is_some_and(|awaited| awaited <= due) {
            return;
        }
        self.deadlines.awaited = Some(due);
        self.deadlines.timer += 1;
        let timer = self.deadlines.timer;
        let now = self.society.clock.wall_ms();
        let nap = Duration::from_millis(due.saturating_sub(now)).min(NAP_MAX);
        let myself = myself.clone();
        self.society.scope.spawn(async move {
            tokio::time::sleep(nap).await;
            let _stopped_meanwhile = myself.cast(StorageMsg::Expire(timer));
        });
    }
}
