//! Following changes: what was missed first, then what happens, without a gap.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{Stream, StreamExt};
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot},
    time::{self, Sleep},
};

use super::{
    Changed, Cursor, CursorError, Node, ReadError, Space,
    follow::{Follower, Page},
    handle::Inner,
};
use crate::{
    actors::{
        WATCH_QUEUE_MAX,
        society::Society,
        storage::StorageMsg,
        subscribers::{Line, Told},
        watch::WatchMsg,
    },
    causality::Origin,
    storage::{PageLimit, StoreError, View},
    types::Prefix,
};

/// The most subscribers of one node at once.
pub const SUBSCRIBERS_MAX: usize = 65_536;
/// So much of a backlog is read at once.
const PAGE: PageLimit = PageLimit { count: 256, bytes: 1024 * 1024 };
/// An actor that failed is there again after about this time.
const RESTART_TIME: Duration = Duration::from_millis(100);

/// From where on changes are followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchOptions {
    /// Go on from here; from now on, if there is nothing.
    pub since: Option<Cursor>,
    /// Where there is no `since`: tell what stands there now first.
    pub snapshot: bool,
}

/// What a [`Watch`] yields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// Readers see something else under a key.
    Change(Changed),
    /// The follower was slow: more than 1,024 changes (or 8 MiB of them) were waiting for it. What it
    /// missed is told next, from its cursor on; of keys that changed several times, the last value only.
    Lagged,
    /// The cursor was too old: deletes that it was not told of may have been forgotten. Scan, and forget
    /// what the scan does not show. [`Watch::cursor`] is the one to go on from, and what happens from
    /// there on is told next.
    Reset,
}

/// Changes could not be followed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The cursor is of no use here.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The store cannot be read, or the node is closed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There are [`SUBSCRIBERS_MAX`] subscribers.
    #[error("there are {SUBSCRIBERS_MAX} subscribers already: drop some")]
    TooMany,
}

/// Changes below a prefix, as a stream: each change of what readers see, made here or elsewhere, once.
/// It ends when the node does. Dropping it ends the subscription and frees what was kept for it.
///
/// * A write that stores what was there already (same bytes, same type), or that loses against a
///   concurrent one, changes nothing that readers see and is not told; the cursor accounts for it. Only
///   a follower that comes back is told of such a write: the node does not know any more what was there
///   before it.
/// * In a backlog each key is told once, as readers see it, in no order of time.
/// * A follower that goes from node to node should keep, for each key, the change with the greatest
///   `(hlc, dot)` where it was told of several: a node may hold a concurrent write that the one before
///   it had not heard of yet, and that loses.
/// * A value that is repaired after damage on this node's disk may be told again.
///
/// ```
/// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
/// use tidings::{Prefix, node::{WatchEvent, WatchOptions}};
///
/// let mut changes = node.watch(Prefix::new("users")?).await?;
/// node.put("users/ant", "Ant").await?;
/// let Some(WatchEvent::Change(change)) = changes.next().await.transpose()? else { panic!("no change") };
/// assert_eq!(change.key.as_str(), "users/ant");
/// let cursor = changes.cursor().clone();
/// drop(changes);
///
/// // Whatever happens meanwhile is told on coming back, here or at any other node of the mesh.
/// node.delete("users/ant").await?;
/// let options = WatchOptions { since: Some(cursor), ..WatchOptions::default() };
/// let space = node.space(&Default::default())?;
/// let mut changes = space.watch(Prefix::new("users")?, options).await?;
/// let Some(WatchEvent::Change(change)) = changes.next().await.transpose()? else { panic!("no change") };
/// assert_eq!(change.value, None);
/// # node.close().await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Watch {
    /// Following keeps no node alive.
    node: Weak<Inner>,
    follower: Follower,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// What was missed is told.
    CatchingUp,
    /// All of that was told; the writer is asked to tell the rest.
    Joining(oneshot::Receiver<Result<View, StoreError>>, Tap),
    /// What happens is told.
    Following(Tap),
    /// An actor is being started again.
    Pausing(Pin<Box<Sleep>>),
    /// Nothing comes any more.
    Ended,
}

/// The near end of a line from the Watch actor.
#[derive(Debug)]
struct Tap {
    id: u64,
    told: mpsc::Receiver<Told>,
    waiting: Arc<AtomicUsize>,
    /// Whether anything ever came.
    used: bool,
    node: Weak<Inner>,
}

impl Drop for Tap {
    fn drop(&mut self) {
        if let Some(node) = self.node.upgrade() {
            node.society.watch.cast(WatchMsg::Unsubscribe(self.id));
        }
    }
}

impl Node {
    /// Follows the changes below `prefix` in the namespace `default` from now on; see [`Watch`] and
    /// [`Space::watch`].
    ///
    /// # Errors
    /// See [`WatchError`].
    pub async fn watch(&self, prefix: Prefix) -> Result<Watch, WatchError> {
        self.default_space().watch(prefix, WatchOptions::default()).await
    }
}

impl Space {
    /// Follows the changes below `prefix`: from now on, after a look at what stands there, or from a
    /// cursor of any node of the mesh. What is written after this returns is told. Cancel-safe: nothing
    /// is left behind.
    ///
    /// # Errors
    /// See [`WatchError`].
    pub async fn watch(&self, prefix: Prefix, options: WatchOptions) -> Result<Watch, WatchError> {
        let society = &self.node.inner.society;
        if society.subscribers.load(Ordering::Relaxed) >= SUBSCRIBERS_MAX {
            return Err(WatchError::TooMany);
        }
        let from_now = options.since.is_none() && !options.snapshot;
        let cursor = match options.since {
            Some(cursor) => cursor.adopt(&self.namespace, &prefix, society.node)?,
            None => Cursor::beginning(self.namespace.clone(), prefix.clone()),
        };
        let follower = Follower::new(self.namespace.clone(), prefix, cursor);
        let node = Arc::downgrade(&self.node.inner);
        let mut watch = Watch { node, follower, stage: Stage::CatchingUp };
        while from_now && matches!(watch.stage, Stage::CatchingUp) {
            self.open_reader()?;
            let (view, tap) = watch.ask(society);
            match view.await {
                Ok(view) => {
                    watch.follower.begin_at(&view.map_err(ReadError::from)?).map_err(ReadError::from)?;
                    watch.stage = Stage::Following(tap);
                }
                // The writer is just being started again, or the node ends.
                Err(_) => time::sleep(RESTART_TIME).await,
            }
        }
        Ok(watch)
    }
}

impl Watch {
    /// Where to go on from to be told all that comes after what was yielded last. Cheap, and cheap to
    /// clone.
    #[must_use]
    pub fn cursor(&self) -> &Cursor {
        &self.follower.cursor
    }

    /// The next event; nothing when the node has ended, or after an error. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<WatchEvent, ReadError>> {
        StreamExt::next(self).await
    }

    /// Asks to have the cursor brought up to date while nothing comes that concerns this follower. It is
    /// when the stream is polled next.
    pub fn refresh(&self) {
        if let (Stage::Following(tap), Some(node)) = (&self.stage, self.node.upgrade()) {
            node.society.watch.cast(WatchMsg::Mark(tap.id));
        }
    }

    fn ask(&self, society: &Society) -> (oneshot::Receiver<Result<View, StoreError>>, Tap) {
        let (to, told) = mpsc::channel(WATCH_QUEUE_MAX);
        let (id, waiting) = (society.next_subscriber.fetch_add(1, Ordering::Relaxed), Arc::default());
        let line = Line { id, to, waiting: Arc::clone(&waiting) };
        let (reply, view) = oneshot::channel();
        let (namespace, prefix) = (self.follower.namespace.clone(), self.follower.prefix.clone());
        society.storage.cast(StorageMsg::Watch { namespace, prefix, line, reply });
        (view, Tap { id, told, waiting, used: false, node: self.node.clone() })
    }

    fn pause(&mut self) {
        self.stage = Stage::Pausing(Box::pin(time::sleep(RESTART_TIME)));
    }

    /// One step: an event, or nothing yet.
    fn step(&mut self, node: &Inner, cx: &mut Context<'_>) -> Poll<Result<Option<WatchEvent>, ReadError>> {
        let society = &node.society;
        let reader = society.reader();
        if !society.ready.load(Ordering::SeqCst) {
            self.stage = Stage::Ended;
            return Poll::Ready(Err(ReadError::Closed));
        }
        if !reader.carries(&self.follower.namespace) {
            return Poll::Ready(Err(ReadError::NoNamespace(self.follower.namespace.clone())));
        }
        if let Some(change) = self.follower.next(&reader)? {
            return Poll::Ready(Ok(Some(WatchEvent::Change(change))));
        }
        let me = Origin { node: society.node, epoch: society.epoch.load(Ordering::Relaxed) };
        let now = society.clock.wall_ms();
        match std::mem::replace(&mut self.stage, Stage::CatchingUp) {
            Stage::CatchingUp => match self.follower.page(&reader.view(), me, now, PAGE)? {
                Page::Reset => return Poll::Ready(Ok(Some(WatchEvent::Reset))),
                Page::Nothing => {
                    let (view, tap) = self.ask(society);
                    self.stage = Stage::Joining(view, tap);
                }
                // Others get their turn: a page is read without waiting for anything.
                Page::Part | Page::Last => {
                    let Some(first) = self.follower.next(&reader)? else {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    };
                    return Poll::Ready(Ok(Some(WatchEvent::Change(first))));
                }
            },
            Stage::Joining(mut view, tap) => match Pin::new(&mut view).poll(cx) {
                Poll::Pending => {
                    self.stage = Stage::Joining(view, tap);
                    return Poll::Pending;
                }
                Poll::Ready(Err(_)) => self.pause(),
                Poll::Ready(Ok(view)) => match self.follower.page(&view?, me, now, PAGE)? {
                    Page::Reset => {
                        self.stage = Stage::Following(tap);
                        return Poll::Ready(Ok(Some(WatchEvent::Reset)));
                    }
                    Page::Nothing | Page::Last => self.stage = Stage::Following(tap),
                    // More came meanwhile than can be told at once: catch up first.
                    Page::Part => {}
                },
            },
            Stage::Following(mut tap) => {
                let told = tap.told.poll_recv(cx);
                let lagged = matches!(told, Poll::Ready(None)) && tap.used;
                match told {
                    Poll::Ready(None) if !tap.used => self.pause(),
                    Poll::Ready(None) => {}
                    _ => self.stage = Stage::Following(tap),
                }
                if lagged {
                    return Poll::Ready(Ok(Some(WatchEvent::Lagged)));
                }
                if let Some(told) = ready!(told) {
                    return Poll::Ready(self.hear(&reader, told));
                }
            }
            Stage::Pausing(mut sleep) => {
                if sleep.as_mut().poll(cx).is_pending() {
                    self.stage = Stage::Pausing(sleep);
                    return Poll::Pending;
                }
            }
            Stage::Ended => {
                self.stage = Stage::Ended;
                return Poll::Ready(Err(ReadError::Closed));
            }
        }
        Poll::Ready(Ok(None))
    }

    fn hear(&mut self, reader: &crate::storage::Reader, told: Told) -> Result<Option<WatchEvent>, ReadError> {
        let mut change = None;
        if let Stage::Following(tap) = &mut self.stage {
            tap.used = true;
            let bytes = told.sight.as_ref().map_or(0, |sight| sight.size_hint());
            tap.waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
        if let Some(sight) = &told.sight {
            change = self.follower.hear(reader, sight)?;
        }
        if let Some(seen) = told.seen {
            self.follower.heard(seen);
        }
        Ok(change.map(WatchEvent::Change))
    }
}

impl Stream for Watch {
    type Item = Result<WatchEvent, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(node) = self.node.upgrade() else { return Poll::Ready(None) };
            if matches!(self.stage, Stage::Ended) {
                return Poll::Ready(None);
            }
            match ready!(self.step(&node, cx)) {
                Ok(None) => {}
                Ok(Some(event)) => return Poll::Ready(Some(Ok(event))),
                Err(ReadError::Closed) => {
                    self.stage = Stage::Ended;
                    return Poll::Ready(None);
                }
                Err(error) => {
                    self.stage = Stage::Ended;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}
