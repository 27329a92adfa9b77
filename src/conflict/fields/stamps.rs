//! Which write last changed which field, as it is stored and sent.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};

use super::leaves::{DEPTH_MAX, Path};
use crate::causality::{Dot, Hlc};

/// The most bytes that stamps and their paths take up in one version; a write that would need more
/// counts as a change of all its fields.
pub const STAMPS_BYTES_MAX: usize = 64 * 1024;
/// What a stamp takes up when encoded, at most.
const STAMP_BYTES: usize = 60;
/// What a path takes up beside its names, at most.
const ENTRY_BYTES: usize = 8;

/// A write, as what it wrote is ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// When.
    pub hlc: Hlc,
    /// Which.
    pub dot: Dot,
}

/// A path as it is stored.
pub(super) type Stamped = Vec<Box<str>>;

/// The stamps of the fields of one version. What no path stands for was changed by the version itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Stamps {
    /// The writes named, ascending. Paths name them by their places from 1 on; 0 is the version itself.
    table: Vec<Stamp>,
    /// Whose everything below a path is that no longer path stands for, ascending.
    kept: Vec<(Stamped, u32)>,
    /// Who removed what stood at a path and below it, ascending.
    gone: Vec<(Stamped, u32)>,
}

#[derive(Deserialize)]
struct Unchecked {
    table: Vec<Stamp>,
    kept: Vec<(Stamped, u32)>,
    gone: Vec<(Stamped, u32)>,
}

impl TryFrom<Unchecked> for Stamps {
    type Error = &'static str;

    fn try_from(unchecked: Unchecked) -> Result<Self, Self::Error> {
        let Unchecked { table, kept, gone } = unchecked;
        let stamps = Self { table, kept, gone };
        let ascending = |list: &[(Stamped, u32)]| list.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !stamps.table.windows(2).all(|pair| pair[0] < pair[1])
            || !ascending(&stamps.kept)
            || !ascending(&stamps.gone)
        {
            return Err("the stamps of fields are not in canonical form");
        }
        let known = |(_, no): &(Stamped, u32)| *no as usize <= stamps.table.len();
        if !stamps.entries().all(known) {
            return Err("a field has a stamp that is not there");
        }
        if stamps.entries().any(|(path, _)| path.len() > DEPTH_MAX) || stamps.bytes() > STAMPS_BYTES_MAX {
            return Err("the stamps of fields break a limit");
        }
        Ok(stamps)
    }
}

impl Stamps {
    /// The stamps of leaves (none: the version's own) and of what was removed. Nothing if they are too
    /// many.
    pub(super) fn of(
        leaves: &[(&Path<'_>, Option<Stamp>)],
        gone: &BTreeMap<Path<'_>, Option<Stamp>>,
    ) -> Option<Self> {
        let mut table: Vec<Stamp> =
            leaves.iter().map(|(_, stamp)| stamp).chain(gone.values()).copied().flatten().collect();
        table.sort_unstable();
        table.dedup();
        let no = |stamp: Option<Stamp>| {
            let place = stamp.map(|stamp| table.binary_search(&stamp).map_or_else(|at| at, |at| at + 1));
            u32::try_from(place.unwrap_or(0)).expect("fewer leaves than bytes in a value")
        };
        let all: Vec<(&Path<'_>, u32)> = leaves.iter().map(|(path, stamp)| (*path, no(*stamp))).collect();
        let mut kept = Vec::new();
        shorten(&all, 0, 0, &mut kept);
        let gone = gone.iter().map(|(path, stamp)| (stored(path), no(*stamp))).collect();
        let stamps = Self { table, kept, gone };
        (stamps.bytes() <= STAMPS_BYTES_MAX).then_some(stamps)
    }

    fn entries(&self) -> impl Iterator<Item = &(Stamped, u32)> {
        self.kept.iter().chain(&self.gone)
    }

    /// The most bytes that they take up when encoded.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let path = |(path, _): &(Stamped, u32)| {
            path.iter().map(|name| name.len() + ENTRY_BYTES).sum::<usize>() + ENTRY_BYTES
        };
        self.table.len() * STAMP_BYTES + self.entries().map(path).sum::<usize>()
    }

    /// How many writes are named.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no write is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    fn stamp(&self, no: u32, own: Stamp) -> Stamp {
        (no as usize).checked_sub(1).and_then(|at| self.table.get(at)).copied().unwrap_or(own)
    }

    /// The write that last changed the leaf at `path`; `own` is the version itself.
    pub(super) fn at(&self, path: &[Cow<'_, str>], own: Stamp) -> Stamp {
        let longest = (0..=path.len()).rev().find_map(|length| {
            let names = path[..length].iter().map(AsRef::as_ref);
            let stands =
                |(other, _): &(Stamped, u32)| other.iter().map(AsRef::<str>::as_ref).cmp(names.clone());
            self.kept.binary_search_by(stands).ok().map(|at| self.kept[at].1)
        });
        self.stamp(longest.unwrap_or(0), own)
    }

    /// What was removed, and by whom.
    pub(super) fn gone(&self, own: Stamp) -> impl Iterator<Item = (&Stamped, Stamp)> {
        self.gone.iter().map(move |(path, no)| (path, self.stamp(*no, own)))
    }
}

/// Says of leaves below one path whose they are, where that differs from `inherited`.
fn shorten(leaves: &[(&Path<'_>, u32)], depth: usize, inherited: u32, kept: &mut Vec<(Stamped, u32)>) {
    let most = most_frequent(leaves);
    if most != inherited
        && let Some((path, _)) = leaves.first()
    {
        kept.push((stored(&path[..depth]), most));
    }
    if leaves.iter().all(|(_, no)| *no == most) {
        return;
    }
    for below in leaves.chunk_by(|a, b| a.0.get(depth) == b.0.get(depth)) {
        shorten(below, depth + 1, most, kept);
    }
}

fn stored(path: &[Cow<'_, str>]) -> Stamped {
    path.iter().map(|name| Box::from(&**name)).collect()
}

fn most_frequent(leaves: &[(&Path<'_>, u32)]) -> u32 {
    if let Some((_, first)) = leaves.first()
        && leaves.iter().all(|(_, no)| no == first)
    {
        return *first;
    }
    let mut counts = BTreeMap::<u32, usize>::new();
    for (_, no) in leaves {
        *counts.entry(*no).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(no, count)| (*count, *no)).map_or(0, |(no, _)| no)
}
