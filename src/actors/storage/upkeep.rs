//! Old deletes are forgotten, and what adds up no more is taken out of what was seen.

use std::time::Duration;

use ractor::ActorRef;

use super::{StorageMsg, StorageState};
use crate::{
    causality::{Dot, Floors, Hlc, SeenSet},
    storage::StoreError,
    types::{Key, Namespace},
};

/// So many old deletes are looked at in one batch.
const SWEEP_RECORDS: usize = 512;
/// Old deletes are looked for a hundred times in the time that they are remembered …
const SWEEPS_PER_RETENTION: u32 = 100;
/// … but not more often …
const SWEEP_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// … nor less.
const SWEEP_INTERVAL_MAX: Duration = Duration::from_secs(600);

fn upkeep_interval(retention: Duration) -> Duration {
    (retention / SWEEPS_PER_RETENTION).clamp(SWEEP_INTERVAL_MIN, SWEEP_INTERVAL_MAX)
}

impl StorageState {
    /// What is done when there is time: the digests of an old store are made, a page at a time, and
    /// deletes that are old enough are forgotten, some at a time.
    pub(super) fn upkeep(&mut self, myself: &ActorRef<StorageMsg>) -> Result<(), StoreError> {
        self.flush()?;
        let mut again = self.ledger.tally_on()?;
        self.tell_found();
        let retention = u64::try_from(self.society.settings.delete_retention.as_millis()).unwrap_or(u64::MAX);
        let until = Hlc::from_millis(self.society.clock.wall_ms().saturating_sub(retention));
        for namespace in self.ledger.reader().spaces() {
            // What was swept of the namespace before: records are compared with what is committed.
            self.flush()?;
            let from = self.sweeps.remove(&namespace);
            let swept = self.ledger.forget(&namespace, until, from, SWEEP_RECORDS)?;
            self.society.metrics.forgotten.inc_by(swept.forgotten);
            again |= self.ledger.sweep_dropped(&namespace, until, SWEEP_RECORDS)? == SWEEP_RECORDS;
            if let Some(next) = swept.next {
                self.sweeps.insert(namespace, next);
                again = true;
            }
        }
        self.flush()?;
        again |= self.ledger.collect_bases(SWEEP_RECORDS)?;
        if again {
            // Behind what waits in the mailbox.
            let _stopping = myself.cast(StorageMsg::Upkeep);
        } else {
            let (society, myself) = (&self.society, myself.clone());
            let wait = society.entropy.jittered(upkeep_interval(society.settings.delete_retention), 20);
            society.scope.spawn(async move {
                tokio::time::sleep(wait).await;
                let _stopped_meanwhile = myself.cast(StorageMsg::Upkeep);
            });
        }
        Ok(())
    }

    /// Whether floors can be merged over what is here; if something was lost, it leaves the seen set.
    pub(super) fn adds_up(&mut self, namespace: &Namespace, floors: &Floors) -> Result<bool, StoreError> {
        if floors.is_empty() {
            return Ok(true);
        }
        self.flush()?;
        if self.ledger.digests(namespace).is_none() {
            return Ok(false);
        }
        let adds_up = self.ledger.adds_up(namespace, floors);
        if !adds_up {
            let seen = self.ledger.reader().view().seen(namespace)?;
            self.unsee(namespace, &seen)?;
        }
        Ok(adds_up)
    }

    pub(super) fn drop_dead(
        &mut self,
        namespace: &Namespace,
        claims: &[(Dot, Key)],
    ) -> Result<(), StoreError> {
        let now = Hlc::from_millis(self.society.clock.wall_ms());
        let mut dropped = 0;
        for (dot, key) in claims {
            if self.ledger.drop_dead(namespace, *dot, key, now)? {
                dropped += 1;
                tracing::info!(%dot, %key, "dropped: a peer has forgotten the delete of it");
            }
        }
        self.society.metrics.dropped.inc_by(dropped);
        self.operations += claims.len();
        Ok(())
    }

    pub(super) fn unsee(&mut self, namespace: &Namespace, suspects: &SeenSet) -> Result<(), StoreError> {
        self.flush()?;
        let lost = self.ledger.unsee(namespace, suspects)?;
        self.on_lost(namespace, &lost);
        Ok(())
    }

    /// The same for what a reader did not find where the dot index says it is.
    pub(super) fn look_again(&mut self, namespace: &Namespace, suspects: &SeenSet) -> Result<(), StoreError> {
        self.flush()?;
        let lost = self.ledger.look_again(namespace, suspects)?;
        self.on_lost(namespace, &lost);
        Ok(())
    }

    fn on_lost(&self, namespace: &Namespace, lost: &SeenSet) {
        self.tell_lost(namespace, lost);
        if !lost.is_empty() && !self.ledger.is_counted() {
            self.society.storage.cast(StorageMsg::Tally);
        }
    }
}
