//! A set of sequence numbers, kept as the intervals between its gaps.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::SEQ_MAX;

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
        // Intervals start at 1 and do not overlap, so the sum is at most the greatest number.
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
    #[must_use = "iterators are lazy"]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    /// The parts of the intervals that lie within `first..=last`, ascending.
    pub fn within(&self, first: u64, last: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let from = self.0.partition_point(|(_, end)| *end < first);
        let inside = self.0[from..].iter().take_while(move |(start, _)| *start <= last);
        inside.map(move |(start, end)| ((*start).max(first), (*end).min(last)))
    }

    /// The interval that `n` lies in.
    #[must_use]
    pub fn around(&self, n: u64) -> Option<(u64, u64)> {
        let at = self.0.partition_point(|(_, end)| *end < n);
        self.0.get(at).copied().filter(|(start, _)| *start <= n)
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

    /// Adds `n`; false if it was in the set already, or is 0, which is no sequence number.
    pub fn insert(&mut self, n: u64) -> bool {
        // Nearly always the next number of an origin that misses nothing.
        if let Some((_, last)) = self.0.last_mut()
            && last.checked_add(1) == Some(n)
        {
            *last = n;
            return true;
        }
        if n == 0 || self.contains(n) {
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
        let union = self.plan_union(other);
        self.apply(union);
    }

    /// What a union with `other` would change: only the intervals between the first and the last
    /// that it touches are looked at.
    #[must_use]
    pub fn plan_union(&self, other: &Self) -> Union {
        let Some((first, _)) = other.0.first() else { return Union::default() };
        let from = self.0.partition_point(|(_, end)| end.saturating_add(1) < *first);
        let to = self.0.partition_point(|(start, _)| *start <= other.max().saturating_add(1)).max(from);
        // One by one would move the tail for each: quadratic, at the choice of a peer.
        let with = Self::merged(&self.0[from..to], &other.0).0;
        Union { from, to, with }
    }

    /// Makes the change that [`Self::plan_union`] planned of this same set.
    pub fn apply(&mut self, union: Union) {
        let Union { from, to, with } = union;
        self.0.splice(from..to, with);
    }

    /// Where the intervals begin that overlap or touch `first..=last`, ascending.
    pub fn starts_touching(&self, first: u64, last: u64) -> impl Iterator<Item = u64> + '_ {
        let from = self.0.partition_point(|(_, end)| end.saturating_add(1) < first);
        let touching = self.0[from..].iter().take_while(move |(start, _)| *start <= last.saturating_add(1));
        touching.map(|(start, _)| *start)
    }

    /// Both sets, in one pass over both.
    fn merged(left: &[(u64, u64)], right: &[(u64, u64)]) -> Self {
        let mut out: Vec<(u64, u64)> = Vec::with_capacity(left.len().max(right.len()));
        let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
        loop {
            let next = match (left.peek(), right.peek()) {
                (Some(l), Some(r)) if l <= r => left.next(),
                (_, Some(_)) => right.next(),
                (_, None) => left.next(),
            };
            let Some(&(first, last)) = next else { return Self(out) };
            match out.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => out.push((first, last)),
            }
        }
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        let mut theirs = other.0.iter().peekable();
        for &(first, last) in &self.0 {
            // What of this interval is left to look at; nothing once `other` reaches its end.
            let mut rest = Some(first);
            while let (Some(from), Some(&&(start, end))) = (rest, theirs.peek()) {
                if start > last {
                    break;
                }
                if end >= from {
                    if start > from {
                        out.push((from, start - 1));
                    }
                    rest = (end < last).then(|| end + 1);
                }
                if end <= last {
                    theirs.next();
                }
            }
            out.extend(rest.map(|from| (from, last)));
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

/// The change that a union makes: some neighbouring intervals give way to others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Union {
    from: usize,
    to: usize,
    with: Vec<(u64, u64)>,
}

impl Union {
    /// The intervals of the set as it will be that begin within `first..=last`, where `before` is
    /// the set as it is.
    #[must_use]
    pub fn beginning_within(&self, before: &Intervals, first: u64, last: u64) -> Intervals {
        let parts = [&before.0[..self.from], &self.with, &before.0[self.to..]];
        let mut found = Vec::new();
        for part in parts {
            let from = part.partition_point(|(start, _)| *start < first);
            found.extend(part[from..].iter().take_while(|(start, _)| *start <= last));
        }
        Intervals(found)
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
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Intervals;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("intervals, each as its distance from the one before and its length")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Intervals, A::Error> {
                let mut out: Vec<(u64, u64)> = Vec::new();
                while let Some((gap, length)) = seq.next_element::<(u64, u64)>()? {
                    let end = out.last().map(|(_, last)| *last);
                    if gap == 0 || length == 0 || (end.is_some() && gap == 1) {
                        return Err(de::Error::custom("intervals are not in canonical form"));
                    }
                    let first = end.unwrap_or(0).checked_add(gap);
                    let last = first.and_then(|first| first.checked_add(length - 1));
                    match (first, last) {
                        (Some(first), Some(last)) if last <= SEQ_MAX => out.push((first, last)),
                        _ => return Err(de::Error::custom("a sequence number beyond the last there can be")),
                    }
                }
                Ok(Intervals(out))
            }
        }
        deserializer.deserialize_seq(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{collection, prelude::*};

    use super::*;
    use crate::wire::{decode, encode};

    fn ranges() -> impl Strategy<Value = Vec<(u64, u64)>> {
        collection::vec((0..150_u64, 0..12_u64).prop_map(|(first, more)| (first, first + more)), 0..14)
    }

    fn sets(ranges: &[(u64, u64)]) -> (Intervals, BTreeSet<u64>) {
        let mut set = Intervals::new();
        for (first, last) in ranges {
            set.insert_range(*first, *last);
        }
        (set, ranges.iter().flat_map(|(first, last)| *first..=*last).filter(|n| *n > 0).collect())
    }

    fn numbers(set: &Intervals) -> BTreeSet<u64> {
        set.iter().flat_map(|(first, last)| first..=last).collect()
    }

    fn is_canonical(set: &Intervals) -> bool {
        set.0.iter().all(|(first, last)| 0 < *first && first <= last)
            && set.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0)
    }

    proptest! {
        #[test]
        fn intervals_do_what_a_plain_set_does(a in ranges(), changes in collection::vec((any::<bool>(), 0..170_u64), 0..30)) {
            let (mut set, mut naive) = sets(&a);
            for (add, n) in changes {
                if add {
                    prop_assert_eq!(set.insert(n), n > 0 && naive.insert(n));
                } else {
                    prop_assert_eq!(set.remove(n), naive.remove(&n));
                }
                prop_assert!(is_canonical(&set), "{:?}", set);
            }
            prop_assert_eq!(numbers(&set), naive.clone());
            prop_assert_eq!(set.count(), naive.len() as u64);
            prop_assert_eq!(set.max(), naive.last().copied().unwrap_or(0));
            prop_assert_eq!(set.base(), (1..200).take_while(|n| naive.contains(n)).last().unwrap_or(0));
            prop_assert_eq!(set.is_empty(), naive.is_empty());
            let gaps: BTreeSet<u64> = (1..set.max().max(1)).filter(|n| !naive.contains(n)).collect();
            prop_assert_eq!(numbers(&set.gaps()), gaps);
            for n in 0..200 {
                prop_assert_eq!(set.contains(n), naive.contains(&n));
            }
            let inside: BTreeSet<u64> = set.within(20, 90).flat_map(|(first, last)| first..=last).collect();
            prop_assert_eq!(inside, naive.range(20..=90).copied().collect::<BTreeSet<u64>>());
        }

        #[test]
        fn union_and_difference_are_those_of_plain_sets(a in ranges(), b in ranges()) {
            let ((a, plain_a), (b, plain_b)) = (sets(&a), sets(&b));
            let mut both = a.clone();
            both.union(&b);
            prop_assert_eq!(numbers(&both), &plain_a | &plain_b);
            prop_assert_eq!(numbers(&a.difference(&b)), &plain_a - &plain_b);
            prop_assert_eq!(a.includes(&b), plain_a.is_superset(&plain_b));
            prop_assert!(is_canonical(&both) && is_canonical(&a.difference(&b)));
        }

        #[test]
        fn union_is_commutative_associative_and_idempotent(a in ranges(), b in ranges(), c in ranges()) {
            let (a, b, c) = (sets(&a).0, sets(&b).0, sets(&c).0);
            let join = |x: &Intervals, y: &Intervals| {
                let mut out = x.clone();
                out.union(y);
                out
            };
            prop_assert_eq!(join(&a, &b), join(&b, &a));
            prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
            prop_assert_eq!(join(&a, &a), a);
        }

        #[test]
        fn intervals_read_as_they_are_written(a in ranges()) {
            let set = sets(&a).0;
            prop_assert_eq!(decode::<Intervals>(&encode(&set)), Ok(set));
        }

        #[test]
        fn whatever_can_be_read_is_written_the_same(pairs in collection::vec((0..4_u64, 0..4_u64), 0..6)) {
            let bytes = encode(&pairs);
            if let Ok(set) = decode::<Intervals>(&bytes) {
                prop_assert!(is_canonical(&set));
                prop_assert_eq!(encode(&set), bytes);
            }
        }
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        for pairs in [
            vec![(0, 1)],
            vec![(1, 0)],
            vec![(1, 1), (1, 1)],
            vec![(1, 1), (0, 1)],
            vec![(1, SEQ_MAX + 1)],
            vec![(SEQ_MAX + 1, 1)],
            vec![(u64::MAX, u64::MAX)],
            vec![(u64::MAX, 1), (2, 1)],
        ] {
            assert!(decode::<Intervals>(&encode(&pairs)).is_err(), "{pairs:?}");
        }
        assert_eq!(decode(&encode(&vec![(1_u64, SEQ_MAX)])), Ok(Intervals::up_to(SEQ_MAX)));
    }

    #[test]
    fn nothing_overflows_at_the_greatest_number() {
        let mut set = Intervals::from_range(u64::MAX - 1, u64::MAX);
        assert!(!set.insert(u64::MAX) && !set.insert(0));
        assert!(set.insert(1));
        set.insert_range(3, u64::MAX);
        set.union(&Intervals::from_range(u64::MAX, u64::MAX));
        assert_eq!(set.difference(&Intervals::from_range(5, u64::MAX)).count(), 3);
        assert_eq!(Intervals::up_to(u64::MAX).difference(&set), Intervals::from_range(2, 2));
        assert_eq!(Intervals::up_to(u64::MAX).count(), u64::MAX);
        assert!(set.remove(u64::MAX));
        assert_eq!(set.max(), u64::MAX - 1);
    }
}
