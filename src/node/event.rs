//! What happens to a node, as a person watching it wants to know.

use std::fmt;

use crate::causality::NodeId;

/// Something happened to the node. Its text is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeEvent {
    /// Peers reach the node here (a multiaddr).
    Listening(String),
    /// A peer is connected, and has said hello.
    PeerFound {
        /// The peer.
        peer_id: NodeId,
        /// Its name for people, where it has told it.
        name: Option<String>,
        /// Its address (a multiaddr).
        addr: String,
    },
    /// A peer is not connected any more.
    PeerLost {
        /// The peer.
        peer_id: NodeId,
        /// Why, in words.
        reason: String,
    },
    /// Something that a person should look at.
    Warning(String),
}

impl fmt::Display for NodeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listening(addr) => write!(f, "listening on {addr}"),
            Self::PeerFound { peer_id, name: Some(name), addr } => {
                write!(f, "peer found: {peer_id} ({name}) at {addr}")
            }
            Self::PeerFound { peer_id, name: None, addr } => write!(f, "peer found: {peer_id} at {addr}"),
            Self::PeerLost { peer_id, reason } => write!(f, "peer lost: {peer_id}: {reason}"),
            Self::Warning(text) => write!(f, "warning: {text}"),
        }
    }
}
