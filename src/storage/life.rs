//! Whether a store goes on with its life or begins a new one (rule 7 of the protocol).
//!
//! A store may wake up with its past missing: copied, restored from a backup, or after a loss of
//! power that took what was not synced. If it then went on counting, it would give one dot to two
//! writes, and replicas would diverge. A new epoch begins wherever that may be; what the old life
//! wrote comes back from the peers like anybody's.
//!
//! Invariant: an epoch is on the disk, synced, before anybody learns of it.

use std::{fs, path::Path};

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::{
    Batch, Durability, OpenError, Store, StoreError,
    directory::{self, LOCK},
    layout,
    opening::{OPENED, Opening, opening_key, read_opening},
};
use crate::{
    ports::Entropy,
    wire::{decode, encode},
};

/// The version of [`StoredLife`]'s encoding, its first byte.
const VERSION: u8 = 1;

/// Where a store is: on which machine, since which boot, in which directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// The machine's id; empty where it has none.
    pub machine: String,
    /// Changes with every boot of the machine; empty where that cannot be known.
    pub boot: String,
    /// The device that the data directory lies on.
    pub device: u64,
    /// The inode of the data directory.
    pub inode: u64,
    /// When the inode of its lock file last changed, in nanoseconds since 1970. Nothing changes it
    /// but copying the file back, also where a restored directory gets the inode of the old one.
    pub lock_changed_ns: i64,
}

/// What a store knows of its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLife {
    /// The 64 random bits drawn when it began.
    pub epoch: u64,
    /// Where it was last opened.
    pub surroundings: Surroundings,
    /// Whether it was closed since.
    pub clean: bool,
    /// Whether acknowledged writes were synced.
    pub synced: bool,
}

/// Why a new life begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The store is new.
    Fresh,
    /// The directory is not the one last opened: it was copied, moved, or restored.
    Moved,
    /// The store is not the one that was last opened in this directory: it was put back from a backup.
    Restored,
    /// The machine went down while acknowledged writes were not synced.
    PowerLost,
    /// What the store knew of its life cannot be read.
    Unreadable,
    /// More names were given than the store knows of: it lost its end.
    TailMissing,
    /// A peer has seen later writes of this life than this store has.
    PeerKnowsMore,
}

/// What becomes of a life when its store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on, in this epoch.
    Continue(u64),
    /// A new one begins.
    NewEpoch(Reason),
}

/// The life that a store has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// The epoch of all that is written from now on.
    pub epoch: u64,
    /// Why it began just now; `None` where it goes on.
    pub began: Option<Reason>,
}

impl Surroundings {
    /// Those of the data directory `path`. What the system does not tell stays empty, which makes
    /// for a new epoch rather than for a wrong one.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let text =
            |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
        let machine = ["/etc/machine-id", "/var/lib/dbus/machine-id"].map(text);
        let (device, inode, _) = identify(path);
        let (_, _, lock_changed_ns) = identify(&path.join(LOCK));
        Self {
            machine: machine.into_iter().find(|id| !id.is_empty()).unwrap_or_default(),
            boot: text("/proc/sys/kernel/random/boot_id"),
            device,
            inode,
            lock_changed_ns,
        }
    }

    fn same_place(&self, other: &Self) -> bool {
        let Self { machine, boot: _, device, inode, lock_changed_ns } = self;
        (machine, device, inode, lock_changed_ns)
            == (&other.machine, &other.device, &other.inode, &other.lock_changed_ns)
    }

    /// Whether the machine has been up all the time between the two.
    fn same_boot(&self, other: &Self) -> bool {
        !self.boot.is_empty() && self.boot == other.boot
    }
}

/// Device, inode, and when the inode last changed.
#[cfg(unix)]
pub(super) fn identify(path: &Path) -> (u64, u64, i64) {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = fs::metadata(path) else { return (0, 0, 0) };
    let changed = metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec());
    (metadata.dev(), metadata.ino(), changed)
}

#[cfg(not(unix))]
fn identify(_path: &Path) -> (u64, u64, i64) {
    (0, 0, 0)
}

/// Decides whether the life that is `stored` goes on in the surroundings of `now`.
#[must_use]
pub fn judge(stored: Option<&StoredLife>, now: &Surroundings) -> Verdict {
    let Some(stored) = stored else { return Verdict::NewEpoch(Reason::Fresh) };
    if !stored.surroundings.same_place(now) {
        return Verdict::NewEpoch(Reason::Moved);
    }
    // The death of a process takes nothing: what was acknowledged is with the operating system.
    if !stored.clean && !stored.synced && !stored.surroundings.same_boot(now) {
        return Verdict::NewEpoch(Reason::PowerLost);
    }
    Verdict::Continue(stored.epoch)
}

/// Opens the life of `store`: judges it, and stores the outcome, synced, before it returns. From
/// then on a stop without [`close_life`] is an unclean one.
///
/// In `directory`, where there is one, it leaves the mark of this [`Opening`], first there and then in the store:
/// a stop between the two makes for a new epoch at worst.
///
/// # Errors
/// When the store cannot be read or written, or the directory not be written.
pub fn open_life(
    store: &dyn Store,
    now: &Surroundings,
    directory: Option<&Path>,
    entropy: &dyn Entropy,
    durability: Durability,
) -> Result<Life, OpenError> {
    let stored = read(store)?;
    let marked = read_opening(store)?;
    let goes_on = directory.is_none_or(|path| marked.agrees(Opening::of(path)));
    let verdict = match &stored {
        Found::Nothing => judge(None, now),
        Found::Life(life) => judge(Some(life), now),
        Found::Unreadable => Verdict::NewEpoch(Reason::Unreadable),
    };
    let life = match verdict {
        Verdict::Continue(epoch) if goes_on => Life { epoch, began: None },
        Verdict::Continue(epoch) => Life { epoch: draw(entropy, Some(epoch)), began: Some(Reason::Restored) },
        Verdict::NewEpoch(reason) => Life { epoch: draw(entropy, stored.epoch()), began: Some(reason) },
    };
    let synced = durability == Durability::Fsync;
    let opened = StoredLife { epoch: life.epoch, surroundings: now.clone(), clean: false, synced };
    let mut batch = batch(&opened);
    if let Some(path) = directory {
        let opening = Opening::renew(path, draw(entropy, marked.nonce()))
            .map_err(|error| directory::refused(&path.join(OPENED), &error))?;
        batch.insert(opening_key(), encode(&opening));
    }
    store.commit(batch, Durability::Fsync)?;
    Ok(life)
}

/// Begins a new life while the store is at work, for a `reason` that showed only then.
///
/// # Errors
/// When the store cannot be read or written, or no life was opened.
pub fn renew_life(store: &dyn Store, entropy: &dyn Entropy, reason: Reason) -> Result<Life, StoreError> {
    let stored = opened(store)?;
    let life = Life { epoch: draw(entropy, Some(stored.epoch)), began: Some(reason) };
    write(store, &StoredLife { epoch: life.epoch, ..stored })?;
    Ok(life)
}

/// Syncs the store and marks its life as cleanly closed. Nothing may be written after.
///
/// # Errors
/// When the store cannot be read or written, or no life was opened; the stop is then an unclean
/// one.
pub fn close_life(store: &dyn Store) -> Result<(), StoreError> {
    // First what the mark vouches for, then the mark.
    store.sync()?;
    let stored = opened(store)?;
    write(store, &StoredLife { clean: true, ..stored })
}

/// A new epoch: never the one before, whatever the dice say.
fn draw(entropy: &dyn Entropy, before: Option<u64>) -> u64 {
    let epoch = entropy.bits();
    if Some(epoch) == before { epoch.wrapping_add(1) } else { epoch }
}

/// What a store says of its life.
enum Found {
    Nothing,
    Unreadable,
    Life(StoredLife),
}

impl Found {
    fn epoch(&self) -> Option<u64> {
        match self {
            Self::Life(life) => Some(life.epoch),
            Self::Nothing | Self::Unreadable => None,
        }
    }
}

fn key() -> Bytes {
    layout::fact("life")
}

fn read(store: &dyn Store) -> Result<Found, StoreError> {
    let Some(bytes) = store.get(&key())? else { return Ok(Found::Nothing) };
    let life = match bytes.split_first() {
        Some((&VERSION, rest)) => decode(rest).ok(),
        _ => None,
    };
    Ok(life.map_or(Found::Unreadable, Found::Life))
}

/// The epoch of the life of `store`; nothing if it cannot be read.
pub(super) fn epoch(store: &dyn Store) -> Result<Option<u64>, StoreError> {
    read(store).map(|found| found.epoch())
}

fn opened(store: &dyn Store) -> Result<StoredLife, StoreError> {
    match read(store)? {
        Found::Life(life) => Ok(life),
        Found::Nothing | Found::Unreadable => {
            Err(StoreError::Damaged("what it knew of its life is gone".into()))
        }
    }
}

fn write(store: &dyn Store, life: &StoredLife) -> Result<(), StoreError> {
    store.commit(batch(life), Durability::Fsync)
}

fn batch(life: &StoredLife) -> Batch {
    let mut bytes = BytesMut::new();
    bytes.put_u8(VERSION);
    bytes.put(encode(life));
    let mut batch = Batch::new();
    batch.insert(key(), bytes.freeze());
    batch
}

#[cfg(test)]
mod tests;
