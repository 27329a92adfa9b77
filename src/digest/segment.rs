//! 256 blocks of one origin: what a copy of a digest shares until it is written to.

use std::collections::BTreeMap;

use super::Sum;

/// How many blocks a segment has.
pub const SEGMENT_BLOCKS: u64 = 256;

/// 64 sequence numbers of one origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Which of them are in the dot index.
    pub held: u64,
    /// Which of them are compared.
    pub live: u64,
    /// The sum of those that are compared.
    pub sum: Sum,
}

/// 256 blocks, those that hold nothing left out.
#[derive(Clone, Debug, Default)]
pub struct Segment {
    blocks: BTreeMap<u8, Block>,
    pub total: Sum,
}

impl Segment {
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    pub fn block(&self, place: u8) -> Block {
        self.blocks.get(&place).copied().unwrap_or_default()
    }

    /// Changes a block, and the total with it.
    pub fn change(&mut self, place: u8, change: impl FnOnce(&mut Block)) {
        let block = self.blocks.entry(place).or_default();
        self.total.subtract(&block.sum);
        change(block);
        self.total.add(&block.sum);
        if block.held == 0 {
            self.blocks.remove(&place);
        }
    }

    /// The sum of the blocks `first..=last`.
    pub fn sum(&self, first: u8, last: u8) -> Sum {
        let mut sum = Sum::ZERO;
        self.blocks.range(first..=last).for_each(|(_, block)| sum.add(&block.sum));
        sum
    }

    pub fn blocks(&self) -> impl Iterator<Item = (u8, &Block)> {
        self.blocks.iter().map(|(place, block)| (*place, block))
    }
}
