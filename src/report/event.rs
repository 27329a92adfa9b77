//! What a person at a terminal wants to know of.

use std::time::Duration;

use crate::types::Namespace;

/// Something that happened to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeEvent {
    /// Peers reach the node here (a multiaddr).
    Listening(String),
    /// A peer is connected and has said who it is.
    PeerFound {
        /// Its id.
        peer_id: String,
        /// Its name for people.
        name: String,
        /// Its address.
        addr: String,
    },
    /// A peer is gone.
    PeerLost {
        /// Its id.
        peer_id: String,
        /// Its name for people, where it had told it.
        name: Option<String>,
        /// Why.
        reason: String,
    },
    /// A dial failed; it is tried again.
    DialFailed {
        /// Who was dialled, where it is known.
        peer_id: Option<String>,
        /// Why.
        reason: String,
    },
    /// A peer begins to send more than a thousand writes that were not seen here.
    FillBegan {
        /// Where they belong.
        namespace: Namespace,
        /// The peer's id.
        from: String,
        /// How many; those that nobody needs any more will not come.
        expected: u64,
    },
    /// It has ended, or broke off: then another peer goes on, or the same.
    FillEnded {
        /// Where they belong.
        namespace: Namespace,
        /// The peer's id.
        from: String,
        /// How many came and are stored.
        versions: u64,
        /// How long it took.
        elapsed: Duration,
        /// Whether that was all.
        complete: bool,
    },
    /// Something that a person should look into.
    Warning(String),
}
