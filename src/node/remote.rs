//! Pull, push and sync with one other node: a peer, or whoever a carrier leads to.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{Node, SyncReport};
use crate::{
    actors::{
        carriers::{self, Other},
        sessions::SessionsMsg,
    },
    causality::NodeId,
    ports::{Carrier, Duplex},
    types::Namespace,
    wire::Way,
};

pub use crate::actors::carriers::{CARRIED_MAX, INTERVAL_MIN, RemoteError, SCHEDULES_MAX};

/// One other node, to exchange with when the host says so: [`Node::peer`], [`Node::remote`]. Cloning
/// shares it.
///
/// | verb | |
/// | --- | --- |
/// | [`pull`](Self::pull) | from the other node to this one; nothing changes there |
/// | [`push`](Self::push) | from this node to the other one; nothing changes here |
/// | [`sync`](Self::sync) | both ways |
/// | [`sync_every`](Self::sync_every), [`stop`](Self::stop), [`is_scheduled`](Self::is_scheduled) | a sync at each interval |
///
/// Each compares all namespaces that this node carries, one exchange for each, and answers with what they did. A verb
/// that could not begin is an error; an exchange that failed says so in the report
/// ([`SyncReport::error`]), and what it brought by then stays.
///
/// After `pull` this node has seen all that the other one had seen when it began, and deletes, also those that were
/// forgotten there, have been made here; after `push` it is the other way round. A pull decides nothing in
/// favour of who is pulled from: concurrent writes stand beside each other as ever, and readers of both nodes see the same
/// once both have all of them.
///
/// With peers that are connected all this happens by itself: writes are told by gossip, and what that missed is
/// found at `sync_interval`. A pull keeps nobody from sending the rest. Over a carrier nothing happens by itself.
///
/// ```
/// use tidings::{Node, ports::OneStream};
///
/// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let ant = Node::builder().in_memory().start().await?;
/// # let bat = Node::builder().in_memory().start().await?;
/// ant.put("nests/ant", "three eggs").await?;
/// let (here, there) = tokio::io::duplex(64 * 1024);
/// let remote = ant.remote(OneStream::new(here));
/// let (pushed, served) = tokio::try_join!(remote.push(), bat.serve(there))?;
/// assert_eq!((pushed.versions_out, served.versions_in), (1, 1));
/// assert!(bat.get("nests/ant").await?.is_some());
/// # ant.close().await; bat.close().await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Remote {
    node: Node,
    other: Other,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remote").field(&self.other.describe()).finish()
    }
}

impl Remote {
    async fn go(&self, way: Way) -> Result<SyncReport, RemoteError> {
        self.other.sync(&self.node.inner.society, way).await
    }

    /// Takes what the other node has and this one lacks, and gives nothing.
    ///
    /// Cancel-safe: what was taken stays. Dropping the future ends a visit over a carrier; an exchange with
    /// a peer goes on.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn pull(&self) -> Result<SyncReport, RemoteError> {
        self.go(Way::Take).await
    }

    /// Gives what this node has and the other one lacks, and takes nothing. When it returns without an error in the
    /// report, the other node has stored it. Cancel-safe as [`pull`](Self::pull) is.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn push(&self) -> Result<SyncReport, RemoteError> {
        self.go(Way::Give).await
    }

    /// Gives and takes in one exchange, both at once. Cancel-safe as [`pull`](Self::pull) is.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn sync(&self) -> Result<SyncReport, RemoteError> {
        self.go(Way::Both).await
    }

    /// [Syncs](Self::sync) now, and then at each `interval`, a fifth shorter or longer, until
    /// [`stop`](Self::stop), or until the node ends; another call changes the interval. It goes on when the handle
    /// is dropped: a peer is found again by [`Node::peer`], of the handle for a carrier a clone has to be
    /// kept to stop it.
    ///
    /// A sync that fails is tried again, after up to eight intervals while it goes on failing. The first failure
    /// after a success is told by [`NodeEvent::Warning`](super::NodeEvent::Warning), every one by `tracing` (debug).
    ///
    /// # Errors
    /// [`RemoteError::Interval`] below [`INTERVAL_MIN`], [`RemoteError::TooManySchedules`] above
    /// [`SCHEDULES_MAX`] others, [`RemoteError::Closed`].
    pub fn sync_every(&self, interval: Duration) -> Result<(), RemoteError> {
        let society = &self.node.inner.society;
        society.schedules.start(society, self.other.clone(), interval)
    }

    /// Ends what [`sync_every`](Self::sync_every) began, at once; false if nothing was scheduled. A visit that is
    /// under way over a carrier ends where it is, which does no harm: what came stays, and the next one goes on from there.
    #[expect(clippy::must_use_candidate, reason = "who stops it mostly does not care whether it ran")]
    pub fn stop(&self) -> bool {
        self.node.inner.society.schedules.stop(self.other.target())
    }

    /// Whether [`sync_every`](Self::sync_every) goes on.
    #[must_use]
    pub fn is_scheduled(&self) -> bool {
        self.node.inner.society.schedules.is_scheduled(self.other.target())
    }
}

impl Node {
    /// A peer, to pull from, push to and sync with over the connection that stands; what is asked while there is
    /// none fails with [`RemoteError::NotConnected`].
    #[must_use]
    pub fn peer(&self, peer: NodeId) -> Remote {
        Remote { node: self.clone(), other: Other::Peer(peer) }
    }

    /// The node that a carrier leads to; see [`Carrier`] for who has to prove what. Nothing is opened before
    /// something is asked for.
    #[must_use]
    pub fn remote(&self, carrier: impl Carrier) -> Remote {
        Remote { node: self.clone(), other: Other::carried(&self.inner.society, Arc::new(carrier)) }
    }

    /// Answers a visit on a stream that the host accepted, until the other end closes it, and says what was
    /// exchanged. Whoever is at the other end may pull and push all namespaces that this node carries and the host's
    /// [`Authorize`](super::Authorize) does not keep from it, so the host is to know who that is; see [`Carrier`]. At most
    /// [`CARRIED_MAX`] at once.
    ///
    /// Dropping the future ends the visit where it is, which does no harm; so does the end of the node.
    ///
    /// # Errors
    /// [`RemoteError::Stranger`] where the other end is of another mesh, blocked or not allowed,
    /// [`RemoteError::Broken`] where it is silent or speaks something else, [`RemoteError::Busy`].
    pub async fn serve(&self, stream: impl Duplex) -> Result<SyncReport, RemoteError> {
        self.answer(Box::new(stream), None).await
    }

    /// The same, for a stream of which the host knows who is at its other end: whoever says to be somebody
    /// else is refused.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub async fn serve_peer(&self, peer: NodeId, stream: impl Duplex) -> Result<SyncReport, RemoteError> {
        self.answer(Box::new(stream), Some(peer)).await
    }

    /// One round of exchanges with every neighbour, or with one, of all namespaces, or of one.
    pub(crate) async fn round(
        &self,
        peer: Option<NodeId>,
        namespace: Option<Namespace>,
        way: Way,
    ) -> Result<SyncReport, RemoteError> {
        let _turn = self.inner.rounds.acquire().await.map_err(|_| RemoteError::Closed)?;
        let (reply, report) = oneshot::channel();
        self.inner.society.sessions.cast(SessionsMsg::Sync { peer, namespace, way, reply });
        let report = report.await.map_err(|_| RemoteError::Closed)?;
        report.ok_or_else(|| peer.map_or(RemoteError::Closed, RemoteError::NotConnected))
    }

    async fn answer(
        &self,
        stream: crate::ports::CarrierStream,
        expected: Option<NodeId>,
    ) -> Result<SyncReport, RemoteError> {
        let society = &self.inner.society;
        carriers::as_task(society, |society, scope| carriers::serve(society, scope, stream, expected)).await
    }
}
