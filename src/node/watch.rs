//! Following changes: what was missed first, then what happens, without a gap.

use std::{
    pin::Pin,
    sync::{Arc, Weak, atomic::Ordering},
    task::{Context, Poll, ready},
};

use futures::{Stream, StreamExt};
use thiserror::Error;

use super::{Changed, Cursor, CursorError, Node, ReadError, Space, handle::Inner, tail::Tail};
use crate::{causality::NodeId, types::Prefix};

/// The most subscribers of one node at once.
pub const SUBSCRIBERS_MAX: usize = 65_536;
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
/// * Keys that are local-only here ([`Builder::local_only`](super::Builder::local_only)) are told as all others. A
///   cursor says how far they were told, which no other node minds: it has other ones, and tells of all of them. Whoever
///   comes from another node, or with a [`Frontier`](super::Frontier), is told of all that stand here, and
///   [`WatchEvent::Reset`] where deletes of some were forgotten. What other nodes write below such a prefix counts as
///   told. A watch of a prefix that touches none costs nothing more; one that does is two subscribers.
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
    me: NodeId,
    /// What nodes exchange.
    shared: Tail,
    /// What is local-only, where the prefix touches that.
    local: Option<Tail>,
    /// Where both stand, if there are two.
    both: Option<Cursor>,
    /// Whether the local-only keys are looked at first.
    local_first: bool,
    ended: bool,
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
        let (shared, local) = self.followers(&prefix, options.since)?;
        let node = Arc::downgrade(&self.node.inner);
        let tail = |follower| Tail::new(Weak::clone(&node), follower);
        let (mut shared, mut local) = (tail(shared), local.map(tail));
        if from_now {
            for tail in [Some(&mut shared), local.as_mut()].into_iter().flatten() {
                tail.begin_now(society, || self.open_reader().map(drop)).await?;
            }
        }
        let me = society.node;
        let mut watch = Watch { node, me, shared, local, both: None, local_first: false, ended: false };
        watch.note();
        Ok(watch)
    }
}

impl Watch {
    /// Where to go on from to be told all that comes after what was yielded last. Cheap, and cheap to
    /// clone.
    #[must_use]
    pub fn cursor(&self) -> &Cursor {
        self.both.as_ref().unwrap_or(&self.shared.follower.cursor)
    }

    /// Notes where both stand.
    fn note(&mut self) {
        let shared = &self.shared.follower;
        self.both = self.local.as_ref().map(|local| Space::cursor_of(shared, Some(&local.follower), self.me));
    }

    /// The next event; nothing when the node has ended, or after an error. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<WatchEvent, ReadError>> {
        StreamExt::next(self).await
    }

    /// Asks to have the cursor brought up to date while nothing comes that concerns this follower. It is
    /// when the stream is polled next.
    pub fn refresh(&self) {
        if let Some(node) = self.node.upgrade() {
            [Some(&self.shared), self.local.as_ref()]
                .into_iter()
                .flatten()
                .for_each(|tail| tail.refresh(&node.society));
        }
    }

    /// What comes first of both, which take turns.
    fn poll_event(&mut self, node: &Inner, cx: &mut Context<'_>) -> Poll<Result<WatchEvent, ReadError>> {
        // A cursor that is noted shares what it holds, and that would be copied with each change.
        self.both = None;
        let Some(local) = &mut self.local else { return self.shared.poll_event(node, cx) };
        let tails = if self.local_first { [local, &mut self.shared] } else { [&mut self.shared, local] };
        let event = tails.into_iter().map(|tail| tail.poll_event(node, cx)).find(Poll::is_ready);
        self.local_first ^= event.is_some();
        self.note();
        event.unwrap_or(Poll::Pending)
    }
}

impl Stream for Watch {
    type Item = Result<WatchEvent, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(node) = self.node.upgrade().filter(|_| !self.ended) else { return Poll::Ready(None) };
        let event = ready!(self.poll_event(&node, cx));
        self.ended = event.is_err();
        Poll::Ready(Some(event).filter(|event| !matches!(event, Err(ReadError::Closed))))
    }
}
