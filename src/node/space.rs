//! Reading and writing one namespace.

use crate::{
    causality::{Dot, Hlc},
    conflict::VersionHash,
    replica::Precondition,
    types::{Key, Namespace, Prefix, Value},
};

use super::{Frontier, Node, ReadError, WriteError};

/// One namespace of a node. Cloning is cheap.
#[derive(Clone)]
pub struct Space {
    pub(super) node: Node,
    pub(super) namespace: Namespace,
}

/// A value as a reader sees it, with the version it comes from.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it stands.
    pub key: Key,
    /// What stands there. Empty bytes in a scan of keys only.
    pub value: Value,
    /// How many bytes the value has.
    pub size: u64,
    /// The write that readers see.
    pub dot: Dot,
    /// Its stamp.
    pub hlc: Hlc,
    /// How many concurrent versions stand in the record; 1 where there is no conflict.
    pub siblings: usize,
    /// The name of the whole record, all its siblings.
    pub etag: VersionHash,
}

/// What a write became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The key written to.
    pub key: Key,
    /// The name of the write.
    pub dot: Dot,
    /// Its stamp.
    pub hlc: Hlc,
    /// The write and what it superseded: whoever has seen this much has seen the write.
    pub frontier: Frontier,
}

/// One operation of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchOp {
    /// Store a value.
    Put(Key, Value),
    /// Delete a key.
    Delete(Key),
}

/// How a write is to be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// What must hold of the record.
    pub precondition: Precondition,
}

/// Which keys a scan returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The key itself and all below it; everything if empty.
    pub prefix: Prefix,
    /// Begin behind this key (before it, if `reverse`).
    pub after: Option<Key>,
    /// At most so many entries; 1 to 10,000.
    pub limit: usize,
    /// Descending.
    pub reverse: bool,
    /// Leave the values out.
    pub keys_only: bool,
}

impl Default for Scan {
    fn default() -> Self {
        Self { prefix: Prefix::all(), after: None, limit: 1_000, reverse: false, keys_only: false }
    }
}

/// A page of a scan.
#[derive(Clone, Debug)]
pub struct ScanPage {
    /// The entries, in order of their keys.
    pub entries: Vec<Entry>,
    /// Where to go on ([`Scan::after`]), if there is more.
    pub next: Option<Key>,
}

impl Space {
    /// Stores `value` under `key`.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn put<K>(&self, key: K, value: impl Into<Value>) -> Result<Written, WriteError>
    where
        K: TryInto<Key>,
        K::Error: Into<WriteError>,
    {
        let _ = (key.try_into(), value.into());
        unimplemented!()
    }

    /// Stores `value` under `key` if `options` allow it.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn put_with(
        &self,
        key: Key,
        value: Value,
        options: WriteOptions,
    ) -> Result<Written, WriteError> {
        let _ = (key, value, options);
        unimplemented!()
    }

    /// Deletes `key`.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn delete<K>(&self, key: K) -> Result<Written, WriteError>
    where
        K: TryInto<Key>,
        K::Error: Into<WriteError>,
    {
        let _ = key.try_into();
        unimplemented!()
    }

    /// Deletes `key` if `options` allow it.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn delete_with(&self, key: Key, options: WriteOptions) -> Result<Written, WriteError> {
        let _ = (key, options);
        unimplemented!()
    }

    /// All operations or none, as one unit.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn batch(&self, operations: Vec<BatchOp>) -> Result<Vec<Written>, WriteError> {
        let _ = operations;
        unimplemented!()
    }

    /// What readers see under `key`.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn get<K>(&self, key: K) -> Result<Option<Entry>, ReadError>
    where
        K: TryInto<Key>,
        K::Error: Into<ReadError>,
    {
        let _ = key.try_into();
        unimplemented!()
    }

    /// Keys in order, a page at a time.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn scan(&self, scan: Scan) -> Result<ScanPage, ReadError> {
        let _ = scan;
        unimplemented!()
    }

    /// What the node holds of this namespace, in one hash. Reads everything.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn digest(&self) -> Result<super::Digest, ReadError> {
        unimplemented!()
    }

    /// What the node has seen of this namespace.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn frontier(&self) -> Result<Frontier, ReadError> {
        unimplemented!()
    }
}
