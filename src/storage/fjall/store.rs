//! The port, spoken to fjall.

use std::{
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use fjall::{Database, Keyspace, PersistMode, Readable};

use super::{FjallOptions, failure};
use crate::storage::{
    Batch, Durability, OpenError, Operation, Pair, Pairs, Snapshot, Store, StoreError, layout,
};

const KEYSPACE: &str = "tidings";

/// A store on disk.
///
/// Bytes go in and come out without a copy: a value that is kept keeps the block of the disk it
/// came from in memory, and a slice of a larger buffer that is committed keeps that buffer until
/// the next flush.
pub struct Fjall {
    keyspace: Keyspace,
    database: Database,
    path: PathBuf,
    /// Held by the one who commits.
    writer: Mutex<()>,
    /// While a batch is under way, the store as it was before. See [`Self::consistent`].
    before: Mutex<Option<fjall::Snapshot>>,
}

impl Fjall {
    /// Opens the store in the directory `path`, or creates it.
    ///
    /// A store that lost power in the middle of a batch comes back without that batch. Some damage
    /// is not found here: a flipped bit may end the journal early, and later batches are then
    /// missing.
    ///
    /// # Errors
    /// When the directory is in use, damaged, not ours to read and write, or of a newer format.
    pub fn open(path: impl AsRef<Path>, options: FjallOptions) -> Result<Self, OpenError> {
        let path = path.as_ref();
        // fjall panics at some kinds of damage. What it had made by then is dropped on the way out,
        // so nothing half-made is ever seen.
        catch_unwind(AssertUnwindSafe(|| Self::open_unguarded(path, options)))
            .unwrap_or_else(|panic| Err(failure::panicked_opening(path, &*panic)))
    }

    fn open_unguarded(path: &Path, options: FjallOptions) -> Result<Self, OpenError> {
        let refused = |error: fjall::Error| failure::while_opening(path, &error);
        let database = options.database(path).open().map_err(refused)?;
        let keyspace = database.keyspace(KEYSPACE, || options.keyspace()).map_err(refused)?;
        let path = path.to_path_buf();
        let store = Self { keyspace, database, path, writer: Mutex::default(), before: Mutex::default() };
        store.check_format()?;
        Ok(store)
    }

    /// The store between two batches.
    ///
    /// A snapshot of fjall's own may show half of a batch: a flush or compaction that ends while a
    /// batch is being applied makes everything visible up to its own, later sequence number. So
    /// while a batch is under way all get the snapshot taken before it, and nobody waits for the
    /// disk.
    fn consistent(&self) -> fjall::Snapshot {
        // Held until the snapshot is taken, so that no batch begins in between.
        let before = lock(&self.before);
        before.clone().unwrap_or_else(|| self.database.snapshot())
    }

    /// Writes the format into a fresh store, and refuses what a newer program wrote.
    fn check_format(&self) -> Result<(), OpenError> {
        let damaged = |reason| OpenError::Damaged { path: self.path.clone(), reason };
        let refused = |error| match error {
            StoreError::Damaged(reason) => damaged(reason),
            error => OpenError::Store(error),
        };
        let Some(found) = self.get(layout::FORMAT_KEY).map_err(refused)? else {
            if self.snapshot().range(&[], &[0xff], false).next().is_some() {
                return Err(damaged("there is data, but no format: a part is lost".into()));
            }
            let mut batch = Batch::new();
            batch.insert(layout::FORMAT_KEY, layout::FORMAT.to_be_bytes().to_vec());
            return self.commit(batch, Durability::Fsync).map_err(refused);
        };
        let Ok(found) = <[u8; 4]>::try_from(&*found).map(u32::from_be_bytes) else {
            return Err(damaged("its format cannot be read".into()));
        };
        if found > layout::FORMAT {
            return Err(OpenError::Newer { path: self.path.clone(), found, known: layout::FORMAT });
        }
        Ok(())
    }
}

impl Store for Fjall {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        failure::guarded(|| self.keyspace.get(key)).map(|value| value.map(Bytes::from))
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(View { keyspace: self.keyspace.clone(), snapshot: self.consistent() })
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        let mode = match durability {
            Durability::Fsync => PersistMode::SyncData,
            Durability::Buffer => PersistMode::Buffer,
        };
        let mut writes = fjall::OwnedWriteBatch::with_capacity(self.database.clone(), batch.len());
        for operation in batch.into_operations() {
            match operation {
                Operation::Insert(key, value) => writes.insert(&self.keyspace, key, value),
                Operation::Remove(key) => writes.remove(&self.keyspace, key),
            }
        }
        let _writer = lock(&self.writer);
        *lock(&self.before) = Some(self.database.snapshot());
        let outcome = failure::guarded(|| writes.durability(Some(mode)).commit());
        // After a failure nobody knows how much of the batch was applied: the store stays, for
        // readers, what it was.
        if outcome.is_ok() {
            *lock(&self.before) = None;
        }
        outcome.map_err(|error| failure::for_lack_of_room(error, &self.path))
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.database.persist(PersistMode::SyncAll).map_err(|error| failure::while_running(&error))
    }

    fn size_bytes(&self) -> u64 {
        bytes_below(&self.path)
    }
}

/// What lies behind these locks is sound also when a thread died holding one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the files below `path` take. Files come and go while we look; those are not counted.
fn bytes_below(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    let of_entry = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => taken(&metadata),
        Err(_) => 0,
    };
    entries.flatten().map(of_entry).sum()
}

/// A journal is 64 MiB long from the start, nearly all of it a hole: what counts is what it takes.
#[cfg(unix)]
fn taken(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(metadata) * 512
}

#[cfg(not(unix))]
fn taken(metadata: &std::fs::Metadata) -> u64 {
    metadata.len()
}

/// A consistent view. While it lives, what it shows is not compacted away.
struct View {
    keyspace: Keyspace,
    snapshot: fjall::Snapshot,
}

impl Snapshot for View {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        failure::guarded(|| self.snapshot.get(&self.keyspace, key)).map(|value| value.map(Bytes::from))
    }

    fn range<'a>(&'a self, from: &[u8], to: &[u8], reverse: bool) -> Pairs<'a> {
        if from >= to {
            return Box::new(std::iter::empty());
        }
        let pairs =
            self.snapshot.range::<&[u8], _>(&self.keyspace, (Bound::Included(from), Bound::Excluded(to)));
        if reverse { Box::new(Guarded(Some(pairs.rev()))) } else { Box::new(Guarded(Some(pairs))) }
    }
}

/// Ends with the first error: nobody knows what an iterator does that could not go on.
struct Guarded<I>(Option<I>);

impl<I: Iterator<Item = fjall::Guard>> Iterator for Guarded<I> {
    type Item = Result<Pair, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let pairs = self.0.as_mut()?;
        let next = failure::guarded(|| pairs.next().map(fjall::Guard::into_inner).transpose());
        if !matches!(next, Ok(Some(_))) {
            self.0 = None;
        }
        next.transpose().map(|pair| pair.map(|(key, value)| (key.into(), value.into())))
    }
}
