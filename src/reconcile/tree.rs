//! The tree of ranges of one exchange: both ends cut it alike.

use std::collections::BTreeSet;

use super::Violation;
use crate::{
    causality::{Dot, Intervals, Origin, SeenSet},
    digest::{Digests, GROUP, LEVELS_MAX, Sum},
    wire::{HELD_WRITES, Held, Parts, Range, encode},
};

/// The digests of one end, over the origins that either has seen.
#[derive(Debug)]
pub struct Tree {
    digests: Digests,
    /// The origins in order, and how many levels the blocks of each have.
    origins: Vec<(Origin, u32)>,
    session: [u8; 32],
}

impl Tree {
    pub fn new(digests: Digests, own: &SeenSet, peer: &SeenSet, nonces: (u64, u64)) -> Self {
        let all: BTreeSet<Origin> = own.iter().chain(peer.iter()).map(|(origin, _)| *origin).collect();
        let last = |seen: &SeenSet, origin: &Origin| seen.get(origin).map_or(0, Intervals::max);
        let levels = |origin: &Origin| levels(last(own, origin).max(last(peer, origin)) / 64);
        let (low, high) = (nonces.0.min(nonces.1), nonces.0.max(nonces.1));
        Self {
            digests,
            origins: all.into_iter().map(|origin| (origin, levels(&origin))).collect(),
            session: *blake3::hash(&[low.to_le_bytes(), high.to_le_bytes()].concat()).as_bytes(),
        }
    }

    /// The range of all origins.
    pub fn root(&self) -> Range {
        let mut level = 1;
        while GROUP.saturating_pow(level) < self.origins.len() as u64 {
            level += 1;
        }
        Range::Origins { level, index: 0 }
    }

    pub fn number(&self, origin: &Origin) -> Option<u32> {
        let place = self.origins.binary_search_by(|(name, _)| name.cmp(origin)).ok()?;
        u32::try_from(place).ok()
    }

    pub fn name(&self, number: u32) -> Result<Origin, Violation> {
        let origin = self.origins.get(number as usize);
        origin.map(|(name, _)| *name).ok_or(Violation::DescentMalformed)
    }

    /// Whether there is such a range.
    pub fn check(&self, range: Range) -> Result<(), Violation> {
        let lawful = match range {
            Range::Origins { level, index } => {
                (1..=8).contains(&level)
                    && u64::from(index).saturating_mul(GROUP.saturating_pow(level))
                        < (self.origins.len() as u64).max(1)
            }
            Range::Blocks { origin, level, index } => self
                .origins
                .get(origin as usize)
                .is_some_and(|(_, levels)| level <= *levels && index < GROUP.saturating_pow(levels - level)),
        };
        if lawful { Ok(()) } else { Err(Violation::DescentMalformed) }
    }

    /// The sixteen parts of a range; those that there are not are nothing.
    pub fn parts_of(&self, range: Range) -> Vec<Option<Range>> {
        let part = |nth: u64| match range {
            Range::Origins { level: 1, index } => {
                let origin = u64::from(index) * GROUP + nth;
                let (_, levels) = self.origins.get(usize::try_from(origin).ok()?)?;
                Some(Range::Blocks { origin: u32::try_from(origin).ok()?, level: *levels, index: 0 })
            }
            Range::Origins { level, index } => {
                let index = u64::from(index) * GROUP + nth;
                let first = index.saturating_mul(GROUP.saturating_pow(level - 1));
                let index = u32::try_from(index).ok()?;
                (first < self.origins.len() as u64).then_some(Range::Origins { level: level - 1, index })
            }
            Range::Blocks { origin, level, index } => {
                Some(Range::Blocks { origin, level: level.checked_sub(1)?, index: index * GROUP + nth })
            }
        };
        (0..GROUP).map(part).collect()
    }

    /// What this end has in the parts of a range.
    pub fn parts(&self, range: Range) -> Parts {
        let (mut present, mut digests) = (0, Vec::new());
        for (nth, part) in self.parts_of(range).into_iter().enumerate() {
            if let Some(digest) = part.and_then(|part| self.digest(part)) {
                present |= 1 << nth;
                digests.push(digest);
            }
        }
        Parts { range, present, digests }
    }

    /// Which writes of the sixteen blocks of a range of level 1 this end holds.
    pub fn held(&self, origin: u32, index: u64) -> Held {
        let mut held = Held::default();
        let Some((name, _)) = self.origins.get(origin as usize) else { return held };
        for (block, bits) in (index * GROUP..).zip(&mut held.0) {
            *bits = self.digests.live(name, block);
        }
        held
    }

    /// The writes of a block that this end holds.
    pub fn dots(&self, origin: u32, block: u64) -> impl Iterator<Item = Dot> {
        let name = self.origins.get(origin as usize).map(|(name, _)| *name);
        let live = name.map_or(0, |name| self.digests.live(&name, block));
        let held = move |bit: &u64| live >> bit & 1 == 1;
        (0..64).filter(held).filter_map(move |bit| Some(Dot::new(name?, block * 64 + bit)))
    }

    fn sum(&self, range: Range) -> Sum {
        match range {
            Range::Blocks { origin, level, index } => {
                self.digests.range(&self.origins[origin as usize].0, level, index)
            }
            Range::Origins { level, index } => {
                let width = GROUP.saturating_pow(level);
                let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
                let first = count(u64::from(index) * width);
                let mut sum = Sum::ZERO;
                for (origin, levels) in self.origins.iter().skip(first).take(count(width)) {
                    sum.add(&self.digests.range(origin, *levels, 0));
                }
                sum
            }
        }
    }

    /// Eight bytes that nobody can prepare, keyed with what both drew for this exchange; nothing where
    /// nothing is held.
    pub fn digest(&self, range: Range) -> Option<[u8; 8]> {
        let sum = self.sum(range);
        if sum.count == 0 {
            return None;
        }
        let mut hasher = blake3::Hasher::new_keyed(&self.session);
        hasher.update(&encode(&range));
        hasher.update(&sum.to_bytes());
        let mut short = [0; 8];
        short.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Some(short)
    }
}

/// Adds to `set` the writes of a range of level 1 that are in `held`.
pub fn insert(set: &mut SeenSet, name: Origin, index: u64, held: &Held) {
    for (first, last) in held.runs() {
        set.insert_range(name, index * HELD_WRITES + first, index * HELD_WRITES + last);
    }
}

/// How many levels stand over the blocks up to number `last`: at least one.
fn levels(last: u64) -> u32 {
    (1..=LEVELS_MAX).find(|level| GROUP.saturating_pow(*level) > last).unwrap_or(LEVELS_MAX)
}
