//! A store in memory: for nodes that keep nothing, for tests, and for simulated disks.
//!
//! A [`Memory`] is a disk and a process that works on it in one. What is committed is seen by
//! readers at once; what is also *synced* outlives a loss of power. [`Memory::reopen`] starts the
//! next process on the same disk: the handles of the one before write no more, as if killed.
//!
//! Invariant: after a loss of power the store is what it was after some batch, and no earlier than
//! the last synced one.

use std::{
    collections::VecDeque,
    ops::Bound,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use bytes::Bytes;
use rpds::RedBlackTreeMapSync;

use super::{Batch, Durability, Operation, Pair, Pairs, Snapshot, Store, StoreError};

/// How many of the states before unsynced batches are kept, beside the last synced one.
const UNSYNCED_STATES_MAX: usize = 64;

/// A store in memory. Clones share the data; snapshots cost nothing.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    disk: Arc<RwLock<Disk>>,
    /// Which process on the disk this handle belongs to.
    life: u64,
}

#[derive(Debug, Default)]
struct Disk {
    now: State,
    /// The states before each batch that is not synced: the last synced one first.
    unsynced: VecDeque<State>,
    faults: Faults,
    /// Handles of an earlier life write no more.
    life: u64,
}

/// Pairs, and how many bytes they have.
#[derive(Clone, Debug, Default)]
struct State {
    pairs: RedBlackTreeMapSync<Bytes, Bytes>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Faults {
    /// Commits and syncs fail with it and change nothing.
    refuse: Option<StoreError>,
    /// Commits are applied, and then fail with it.
    deny: Option<StoreError>,
    /// So many commits are left until nothing works any more.
    commits_left: Option<u64>,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same store for its next owner. Handles made before write no more, as if their process
    /// had been killed; what they committed is there, synced or not. Faults are lifted.
    #[must_use]
    pub fn reopen(&self) -> Self {
        let mut disk = self.write();
        disk.life += 1;
        disk.faults = Faults::default();
        Self { disk: Arc::clone(&self.disk), life: disk.life }
    }

    /// A store of its own that holds what this one does now, as a backup would.
    #[must_use]
    pub fn copy(&self) -> Self {
        let now = self.read().now.clone();
        Self { disk: Arc::new(RwLock::new(Disk { now, ..Disk::default() })), life: 0 }
    }

    /// Loses power: what was not synced is gone, and no handle made before writes any more.
    /// [`Self::reopen`] starts again.
    pub fn crash(&self) {
        self.crash_losing(usize::MAX);
    }

    /// Loses power when the last `batches` had not reached the disk; synced ones stay in any case.
    /// Of more than 64 unsynced batches the oldest are only lost together.
    pub fn crash_losing(&self, batches: usize) {
        let mut disk = self.write();
        disk.life += 1;
        disk.faults = Faults::default();
        let lost = batches.min(disk.unsynced.len());
        if lost > 0 {
            let first_lost = disk.unsynced.len() - lost;
            disk.now = disk.unsynced[first_lost].clone();
        }
        disk.unsynced.clear();
    }

    /// How many batches a loss of power may take, counting to 65 at most.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.read().unsynced.len()
    }

    /// From now on commits and syncs fail with `error` and change nothing, or work again.
    pub fn fail_commits(&self, error: Option<StoreError>) {
        self.write().faults.refuse = error;
    }

    /// From now on commits are applied and then fail with `error`, as when the disk fails after the
    /// batch is in the journal; or work again.
    pub fn fail_acknowledgements(&self, error: Option<StoreError>) {
        self.write().faults.deny = error;
    }

    /// After so many more commits nothing is written any more, as if the power had gone at that
    /// boundary; [`Self::crash`] is what follows. `None` takes it back.
    pub fn cut_power_after(&self, commits: Option<u64>) {
        self.write().faults.commits_left = commits;
    }

    fn read(&self) -> RwLockReadGuard<'_, Disk> {
        // A state is replaced as a whole, so it is sound even if a thread died holding the lock.
        self.disk.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Disk> {
        self.disk.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.read().now.pairs.get(key).cloned())
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(View(self.read().now.pairs.clone()))
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        let mut disk = self.write();
        disk.admit(self.life)?;
        if let Some(left) = &mut disk.faults.commits_left {
            *left -= 1;
        }
        match durability {
            Durability::Fsync => disk.unsynced.clear(),
            Durability::Buffer => disk.remember(),
        }
        for operation in batch.into_operations() {
            disk.now.apply(operation);
        }
        disk.faults.deny.clone().map_or(Ok(()), Err)
    }

    fn sync(&self) -> Result<(), StoreError> {
        let mut disk = self.write();
        disk.admit(self.life)?;
        disk.unsynced.clear();
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.read().now.bytes as u64
    }
}

impl Disk {
    /// Whether a handle of `life` may write now.
    fn admit(&self, life: u64) -> Result<(), StoreError> {
        if life != self.life {
            return Err(StoreError::Poisoned("it was opened again by someone else".into()));
        }
        if self.faults.commits_left == Some(0) {
            return Err(StoreError::Io("the power is cut".into()));
        }
        self.faults.refuse.clone().map_or(Ok(()), Err)
    }

    /// Keeps the state before a batch that is not synced.
    fn remember(&mut self) {
        self.unsynced.push_back(self.now.clone());
        if self.unsynced.len() > UNSYNCED_STATES_MAX + 1 {
            // The first is what a loss of power must not take, so the oldest of the others goes.
            self.unsynced.remove(1);
        }
    }
}

impl State {
    fn apply(&mut self, operation: Operation) {
        let (key, value) = match operation {
            Operation::Insert(key, value) => (key, Some(value)),
            Operation::Remove(key) => (key, None),
        };
        if let Some(old) = self.pairs.get(&key) {
            self.bytes -= key.len() + old.len();
        }
        if let Some(value) = value {
            self.bytes += key.len() + value.len();
            self.pairs.insert_mut(key, value);
        } else {
            self.pairs.remove_mut(&key);
        }
    }
}

/// A state of the store, kept.
struct View(RedBlackTreeMapSync<Bytes, Bytes>);

impl Snapshot for View {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.get(key).cloned())
    }

    fn range<'a>(&'a self, from: &[u8], to: &[u8], reverse: bool) -> Pairs<'a> {
        if from >= to {
            return Box::new(std::iter::empty());
        }
        let bounds =
            (Bound::Included(Bytes::copy_from_slice(from)), Bound::Excluded(Bytes::copy_from_slice(to)));
        let pairs = self.0.range::<Bytes, _>(bounds).map(owned);
        if reverse { Box::new(pairs.rev()) } else { Box::new(pairs) }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the items of an iterator that can fail")]
fn owned((key, value): (&Bytes, &Bytes)) -> Result<Pair, StoreError> {
    Ok((key.clone(), value.clone()))
}
