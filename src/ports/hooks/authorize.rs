//! Whether somebody may.

use std::{fmt, net::SocketAddr};

use super::Refusal;
use crate::{
    causality::NodeId,
    types::{Key, Namespace, Prefix},
};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Who {
    /// Somebody who asks over HTTP.
    Client(Client),
    /// Another node: a neighbour in the mesh, whose id was proven in the handshake; or whoever is at the other end of a
    /// [`Carrier`](crate::ports::Carrier), whose id is what it says, as far as the carrier does not know better.
    Peer(NodeId),
}

/// Who asks over HTTP.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Client {
    /// Where the connection comes from; absent where a server of the host's does not tell (by
    /// `http::ClientAddress` among the extensions of the request).
    pub address: Option<SocketAddr>,
    headers: Vec<(String, String)>,
}

impl Client {
    /// A client with these headers, whose names are in lower case.
    #[must_use]
    pub fn new(address: Option<SocketAddr>, headers: Vec<(String, String)>) -> Self {
        Self { address, headers }
    }

    /// The first header of that name (in lower case) that is text: `authorization`, or what a proxy
    /// in front says.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }
}

impl fmt::Debug for Client {
    /// Without the headers, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// A client reads: a value, a scan, a watch, or what the node tells of itself.
    Read,
    /// A client writes or deletes.
    Write,
    /// A client changes the node itself: peers, exchanges, whatever is not of values.
    Administer,
    /// A peer is connected, whoever dialled; or a stream of a carrier was opened, at either end.
    Connect,
    /// A peer compares a namespace with this node, whoever began: it is sent what it lacks, and its versions
    /// are taken in.
    Exchange,
    /// A peer hands on fresh writes of a namespace.
    Gossip,
}

/// What an operation touches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extent {
    /// One key.
    Key(Key),
    /// All keys below a prefix: all of the namespace, if it is empty.
    Below(Prefix),
    /// No key: the node itself.
    Node,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked {
    /// What is to be done.
    pub operation: Operation,
    /// In which namespace; absent where it is of none.
    pub namespace: Option<Namespace>,
    /// To what.
    pub extent: Extent,
}

impl Asked {
    /// An operation in a namespace, or on the node.
    #[must_use]
    pub fn new(operation: Operation, namespace: Option<Namespace>, extent: Extent) -> Self {
        Self { operation, namespace, extent }
    }
}

/// Is asked before every operation that comes from outside. Functions of that form authorize. It is called on
/// the task that serves whoever asks, by many at once: it must be quick and wait for nothing. One that takes more than 100 ms is counted
/// (`tidings_hook_failures_total`) and told of once ([`NodeEvent::Warning`](crate::node::NodeEvent::Warning)), and its
/// answer stands; one that never returns holds that task, and cannot be helped.
///
/// What is asked, and when:
///
/// | who | operation | extent | when | refused |
/// | --- | --- | --- | --- | --- |
/// | client | `Read`, `Write`, `Administer` | the key, the prefix, or the node | for every request that got past `Host`, `Origin` and tokens, before the route runs; for `/v1/batch` once per key. Not for `/healthz` and `/readyz` | 403 `forbidden` with the reason; nothing of a batch is done |
/// | peer | `Connect` | the node | once per connection, dialled or accepted, after the handshake proved the id and before anything else is said | the connection is closed, and an event says so, once per peer. Over a carrier: once per stream, and the other end is told the reason |
/// | peer | `Exchange` | all of a namespace | before each comparison, whoever begins it; before a gap is asked for or filled, or a large value served; before the namespace is named in a beacon | the peer is told that the namespace is not carried here |
/// | peer | `Gossip` | all of a namespace | for each envelope that this neighbour hands on | it is not stored, and counted in `gossip_refused` |
///
/// What a refusal does not do: gossip is not addressed, so what this node writes reaches every neighbour that
/// follows the namespace, and a neighbour may hear the rest from others. Whoever is to see nothing of
/// a namespace is to be refused `Connect` at every node, or kept out by a swarm key or another mesh. A
/// connection or a watch that was let in is not asked about again. Calls of the host itself
/// ([`Node`](crate::Node)) are not asked about at all.
///
/// ```
/// use tidings::node::{Asked, Authorize, Operation, Refusal, Who};
///
/// fn only_reads(who: &Who, asked: &Asked) -> Result<(), Refusal> {
///     match (who, asked.operation) {
///         (Who::Client(client), Operation::Write) if client.header("x-user") != Some("ant") => {
///             Err("only the ant writes here".into())
///         }
///         _ => Ok(()),
///     }
/// }
/// # fn is_authorize(_: impl Authorize) {}
/// # is_authorize(only_reads);
/// ```
pub trait Authorize: Send + Sync + 'static {
    /// Whether `who` may.
    ///
    /// # Errors
    /// Why not. A panic says no, too.
    fn authorize(&self, who: &Who, asked: &Asked) -> Result<(), Refusal>;
}

impl<F> Authorize for F
where
    F: Fn(&Who, &Asked) -> Result<(), Refusal> + Send + Sync + 'static,
{
    fn authorize(&self, who: &Who, asked: &Asked) -> Result<(), Refusal> {
        self(who, asked)
    }
}
