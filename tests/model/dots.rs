//! Dots and sets of them: one bit for each write, which is enough for short histories.

use std::fmt;

/// Sequence numbers run from 1 to this.
pub const SEQ_MAX: u32 = 64;
/// Lives of one node.
pub const EPOCHS: usize = 3;
const ORIGINS: usize = Node::ALL.len() * EPOCHS;

/// A place where a store lives, through all its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    Ant,
    Bat,
    Cat,
    Dog,
    Eel,
}

impl Node {
    pub const ALL: [Self; 5] = [Self::Ant, Self::Bat, Self::Cat, Self::Dog, Self::Eel];
}

/// One life of one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    pub node: Node,
    pub epoch: usize,
}

impl Origin {
    fn index(self) -> usize {
        self.node as usize * EPOCHS + self.epoch
    }

    fn all() -> impl Iterator<Item = Self> {
        Node::ALL.into_iter().flat_map(|node| (0..EPOCHS).map(move |epoch| Self { node, epoch }))
    }
}

/// One write.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dot {
    pub origin: Origin,
    pub seq: u32,
}

impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}.{}:{}", self.origin.node, self.origin.epoch, self.seq)
    }
}

/// A set of dots.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct DotSet([u64; ORIGINS]);

impl DotSet {
    pub fn contains(&self, dot: Dot) -> bool {
        self.0[dot.origin.index()] & bit(dot) != 0
    }

    pub fn insert(&mut self, dot: Dot) {
        self.0[dot.origin.index()] |= bit(dot);
    }

    pub fn remove(&mut self, dot: Dot) {
        self.0[dot.origin.index()] &= !bit(dot);
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }

    pub fn union(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    pub fn intersection(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    pub fn difference(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & !b)
    }

    fn zip(&self, other: &Self, with: impl Fn(u64, u64) -> u64) -> Self {
        Self(std::array::from_fn(|n| with(self.0[n], other.0[n])))
    }

    /// The highest sequence of `origin` below which, itself included, nothing is missing.
    pub fn gap_free(&self, origin: Origin) -> u32 {
        self.0[origin.index()].trailing_ones()
    }

    /// Whether everything up to each entry of `vector` is in the set.
    pub fn reaches(&self, vector: &Vector) -> bool {
        Origin::all().all(|origin| self.gap_free(origin) >= vector.get(origin))
    }

    pub fn iter(&self) -> impl Iterator<Item = Dot> {
        let dots = Origin::all().filter(|origin| self.0[origin.index()] != 0);
        let dots = dots.flat_map(|origin| (1..=SEQ_MAX).map(move |seq| Dot { origin, seq }));
        dots.filter(|dot| self.contains(*dot))
    }
}

fn bit(dot: Dot) -> u64 {
    1 << (dot.seq - 1)
}

impl fmt::Debug for DotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<Dot> for DotSet {
    fn from_iter<T: IntoIterator<Item = Dot>>(dots: T) -> Self {
        let mut set = Self::default();
        dots.into_iter().for_each(|dot| set.insert(dot));
        set
    }
}

/// A version vector: of each origin, every dot up to a sequence.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Vector([u32; ORIGINS]);

impl Vector {
    pub fn get(&self, origin: Origin) -> u32 {
        self.0[origin.index()]
    }

    pub fn covers(&self, dot: Dot) -> bool {
        self.get(dot.origin) >= dot.seq
    }

    pub fn include(&mut self, dot: Dot) {
        let entry = &mut self.0[dot.origin.index()];
        *entry = dot.seq.max(*entry);
    }

    pub fn join(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|n| self.0[n].max(other.0[n])))
    }

    /// Each entry, but no higher than `seen` reaches without a gap.
    pub fn within(&self, seen: &DotSet) -> Self {
        let mut within = *self;
        for origin in Origin::all() {
            within.0[origin.index()] = self.get(origin).min(seen.gap_free(origin));
        }
        within
    }
}

impl fmt::Debug for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dots = Origin::all().map(|origin| Dot { origin, seq: self.get(origin) });
        f.debug_set().entries(dots.filter(|dot| dot.seq > 0)).finish()
    }
}
