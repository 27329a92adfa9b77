//! Which keys may have a record: Bloom filters, so that a write to a fresh key looks nowhere.
//!
//! Invariant: once the filters are complete, a key that they do not know has no record. Records are
//! never removed, only the ledger adds any, and what was there before it is read page by page.

use std::hash::{DefaultHasher, Hasher};

use bytes::Bytes;

use super::{Store, StoreError, layout};

/// So many keys are read at a time of what the store held before.
const PAGE_KEYS: usize = 2_048;
/// How many keys the first filter has room for; each further one has four times as much.
const FIRST_KEYS: usize = 1 << 16;
const GROWTH: usize = 4;
/// Four filters have room for 5.5 M keys in 8 MiB. With more keys there are none, and every write
/// looks whether there is a record.
const FILTERS_MAX: usize = 4;
/// About one in two hundred fresh keys is taken for a known one.
const BITS_PER_KEY: usize = 12;

/// What is known of the keys that have a record.
#[derive(Debug)]
pub(super) struct Known {
    filters: Vec<Filter>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Keys from this one on are still to be read.
    Reading(Bytes),
    Complete,
    GivenUp,
}

impl Known {
    /// What is known of `store` before anything was read of it but the first page: all there is, if
    /// it is a small one.
    pub(super) fn open(store: &dyn Store) -> Result<Self, StoreError> {
        let mut known = Self { filters: Vec::new(), stage: Stage::Reading(layout::all(b'r').0) };
        known.read_on(store)?;
        Ok(known)
    }

    /// Whether there certainly is no record under the key `at` of the store.
    pub(super) fn rules_out(&self, at: &[u8]) -> bool {
        matches!(self.stage, Stage::Complete) && !self.contains(hash(at))
    }

    /// From now on there may be a record under the key `at` of the store.
    pub(super) fn add(&mut self, at: &[u8]) {
        let hash = hash(at);
        if matches!(self.stage, Stage::GivenUp) || self.contains(hash) {
            return;
        }
        if self.filters.last().is_none_or(|filter| filter.room == 0) {
            if self.filters.len() == FILTERS_MAX {
                *self = Self { filters: Vec::new(), stage: Stage::GivenUp };
                return;
            }
            let larger = self.filters.iter().fold(FIRST_KEYS, |keys, _| keys * GROWTH);
            self.filters.push(Filter::new(larger));
        }
        self.filters.last_mut().expect("one was just made sure of").insert(hash);
    }

    /// Reads a page of what `store` held before, until all of it is known.
    pub(super) fn read_on(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let Stage::Reading(from) = &self.stage else { return Ok(()) };
        let (from, to) = (from.clone(), layout::all(b'r').1);
        let snapshot = store.snapshot();
        let mut rest = snapshot.range(&from, &to, false);
        for pair in rest.by_ref().take(PAGE_KEYS) {
            self.add(&pair?.0);
        }
        let next = rest.next().transpose()?;
        if !matches!(self.stage, Stage::GivenUp) {
            self.stage = next.map_or(Stage::Complete, |(at, _)| Stage::Reading(at));
        }
        Ok(())
    }

    fn contains(&self, hash: u64) -> bool {
        self.filters.iter().any(|filter| filter.contains(hash))
    }
}

fn hash(at: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(at);
    hasher.finish()
}

/// A split block Bloom filter: each key sets one bit in each word of one block.
#[derive(Debug)]
struct Filter {
    blocks: Vec<Block>,
    /// For so many further keys.
    room: usize,
}

type Block = [u64; 8];

impl Filter {
    fn new(keys: usize) -> Self {
        let bits = keys * BITS_PER_KEY;
        Self { blocks: vec![[0; 8]; bits.div_ceil(8 * 64)], room: keys }
    }

    fn place(&self, hash: u64) -> usize {
        ((hash >> 32) as usize * self.blocks.len()) >> 32
    }

    fn insert(&mut self, hash: u64) {
        let place = self.place(hash);
        let bits = bits(hash);
        self.blocks[place].iter_mut().zip(bits).for_each(|(word, bit)| *word |= bit);
        self.room -= 1;
    }

    fn contains(&self, hash: u64) -> bool {
        self.blocks[self.place(hash)].iter().zip(bits(hash)).all(|(word, bit)| word & bit != 0)
    }
}

/// A bit for each word of a block. They are of other parts of the hash than the place of the block.
fn bits(hash: u64) -> impl Iterator<Item = u64> {
    // Six bits name one of 64.
    let mixed = (hash & 0xffff_ffff).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..8).map(move |word| 1 << (mixed >> (16 + 6 * word) & 63))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Batch, Durability, memory::Memory};

    fn at(n: usize) -> Bytes {
        layout::record(0, format!("k/{n}").as_bytes())
    }

    fn store_of(keys: usize) -> Memory {
        let store = Memory::new();
        let mut batch = Batch::new();
        (0..keys).for_each(|n| batch.insert(at(n), Bytes::new()));
        store.commit(batch, Durability::Buffer).expect("memory takes all");
        store
    }

    #[test]
    fn nothing_that_was_there_or_was_added_is_ruled_out() {
        let store = store_of(3 * PAGE_KEYS);
        let mut known = Known::open(&store).expect("readable");
        known.add(&at(1_000_000));
        for _ in 0..2 {
            assert!((0..10_000).all(|n| !known.rules_out(&at(1_000_000 + n))), "not all is read");
            known.read_on(&store).expect("readable");
        }
        assert!((0..3 * PAGE_KEYS).chain([1_000_000]).all(|n| !known.rules_out(&at(n))));
        let strangers = (0..10_000).filter(|n| known.rules_out(&at(2_000_000 + n))).count();
        assert!(strangers > 9_900, "{strangers}");
    }

    #[test]
    fn filters_grow_until_there_are_too_many_keys() {
        let mut known = Known::open(&Memory::new()).expect("readable");
        let keys = 6 * FIRST_KEYS;
        (0..keys).for_each(|n| known.add(&at(n)));
        assert_eq!(known.filters.len(), 3);
        assert!((0..keys).all(|n| !known.rules_out(&at(n))));
        let strangers = (0..10_000).filter(|n| known.rules_out(&at(keys + n))).count();
        assert!(strangers > 9_800, "{strangers}");
        known.filters.resize_with(FILTERS_MAX, || Filter { blocks: vec![[0; 8]], room: 0 });
        known.add(&at(keys));
        assert!(!known.rules_out(&at(keys + 1)), "given up");
    }
}
