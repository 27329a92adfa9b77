//! The desk: an actor of the host's that answers for a namespace of a node.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, DerivedActorRef, RpcReplyPort, SpawnErr};
use tokio::{sync::Semaphore, task::AbortHandle};

use super::watching::{self, News, Watching};
use crate::{
    node::{
        BatchOp, Entry, ReadError, Scan, ScanPage, Space, WatchError, WatchOptions, WriteError, WriteOptions,
        Written,
    },
    types::{Key, Prefix, Value},
};

/// The most writes that one desk has under way; whoever asks for more is told that it is busy.
pub const WRITES_MAX: usize = 1_024;
/// What a desk has under way is less after about this time.
const RETRY: Duration = Duration::from_millis(100);

/// What a desk is asked, with the place for the answer. Writes go on beside each other and beside reads, so
/// their answers may come in another order; whoever needs an order waits for each answer. An asker that has gone
/// loses the answer, not the write.
#[non_exhaustive]
pub enum Ask {
    /// What readers see under a key: [`Space::get`].
    Get(Key, RpcReplyPort<Result<Option<Entry>, ReadError>>),
    /// A page of keys in order: [`Space::scan`].
    Scan(Scan, RpcReplyPort<Result<ScanPage, ReadError>>),
    /// Stores a value: [`Space::put_with`].
    Put(Key, Value, WriteOptions, RpcReplyPort<Result<Written, WriteError>>),
    /// Deletes a key: [`Space::delete_with`].
    Delete(Key, WriteOptions, RpcReplyPort<Result<Written, WriteError>>),
    /// All or none: [`Space::batch`].
    Batch(Vec<BatchOp>, RpcReplyPort<Result<Vec<Written>, WriteError>>),
    /// Tells an actor of changes below a prefix, as [`Space::watch`] does, as long as the answer is kept.
    Watch(Prefix, WatchOptions, DerivedActorRef<News>, RpcReplyPort<Result<Watching, WatchError>>),
    /// Closes the node in good order: [`Node::close`](crate::Node::close).
    Close(RpcReplyPort<()>),
    /// The node has ended; if it could not go on, why.
    #[doc(hidden)]
    Ended(Option<String>),
}

impl fmt::Debug for Ask {
    /// Without values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get(key, _) => write!(f, "Get({key})"),
            Self::Scan(scan, _) => write!(f, "Scan({:?})", scan.prefix),
            Self::Put(key, ..) => write!(f, "Put({key})"),
            Self::Delete(key, ..) => write!(f, "Delete({key})"),
            Self::Batch(operations, _) => write!(f, "Batch({} operations)", operations.len()),
            Self::Watch(prefix, ..) => write!(f, "Watch({prefix:?})"),
            Self::Close(_) => f.write_str("Close"),
            Self::Ended(why) => write!(f, "Ended({why:?})"),
        }
    }
}

/// Opens a desk for a namespace of a node, linked to `supervisor` where one is given. Any number may be open.
///
/// The desk ends with the node, and so its supervisor is told: `SupervisionEvent::ActorFailed`, with the reason,
/// when the node could not go on; `ActorTerminated` when it was closed. A desk keeps its node alive as any clone
/// of the handle does; a desk that is stopped leaves the node running as long as there are other handles, so
/// a supervisor that wants to end the node asks for [`Ask::Close`].
///
/// # Errors
/// When the supervisor is ending.
#[expect(clippy::disallowed_methods, reason = "whether there is a supervisor the host decides")]
pub async fn desk(space: &Space, supervisor: Option<ActorCell>) -> Result<ActorRef<Ask>, SpawnErr> {
    let (desk, _task) = match supervisor {
        Some(supervisor) => Actor::spawn_linked(None, Desk, space.clone(), supervisor).await?,
        None => Actor::spawn(None, Desk, space.clone()).await?,
    };
    Ok(desk)
}

struct Desk;

struct DeskState {
    space: Space,
    writes: Arc<Semaphore>,
    /// Waits for the end of the node.
    waiter: AbortHandle,
}

impl Drop for DeskState {
    fn drop(&mut self) {
        self.waiter.abort();
    }
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Desk {
    type Msg = Ask;
    type State = DeskState;
    type Arguments = Space;

    async fn pre_start(&self, myself: ActorRef<Ask>, space: Space) -> Result<DeskState, ActorProcessingErr> {
        let ending = space.ending();
        #[expect(
            clippy::disallowed_methods,
            reason = "it tells of the end of the node, and so outlives what the node's scope holds"
        )]
        let waiter = tokio::spawn(async move {
            let _desk_is_gone = myself.cast(Ask::Ended(ending.await));
        });
        let waiter = waiter.abort_handle();
        Ok(DeskState { space, writes: Arc::new(Semaphore::new(WRITES_MAX)), waiter })
    }

    async fn handle(
        &self,
        myself: ActorRef<Ask>,
        ask: Ask,
        state: &mut DeskState,
    ) -> Result<(), ActorProcessingErr> {
        let space = state.space.clone();
        match ask {
            // Reads wait for nobody.
            Ask::Get(key, reply) => answer(reply, space.get(key).await),
            Ask::Scan(scan, reply) => answer(reply, space.scan(scan).await),
            Ask::Put(key, value, options, reply) => {
                state.write(reply, async move { space.put_with(key, value, options).await });
            }
            Ask::Delete(key, options, reply) => {
                state.write(reply, async move { space.delete_with(key, options).await });
            }
            Ask::Batch(operations, reply) => {
                state.write(reply, async move { space.batch(operations).await });
            }
            Ask::Watch(.., reply) if !space.node().health().ready => {
                answer(reply, Err(ReadError::Closed.into()));
            }
            Ask::Watch(prefix, options, to, reply) => {
                state.space.scope().spawn(async move {
                    answer(reply, watching::begin(&space, prefix, options, to).await);
                });
            }
            Ask::Close(reply) => {
                space.node().close().await;
                answer(reply, ());
            }
            Ask::Ended(Some(reason)) => return Err(format!("the node could not go on: {reason}").into()),
            Ask::Ended(None) => myself.stop(Some("the node was closed".to_owned())),
        }
        Ok(())
    }
}

impl DeskState {
    /// A write waits for the disk; nobody else waits for it.
    fn write<T: Send + 'static>(
        &self,
        reply: RpcReplyPort<Result<T, WriteError>>,
        write: impl Future<Output = Result<T, WriteError>> + Send + 'static,
    ) {
        let Ok(place) = self.writes.clone().try_acquire_owned() else {
            return answer(reply, Err(WriteError::Busy { retry_after: RETRY }));
        };
        if !self.space.node().health().ready {
            return answer(reply, Err(WriteError::Closed));
        }
        self.space.scope().spawn(async move {
            answer(reply, write.await);
            drop(place);
        });
    }
}

fn answer<T: Send + 'static>(reply: RpcReplyPort<T>, answer: T) {
    let _asker_is_gone = reply.send(answer);
}
