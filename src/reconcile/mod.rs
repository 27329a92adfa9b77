//! How two replicas find out what each of them lacks, and bring it to each other.
//!
//! [`Exchange`] is a state machine without input or output of its own: frames and facts go in,
//! effects come out. The ladder it climbs is *equal* (one round trip, when the hashes of both seen
//! sets agree), *delta* (each side streams, in dot order, the versions that the other has not
//! seen; then what did not come, although the sender has seen it, is dead) and *ranges* (digests
//! lead down to what only one of both holds, where what was seen cannot explain what differs). A seen set is its own
//! resume point: an exchange that breaks off loses nothing that was applied, and the next one,
//! with anybody, goes on from there.
//!
//! Invariant: what a peer has seen is taken over only after the last page was applied, and only
//! as far as the peer vouches for it. The machine never sees what a value is.
//!
//! Source: Gonçalves, Almeida, Baquero, Fonte, "DottedDB: Anti-Entropy without Merkle Trees,
//! Deletes without Tombstones" (SRDS 2017).

mod descent;
mod exchange;
mod lending;
mod parting;
mod parts;
mod ranges;
mod report;
mod tree;
mod violation;

#[cfg(test)]
mod descent_tests;
#[cfg(test)]
mod pipe;
#[cfg(test)]
mod rules;

pub use descent::STEP_RANGES_MAX;
pub use exchange::{Effect, Exchange, Input, PAGES_AHEAD_MAX, PAGES_UNAPPLIED_MAX};
pub use lending::{Borrowing, Lending, PAGES_ASKED_MAX};
pub use parting::{PARTING_FRAGMENTS_MAX, Parting};
pub use parts::{ABSORB_DOTS_MAX, SEEN_FRAGMENTS_MAX, SEEN_PART_BYTES};
pub use ranges::{CLAIMS_AHEAD_BYTES, LATE_ROUNDS_MAX};
pub use report::{Outcome, Report};
pub use violation::Violation;
