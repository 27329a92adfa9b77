//! How a set of sequence numbers lies in a store: in chunks, so that a commit writes only what it
//! changed.
//!
//! A newcomer is shown the writes that are held, and learns only in the end that all others are
//! dead: until then its seen set has as many intervals as there are holes, hundreds of thousands.
//! An interval lies in the chunk that its first number belongs to, however far it reaches; a set
//! without holes is one interval in one chunk.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{Batch, StoreError};
use crate::{
    causality::{Intervals, Union},
    wire,
};

/// Intervals that begin among so many numbers share a chunk: at most half as many, a few hundred
/// bytes when a hole follows every write.
const CHUNK_SEQS: u64 = 1_024;

/// Adds to `batch` what a union of `before` with `more` changes; `at` gives the key of a chunk.
pub(super) fn write_union(
    batch: &mut Batch,
    before: &Intervals,
    more: &Intervals,
    union: &Union,
    at: impl Fn(u64) -> Bytes,
) {
    for chunk in touched(before, more) {
        let first = chunk * CHUNK_SEQS;
        let intervals = union.beginning_within(before, first, first + (CHUNK_SEQS - 1));
        if intervals.is_empty() {
            batch.remove(at(chunk));
        } else {
            batch.insert(at(chunk), wire::encode(&intervals));
        }
    }
}

/// Adds to `batch` what lies differently when `before` becomes `after`, whichever way. Looks at all of
/// both.
pub(super) fn rewrite(batch: &mut Batch, before: &Intervals, after: &Intervals, at: impl Fn(u64) -> Bytes) {
    let by_chunk = |set: &Intervals| {
        let mut chunks: BTreeMap<u64, Intervals> = BTreeMap::new();
        set.iter().for_each(|(first, last)| {
            chunks.entry(first / CHUNK_SEQS).or_default().insert_range(first, last);
        });
        chunks
    };
    let (before, after) = (by_chunk(before), by_chunk(after));
    for chunk in before.keys().filter(|chunk| !after.contains_key(chunk)) {
        batch.remove(at(*chunk));
    }
    for (chunk, intervals) in after.iter().filter(|(chunk, intervals)| before.get(chunk) != Some(intervals)) {
        batch.insert(at(*chunk), wire::encode(intervals));
    }
}

/// The chunks in which an interval begins, ends to begin, or changes its end.
fn touched(before: &Intervals, more: &Intervals) -> BTreeSet<u64> {
    let mut chunks = BTreeSet::new();
    for (first, last) in more.iter() {
        let mut swallowed = before.starts_touching(first, last).peekable();
        chunks.insert(swallowed.peek().map_or(first, |start| first.min(*start)) / CHUNK_SEQS);
        chunks.extend(swallowed.map(|start| start / CHUNK_SEQS));
    }
    chunks
}

/// Adds the intervals of one chunk to what earlier chunks gave.
pub(super) fn read(into: &mut Intervals, chunk: &[u8]) -> Result<(), StoreError> {
    let intervals: Intervals =
        wire::decode_stored(chunk).map_err(|error| StoreError::Damaged(error.to_string()))?;
    into.union(&intervals);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*};

    use super::*;
    use crate::storage::Operation;

    #[derive(Default)]
    struct Disk(BTreeMap<u64, Bytes>);

    impl Disk {
        fn apply(&mut self, batch: Batch) -> usize {
            let number = |key: Bytes| u64::from_be_bytes(key[..].try_into().expect("eight bytes"));
            let operations = batch.into_operations();
            let count = operations.len();
            for operation in operations {
                match operation {
                    Operation::Insert(key, value) => drop(self.0.insert(number(key), value)),
                    Operation::Remove(key) => {
                        assert!(self.0.remove(&number(key)).is_some(), "nothing was there");
                    }
                }
            }
            count
        }

        fn read(&self) -> Intervals {
            let mut out = Intervals::new();
            self.0.values().for_each(|chunk| read(&mut out, chunk).expect("just written"));
            out
        }
    }

    fn add(disk: &mut Disk, seen: &mut Intervals, more: &Intervals) -> usize {
        let mut batch = Batch::new();
        let union = seen.plan_union(more);
        let at = |chunk: u64| Bytes::copy_from_slice(&chunk.to_be_bytes());
        write_union(&mut batch, seen, more, &union, at);
        seen.apply(union);
        disk.apply(batch)
    }

    fn ranges() -> impl Strategy<Value = Vec<(u64, u64)>> {
        collection::vec((1..6_000_u64, 0..1_500_u64).prop_map(|(a, b)| (a, a + b / 30 * (b % 30))), 1..12)
    }

    proptest! {
        #[test]
        fn chunks_hold_the_set_after_every_commit(commits in collection::vec(ranges(), 1..12)) {
            let (mut disk, mut seen, mut plain) = (Disk::default(), Intervals::new(), Intervals::new());
            for commit in commits {
                let mut more = Intervals::new();
                commit.iter().for_each(|(first, last)| more.insert_range(*first, *last));
                add(&mut disk, &mut seen, &more);
                commit.iter().for_each(|(first, last)| plain.insert_range(*first, *last));
                prop_assert_eq!(&seen, &plain);
                prop_assert_eq!(&disk.read(), &plain);
            }
        }
    }

    #[test]
    fn a_page_with_holes_costs_its_own_chunks_however_much_was_seen() {
        let (mut disk, mut seen) = (Disk::default(), Intervals::new());
        let page = |n: u64| (n * 1_000..(n + 1) * 1_000).map(|i| i * 2 + 2).collect::<Vec<_>>();
        for n in 0..200 {
            let mut more = Intervals::new();
            page(n).into_iter().for_each(|seq| more.insert_range(seq, seq));
            assert!(add(&mut disk, &mut seen, &more) <= 3);
        }
        assert_eq!(seen.fragments(), 200_000);
        add(&mut disk, &mut seen, &Intervals::up_to(400_000));
        assert_eq!((disk.0.len(), disk.read()), (1, Intervals::up_to(400_000)));
    }
}
