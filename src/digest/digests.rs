//! The digests of all ranges of one namespace.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Sum,
    segment::{Block, SEGMENT_BLOCKS, Segment},
};
use crate::causality::{Dot, Origin};

/// A range is cut in so many.
pub const GROUP: u64 = 16;
/// So often a range can be cut until a block is left: sequence numbers have 63 bits.
pub const LEVELS_MAX: u32 = 15;

/// The digests of one namespace, kept in step with its dot index. A copy is cheap: it shares all
/// segments, and a write to either copies the one segment that it changes.
#[derive(Clone, Debug, Default)]
pub struct Digests {
    origins: BTreeMap<Origin, Tree>,
    root: Sum,
}

/// The digests of one origin.
#[derive(Clone, Debug, Default)]
struct Tree {
    segments: BTreeMap<u64, Arc<Segment>>,
    total: Sum,
}

/// Which block a sequence number lies in, and its bit there.
const fn place(seq: u64) -> (u64, u64) {
    (seq / 64, 1 << (seq % 64))
}

/// The place of a block in its segment.
fn in_segment(block: u64) -> u8 {
    u8::try_from(block % SEGMENT_BLOCKS).expect("a segment has 256 blocks")
}

impl Digests {
    /// Those of a namespace that holds nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { origins: BTreeMap::new(), root: Sum::ZERO }
    }

    /// The version `dot` with this hash is held from now on; `compared` if it is in the set that is
    /// compared.
    pub fn insert(&mut self, dot: Dot, hash: &[u8; 32], compared: bool) {
        let (block, bit) = place(dot.seq);
        self.change(&dot.origin, block, |block| {
            block.held |= bit;
            if compared {
                block.live |= bit;
                block.sum.insert(hash);
            }
        });
    }

    /// The version `dot` is held no more; `compared` as it was.
    pub fn remove(&mut self, dot: Dot, hash: &[u8; 32], compared: bool) {
        let (block, bit) = place(dot.seq);
        self.change(&dot.origin, block, |block| {
            block.held &= !bit;
            if compared {
                block.live &= !bit;
                block.sum.remove(hash);
            }
        });
    }

    fn change(&mut self, origin: &Origin, block: u64, change: impl FnOnce(&mut Block)) {
        let tree = self.origins.entry(*origin).or_default();
        let number = block / SEGMENT_BLOCKS;
        let segment = Arc::make_mut(tree.segments.entry(number).or_default());
        let before = segment.total;
        segment.change(in_segment(block), change);
        let after = segment.total;
        if segment.is_empty() {
            tree.segments.remove(&number);
        }
        for sum in [&mut tree.total, &mut self.root] {
            sum.subtract(&before);
            sum.add(&after);
        }
        if tree.segments.is_empty() {
            self.origins.remove(origin);
        }
    }

    /// The sum of everything that is compared.
    #[must_use]
    pub fn root(&self) -> Sum {
        self.root
    }

    /// The sum of what is compared of one origin.
    #[must_use]
    pub fn origin(&self, origin: &Origin) -> Sum {
        self.origins.get(origin).map_or(Sum::ZERO, |tree| tree.total)
    }

    /// The sum of what is compared of one origin in range number `index` of 16^`level` blocks.
    #[must_use]
    pub fn range(&self, origin: &Origin, level: u32, index: u64) -> Sum {
        let Some(tree) = self.origins.get(origin) else { return Sum::ZERO };
        let blocks = GROUP.saturating_pow(level);
        let first = index.saturating_mul(blocks);
        let last = first.saturating_add(blocks - 1);
        let segments = tree.segments.range(first / SEGMENT_BLOCKS..=last / SEGMENT_BLOCKS);
        let mut sum = Sum::ZERO;
        if blocks >= SEGMENT_BLOCKS {
            segments.for_each(|(_, segment)| sum.add(&segment.total));
        } else if let Some((_, segment)) = segments.last() {
            sum = segment.sum(in_segment(first), in_segment(last));
        }
        sum
    }

    fn block(&self, origin: &Origin, block: u64) -> Block {
        let segment = self.origins.get(origin).and_then(|tree| tree.segments.get(&(block / SEGMENT_BLOCKS)));
        segment.map(|segment| segment.block(in_segment(block))).unwrap_or_default()
    }

    /// Which of the 64 numbers of a block are compared.
    #[must_use]
    pub fn live(&self, origin: &Origin, block: u64) -> u64 {
        self.block(origin, block).live
    }

    /// Which of the 64 numbers of a block are held, compared or not.
    #[must_use]
    pub fn held(&self, origin: &Origin, block: u64) -> u64 {
        self.block(origin, block).held
    }

    /// All blocks that hold something: origin, number, which are held, which are compared, their sum.
    pub fn blocks(&self) -> impl Iterator<Item = (&Origin, u64, u64, u64, Sum)> {
        self.origins.iter().flat_map(|(origin, tree)| {
            tree.segments.iter().flat_map(move |(number, segment)| {
                let number = number * SEGMENT_BLOCKS;
                segment.blocks().map(move |(place, block)| {
                    (origin, number + u64::from(place), block.held, block.live, block.sum)
                })
            })
        })
    }

    /// Puts a block in that a checkpoint kept.
    pub fn restore(&mut self, origin: &Origin, block: u64, held: u64, live: u64, sum: Sum) {
        self.change(origin, block, |place| *place = Block { held, live, sum });
    }
}
