//! What came of an exchange.

/// How an exchange ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Both had seen the same: two hellos told.
    Equal,
    /// Each has what the other had seen when the exchange began.
    #[default]
    Delta,
    /// What that could not explain was found by comparing ranges.
    Ranges,
    /// The peer has no room for an exchange now.
    Busy,
    /// The peer does not carry the namespace.
    NotCarried,
}

/// What an exchange did. Bytes are counted by whoever moves them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// Versions that came.
    pub versions_in: u64,
    /// Versions that were sent.
    pub versions_out: u64,
    /// Pages that came.
    pub pages_in: u64,
    /// Pages that were sent.
    pub pages_out: u64,
    /// Versions that came and could not be applied; the next exchange brings them again.
    pub set_aside: u64,
    /// Writes that this side has seen, is to hold, and could not find: it did not vouch for them.
    pub lost: u64,
    /// Whether both roots were known and equal: only then is it certain that both hold the same.
    pub roots_matched: bool,
    /// Versions that only this side held, as far as the peer was asked about them.
    pub claims_out: u64,
    /// Versions that only the peer held.
    pub claims_in: u64,
    /// Versions of this side that the peer wanted.
    pub wanted: u64,
    /// Versions that were dropped on the peer's word.
    pub dropped: u64,
    /// The peer's frontier was not merged, for too much became live meanwhile.
    pub late: bool,
    /// Times that one side had to wait for the other: 1 when equal, 2 for a delta.
    pub rounds: u32,
}
