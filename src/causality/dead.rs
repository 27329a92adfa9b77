//! Which of the seen writes are known to be superseded.

use std::collections::BTreeMap;

use super::{Dot, Intervals, Origin};

/// Seen writes that are held no more because something superseded them, or because they were
/// forgotten: 64 bits for each block of 64 sequence numbers.
///
/// Every seen dot is either held or dead. One that is neither has been lost, and only this set
/// can tell the two apart. Blocks that are dead to the last bit take no room of their own, for old
/// writes mostly are: memory follows what is held, not how much was ever written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadSet(pub(super) BTreeMap<Origin, Blocks>);

/// The blocks of one origin. No block is in both, and no bits in `partial` are all or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Blocks {
    /// One more than the number of each block that is dead to the last bit.
    pub(super) full: Intervals,
    /// The bits of the others.
    pub(super) partial: BTreeMap<u64, u64>,
}

impl Blocks {
    fn get(&self, index: u64) -> u64 {
        if self.full.contains(index + 1) {
            return u64::MAX;
        }
        self.partial.get(&index).copied().unwrap_or(0)
    }

    fn set(&mut self, index: u64, bits: u64) {
        if bits == u64::MAX {
            self.full.insert(index + 1);
        } else {
            self.full.remove(index + 1);
        }
        if bits == 0 || bits == u64::MAX {
            self.partial.remove(&index);
        } else {
            self.partial.insert(index, bits);
        }
    }

    fn is_empty(&self) -> bool {
        self.full.is_empty() && self.partial.is_empty()
    }

    /// How many of `first..=last` are dead.
    fn count_within(&self, first: u64, last: u64) -> u64 {
        let (low, high) = (DeadSet::block_of(first), DeadSet::block_of(last));
        let of_full = |(start, end): (u64, u64)| {
            let (start, end) = ((start - 1) * 64, (end - 1) * 64 + 63);
            end.min(last) - start.max(first) + 1
        };
        let full: u64 = self.full.within(low + 1, high + 1).map(of_full).sum();
        let partial = self.partial.range(low..=high);
        let bits = |(index, bits): (&u64, &u64)| u64::from((bits & mask(*index, first, last)).count_ones());
        full + partial.map(bits).sum::<u64>()
    }
}

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
        let index = Self::block_of(dot.seq);
        let bits = self.block(&dot.origin, index) | 1 << (dot.seq % 64);
        self.set_block(dot.origin, index, bits);
        bits
    }

    /// Takes `dot` out and returns the new bits of its block.
    pub fn remove(&mut self, dot: Dot) -> u64 {
        let index = Self::block_of(dot.seq);
        let bits = self.block(&dot.origin, index) & !(1 << (dot.seq % 64));
        self.set_block(dot.origin, index, bits);
        bits
    }

    /// The bits of block number `index` of `origin`.
    #[must_use]
    pub fn block(&self, origin: &Origin, index: u64) -> u64 {
        self.0.get(origin).map_or(0, |blocks| blocks.get(index))
    }

    /// Puts `bits` in the place of block number `index` of `origin`.
    pub fn set_block(&mut self, origin: Origin, index: u64, bits: u64) {
        if bits != 0 {
            self.0.entry(origin).or_default().set(index, bits);
        } else if let Some(blocks) = self.0.get_mut(&origin) {
            blocks.set(index, 0);
            if blocks.is_empty() {
                self.0.remove(&origin);
            }
        }
    }

    /// The first and the last of the blocks around number `index` of `origin` that are dead to the last
    /// bit; nothing if that one is not.
    #[must_use]
    pub fn full_around(&self, origin: &Origin, index: u64) -> Option<(u64, u64)> {
        let (start, end) = self.0.get(origin)?.full.around(index + 1)?;
        Some((start - 1, end - 1))
    }

    /// Marks all blocks `first..=last` of `origin` dead to the last bit.
    pub fn set_full(&mut self, origin: Origin, first: u64, last: u64) {
        let blocks = self.0.entry(origin).or_default();
        blocks.full.insert_range(first.saturating_add(1), last.saturating_add(1));
        blocks.partial.retain(|index, _| !(first..=last).contains(index));
    }

    /// Marks all of `first..=last` dead, calling `changed` with each block that was not all dead
    /// before, and its new bits.
    ///
    /// Costs a call for each of those blocks: whoever takes ranges from a peer bounds them first
    /// ([`ABSORB_DOTS_MAX`](crate::reconcile::ABSORB_DOTS_MAX)).
    pub fn insert_range(&mut self, origin: Origin, first: u64, last: u64, mut changed: impl FnMut(u64, u64)) {
        let first = first.max(1);
        if first > last {
            return;
        }
        let blocks = self.0.entry(origin).or_default();
        let touched = Intervals::from_range(Self::block_of(first) + 1, Self::block_of(last) + 1);
        for (start, end) in touched.difference(&blocks.full).iter() {
            for index in start - 1..end {
                let before = blocks.get(index);
                let bits = before | mask(index, first, last);
                if bits != before {
                    blocks.set(index, bits);
                    changed(index, bits);
                }
            }
        }
    }

    /// How many of `seqs` of `origin` are dead.
    #[must_use]
    pub fn count_within(&self, origin: &Origin, seqs: &Intervals) -> u64 {
        let Some(blocks) = self.0.get(origin) else { return 0 };
        seqs.iter().map(|(first, last)| blocks.count_within(first, last)).sum()
    }

    /// How many dots are dead in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.values().map(|blocks| blocks.count_within(0, u64::MAX)).fold(0, u64::saturating_add)
    }
}

/// The bits of block `index` that stand for numbers within `first..=last`.
fn mask(index: u64, first: u64, last: u64) -> u64 {
    let start = index * 64;
    let low = first.saturating_sub(start);
    let high = (last - start).min(63);
    (u64::MAX << low) & (u64::MAX >> (63 - high))
}
