//! Who is compared with again and again, at times of the host's.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time;

use super::{Other, RemoteError};
use crate::{
    actors::{session::exchange::NOT_CARRIED, society::Society},
    causality::NodeId,
    ports::Scope,
    report::{NodeEvent, SyncReport},
    wire::Way,
};

/// The most others that are scheduled at once.
pub const SCHEDULES_MAX: usize = 64;
/// The least interval.
pub const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// While it fails the interval doubles so many times.
const BACKOFF_DOUBLINGS_MAX: u32 = 3;
/// Intervals are shorter or longer by up to so much, so that nodes do not all act at once.
const JITTER_PERCENT: u32 = 20;

/// Who is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A peer.
    Peer(NodeId),
    /// A carrier, by its number.
    Carrier(u64),
}

/// Who is compared with again and again.
#[derive(Default)]
pub struct Schedules(Mutex<Table>);

#[derive(Default)]
struct Table {
    /// Each with the scope of its task, which lives as long as it is scheduled.
    scheduled: BTreeMap<Target, Scope>,
    carriers: u64,
}

impl Schedules {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no carrier of this node has.
    pub fn next_carrier(&self) -> u64 {
        let mut table = self.table();
        table.carriers += 1;
        table.carriers
    }

    /// Compares with `other` now and then every `interval`, in the place of what was scheduled for it before.
    pub fn start(&self, society: &Arc<Society>, other: Other, interval: Duration) -> Result<(), RemoteError> {
        if interval < INTERVAL_MIN {
            return Err(RemoteError::Interval(interval));
        }
        let target = other.target();
        let mut table = self.table();
        // Some have ended by themselves: with a panic, or with the node.
        table.scheduled.retain(|_, scope| scope.alive() > 0);
        if !table.scheduled.contains_key(&target) && table.scheduled.len() >= SCHEDULES_MAX {
            return Err(RemoteError::TooManySchedules);
        }
        let scope = society.scope.child();
        scope.spawn(again_and_again(society.clone(), other, interval));
        if scope.alive() == 0 {
            return Err(RemoteError::Closed);
        }
        if let Some(before) = table.scheduled.insert(target, scope) {
            before.close();
        }
        Ok(())
    }

    /// Ends it, at once. False if it was not scheduled.
    pub fn stop(&self, target: Target) -> bool {
        let Some(scope) = self.table().scheduled.remove(&target) else { return false };
        let ran = scope.alive() > 0;
        scope.close();
        ran
    }

    /// Whether it is scheduled, and the node runs.
    pub fn is_scheduled(&self, target: Target) -> bool {
        self.table().scheduled.get(&target).is_some_and(|scope| scope.alive() > 0)
    }
}

async fn again_and_again(society: Arc<Society>, other: Other, interval: Duration) {
    let mut failures = 0_u32;
    loop {
        match outcome(other.sync(&society, Way::Both).await) {
            Ok(()) => {
                if failures > 0 {
                    tracing::info!(with = other.describe(), "a scheduled sync works again");
                }
                failures = 0;
            }
            Err(error) => {
                tracing::debug!(with = other.describe(), error, failures, "a scheduled sync failed");
                // Once, until it works again.
                if failures == 0 {
                    let text =
                        format!("the scheduled sync with {} failed: {error}; it goes on", other.describe());
                    society.tell(NodeEvent::Warning(text));
                }
                failures = failures.saturating_add(1);
            }
        }
        let wait = interval.saturating_mul(2_u32.pow(failures.min(BACKOFF_DOUBLINGS_MAX)));
        time::sleep(society.entropy.jittered(wait, JITTER_PERCENT)).await;
    }
}

/// Whether all went well; that the other end carries fewer namespaces is no failure.
fn outcome(report: Result<SyncReport, RemoteError>) -> Result<(), String> {
    let report = report.map_err(|error| error.to_string())?;
    let errors = report.peers.into_iter().filter_map(|one| Some((one.namespace, one.error?)));
    match errors.into_iter().find(|(_, error)| error != NOT_CARRIED) {
        Some((namespace, error)) => Err(format!("{namespace}: {error}")),
        None => Ok(()),
    }
}
