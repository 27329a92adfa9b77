//! Digests: what two replicas compare to find where they differ.
//!
//! The set that is compared is that of the live dots: a dot names immutable content, so equal sets
//! are equal data. It is cut by dot, origin first, then blocks of 64 sequence numbers: what one
//! writer wrote together lies together, nothing needs balancing, and all replicas cut at the same
//! places. A range has a [`Sum`]: the number of its items and the sum of their hashes modulo 2^256, a
//! homomorphic set hash, so that a write costs an addition along one path. Not xor: 256 chosen items
//! forge that.
//!
//! Source: Meyer, "Range-Based Set Reconciliation" (SRDS 2023); Bellare, Micciancio, "A New Paradigm
//! for Collision-Free Hashing: Incrementality at Reduced Cost" (EUROCRYPT 1997).

mod digests;
mod segment;
mod sum;

#[cfg(test)]
mod tests;

pub use digests::{Digests, GROUP, LEVELS_MAX};
pub use sum::Sum;
