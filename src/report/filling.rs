//! How far a node is with taking in much from one peer.

use serde::Serialize;

use crate::types::Namespace;

/// A namespace that is being filled: a peer sends more than a thousand writes that were not seen here.
///
/// Writes that nobody needs any more, for others superseded them, are expected and never come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Filling {
    /// Which.
    pub namespace: Namespace,
    /// The peer's id.
    pub from: String,
    /// The id of a second peer that brings single versions of the same meanwhile, from their end on; absent while
    /// there is none.
    pub also_from: Option<String>,
    /// Versions that came, from either, and are stored.
    pub versions: u64,
    /// Writes that the peer had seen and this node had not when it began.
    pub expected: u64,
    /// How many of them are done with: they came, or were passed over.
    pub passed: u64,
    /// Versions stored in a second, on average.
    pub per_second: u64,
    /// How long it still takes, in seconds, as far as can be told from what is done; absent before that.
    pub seconds_left: Option<u64>,
}
