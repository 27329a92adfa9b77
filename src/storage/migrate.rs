//! Brings a store that an earlier program wrote to the format of this one.

use bytes::Bytes;

use super::{Batch, Durability, Store, StoreError, layout, shared::Shared, stored};
use crate::types::Key;

/// So many changes share a batch.
const BATCH_OPERATIONS: usize = 1_000;

/// Format 1 did not tell deletes that stand alone from what replicas compare, nor list them by their
/// age. Cut off anywhere, it begins again.
pub(super) fn migrate(store: &dyn Store, shared: &Shared) -> Result<(), StoreError> {
    let format = store.get(layout::FORMAT_KEY)?;
    let is = |number: u32| format.as_deref() == Some(&number.to_be_bytes()[..]);
    if is(2) {
        // It had no earlier versions, and was this one otherwise.
        let mut batch = Batch::new();
        batch.insert(layout::FORMAT_KEY, Bytes::copy_from_slice(&layout::FORMAT.to_be_bytes()));
        return store.commit(batch, Durability::Fsync);
    }
    if !is(1) {
        return Ok(());
    }
    let snapshot = store.snapshot();
    let mut batch = Batch::new();
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
        if batch.len() >= BATCH_OPERATIONS {
            store.commit(std::mem::take(&mut batch), Durability::Buffer)?;
        }
    }
    batch.insert(layout::FORMAT_KEY, Bytes::copy_from_slice(&layout::FORMAT.to_be_bytes()));
    store.commit(batch, Durability::Fsync)
}
