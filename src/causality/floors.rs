//! What is left of the deletes that were forgotten.

use serde::{Deserialize, Serialize};

use super::{Context, Dot, Origin, SeenSet};
use crate::wire;

/// blake3 keys its hash of floors with this, so that it is no hash of anything else.
const HASH_KEY: [u8; 32] = *b"tidings: hash of floors, numbr 1";

/// Two small maps that stand for all deletes that were forgotten (rule 5). Merged together with
/// frontiers, entry by entry the greater: a join semilattice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floors {
    /// Per origin the highest write that a forgotten delete had superseded.
    pub covered: Context,
    /// Per origin the highest delete that was forgotten.
    pub deletes: Context,
}

impl Floors {
    /// Those of a replica that has forgotten nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { covered: Context::new(), deletes: Context::new() }
    }

    /// Whether nothing was forgotten.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.covered.is_empty() && self.deletes.is_empty()
    }

    /// Takes over what `other` knows of what was forgotten.
    pub fn join(&mut self, other: &Self) {
        self.covered.extend(&other.covered);
        self.deletes.extend(&other.deletes);
    }

    /// Whether all that `other` knows of is known here.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        self.covered.includes(&other.covered) && self.deletes.includes(&other.deletes)
    }

    /// Whether a replica that has seen `seen` saw every delete that was forgotten here, and what those
    /// superseded, so that a delta can be trusted to be complete for it.
    #[must_use]
    pub fn are_reached_by(&self, seen: &SeenSet) -> bool {
        let all = self.deletes.iter().chain(self.covered.iter());
        all.into_iter().all(|(origin, seq)| prefix(seen, &origin) >= seq)
    }

    /// Rule 1: the base of a write by `me`, who has seen `seen`: what was forgotten, no higher than
    /// what was seen without a gap, beside its own past, which is implied.
    #[must_use]
    pub fn base_for(&self, me: &Origin, seen: &SeenSet) -> Context {
        let mut all = self.covered.clone();
        all.extend(&self.deletes);
        let others = all.iter().filter(|(origin, _)| origin != me);
        others.map(|(origin, seq)| Dot::new(origin, seq.min(prefix(seen, &origin)))).collect()
    }

    /// A hash of the floors, cut to 16 bytes: equal hashes are equal floors.
    #[must_use]
    pub fn hash(&self) -> [u8; 16] {
        let mut short = [0; 16];
        short.copy_from_slice(&blake3::keyed_hash(&HASH_KEY, &wire::encode(self)).as_bytes()[..16]);
        short
    }
}

/// Up to which number the writes of `origin` were seen without a gap.
fn prefix(seen: &SeenSet, origin: &Origin) -> u64 {
    seen.get(origin).map_or(0, super::Intervals::base)
}
