//! A version: one write, immutable.

use super::dots::{Dot, Vector};

/// Keys are few, so that writes meet.
pub type Key = usize;
pub const KEYS: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub dot: Dot,
    pub key: Key,
    pub hlc: u32,
    /// What its writer had in front of it, of this key, and the base.
    pub context: Vector,
    pub is_delete: bool,
}

impl Version {
    /// Whether this supersedes the version of the same key that `dot` names.
    pub fn supersedes(&self, dot: Dot) -> bool {
        let earlier = dot.origin == self.dot.origin && dot.seq < self.dot.seq;
        earlier || self.context.covers(dot)
    }
}
