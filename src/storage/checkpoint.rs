//! The digests as a clean stop leaves them for the next opening.

use std::collections::BTreeMap;

use super::{
    Batch, Durability, Ledger, Snapshot, StoreError,
    layout::{self, NsNo},
    shared::Origins,
    tally::Tally,
};
use crate::{
    digest::{Digests, Sum},
    wire,
};

/// So many blocks lie under one key of a checkpoint.
const CHECKPOINT_BLOCKS: usize = 1_024;

/// Stands while a checkpoint can be believed.
pub(super) const CHECKPOINT: &str = "checkpoint";

/// A block as a checkpoint keeps it: origin, number, held, live, sum.
type Kept = (u32, u64, u64, u64, Sum);

impl Ledger {
    /// Keeps the digests for the next opening. Nothing may be written after.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn checkpoint(&mut self) -> Result<(), StoreError> {
        if !self.tally.is_complete() {
            return Ok(());
        }
        let (mut batch, mut parts) = (Batch::new(), blake3::Hasher::new());
        let origins = self.shared.origins();
        for (ns, digests) in self.tally.all() {
            let number = |origin| origins.number(origin).expect("numbered when its first dot was planned");
            let kept: Vec<Kept> = digests
                .blocks()
                .map(|(origin, block, held, live, sum)| (number(origin), block, held, live, sum))
                .collect();
            for (part, blocks) in (0..).zip(kept.chunks(CHECKPOINT_BLOCKS)) {
                let (key, blocks) = (layout::checkpoint(*ns, part), wire::encode(&blocks));
                parts.update(&key).update(&blocks);
                batch.insert(key, blocks);
            }
        }
        batch.insert(layout::fact(CHECKPOINT), parts.finalize().as_bytes().to_vec());
        drop(origins);
        self.store.commit(batch, Durability::Buffer)
    }

    /// Reads the digests back from a checkpoint, if the last stop left one, and takes it out.
    pub(super) fn read_checkpoint(&mut self) -> Result<(), StoreError> {
        let Some(hash) = self.store.get(&layout::fact(CHECKPOINT))? else { return Ok(()) };
        let mut batch = Batch::new();
        let snapshot = self.store.snapshot();
        let digests = decode_checkpoint(&*snapshot, &self.shared.origins(), &hash, &mut batch)?;
        // One that says nothing of its parts may lack one of them.
        let digests = digests.filter(|_| !hash.is_empty());
        batch.remove(layout::fact(CHECKPOINT));
        // Synced, or a loss of power could bring it back beside later writes.
        self.store.commit(batch, Durability::Fsync)?;
        match digests {
            Some(digests) => {
                self.tally = Tally::complete(digests);
                self.account()
            }
            // It is made anew from the dot index.
            None => {
                tracing::warn!("the checkpoint of the digests is not whole: they are made anew");
                Ok(())
            }
        }
    }
}

/// The digests that a checkpoint keeps, and the removal of its parts; nothing if it cannot be read, or is not what
/// `hash` is of. (Earlier programs left an empty one: that is held to nothing here.)
pub(super) fn decode_checkpoint(
    snapshot: &dyn Snapshot,
    origins: &Origins,
    hash: &[u8],
    removal: &mut Batch,
) -> Result<Option<BTreeMap<NsNo, Digests>>, StoreError> {
    let mut digests = Some(BTreeMap::<NsNo, Digests>::new());
    let mut parts = blake3::Hasher::new();
    let (from, to) = layout::all(b'c');
    for pair in snapshot.range(&from, &to, false) {
        let (key, blocks) = pair?;
        parts.update(&key).update(&blocks);
        let ns = key.get(1..3).and_then(|no| no.try_into().ok()).map(u16::from_be_bytes);
        let blocks = wire::decode_stored::<Vec<Kept>>(&blocks).ok();
        digests = ns.zip(blocks).zip(digests).and_then(|((ns, blocks), mut digests)| {
            let of_ns = digests.entry(ns).or_default();
            for (no, block, held, live, sum) in blocks {
                of_ns.restore(&origins.get(no)?, block, held, live, sum);
            }
            Some(digests)
        });
        removal.remove(key);
    }
    Ok(digests.filter(|_| hash.is_empty() || parts.finalize().as_bytes() == hash))
}
