//! Watch: fans changes out to subscribers. One that is slow is let go, and told; it never slows a
//! write, and goes on from its cursor.

use std::sync::{Arc, atomic::Ordering};

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::{
    society::Society,
    subscribers::{Line, Subscribers},
};
use crate::{
    causality::SeenSet,
    storage::Sights,
    types::{Namespace, Prefix},
};

/// What Watch is told.
#[derive(Debug)]
pub enum WatchMsg {
    /// This was committed.
    Committed(Sights),
    /// Somebody wants to be told of changes below a prefix. Storage casts it, so that it stands between
    /// two commits, and has counted the subscriber.
    Subscribe {
        /// In which namespace.
        namespace: Namespace,
        /// Below which prefix.
        prefix: Prefix,
        /// What was seen by then.
        seen: SeenSet,
        /// Where to.
        line: Line,
    },
    /// The subscriber of this number wants to be told how far it was told.
    Mark(u64),
    /// The subscriber of this number is gone.
    Unsubscribe(u64),
    /// The namespace is not carried any more: its subscribers see their channel end.
    Left(Namespace),
    /// The writer was started again: what it had not told yet nobody was told.
    WriterRestarted,
}

/// The Watch actor.
pub struct Watch;

/// What it keeps.
pub struct WatchState {
    society: Arc<Society>,
    subscribers: Subscribers,
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
        Ok(WatchState { society, subscribers: Subscribers::default() })
    }

    async fn handle(
        &self,
        _: ActorRef<WatchMsg>,
        message: WatchMsg,
        state: &mut WatchState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            WatchMsg::Committed(sights) => {
                let lost = state.subscribers.tell(sights).len();
                state.lag(lost);
            }
            WatchMsg::Subscribe { namespace, prefix, seen, line } => {
                state.subscribers.add(namespace, prefix, seen, line);
            }
            WatchMsg::Mark(id) => {
                if !state.subscribers.mark(id) {
                    state.lag(1);
                }
            }
            WatchMsg::Unsubscribe(id) => {
                if state.subscribers.remove(id) {
                    state.count_less(1);
                }
            }
            WatchMsg::Left(namespace) => {
                let gone = state.subscribers.leave(&namespace);
                state.count_less(gone);
            }
            WatchMsg::WriterRestarted => {
                let all = state.subscribers.len();
                state.subscribers.clear();
                state.count_less(all);
            }
        }
        Ok(())
    }
}

impl WatchState {
    fn lag(&self, lost: usize) {
        self.society.metrics.watch_lagged.inc_by(lost as u64);
        self.count_less(lost);
    }

    fn count_less(&self, gone: usize) {
        self.society.subscribers.fetch_sub(gone, Ordering::Relaxed);
    }
}
