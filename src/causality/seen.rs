//! What a replica has seen: per origin, which sequence numbers.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{Dot, Intervals, Origin, Union};
use crate::wire;

/// blake3 keys its hash of seen sets with this, so that it is no hash of anything else.
const HASH_KEY: [u8; 32] = *b"tidings: hash of a seen set, n 1";

/// Per origin, the sequence numbers whose effect is in a store. In transit it is a *frontier*.
///
/// Union makes it a join semilattice: commutative, associative, idempotent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
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
        self.0.values().map(Intervals::count).fold(0, u64::saturating_add)
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

    /// Adds `first..=last` of `origin`.
    pub fn insert_range(&mut self, origin: Origin, first: u64, last: u64) {
        if first.max(1) <= last {
            self.0.entry(origin).or_default().insert_range(first, last);
        }
    }

    /// Puts `seqs` in the place of what was known of `origin`.
    pub fn set(&mut self, origin: Origin, seqs: Intervals) {
        if seqs.is_empty() {
            self.0.remove(&origin);
        } else {
            self.0.insert(origin, seqs);
        }
    }

    /// Makes the change of what is known of `origin` that
    /// [`Intervals::plan_union`] planned.
    pub fn apply(&mut self, origin: Origin, union: Union) {
        self.0.entry(origin).or_default().apply(union);
    }

    /// What is known of `origin`, if anything.
    #[must_use]
    pub fn get(&self, origin: &Origin) -> Option<&Intervals> {
        self.0.get(origin)
    }

    /// Origins and their sequence numbers, in order.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Origin, &Intervals)> {
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
                // Replicas mostly differ in few origins.
                Some(theirs) if theirs == seqs => continue,
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

    /// A hash of the set: equal hashes are equal sets.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        *blake3::keyed_hash(&HASH_KEY, &wire::encode(self)).as_bytes()
    }

    /// The hash cut to 8 bytes, for beacons: where it differs the sets differ.
    #[must_use]
    pub fn tag(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.hash();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
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

impl<'de> Deserialize<'de> for SeenSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = SeenSet;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("origins, ascending, each with its intervals")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<SeenSet, A::Error> {
                let mut out = BTreeMap::new();
                while let Some((origin, seqs)) = map.next_entry::<Origin, Intervals>()? {
                    let ascends = out.last_key_value().is_none_or(|(last, _)| *last < origin);
                    if !ascends || seqs.is_empty() {
                        return Err(de::Error::custom("a seen set is not in canonical form"));
                    }
                    out.insert(origin, seqs);
                }
                Ok(SeenSet(out))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}
