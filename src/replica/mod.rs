//! What a replica decides: the version a write becomes, and what a version does to a record.
//!
//! Plans are values. Whoever makes one reads the record before and stores the outcome after, in one
//! atomic batch; nothing here touches a disk or a clock.
//!
//! Invariant: a plan accounts for every dot it touches. What it adds is *held*; what it supersedes,
//! or what came too late to be held, is *dead*; nothing is both, nothing is neither.

mod collision;
mod merge;
mod write;

#[cfg(test)]
pub(crate) mod histories;
#[cfg(test)]
pub(crate) mod model;

pub use collision::{Collision, plan_collision};
pub use merge::{plan_burial, plan_merge, plan_take_back};
pub use write::{Precondition, Refused, Rules, WritePlan, plan_write};

use crate::{
    causality::Dot,
    conflict::{Record, Version},
};

/// What becomes of a record, and the dots that change sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The record as it will be stored.
    pub record: Record,
    /// The version that is held from now on, if one is.
    pub held: Option<Version>,
    /// Versions that were held and are superseded: they leave the dot index.
    pub superseded: Vec<Version>,
    /// Dots that are dead from now on: those of `superseded`, and a version that came too late.
    pub dead: Vec<Dot>,
}
