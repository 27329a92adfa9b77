//! What the actors ask of a network, and what it tells them. The adapter is [`libp2p`]; streams to a single
//! peer come over any carrier's, too ([`carried`]).
//!
//! The swarm lives in a task of its own that never awaits a consumer: it takes [`Command`]s from a
//! bounded queue and pushes [`Event`]s into a [`Sink`], which must not block. There is no domain
//! state in it: it knows peers, addresses and bytes; which bytes to send to whom is decided by the
//! actors.

pub mod carried;
mod config;
pub mod libp2p;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{AsyncRead, AsyncWrite, future::BoxFuture};
use thiserror::Error;

pub use ::libp2p::{Multiaddr, PeerId};
pub use config::{Admit, NetworkConfig, Tuning};

use crate::{causality::NodeId, types::Namespace, wire::Envelope, wire::SignedEnvelope};

/// The stream protocols between two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// `/tidings/link/1`: one control stream per pair of connected nodes.
    Link,
    /// `/tidings/sync/1`: one stream per exchange.
    Sync,
    /// `/tidings/blob/1`: one stream per large value.
    Blob,
}

impl Protocol {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link => "/tidings/link/1",
            Self::Sync => "/tidings/sync/1",
            Self::Blob => "/tidings/blob/1",
        }
    }
}

/// A stream of bytes to a peer, with back-pressure.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// A stream of bytes to a peer.
pub type Stream = Box<dyn ByteStream>;

/// A stream could not be opened.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The peer does not speak the protocol.
    #[error("the peer does not speak {0}: it is no tidings node, or of another version")]
    Unsupported(&'static str),
    /// There is no connection, or it broke.
    #[error("no connection to the peer: {0}")]
    Closed(String),
    /// The peer did not answer in time.
    #[error("the peer did not answer in time")]
    Timeout,
}

/// A network could not be started. Nothing runs, nothing was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The secret is no ed25519 key.
    #[error("the node's secret is no ed25519 key: {0}")]
    Secret(String),
    /// Not one of the addresses can be listened on.
    #[error("nothing to listen on: {0}")]
    Listen(String),
    /// What the network keeps cannot be read or written.
    #[error("{path:?} cannot be read or written: {error}")]
    Directory {
        /// Where it is kept.
        path: std::path::PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The settings of gossip contradict each other.
    #[error("gossip cannot be set up so: {0}")]
    Gossip(String),
}

/// Opens streams to connected peers; never dials.
pub trait Streams: Send + Sync + 'static {
    /// Opens a stream of `protocol` to `peer`.
    fn open(&self, peer: NodeId, protocol: Protocol) -> BoxFuture<'static, Result<Stream, StreamError>>;

    /// How many bytes have moved beneath all streams to the peer, where they have nothing else beneath them:
    /// a peer that does not answer, and still moves, is waited for.
    fn moved(&self) -> Option<u64> {
        None
    }
}

/// What the actors ask of the network.
#[derive(Debug)]
pub enum Command {
    /// Send an encoded [`SignedEnvelope`] to whoever follows the namespace.
    Publish {
        /// The topic.
        namespace: Namespace,
        /// The bytes.
        data: Bytes,
    },
    /// Follow the topic of a namespace from now on.
    Join(Namespace),
    /// Follow it no more.
    Leave(Namespace),
    /// Dial an address; the peer at its end is kept as a `--peer` is.
    Dial(Multiaddr),
    /// Addresses of peers that somebody told of (peer exchange).
    Learn(Vec<(NodeId, Vec<Multiaddr>)>),
    /// Close the connections to a peer; it may come back, and is dialled again where it is to be kept.
    Disconnect(NodeId),
    /// Close the connections to a peer that is not to be talked to, and do not dial it for some time.
    Refuse(NodeId),
    /// Close the connections to a peer and refuse it from now on; kept over restarts.
    Block(NodeId),
    /// Let a blocked peer in again.
    Unblock(NodeId),
    /// Mark exactly these peers as explicit for gossip (protected links).
    Protect(BTreeSet<NodeId>),
    /// Stop: close all connections and end the task.
    Stop,
}

/// How a connection came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// This node dialled.
    Outbound,
    /// The peer dialled.
    Inbound,
}

/// What the network tells.
pub enum Event {
    /// The node can be reached here.
    Listening(Multiaddr),
    /// The node cannot be reached here any more.
    NotListening(Multiaddr),
    /// The first connection to a peer stands.
    Connected {
        /// The peer.
        peer: NodeId,
        /// Its address.
        address: Multiaddr,
        /// Who dialled.
        direction: Direction,
    },
    /// The last connection to a peer is gone.
    Disconnected {
        /// The peer.
        peer: NodeId,
        /// Why, in words.
        reason: String,
    },
    /// A dial failed for good or for now.
    DialFailed {
        /// The peer, where it is known.
        peer: Option<NodeId>,
        /// Why, in words: a wrong swarm key, nobody there, …
        reason: String,
    },
    /// A peer follows a namespace: from now on it gets what is published there. What was published
    /// between [`Event::Connected`] and this may have passed it by, so a comparison that begins now
    /// leaves no gap.
    Following {
        /// The peer.
        peer: NodeId,
        /// What it follows.
        namespace: Namespace,
    },
    /// An envelope arrived by gossip; its signature and origins are checked, it is forwarded.
    Gossip {
        /// The neighbour it came from.
        from: NodeId,
        /// What it carries.
        envelope: Envelope,
        /// How many bytes it had.
        bytes: usize,
    },
    /// A peer opened a stream.
    Inbound {
        /// The peer.
        peer: NodeId,
        /// What it speaks.
        protocol: Protocol,
        /// The stream.
        stream: Stream,
    },
    /// A round trip to a peer was measured.
    Rtt {
        /// The peer.
        peer: NodeId,
        /// The time it took.
        rtt: Duration,
    },
    /// The network can do nothing more.
    Failed(String),
}

/// Where events go. Called in the swarm's task: it must not block, and must bound what it keeps.
pub type Sink = Arc<dyn Fn(Event) + Send + Sync>;

/// Whether an envelope is new here. Called before its signature is checked, in the swarm's task:
/// what is entirely seen is neither stored nor forwarded again.
pub type IsNew = Arc<dyn Fn(&Envelope) -> bool + Send + Sync>;

/// Signs what the node publishes.
pub trait Signer: Send + Sync + 'static {
    /// The public key.
    fn node(&self) -> NodeId;
    /// Wraps an encoded [`Envelope`] with a signature.
    fn sign(&self, payload: Bytes) -> SignedEnvelope;
}

/// Makes a transport for a node with this key, as often as the network is started.
pub type TransportFactory = Arc<
    dyn Fn(
            &::libp2p::identity::Keypair,
        ) -> ::libp2p::core::transport::Boxed<(PeerId, ::libp2p::core::muxing::StreamMuxerBox)>
        + Send
        + Sync,
>;

/// A running network.
#[derive(Clone)]
pub struct Network {
    /// Takes commands; bounded.
    pub commands: tokio::sync::mpsc::Sender<Command>,
    /// Opens streams.
    pub streams: Arc<dyn Streams>,
    /// Signs envelopes.
    pub signer: Arc<dyn Signer>,
}
