//! How dead dots lie in a store: 64 bits a block, and one entry for all blocks in a row that are dead to
//! the last bit. Old writes mostly are: so what is kept of them follows what is held, not how much was
//! ever written.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{
    Batch, Snapshot, StoreError,
    layout::{self, NsNo, OriginNo},
    shared::Origins,
};
use crate::causality::{DeadSet, Origin};

/// Sequence numbers have 64 bits.
const BLOCKS_MAX: u64 = u64::MAX / 64;

/// What stands under the key of a block.
enum Entry {
    Bits(u64),
    /// All bits, up to this block.
    FullUpTo(u64),
}

fn damaged() -> StoreError {
    StoreError::Damaged("a dead block".to_owned())
}

fn decode(block: u64, value: &[u8]) -> Result<Entry, StoreError> {
    let (bits, rest) = value.split_first_chunk().ok_or_else(damaged)?;
    let bits = u64::from_le_bytes(*bits);
    if rest.is_empty() {
        return Ok(Entry::Bits(bits));
    }
    let last = u64::from_le_bytes(rest.try_into().map_err(|_| damaged())?);
    if bits == u64::MAX && (block..BLOCKS_MAX).contains(&last) {
        Ok(Entry::FullUpTo(last))
    } else {
        Err(damaged())
    }
}

/// What stands under the key of the first of some blocks in a row that are dead to the last bit.
pub(super) fn run(last: u64) -> Bytes {
    [u64::MAX.to_le_bytes(), last.to_le_bytes()].concat().into()
}

/// Adds to `batch` what `changed`, blocks with dots that died, hold now.
pub(super) fn write(
    batch: &mut Batch,
    changed: &BTreeSet<(NsNo, Origin, u64)>,
    dead: &BTreeMap<NsNo, DeadSet>,
    origins: &Origins,
) {
    let mut last_run = None;
    for (ns, origin, block) in changed {
        let Some(dead) = dead.get(ns) else { continue };
        let no = origins.number(origin).expect("numbered when its dot died");
        let at = |block| layout::dead(*ns, no, block);
        let Some((first, last)) = dead.full_around(origin, *block) else {
            let bits = dead.block(origin, *block);
            batch.insert(at(*block), Bytes::copy_from_slice(&bits.to_le_bytes()));
            continue;
        };
        if last_run != Some((*ns, *origin, first)) {
            batch.insert(at(first), run(last));
            last_run = Some((*ns, *origin, first));
        }
        if *block > first {
            batch.remove(at(*block));
        }
        // A run that began behind this block is part of this one now.
        let next = block + 1;
        if next <= last && !changed.contains(&(*ns, *origin, next)) {
            batch.remove(at(next));
        }
    }
}

/// Adds an entry to what others gave.
pub(super) fn read(dead: &mut DeadSet, origin: Origin, block: u64, value: &[u8]) -> Result<(), StoreError> {
    match decode(block, value)? {
        Entry::Bits(bits) => dead.set_block(origin, block, bits),
        Entry::FullUpTo(last) => dead.set_full(origin, block, last),
    }
    Ok(())
}

/// Calls `found` with all blocks of an origin among `blocks` that have dead dots, and their bits.
pub(super) fn within(
    snapshot: &dyn Snapshot,
    (ns, no): (NsNo, OriginNo),
    (first, last): (u64, u64),
    mut found: impl FnMut(u64, u64),
) -> Result<(), StoreError> {
    let begin = layout::dead(ns, no, first);
    let end = [&layout::dead(ns, no, last)[..], &[0]].concat();
    let before = snapshot.range(&layout::dead(ns, no, 0), &begin, true).next();
    for pair in before.into_iter().chain(snapshot.range(&begin, &end, false)) {
        let (key, value) = pair?;
        let at = key.last_chunk().ok_or_else(damaged)?;
        let at = u64::from_be_bytes(*at);
        match decode(at, &value)? {
            Entry::Bits(bits) if at >= first => found(at, bits),
            Entry::Bits(_) => {}
            Entry::FullUpTo(end) => (at.max(first)..=end.min(last)).for_each(|block| found(block, u64::MAX)),
        }
    }
    Ok(())
}
