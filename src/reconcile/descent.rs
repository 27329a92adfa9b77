//! Goes down the tree of ranges to the writes that only one of two holds.
//!
//! The ends take turns: one says what it has in the parts of a range, the other answers for the parts
//! that differ with what it has in *their* parts, so half a round trip takes one level. At the bottom,
//! sixteen blocks, stand no more digests but the bits of what is held, which take no more bytes; who
//! gets them answers which of these writes it lacks, and both know which ones only they hold. The one that lacks
//! them says soon after which of them it would have.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Violation,
    tree::{Tree, insert},
};
use crate::{
    causality::{Dot, Origin, SeenSet},
    digest::Digests,
    wire::{Descent, HELD_WRITES, Held, Parts, RANGES_MAX, Range, RangeHeld, Wants},
};

/// The most ranges that one step of a peer may speak of; a replica of ours never says as much.
pub const STEP_RANGES_MAX: usize = 1 << 20;
/// The first step goes down as far as it has so many digests at most: a level takes half a round trip.
const FIRST_DIGESTS: usize = 32;

/// One end of a descent.
#[derive(Debug)]
pub struct Descending {
    tree: Tree,
    /// What this step is answered with.
    answer: Descent,
    /// How much of the peer's step came so far.
    came: usize,
    /// Whether some of it asks for an answer.
    asked: bool,
    /// What only this end holds, and was found so from the peer's bits.
    pub mine: SeenSet,
    /// What the peer said it lacks, until it says which of that it would have.
    pub learned: BTreeMap<(u32, u64), Held>,
    /// What this end said it lacks, and did not say which of it it would have.
    pub lacked: Vec<RangeHeld>,
    /// What the peer holds, as far as it was looked at.
    pub theirs: SeenSet,
    /// Blocks of which both hold the same writes, with other contents.
    colliding: BTreeSet<(u32, u64)>,
}

/// What comes of a frame of the peer's step.
#[derive(Debug, PartialEq, Eq)]
pub enum Stepped {
    /// The step goes on.
    More,
    /// It was whole: these frames answer it.
    Answer(Vec<Descent>),
    /// It was whole, and after these frames both are through.
    Through(Vec<Descent>),
}

impl Descending {
    /// `own` and `peer` are what the two said they have seen, `digests` those of this end's snapshot.
    #[must_use]
    pub fn new(digests: Digests, own: &SeenSet, peer: &SeenSet, nonces: (u64, u64)) -> Self {
        Self {
            tree: Tree::new(digests, own, peer, nonces),
            answer: Descent::default(),
            came: 0,
            asked: false,
            mine: SeenSet::new(),
            learned: BTreeMap::new(),
            lacked: Vec::new(),
            theirs: SeenSet::new(),
            colliding: BTreeSet::new(),
        }
    }

    /// The first step, by the end that begins.
    #[must_use]
    pub fn first(&self) -> Vec<Descent> {
        let mut step = vec![self.tree.parts(self.tree.root())];
        // Origins are there whether anything of theirs is held or not, so nothing is left out below.
        while step.iter().all(|parts| matches!(parts.range, Range::Origins { .. })) {
            let ranges = step.iter().flat_map(|parts| self.tree.parts_of(parts.range)).flatten();
            if ranges.clone().any(|range| matches!(range, Range::Blocks { level: ..=1, .. })) {
                break;
            }
            let below: Vec<Parts> = ranges.map(|range| self.tree.parts(range)).collect();
            let digests: usize = below.iter().map(|parts| parts.digests.len()).sum();
            if digests > FIRST_DIGESTS || below.is_empty() {
                break;
            }
            step = below;
        }
        frames(Descent { ranges: step, ..Descent::default() })
    }

    /// A frame of the peer's step came.
    ///
    /// # Errors
    /// When it speaks of what there is not, or of too much.
    pub fn on_step(&mut self, step: Descent) -> Result<Stepped, Violation> {
        let Descent { ranges, held, lacking, colliding, more } = step;
        self.came += ranges.len() + held.len() + lacking.len() + colliding.len();
        if self.came > STEP_RANGES_MAX {
            return Err(Violation::DescentTooLarge(STEP_RANGES_MAX));
        }
        self.asked |= !ranges.is_empty() || !held.is_empty();
        ranges.iter().try_for_each(|parts| self.compare(parts))?;
        held.iter().try_for_each(|held| self.compare_held(held))?;
        lacking.iter().try_for_each(|lacking| self.learn_lacking(lacking))?;
        for (origin, block) in colliding {
            self.tree.check(Range::Blocks { origin, level: 0, index: block })?;
            self.colliding.insert((origin, block));
        }
        if more {
            return Ok(Stepped::More);
        }
        self.came = 0;
        if !std::mem::take(&mut self.asked) {
            return Ok(Stepped::Through(vec![]));
        }
        let answer = std::mem::take(&mut self.answer);
        let asks = !answer.ranges.is_empty() || !answer.held.is_empty();
        let frames = frames(answer);
        Ok(if asks { Stepped::Answer(frames) } else { Stepped::Through(frames) })
    }

    fn compare(&mut self, parts: &Parts) -> Result<(), Violation> {
        self.tree.check(parts.range)?;
        if parts.digests.len() != parts.present.count_ones() as usize {
            return Err(Violation::DescentMalformed);
        }
        let mut theirs = parts.digests.iter();
        for (nth, part) in self.tree.parts_of(parts.range).into_iter().enumerate() {
            let their = if parts.present >> nth & 1 == 1 { theirs.next().copied() } else { None };
            let Some(part) = part else {
                if their.is_some() {
                    return Err(Violation::DescentMalformed);
                }
                continue;
            };
            if their == self.tree.digest(part) {
                continue;
            }
            match part {
                Range::Blocks { origin, level: 0, index } => {
                    self.colliding.insert((origin, index));
                    self.answer.colliding.push((origin, index));
                }
                Range::Blocks { origin, level: 1, index } => {
                    let writes = self.tree.held(origin, index);
                    self.answer.held.push(RangeHeld { origin, index, writes });
                }
                deeper => self.answer.ranges.push(self.tree.parts(deeper)),
            }
        }
        Ok(())
    }

    fn compare_held(&mut self, said: &RangeHeld) -> Result<(), Violation> {
        let RangeHeld { origin, index, writes: theirs } = *said;
        let range = Range::Blocks { origin, level: 1, index };
        self.tree.check(range)?;
        let mine = self.tree.held(origin, index);
        if mine == theirs {
            // The same writes, and other digests: it is contents that differ, in one block or more.
            self.answer.ranges.push(self.tree.parts(range));
            return Ok(());
        }
        let name = self.tree.name(origin)?;
        insert(&mut self.mine, name, index, &mine.without(&theirs));
        insert(&mut self.theirs, name, index, &theirs);
        let lacking = RangeHeld { origin, index, writes: theirs.without(&mine) };
        self.answer.lacking.push(lacking);
        self.lacked.extend((!lacking.writes.is_empty()).then_some(lacking));
        Ok(())
    }

    fn learn_lacking(&mut self, said: &RangeHeld) -> Result<(), Violation> {
        let RangeHeld { origin, index, writes: lacking } = *said;
        self.tree.check(Range::Blocks { origin, level: 1, index })?;
        let mine = self.tree.held(origin, index);
        if !lacking.without(&mine).is_empty() {
            return Err(Violation::DescentMalformed);
        }
        let name = self.tree.name(origin)?;
        if !lacking.is_empty() && self.learned.insert((origin, index), lacking).is_some() {
            return Err(Violation::DescentMalformed);
        }
        insert(&mut self.theirs, name, index, &mine.without(&lacking));
        Ok(())
    }

    /// The names of what this end lacks of these ranges.
    #[must_use]
    pub fn names(&self, ranges: &[RangeHeld]) -> SeenSet {
        let mut names = SeenSet::new();
        for RangeHeld { origin, index, writes } in ranges {
            if let Ok(name) = self.tree.name(*origin) {
                insert(&mut names, name, *index, writes);
            }
        }
        names
    }

    /// Says of what this end lacks which it would have.
    #[must_use]
    pub fn wants(&self, lacked: &[RangeHeld], wanted: &SeenSet) -> Vec<Wants> {
        let said = |lacked: &RangeHeld| {
            let wanted = self.tree.name(lacked.origin).ok().and_then(|name| wanted.get(&name));
            let first = lacked.index * HELD_WRITES;
            let is_wanted = |place| wanted.is_some_and(|seqs| seqs.contains(first + place));
            RangeHeld { writes: lacked.writes.only(is_wanted), ..*lacked }
        };
        let said: Vec<RangeHeld> = lacked.iter().map(said).collect();
        said.chunks(RANGES_MAX).map(|ranges| Wants { ranges: ranges.to_vec() }).collect()
    }

    /// The peer said which it would have of a range that it had said it lacks: adds those, and the rest.
    ///
    /// # Errors
    /// When it had not, or wants what it did not say it lacks.
    pub fn on_wants(
        &mut self,
        said: &RangeHeld,
        wants: &mut SeenSet,
        rest: &mut SeenSet,
    ) -> Result<(), Violation> {
        let RangeHeld { origin, index, writes: wanted } = *said;
        let lacking = self.learned.remove(&(origin, index)).ok_or(Violation::WantsUnasked)?;
        if !wanted.without(&lacking).is_empty() {
            return Err(Violation::WantsUnasked);
        }
        let name = self.tree.name(origin)?;
        insert(wants, name, index, &wanted);
        insert(rest, name, index, &lacking.without(&wanted));
        Ok(())
    }

    /// The names of the writes of blocks whose contents differ.
    #[must_use]
    pub fn collisions(&self) -> Vec<Dot> {
        self.colliding.iter().flat_map(|(origin, block)| self.tree.dots(*origin, *block)).collect()
    }

    /// Both ends give each origin the same number.
    #[must_use]
    pub fn number(&self, origin: &Origin) -> Option<u32> {
        self.tree.number(origin)
    }

    /// The origin with this number.
    ///
    /// # Errors
    /// When there is none.
    pub fn name(&self, number: u32) -> Result<Origin, Violation> {
        self.tree.name(number)
    }
}

/// A step in as many frames as it takes, at least one.
fn frames(step: Descent) -> Vec<Descent> {
    let Descent { ranges, held, lacking, colliding, more: _ } = step;
    let (mut ranges, mut held) = (ranges.into_iter(), held.into_iter());
    let (mut lacking, mut colliding) = (lacking.into_iter(), colliding.into_iter());
    let mut frames = Vec::new();
    loop {
        let mut room = RANGES_MAX;
        let mut frame = Descent::default();
        fill(&mut frame.ranges, &mut ranges, &mut room);
        fill(&mut frame.held, &mut held, &mut room);
        fill(&mut frame.lacking, &mut lacking, &mut room);
        fill(&mut frame.colliding, &mut colliding, &mut room);
        frame.more = ranges.len() + held.len() + lacking.len() + colliding.len() > 0;
        let more = frame.more;
        frames.push(frame);
        if !more {
            return frames;
        }
    }
}

fn fill<T>(frame: &mut Vec<T>, rest: &mut std::vec::IntoIter<T>, room: &mut usize) {
    frame.extend(rest.by_ref().take(*room));
    *room -= frame.len();
}
