//! Several writes of one node beside each other.

use super::Origin;

/// So many writes of one life of a node can stand beside each other under one key.
pub const PENS_MAX: usize = 8;

/// What pens are derived from, so that it is no hash of anything else.
const CONTEXT: &str = "tidings 2026-11 epoch of a pen";
/// The number of no pen.
const ASIDE: u64 = u64::MAX;

impl Origin {
    /// The origins under which one life writes, itself first.
    ///
    /// A write supersedes all earlier ones of its own origin. One that was made from an older version must not
    /// supersede a newer one that the same node wrote, so it is written with another pen: an origin of the
    /// same node whose epoch follows from that of the life, so that a new life has new pens, too.
    #[must_use]
    pub fn pens(self) -> [Self; PENS_MAX] {
        std::array::from_fn(|number| if number == 0 { self } else { self.derived(number as u64) })
    }

    /// The origin under which one life writes what never leaves its node. Those writes are counted apart, for
    /// others must not see gaps in the numbers; so they need an origin of their own, or two writes of one namespace
    /// would have one name.
    #[must_use]
    pub fn aside(self) -> Self {
        self.derived(ASIDE)
    }

    fn derived(self, number: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&self.node.0).update(&self.epoch.to_le_bytes()).update(&number.to_le_bytes());
        let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
        Self { node: self.node, epoch: u64::from_le_bytes([a, b, c, d, e, f, g, h]) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::causality::NodeId;

    #[test]
    fn pens_are_many_origins_of_one_node_and_the_same_whenever_they_are_asked_for() {
        let me = Origin { node: NodeId([7; 32]), epoch: 3 };
        let next_life = Origin { epoch: 4, ..me };
        let lives = [me, me.aside(), next_life, next_life.aside()];
        let all: BTreeSet<Origin> = lives.into_iter().flat_map(Origin::pens).collect();
        assert_eq!(all.len(), lives.len() * PENS_MAX);
        assert!(all.iter().all(|origin| origin.node == me.node));
        assert_eq!(me.pens(), me.pens());
        assert_eq!(me.pens()[0], me);
    }
}
