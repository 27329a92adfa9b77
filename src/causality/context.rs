//! The causal context of one key.

use std::cmp::Ordering;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{Dot, Origin, SEQ_MAX};

/// A version vector for one key: per origin, up to which sequence number its writes of *this key*
/// are covered. Sorted by origin; most have none, one or two entries.
///
/// Join (`extend`) takes the greater number of each origin: a join semilattice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Context(Vec<(Origin, u64)>);

impl Context {
    /// The context of a key that nobody wrote.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether it covers nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many origins it names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The highest covered sequence number of `origin`; 0 if none is.
    #[must_use]
    pub fn get(&self, origin: &Origin) -> u64 {
        self.0.binary_search_by(|(o, _)| o.cmp(origin)).map_or(0, |at| self.0[at].1)
    }

    /// Whether the write `dot` of this key is covered.
    #[must_use]
    pub fn covers(&self, dot: Dot) -> bool {
        self.get(&dot.origin) >= dot.seq
    }

    /// Covers `dot` and every earlier write of its origin.
    pub fn insert(&mut self, dot: Dot) {
        if dot.seq == 0 {
            return;
        }
        match self.0.binary_search_by(|(o, _)| o.cmp(&dot.origin)) {
            Ok(at) => self.0[at].1 = self.0[at].1.max(dot.seq),
            Err(at) => {
                // Most contexts stay with one or two.
                self.0.reserve_exact(usize::from(self.0.len() < 2));
                self.0.insert(at, (dot.origin, dot.seq));
            }
        }
    }

    /// Covers all that `other` covers.
    pub fn extend(&mut self, other: &Self) {
        if self.includes(other) {
            return;
        }
        // In one pass: entries put in one by one would move the tail for each.
        let mine = std::mem::take(&mut self.0);
        let (mut mine, mut theirs) = (mine.into_iter().peekable(), other.0.iter().copied().peekable());
        while let (Some((a, _)), Some((b, _))) = (mine.peek(), theirs.peek()) {
            let next = match a.cmp(b) {
                Ordering::Less => mine.next(),
                Ordering::Greater => theirs.next(),
                Ordering::Equal => mine.next().zip(theirs.next()).map(|(a, b)| a.max(b)),
            };
            self.0.extend(next);
        }
        self.0.extend(mine);
        self.0.extend(theirs);
    }

    /// The same without `origin`.
    #[must_use]
    pub fn without(mut self, origin: &Origin) -> Self {
        self.0.retain(|(o, _)| o != origin);
        self
    }

    /// The same without what `other` covers as well.
    #[must_use]
    pub fn beyond(mut self, other: &Self) -> Self {
        self.0.retain(|(origin, seq)| other.get(origin) < *seq);
        self
    }

    /// Origins and the highest covered number of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Origin, u64)> + '_ {
        self.0.iter().copied()
    }

    /// Whether it covers all that `other` covers.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        other.0.iter().all(|(origin, seq)| self.get(origin) >= *seq)
    }
}

impl FromIterator<Dot> for Context {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Self {
        let mut context = Self::new();
        for dot in dots {
            context.insert(dot);
        }
        context
    }
}

impl<'de> Deserialize<'de> for Context {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Vec::<(Origin, u64)>::deserialize(deserializer)?;
        let ascending = entries.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !ascending || entries.iter().any(|(_, seq)| !(1..=SEQ_MAX).contains(seq)) {
            return Err(de::Error::custom("a context is not in canonical form"));
        }
        Ok(Self(entries))
    }
}
