//! What a replica has seen: per origin, which sequence numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Dot, Intervals, Origin};

/// Per origin, the sequence numbers whose effect is in a store. In transit it is a *frontier*.
///
/// Union makes it a join semilattice: commutative, associative, idempotent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SeenSet(BTreeMap<Origin, Intervals>);

impl SeenSet {
    /// The set of a replica that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many writes it names.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.values().map(Intervals::count).sum()
    }

    /// Whether the write `dot` is in it.
    #[must_use]
    pub fn contains(&self, dot: Dot) -> bool {
        self.0.get(&dot.origin).is_some_and(|seqs| seqs.contains(dot.seq))
    }

    /// Adds `dot`; false if it was in it already.
    pub fn insert(&mut self, dot: Dot) -> bool {
        dot.seq > 0 && self.0.entry(dot.origin).or_default().insert(dot.seq)
    }

    /// Takes `dot` out; false if it was not in it.
    pub fn remove(&mut self, dot: Dot) -> bool {
        let Some(seqs) = self.0.get_mut(&dot.origin) else { return false };
        let was = seqs.remove(dot.seq);
        if seqs.is_empty() {
            self.0.remove(&dot.origin);
        }
        was
    }

    /// Puts `seqs` in the place of what was known of `origin`.
    pub fn set(&mut self, origin: Origin, seqs: Intervals) {
        if seqs.is_empty() {
            self.0.remove(&origin);
        } else {
            self.0.insert(origin, seqs);
        }
    }

    /// What is known of `origin`, if anything.
    #[must_use]
    pub fn get(&self, origin: &Origin) -> Option<&Intervals> {
        self.0.get(origin)
    }

    /// Origins and their sequence numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Origin, &Intervals)> {
        self.0.iter()
    }

    /// How many origins it names.
    #[must_use]
    pub fn origins(&self) -> usize {
        self.0.len()
    }

    /// Adds all of `other`.
    pub fn union(&mut self, other: &Self) {
        for (origin, seqs) in &other.0 {
            self.0.entry(*origin).or_default().union(seqs);
        }
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut out = BTreeMap::new();
        for (origin, seqs) in &self.0 {
            let rest = match other.0.get(origin) {
                Some(theirs) => seqs.difference(theirs),
                None => seqs.clone(),
            };
            if !rest.is_empty() {
                out.insert(*origin, rest);
            }
        }
        Self(out)
    }

    /// Whether everything in `other` is in this set.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        other.difference(self).is_empty()
    }

    /// The writes that are known to exist, for later ones of their origin were seen, but were not
    /// seen themselves.
    #[must_use]
    pub fn gaps(&self) -> Self {
        let gaps = self.0.iter().map(|(origin, seqs)| (*origin, seqs.gaps()));
        Self(gaps.filter(|(_, seqs)| !seqs.is_empty()).collect())
    }
}

impl FromIterator<Dot> for SeenSet {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Self {
        let mut set = Self::new();
        for dot in dots {
            set.insert(dot);
        }
        set
    }
}
