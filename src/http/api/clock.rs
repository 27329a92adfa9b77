//! `vectorClock`: per origin, the number of its last write that is accounted for.

use std::collections::BTreeMap;

use crate::causality::SeenSet;

/// The clock of a frontier.
pub(super) fn vector_clock(seen: &SeenSet) -> BTreeMap<String, u64> {
    seen.iter().map(|(origin, seqs)| (origin.to_string(), seqs.max())).collect()
}
