//! Which of the seen writes are known to be superseded.

use std::collections::BTreeMap;

use super::{Dot, Intervals, Origin};

/// Seen writes that are held no more because something superseded them, or because they were
/// forgotten: 64 bits for each block of 64 sequence numbers.
///
/// Every seen dot is either held or dead. One that is neither has been lost, and only this set
/// can tell the two apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadSet(BTreeMap<Origin, BTreeMap<u64, u64>>);

impl DeadSet {
    /// The set that holds nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The block that a sequence number lies in.
    #[must_use]
    pub const fn block_of(seq: u64) -> u64 {
        seq / 64
    }

    /// Whether `dot` is dead.
    #[must_use]
    pub fn contains(&self, dot: Dot) -> bool {
        self.block(&dot.origin, Self::block_of(dot.seq)) & (1 << (dot.seq % 64)) != 0
    }

    /// Marks `dot` dead and returns the new bits of its block.
    pub fn insert(&mut self, dot: Dot) -> u64 {
        let block = self.0.entry(dot.origin).or_default().entry(Self::block_of(dot.seq)).or_default();
        *block |= 1 << (dot.seq % 64);
        *block
    }

    /// Takes `dot` out and returns the new bits of its block.
    pub fn remove(&mut self, dot: Dot) -> u64 {
        let Some(blocks) = self.0.get_mut(&dot.origin) else { return 0 };
        let index = Self::block_of(dot.seq);
        let Some(block) = blocks.get_mut(&index) else { return 0 };
        *block &= !(1 << (dot.seq % 64));
        let left = *block;
        if left == 0 {
            blocks.remove(&index);
        }
        left
    }

    /// The bits of block number `index` of `origin`.
    #[must_use]
    pub fn block(&self, origin: &Origin, index: u64) -> u64 {
        self.0.get(origin).and_then(|blocks| blocks.get(&index)).copied().unwrap_or(0)
    }

    /// Puts `bits` in the place of block number `index` of `origin`.
    pub fn set_block(&mut self, origin: Origin, index: u64, bits: u64) {
        if bits != 0 {
            self.0.entry(origin).or_default().insert(index, bits);
        } else if let Some(blocks) = self.0.get_mut(&origin) {
            blocks.remove(&index);
        }
    }

    /// Marks all of `first..=last` dead, calling `changed` with each block and its new bits.
    pub fn insert_range(&mut self, origin: Origin, first: u64, last: u64, mut changed: impl FnMut(u64, u64)) {
        let blocks = self.0.entry(origin).or_default();
        for index in Self::block_of(first)..=Self::block_of(last) {
            let bits = mask(index, first, last);
            let block = blocks.entry(index).or_default();
            if *block | bits != *block {
                *block |= bits;
                changed(index, *block);
            }
        }
    }

    /// How many of `seqs` of `origin` are dead.
    #[must_use]
    pub fn count_within(&self, origin: &Origin, seqs: &Intervals) -> u64 {
        let Some(blocks) = self.0.get(origin) else { return 0 };
        let of_interval = |(first, last): (u64, u64)| -> u64 {
            let range = blocks.range(Self::block_of(first)..=Self::block_of(last));
            range.map(|(index, bits)| u64::from((bits & mask(*index, first, last)).count_ones())).sum()
        };
        seqs.iter().map(of_interval).sum()
    }

    /// How many dots are dead in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.values().flat_map(BTreeMap::values).map(|bits| u64::from(bits.count_ones())).sum()
    }
}

/// The bits of block `index` that stand for numbers within `first..=last`.
fn mask(index: u64, first: u64, last: u64) -> u64 {
    let start = index * 64;
    let low = first.saturating_sub(start);
    let high = (last - start).min(63);
    (u64::MAX << low) & (u64::MAX >> (63 - high))
}
