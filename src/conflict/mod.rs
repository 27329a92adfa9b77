//! Versions, records with siblings, and what a reader sees of them.
//!
//! A [`Version`] is immutable once written. A [`Record`] holds the versions of a key none of which
//! supersedes another. What readers see is a pure function of the record, and nothing resolved is
//! ever written back: replicas that resolve differently still hold equal data.

mod base;
mod custom;
mod fields;
mod reading;
mod record;
mod strategies;
mod strategy;
mod trial;
mod version;

#[cfg(test)]
mod strategy_tests;

pub(crate) use fields::{merge as merge_fields, written as fields_written};

pub use base::{Base, BaseHash};
pub use custom::{Ask, Custom, Failure, Resolution, Resolver};
pub use fields::{DEPTH_MAX, GONE_MAX, STAMPS_BYTES_MAX, Stamp, Stamps};
pub use reading::{Etag, Reading};
pub use record::{Merged, Record};
pub use strategies::{STRATEGIES_MAX, Strategies, StrategiesError, Table};
pub use strategy::{Strategy, StrategyError, Visible};
pub use trial::{Untrustworthy, trial, trial_by};
pub use version::{Body, CONTEXT_ENTRIES_MAX, Payload, Put, Version, VersionHash};
