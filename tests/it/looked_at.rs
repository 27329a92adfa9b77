//! A disk in memory, of which a test is told when somebody begins to read at large.

use bytes::Bytes;
use tidings::storage::{Batch, Durability, Snapshot, Store, StoreError, memory::Memory};

/// A disk whose snapshots are what a function makes of them.
pub struct LookedAt<F> {
    disk: Memory,
    look: F,
}

impl<F> LookedAt<F>
where
    F: Fn(Box<dyn Snapshot>) -> Box<dyn Snapshot> + Send + Sync + 'static,
{
    /// An empty one.
    pub fn by(look: F) -> Self {
        Self { disk: Memory::new(), look }
    }
}

impl<F> Store for LookedAt<F>
where
    F: Fn(Box<dyn Snapshot>) -> Box<dyn Snapshot> + Send + Sync + 'static,
{
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.disk.get(key)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        (self.look)(self.disk.snapshot())
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        self.disk.commit(batch, durability)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.disk.sync()
    }

    fn size_bytes(&self) -> u64 {
        self.disk.size_bytes()
    }
}
