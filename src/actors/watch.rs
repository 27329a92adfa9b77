//! Watch: fans changes out to subscribers. A subscriber that is slow is told what it missed; it
//! never slows a write.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::mpsc;

use super::society::Society;
use crate::{
    storage::Change,
    types::{Namespace, Prefix},
};

/// The most changes that wait for one subscriber.
pub const WATCH_QUEUE_MAX: usize = 1_024;

/// What a subscriber is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are changes")]
pub enum Notice {
    /// Something changed.
    Change(Change),
    /// The subscriber was slow; so many changes were not told.
    Lagged(u64),
}

/// What Watch is told.
#[derive(Debug)]
pub enum WatchMsg {
    /// These changes were committed.
    Changes(Vec<Change>),
    /// Somebody wants to be told of changes below a prefix.
    Subscribe {
        /// In which namespace.
        namespace: Namespace,
        /// Below which prefix.
        prefix: Prefix,
        /// Where to.
        to: mpsc::Sender<Notice>,
    },
}

struct Subscriber {
    namespace: Namespace,
    prefix: Prefix,
    to: mpsc::Sender<Notice>,
    lagged: u64,
}

/// The Watch actor.
pub struct Watch;

/// What it keeps.
pub struct WatchState {
    society: Arc<Society>,
    subscribers: BTreeMap<u64, Subscriber>,
    next: u64,
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Watch {
    type Msg = WatchMsg;
    type State = WatchState;
    type Arguments = Arc<Society>;

    async fn pre_start(
        &self,
        _: ActorRef<WatchMsg>,
        society: Arc<Society>,
    ) -> Result<WatchState, ActorProcessingErr> {
        // Subscribers of an earlier life of this actor see their channel end.
        society.subscribers.store(0, Ordering::Relaxed);
        Ok(WatchState { society, subscribers: BTreeMap::new(), next: 0 })
    }

    async fn handle(
        &self,
        _: ActorRef<WatchMsg>,
        message: WatchMsg,
        state: &mut WatchState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            WatchMsg::Changes(changes) => state.on_changes(&changes),
            WatchMsg::Subscribe { namespace, prefix, to } => {
                state.subscribers.insert(state.next, Subscriber { namespace, prefix, to, lagged: 0 });
                state.next += 1;
            }
        }
        Ok(())
    }
}

impl WatchState {
    fn on_changes(&mut self, changes: &[Change]) {
        let lagged = &self.society.metrics.watch_lagged;
        let before = self.subscribers.len();
        self.subscribers.retain(|_, subscriber| {
            let mut listens = true;
            for change in changes {
                if !subscriber.wants(change) {
                    continue;
                }
                listens &= subscriber.tell(change.clone(), lagged);
            }
            listens
        });
        let gone = before - self.subscribers.len();
        self.society.subscribers.fetch_sub(gone, Ordering::Relaxed);
    }
}

impl Subscriber {
    fn wants(&self, change: &Change) -> bool {
        change.namespace == self.namespace && self.prefix.selects(&change.version.key)
    }

    /// Tells of a change, or counts it as missed. False if nobody listens any more.
    fn tell(&mut self, change: Change, missed: &prometheus_client::metrics::counter::Counter) -> bool {
        if self.lagged > 0 && self.to.try_send(Notice::Lagged(self.lagged)).is_ok() {
            self.lagged = 0;
        }
        let told =
            if self.lagged > 0 { Err(()) } else { self.to.try_send(Notice::Change(change)).map_err(drop) };
        if told.is_err() {
            self.lagged += 1;
            missed.inc();
        }
        !self.to.is_closed()
    }
}
