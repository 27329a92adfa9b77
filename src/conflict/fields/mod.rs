//! JSON objects merged field by field (`merge-fields`).
//!
//! An object is a set of *leaves*: what stands at the end of a path of names, which is a scalar, an array
//! or an empty object. Each leaf of a version carries the stamp of the write that last changed it
//! ([`Stamps`]); one that the version itself wrote is free, and one stamp may stand for all that lies
//! below a path. A leaf that a version does not have, and whose write it had in front of it, was removed
//! knowingly: nothing needs to say so. Marks of removals serve only to rank one against a concurrent
//! change of the same field, and are bounded ([`GONE_MAX`]).
//!
//! Invariant: what siblings merge to is a function of the set of siblings. This is an observed-remove
//! map of last-write-wins registers: Almeida, Shoker, Baquero, "Delta State Replicated Data Types"
//! (JPDC 2018), with the context of a version in the place of the causal context.

mod change;
mod claims;
mod leaves;
mod stamps;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

pub use change::GONE_MAX;
pub use leaves::DEPTH_MAX;
pub use stamps::{STAMPS_BYTES_MAX, Stamp, Stamps};

pub(crate) use change::written;
pub(crate) use claims::{Claims, merge, merge_readable};
