//! What can go wrong between a caller and a node: when, whether anything changed, what to do.

use std::time::Duration;

use thiserror::Error;

use crate::{
    storage::{OpenError, StoreError},
    types::{KeyError, Namespace},
};

/// A write did not happen. Nothing was changed, except where the variant says so.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The key is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The value is larger than the node takes.
    #[error("a value of {size} bytes, the limit is {limit} (value_bytes_max)")]
    ValueTooLarge {
        /// Bytes offered.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The batch has more operations or bytes than a batch may have.
    #[error(
        "a batch of {operations} operations and {bytes} bytes, the limits are 1000 operations and 1 MiB: split it"
    )]
    BatchTooLarge {
        /// Operations offered.
        operations: usize,
        /// Bytes of keys and values offered.
        bytes: usize,
    },
    /// A value cannot expire at once, nor after more than a century.
    #[error("a ttl of {} s: write more than nothing and at most a century (3155760000 s)", ttl.as_secs_f64())]
    Ttl {
        /// What was asked for.
        ttl: Duration,
    },
    /// A validator of this node ([`Builder::validate`](super::Builder::validate)) refuses the value.
    #[error("the value is refused here: {reason}")]
    Invalid {
        /// The place of the operation in its batch; 0 for a single one.
        index: usize,
        /// What the validator says.
        reason: String,
    },
    /// There is nothing to delete. In a batch, `index` says which operation it was.
    #[error("there is nothing under this key to delete")]
    NothingThere {
        /// The place of the operation in its batch; 0 for a single one.
        index: usize,
    },
    /// The precondition does not hold of the record as it is now.
    #[error("the precondition does not hold: the record is another by now; read it again")]
    Precondition,
    /// A put where a value stands and the first write wins.
    #[error(
        "a value stands under this key, and the first write wins: delete it first, or write to another key"
    )]
    AlreadySet {
        /// The place of the operation in its batch; 0 for a single one.
        index: usize,
    },
    /// What the write says it was made from is not known to this node, or is of another key.
    #[error(
        "this node does not know the version that the write was made from, under this key: read the key again, and \
         write with the ETag of that answer"
    )]
    UnknownBase,
    /// Too many writes that were made from older versions stand beside each other under the key.
    #[error(
        "too many writes that were made from older versions stand beside each other here: read the key, and write \
         without a base"
    )]
    TooManyBeside,
    /// More stores have written this key than one version can name; write under another key.
    #[error("too many stores have written this key: write under another key")]
    TooManyWriters,
    /// The node does not carry this namespace.
    #[error("this node does not carry the namespace {0}")]
    NoNamespace(Namespace),
    /// The node has more to do than it takes on; nothing was queued.
    #[error("the node is busy: try again in {} ms", retry_after.as_millis())]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The disk is full or the store refuses. If the error came after the write was handed over,
    /// whether it happened is unknown until the node has been started again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node is closed, or closed while the write was under way; in the latter case the write
    /// may have happened.
    #[error("the node is closed")]
    Closed,
}

/// A read could not be answered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The key or prefix is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The node does not carry this namespace.
    #[error("this node does not carry the namespace {0}")]
    NoNamespace(Namespace),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A frontier names a write of the node's present life that this has not made.
    #[error(
        "this frontier names write {0} of this node, which has not made it: it was altered, or given by a copy of this node"
    )]
    NeverMade(u64),
    /// The node is closed.
    #[error("the node is closed")]
    Closed,
}

/// A node could not start. Nothing was left running.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A setting is wrong.
    #[error("{0}")]
    Config(String),
    /// Keys stand below a prefix that becomes local-only, or is so no more
    /// ([`Builder::local_only`](super::Builder::local_only)).
    #[error("{0}")]
    InTheWay(String),
    /// The network cannot be started.
    #[error("the network cannot be started: {0}")]
    Network(String),
    /// The node's own parts could not be started.
    #[error("the node could not be started: {0}")]
    Internal(String),
}

/// A peer could not be dialled.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The text is no address.
    #[error(
        "{0:?} is no multiaddr: write /ip4/ADDRESS/tcp/PORT, with /p2p/ID at the end where the id is known"
    )]
    Address(String),
    /// The node is closed.
    #[error("the node is closed")]
    Closed,
}

impl From<std::convert::Infallible> for WriteError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl From<std::convert::Infallible> for ReadError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
