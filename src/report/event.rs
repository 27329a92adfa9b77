//! What a person at a terminal wants to know of.

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
    /// Something that a person should look into.
    Warning(String),
}
