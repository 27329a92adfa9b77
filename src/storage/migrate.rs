//! Brings a store that an earlier program wrote to the format of this one.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    Batch, Durability, Store, StoreError, dead_runs,
    layout::{self, NsNo},
    load,
    shared::Shared,
    stored,
};
use crate::{causality::DeadSet, types::Key};

/// So many changes share a batch.
const BATCH_OPERATIONS: usize = 1_000;

/// Brings `store` to the format of this program. Cut off anywhere, it begins again.
pub(super) fn migrate(
    store: &dyn Store,
    shared: &Shared,
    dead: &BTreeMap<NsNo, DeadSet>,
) -> Result<(), StoreError> {
    let format = store.get(layout::FORMAT_KEY)?;
    let format = format.and_then(|bytes| bytes[..].try_into().ok()).map(u32::from_be_bytes);
    if !matches!(format, Some(1 | 2)) {
        return Ok(());
    }
    let mut batch = Batch::new();
    if format == Some(1) {
        tell_deletes(store, shared, &mut batch)?;
    }
    join_dead_blocks(store, shared, dead, &mut batch)?;
    batch.insert(layout::FORMAT_KEY, Bytes::copy_from_slice(&layout::FORMAT.to_be_bytes()));
    store.commit(batch, Durability::Fsync)
}

fn commit_if_large(store: &dyn Store, batch: &mut Batch) -> Result<(), StoreError> {
    if batch.len() < BATCH_OPERATIONS {
        return Ok(());
    }
    store.commit(std::mem::take(batch), Durability::Buffer)
}

/// Format 2 had an entry for every block of dead dots. The entry of a run covers those that are left
/// where it was cut off.
fn join_dead_blocks(
    store: &dyn Store,
    shared: &Shared,
    dead: &BTreeMap<NsNo, DeadSet>,
    batch: &mut Batch,
) -> Result<(), StoreError> {
    let snapshot = store.snapshot();
    let (from, to) = layout::all(b'x');
    for pair in snapshot.range(&from, &to, false) {
        let key = pair?.0;
        let (ns, origin, block) = load::dead_key(&key, &shared.origins())?;
        match dead.get(&ns).and_then(|dead| dead.full_around(&origin, block)) {
            Some((first, last)) if first == block => batch.insert(key, dead_runs::run(last)),
            Some(_) => batch.remove(key),
            None => {}
        }
        commit_if_large(store, batch)?;
    }
    Ok(())
}

/// Format 1 did not tell deletes that stand alone from what replicas compare, nor list them by their
/// age.
fn tell_deletes(store: &dyn Store, shared: &Shared, batch: &mut Batch) -> Result<(), StoreError> {
    let snapshot = store.snapshot();
    let (from, to) = layout::all(b'r');
    for pair in snapshot.range(&from, &to, false) {
        let (at, bytes) = pair?;
        let damaged = || StoreError::Damaged("a key of a record".to_owned());
        let ns =
            at.get(1..3).and_then(|no| no.try_into().ok()).map(u16::from_be_bytes).ok_or_else(damaged)?;
        let key = Key::from_bytes(&at[3..]).map_err(|_| damaged())?;
        let record = stored::decode_record(&key, &bytes, shared)?;
        if !record.is_deleted() {
            continue;
        }
        for delete in record.siblings() {
            let no = shared.origins().number(&delete.dot.origin).ok_or_else(damaged)?;
            let entry = stored::encode_dot(delete.hash(), &key, false);
            batch.insert(layout::dot(ns, no, delete.dot.seq), entry);
            let bytes = Bytes::copy_from_slice(key.as_bytes());
            batch.insert(layout::forgettable(ns, delete.hlc.0, no, delete.dot.seq), bytes);
        }
        commit_if_large(store, batch)?;
    }
    Ok(())
}
