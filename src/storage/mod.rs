//! What a store must be able to do, and the stores there are.
//!
//! A [`Store`] is an ordered map of bytes with atomic batches and consistent snapshots: nothing in
//! it knows of versions or records. How those are laid out in it is [`layout`]'s business, and what
//! is written when is the [`Ledger`]'s, the same for every store.
//!
//! Invariant: all that must survive or vanish together lies in one batch, so whatever a crash
//! takes, what remains is one consistent past.

mod account;
mod apply;
mod bases;
mod batch;
mod checkpoint;
mod chunks;
mod collide;
mod commit;
mod count;
mod dead_runs;
mod descend;
pub mod directory;
pub mod doctor;
mod draft;
mod dropped;
mod earlier;
mod error;
mod expire;
pub mod fjall;
mod forget;
mod heal;
mod history;
pub mod issued;
mod kept;
mod known;
pub mod layout;
mod ledger;
pub mod life;
mod load;
mod local_only;
mod losses;
mod membership;
pub mod memory;
mod migrate;
mod news;
pub mod opening;
mod pens;
mod plain;
mod reader;
mod receive;
mod scrub;
mod settle;
mod shared;
mod sight;
mod stored;
mod tally;
mod view;

#[cfg(test)]
mod collide_tests;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod counted_tests;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod exchange_tests;
#[cfg(test)]
mod expire_tests;
#[cfg(test)]
mod fill_tests;
#[cfg(test)]
mod history_tests;
#[cfg(test)]
mod ledger_tests;
#[cfg(test)]
mod one_way_tests;
#[cfg(test)]
mod ranges_tests;
#[cfg(test)]
mod repair_tests;

use bytes::Bytes;

pub use batch::{Batch, Operation};
pub use draft::Change;
pub use dropped::Dropped;
pub use error::{OpenError, StoreError};
pub use forget::Swept;
pub use history::{Earlier, HISTORY_MAX};
pub use ledger::{Committed, Ledger, Received, Write};
pub use local_only::{IN_THE_WAY_MAX, InTheWay, LOCAL_RECORDS_LOOKED_AT_MAX};
pub use membership::Joining;
pub use news::{New, News, PageLimit};
pub use reader::{Found, Reader};
pub use scrub::Scrubbed;
pub use settle::Judgement;
pub use sight::{Sight, Sights};
pub use view::{VersionPage, View};

/// What an acknowledged write has survived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// A loss of power: the batch is synced to the disk before it is acknowledged.
    #[default]
    Fsync,
    /// A crash of the process: the batch is with the operating system.
    Buffer,
}

/// Key and value, as an iterator over a store yields them.
pub type Pair = (Bytes, Bytes);

/// Pairs in the order of their keys, or in the reverse order.
pub type Pairs<'a> = Box<dyn Iterator<Item = Result<Pair, StoreError>> + Send + 'a>;

/// An ordered map of bytes with atomic batches. Calls may block on the disk: writers run on a
/// thread of their own, readers are short.
pub trait Store: Send + Sync + 'static {
    /// The value of `key` after the last committed batch.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// The store as it is now, unmoved by later batches.
    fn snapshot(&self) -> Box<dyn Snapshot>;

    /// Applies all of `batch` or nothing; when it returns, the batch has survived what
    /// `durability` promises.
    ///
    /// # Errors
    /// When the batch could not be written. The store is then not to be trusted with further
    /// writes; readers may go on.
    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError>;

    /// Makes everything committed survive a loss of power.
    ///
    /// # Errors
    /// When the disk refuses.
    fn sync(&self) -> Result<(), StoreError>;

    /// Bytes on disk, or in memory for a store that has no disk.
    fn size_bytes(&self) -> u64;
}

/// A consistent view of a store.
pub trait Snapshot: Send + Sync {
    /// The value of `key` in this view.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// The pairs with `from <= key < to`, ascending, or descending where `reverse`.
    fn range<'a>(&'a self, from: &[u8], to: &[u8], reverse: bool) -> Pairs<'a>;
}
