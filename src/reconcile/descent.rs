//! Goes down the tree of ranges to the blocks that differ.
//!
//! The ends take turns: one says what it has in the parts of a range, the other answers for the parts
//! that differ with what it has in *their* parts, so half a round trip takes one level. At the bottom
//! stand bitmaps, and both know which writes only they hold.

use std::collections::BTreeSet;

use crate::{
    causality::{Dot, Origin, SeenSet},
    digest::{Digests, GROUP, LEVELS_MAX, Sum},
    wire::{BlockHeld, Descent, Parts, RANGES_MAX, Range, encode},
};

use super::Violation;

/// The most ranges that one step of a peer may speak of; a replica of ours never says as much.
pub const STEP_RANGES_MAX: usize = 1 << 22;

/// One end of a descent.
#[derive(Debug)]
pub struct Descending {
    digests: Digests,
    /// The origins that either had seen, in order, and how many levels the blocks of each have.
    origins: Vec<(Origin, u32)>,
    session: [u8; 32],
    /// What this step is answered with.
    answer: Descent,
    /// How much of the peer's step came so far.
    came: usize,
    /// What only this end holds.
    pub mine: SeenSet,
    /// What the peer holds, as far as it was looked at.
    pub theirs: SeenSet,
    /// Blocks of which both hold the same writes, with other contents.
    pub colliding: BTreeSet<(u32, u64)>,
}

/// What comes of a frame of the peer's step.
#[derive(Debug, PartialEq, Eq)]
pub enum Stepped {
    /// The step goes on.
    More,
    /// It was whole: these frames answer it.
    Answer(Vec<Descent>),
    /// It was whole, and both are through.
    Through(Vec<Descent>),
}

impl Descending {
    /// `own` and `peer` are what the two said they have seen, `digests` those of this end's snapshot.
    #[must_use]
    pub fn new(digests: Digests, own: &SeenSet, peer: &SeenSet, nonces: (u64, u64)) -> Self {
        let all: BTreeSet<Origin> = own.iter().chain(peer.iter()).map(|(origin, _)| *origin).collect();
        let last =
            |seen: &SeenSet, origin: &Origin| seen.get(origin).map_or(0, crate::causality::Intervals::max);
        let levels = |origin: &Origin| levels(last(own, origin).max(last(peer, origin)) / 64);
        let (low, high) = (nonces.0.min(nonces.1), nonces.0.max(nonces.1));
        Self {
            digests,
            origins: all.into_iter().map(|origin| (origin, levels(&origin))).collect(),
            session: *blake3::hash(&[low.to_le_bytes(), high.to_le_bytes()].concat()).as_bytes(),
            answer: Descent::default(),
            came: 0,
            mine: SeenSet::new(),
            theirs: SeenSet::new(),
            colliding: BTreeSet::new(),
        }
    }

    /// The first step, by the end that begins.
    #[must_use]
    pub fn first(&self) -> Vec<Descent> {
        let mut level = 1;
        while GROUP.saturating_pow(level) < self.origins.len() as u64 {
            level += 1;
        }
        let range = Range::Origins { level, index: 0 };
        frames(Descent { ranges: vec![self.parts(range)], blocks: vec![], more: false })
    }

    /// A frame of the peer's step came.
    ///
    /// # Errors
    /// When it speaks of what there is not, or of too much.
    pub fn on_step(&mut self, step: Descent) -> Result<Stepped, Violation> {
        let Descent { ranges, blocks, more } = step;
        self.came += ranges.len() + blocks.len();
        if self.came > STEP_RANGES_MAX {
            return Err(Violation::DescentTooLarge(STEP_RANGES_MAX));
        }
        for parts in ranges {
            self.compare(&parts)?;
        }
        for block in blocks {
            self.compare_block(block)?;
        }
        if more {
            return Ok(Stepped::More);
        }
        let nothing_came = std::mem::take(&mut self.came) == 0;
        let answer = std::mem::take(&mut self.answer);
        let nothing_to_say = answer.ranges.is_empty() && answer.blocks.is_empty();
        Ok(match (nothing_came, nothing_to_say) {
            (true, _) => Stepped::Through(vec![]),
            (false, true) => Stepped::Through(frames(answer)),
            (false, false) => Stepped::Answer(frames(answer)),
        })
    }

    fn compare(&mut self, parts: &Parts) -> Result<(), Violation> {
        self.check(parts.range)?;
        if parts.digests.len() != parts.present.count_ones() as usize {
            return Err(Violation::DescentMalformed);
        }
        let mut theirs = parts.digests.iter();
        for (nth, part) in self.parts_of(parts.range).into_iter().enumerate() {
            let their = if parts.present >> nth & 1 == 1 { theirs.next().copied() } else { None };
            let Some(part) = part else {
                if their.is_some() {
                    return Err(Violation::DescentMalformed);
                }
                continue;
            };
            let sum = self.sum(part);
            if their == (sum.count > 0).then(|| self.digest(part, &sum)) {
                continue;
            }
            match part {
                Range::Blocks { origin, level: 0, index } => {
                    let live = self.live(origin, index);
                    self.answer.blocks.push(BlockHeld { origin, block: index, live, answer: false });
                }
                deeper => {
                    let parts = self.parts(deeper);
                    self.answer.ranges.push(parts);
                }
            }
        }
        Ok(())
    }

    fn compare_block(&mut self, said: BlockHeld) -> Result<(), Violation> {
        let BlockHeld { origin, block, live: theirs, answer } = said;
        self.check(Range::Blocks { origin, level: 0, index: block })?;
        let mine = self.live(origin, block);
        let name = self.origins[origin as usize].0;
        let dots =
            |bits: u64| (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| block * 64 + bit);
        dots(mine & !theirs).for_each(|seq| _ = self.mine.insert(Dot::new(name, seq)));
        dots(theirs).for_each(|seq| _ = self.theirs.insert(Dot::new(name, seq)));
        if mine == theirs {
            self.colliding.insert((origin, block));
        }
        if !answer {
            self.answer.blocks.push(BlockHeld { origin, block, live: mine, answer: true });
        }
        Ok(())
    }

    /// The names of the writes of blocks whose contents differ.
    #[must_use]
    pub fn collisions(&self) -> SeenSet {
        let mut dots = SeenSet::new();
        for (origin, block) in &self.colliding {
            let (name, live) = (self.origins[*origin as usize].0, self.live(*origin, *block));
            (0..64).filter(|bit| live >> bit & 1 == 1).for_each(|bit| {
                dots.insert(Dot::new(name, block * 64 + bit));
            });
        }
        dots
    }

    fn live(&self, origin: u32, block: u64) -> u64 {
        self.digests.live(&self.origins[origin as usize].0, block)
    }

    fn check(&self, range: Range) -> Result<(), Violation> {
        let lawful = match range {
            Range::Origins { level, index } => {
                (1..=8).contains(&level)
                    && u64::from(index).saturating_mul(GROUP.saturating_pow(level))
                        < self.origins.len() as u64
            }
            Range::Blocks { origin, level, index } => {
                self.origins.get(origin as usize).is_some_and(|(_, levels)| {
                    level < *levels && index < GROUP.saturating_pow(levels - level)
                }) || self
                    .origins
                    .get(origin as usize)
                    .is_some_and(|(_, levels)| level == *levels && index == 0)
            }
        };
        if lawful { Ok(()) } else { Err(Violation::DescentMalformed) }
    }

    fn parts_of(&self, range: Range) -> Vec<Option<Range>> {
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

    fn parts(&self, range: Range) -> Parts {
        let (mut present, mut digests) = (0, Vec::new());
        for (nth, part) in self.parts_of(range).into_iter().enumerate() {
            let Some(part) = part else { continue };
            let sum = self.sum(part);
            if sum.count > 0 {
                present |= 1 << nth;
                digests.push(self.digest(part, &sum));
            }
        }
        Parts { range, present, digests }
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

    /// Eight bytes that nobody can prepare: keyed with what both drew for this exchange.
    fn digest(&self, range: Range, sum: &Sum) -> [u8; 8] {
        let mut hasher = blake3::Hasher::new_keyed(&self.session);
        hasher.update(&encode(&range));
        hasher.update(&sum.to_bytes());
        let mut short = [0; 8];
        short.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        short
    }
}

/// How many levels stand over the blocks up to number `last`: at least one.
fn levels(last: u64) -> u32 {
    (1..=LEVELS_MAX).find(|level| GROUP.saturating_pow(*level) > last).unwrap_or(LEVELS_MAX)
}

/// A step in as many frames as it takes, at least one.
fn frames(step: Descent) -> Vec<Descent> {
    let (mut ranges, mut blocks) = (step.ranges.into_iter().peekable(), step.blocks.into_iter().peekable());
    let mut frames = Vec::new();
    loop {
        let ranges_now: Vec<_> = ranges.by_ref().take(RANGES_MAX).collect();
        let room = RANGES_MAX - ranges_now.len();
        let blocks_now: Vec<_> = blocks.by_ref().take(room).collect();
        let more = ranges.peek().is_some() || blocks.peek().is_some();
        frames.push(Descent { ranges: ranges_now, blocks: blocks_now, more });
        if !more {
            return frames;
        }
    }
}
