//! A set of sequence numbers, kept as the intervals between its gaps.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A set of numbers from 1 up, as sorted intervals that neither overlap nor touch.
///
/// A store that misses nothing has one interval, whatever it holds; each gap adds one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Intervals(Vec<(u64, u64)>);

impl Intervals {
    /// The set that holds nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The numbers `1..=last`.
    #[must_use]
    pub fn up_to(last: u64) -> Self {
        Self::from_range(1, last)
    }

    /// The numbers `first..=last`; empty where `first > last`.
    #[must_use]
    pub fn from_range(first: u64, last: u64) -> Self {
        let mut set = Self::new();
        set.insert_range(first, last);
        set
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers it holds.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// The last number such that it and all before it are in the set; 0 if 1 is not.
    #[must_use]
    pub fn base(&self) -> u64 {
        match self.0.first() {
            Some((1, last)) => *last,
            _ => 0,
        }
    }

    /// The greatest number in the set; 0 if there is none.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.0.last().map_or(0, |(_, last)| *last)
    }

    /// The intervals, ascending, both ends included.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    /// How many intervals there are.
    #[must_use]
    pub fn fragments(&self) -> usize {
        self.0.len()
    }

    /// Whether `n` is in the set.
    #[must_use]
    pub fn contains(&self, n: u64) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= n);
        after > 0 && self.0[after - 1].1 >= n
    }

    /// Adds `n`; false if it was in the set already.
    pub fn insert(&mut self, n: u64) -> bool {
        if let Some((_, last)) = self.0.last_mut()
            && *last + 1 == n
        {
            *last = n;
            return true;
        }
        if self.contains(n) {
            return false;
        }
        self.insert_range(n, n);
        true
    }

    /// Adds `first..=last`; numbers below 1 are no sequence numbers and are left out.
    pub fn insert_range(&mut self, first: u64, last: u64) {
        let first = first.max(1);
        if first > last {
            return;
        }
        // What overlaps or touches the new interval is swallowed by it.
        let from = self.0.partition_point(|(_, end)| end.saturating_add(1) < first);
        let to = self.0.partition_point(|(start, _)| *start <= last.saturating_add(1));
        let (mut low, mut high) = (first, last);
        if from < to {
            low = low.min(self.0[from].0);
            high = high.max(self.0[to - 1].1);
        }
        self.0.splice(from..to, [(low, high)]);
    }

    /// Takes `n` out; false if it was not in the set.
    pub fn remove(&mut self, n: u64) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= n);
        if after == 0 || self.0[after - 1].1 < n {
            return false;
        }
        let (first, last) = self.0[after - 1];
        let left = (first < n).then(|| (first, n - 1));
        let right = (n < last).then(|| (n + 1, last));
        self.0.splice(after - 1..after, left.into_iter().chain(right));
        true
    }

    /// Adds all of `other`.
    pub fn union(&mut self, other: &Self) {
        for (first, last) in other.iter() {
            self.insert_range(first, last);
        }
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        let mut theirs = other.0.iter().peekable();
        for &(mut first, last) in &self.0 {
            while let Some(&&(start, end)) = theirs.peek() {
                if end < first {
                    theirs.next();
                } else if start > last {
                    break;
                } else {
                    if start > first {
                        out.push((first, start - 1));
                    }
                    if end >= last {
                        first = last + 1;
                        break;
                    }
                    first = end + 1;
                    theirs.next();
                }
            }
            if first <= last {
                out.push((first, last));
            }
        }
        Self(out)
    }

    /// Whether everything in `other` is in this set.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        other.difference(self).is_empty()
    }

    /// The numbers below the greatest one that are not in the set.
    #[must_use]
    pub fn gaps(&self) -> Self {
        Self::up_to(self.max()).difference(self)
    }
}

impl Serialize for Intervals {
    /// As distances: the gap before an interval, then its length. Small numbers stay small.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut end = 0;
        serializer.collect_seq(self.0.iter().map(|(first, last)| {
            let pair = (first - end, last - first + 1);
            end = *last;
            pair
        }))
    }
}

impl<'de> Deserialize<'de> for Intervals {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = Vec::<(u64, u64)>::deserialize(deserializer)?;
        let mut out = Vec::with_capacity(pairs.len());
        let mut end = 0_u64;
        for (index, (gap, length)) in pairs.into_iter().enumerate() {
            let touches = index > 0 && gap < 2;
            if gap == 0 || length == 0 || touches {
                return Err(de::Error::custom("intervals are not in canonical form"));
            }
            let overflow = || de::Error::custom("an interval ends beyond 2^64");
            let first = end.checked_add(gap).ok_or_else(overflow)?;
            let last = first.checked_add(length - 1).ok_or_else(overflow)?;
            out.push((first, last));
            end = last;
        }
        if end == u64::MAX {
            return Err(de::Error::custom("an interval ends beyond the last sequence number"));
        }
        Ok(Self(out))
    }
}
