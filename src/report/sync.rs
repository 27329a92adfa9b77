//! Whether a node and its peers agree, as far as that can be known.

use serde::Serialize;

use super::Filling;
use crate::types::Namespace;

/// What can be said of the agreement with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Agreement {
    /// At `matched_at` this node held exactly what the peer had just said that it holds; nothing
    /// has changed here since, and nothing was heard since that says that it changed there.
    InSync,
    /// By the peer's last word the two hold different things.
    Behind,
    /// Never compared, away, changed since the last comparison, or compared too long ago.
    Unknown,
}

impl Agreement {
    /// Yes, no, or not known.
    #[must_use]
    pub const fn in_sync(self) -> Option<bool> {
        match self {
            Self::InSync => Some(true),
            Self::Behind => Some(false),
            Self::Unknown => None,
        }
    }

    /// What holds of two namespaces together.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Behind, _) | (_, Self::Behind) => Self::Behind,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::InSync, Self::InSync) => Self::InSync,
        }
    }
}

/// Whether a node knows of anything it lacks, and how it stands with each peer.
#[derive(Clone, Debug, Serialize)]
pub struct SyncStatus {
    /// Whether the node knows of anything it lacks; absent while it does not know yet what it
    /// holds (its digests are being made).
    pub lacks: Option<bool>,
    /// Writes known to exist that this node has not seen.
    pub missing: u64,
    /// The same per origin; at most [`SyncStatus::GAPS_MAX`] of them.
    pub gaps: Vec<OriginGap>,
    /// Deletes were forgotten elsewhere that this node has not seen all of.
    pub floors_unreached: bool,
    /// The namespaces that are being filled, each from one peer.
    pub filling: Vec<Filling>,
    /// The peers that are connected, or once were.
    pub peers: Vec<PeerSync>,
}

impl SyncStatus {
    /// The most origins named in `gaps`; `missing` counts the writes of all.
    pub const GAPS_MAX: usize = 64;
}

/// Writes of one origin that are known to exist and were not seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OriginGap {
    /// Where they belong.
    pub namespace: Namespace,
    /// Whose they are: `PEER_ID.EPOCH`.
    pub origin: String,
    /// How many.
    pub missing: u64,
}

/// How a node stands with one peer.
#[derive(Clone, Debug, Serialize)]
pub struct PeerSync {
    /// The peer's id.
    pub peer_id: String,
    /// Its name for people, where it has told it.
    pub name: Option<String>,
    /// Whether it is connected now.
    pub connected: bool,
    /// What holds of all namespaces that both carry.
    pub state: Agreement,
    /// The same as yes, no, or absent: not known.
    pub in_sync: Option<bool>,
    /// Writes that it has shown and this node has not seen. Absent where it has shown nothing.
    pub behind: Option<u64>,
    /// Writes that this node has seen and the peer had not when it last showed what it has.
    pub ahead: Option<u64>,
    /// When this node last held what the peer said it holds: the oldest of all namespaces,
    /// milliseconds since 1970.
    pub matched_at: Option<u64>,
    /// Since when `state` holds; absent while it is unknown.
    pub since: Option<u64>,
    /// The same for each namespace.
    pub namespaces: Vec<NamespaceSync>,
}

/// How a node stands with one peer in one namespace; the members mean what those of [`PeerSync`] do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamespaceSync {
    /// Which.
    pub namespace: Namespace,
    /// What can be said.
    pub state: Agreement,
    /// The same as yes, no, or absent: not known.
    pub in_sync: Option<bool>,
    /// Writes that the peer has shown and this node has not seen.
    pub behind: Option<u64>,
    /// Writes that this node has seen and the peer had not when it last showed what it has.
    pub ahead: Option<u64>,
    /// When this node last held what the peer said it holds.
    pub matched_at: Option<u64>,
    /// Since when `state` holds; absent while it is unknown.
    pub since: Option<u64>,
}
