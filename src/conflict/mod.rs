//! Versions, records with siblings, and what a reader sees of them.
//!
//! A [`Version`] is immutable once written. A [`Record`] holds the versions of a key none of which
//! supersedes another. What readers see is a pure function of the record, and nothing resolved is
//! ever written back: replicas that resolve differently still hold equal data.

mod base;
mod reading;
mod record;
mod strategy;
mod version;

pub use base::{Base, BaseHash};
pub use reading::{Etag, Reading};
pub use record::{Merged, Record};
pub use strategy::Strategy;
pub use version::{Body, CONTEXT_ENTRIES_MAX, Payload, Put, Version, VersionHash};
