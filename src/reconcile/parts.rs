//! Seen sets cut into pieces of bounded size.

use crate::causality::{Intervals, SeenSet};

/// About how many bytes of a seen set travel in one frame.
pub const SEEN_PART_BYTES: usize = 64 * 1024;
/// The most intervals in a seen set that is taken from a peer: 16 MiB of memory.
pub const SEEN_FRAGMENTS_MAX: usize = 1 << 20;
/// The most writes that are marked dead in one batch: 64 Ki blocks of 64.
pub const ABSORB_DOTS_MAX: u64 = 1 << 22;

/// The most bytes that an origin takes: its key, its epoch, the number of its intervals.
const ORIGIN_BYTES: usize = 32 + 9 + 9;
/// The most bytes that an interval takes.
const INTERVAL_BYTES: usize = 9 + 9;

/// Cuts `seen` into parts that each fit a frame, in order; one empty part if it is empty.
pub fn for_frames(seen: &SeenSet) -> Vec<SeenSet> {
    let mut parts = vec![];
    let (mut part, mut bytes) = (SeenSet::new(), 0);
    for (origin, seqs) in seen.iter() {
        let mut piece = Intervals::new();
        bytes += ORIGIN_BYTES;
        for (first, last) in seqs.iter() {
            if bytes + INTERVAL_BYTES > SEEN_PART_BYTES {
                part.set(*origin, std::mem::take(&mut piece));
                parts.push(std::mem::take(&mut part));
                bytes = ORIGIN_BYTES;
            }
            piece.insert_range(first, last);
            bytes += INTERVAL_BYTES;
        }
        part.set(*origin, piece);
    }
    if parts.is_empty() || !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// Takes the first writes out of `set`, at most `dots_max` of them.
pub fn take_dots(set: &mut SeenSet, dots_max: u64) -> SeenSet {
    let mut taken = SeenSet::new();
    let mut room = dots_max;
    for (origin, seqs) in set.iter() {
        let mut piece = Intervals::new();
        for (first, last) in seqs.iter() {
            let length = (last - first).saturating_add(1).min(room);
            if length == 0 {
                break;
            }
            piece.insert_range(first, first + (length - 1));
            room -= length;
        }
        taken.set(*origin, piece);
        if room == 0 {
            break;
        }
    }
    *set = set.difference(&taken);
    taken
}

/// How many intervals `seen` has in all.
pub fn fragments(seen: &SeenSet) -> usize {
    seen.iter().map(|(_, seqs)| seqs.fragments()).sum()
}
