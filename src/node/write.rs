//! Writing into one namespace: puts, deletes, batches.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Frontier, Space, WriteError};
use crate::{
    actors::storage::{StorageMsg, WriteFailure, WriteRequest},
    causality::{Dot, Hlc},
    conflict::{Body, Etag, Payload, Put},
    replica::{Precondition, Refused},
    storage::Write,
    types::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, INLINE_BYTES_MAX, Key, Value},
};

/// What a write became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The key written to.
    pub key: Key,
    /// The name of the write.
    pub dot: Dot,
    /// Its stamp.
    pub hlc: Hlc,
    /// The write and what it superseded: whoever has seen this much has seen the write. Empty where the key never
    /// leaves the node: a wait for it is over at once, here, where it is to be read, and elsewhere, where it never
    /// will.
    pub frontier: Frontier,
}

/// One operation of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchOp {
    /// Store a value.
    Put(Key, Value),
    /// Store a value that expires after so long, as [`WriteOptions::ttl`] says.
    Expiring(Key, Value, Duration),
    /// Delete a key.
    Delete(Key),
}

/// How a write is to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// What must hold of the record.
    pub precondition: Precondition,
    /// From so long after now on, by the wall clock of this node, readers see a delete: more than nothing, and
    /// a century ([`TTL_MAX`]) at most. Means nothing to a delete.
    pub ttl: Option<Duration>,
    /// The version that the write was made from ([`Entry::etag`](super::Entry::etag) of what was read). The write supersedes that
    /// and what that superseded, and nothing newer: a newer one becomes a sibling, and `merge-fields`
    /// compares with this one. Without it, whatever the node holds at that moment.
    pub base: Option<Etag>,
}

/// The longest time that a value can be given until it expires: a century.
pub const TTL_MAX: Duration = Duration::from_secs(36_525 * 24 * 3_600);

/// A writer waits for room so long, then is told that the node is busy.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// A writer that failed is there again after about this time.
const RESTART_TIME: Duration = Duration::from_millis(100);

impl Space {
    /// Stores `value` under `key`. When this returns, the write has survived what the node's
    /// [`Durability`](crate::storage::Durability) promises. Cancel-safe: the write happens or not.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn put<K>(&self, key: K, value: impl Into<Value>) -> Result<Written, WriteError>
    where
        K: TryInto<Key>,
        K::Error: Into<WriteError>,
    {
        let key = key.try_into().map_err(Into::into)?;
        self.put_with(key, value.into(), WriteOptions::default()).await
    }

    /// Stores `value` under `key` if `precondition` holds. It is checked against what *this* node holds: a concurrent
    /// write elsewhere becomes a sibling, as always. Cancel-safe: the write happens or not.
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
    /// use tidings::node::{Precondition, WriteError};
    ///
    /// node.put_if("nest", "empty", Precondition::Absent).await?;
    /// let read = node.get("nest").await?.expect("just stored");
    /// node.put("nest", "one egg").await?;
    /// let late = node.put_if("nest", "a feather", Precondition::Matches(read.etag.hash())).await;
    /// assert!(matches!(late, Err(WriteError::Precondition)));
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`WriteError::Precondition`] if it does not hold; else see [`WriteError`].
    pub async fn put_if<K>(
        &self,
        key: K,
        value: impl Into<Value>,
        precondition: Precondition,
    ) -> Result<Written, WriteError>
    where
        K: TryInto<Key>,
        K::Error: Into<WriteError>,
    {
        let key = key.try_into().map_err(Into::into)?;
        self.put_with(key, value.into(), WriteOptions { precondition, ..WriteOptions::default() }).await
    }

    /// Stores `value` under `key` if `options` allow it. Cancel-safe: the write happens or not.
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
    /// use tidings::{Key, Namespace, node::{Precondition, WriteError, WriteOptions}};
    ///
    /// let space = node.space(&Namespace::default())?;
    /// let first = WriteOptions { precondition: Precondition::Absent, ..WriteOptions::default() };
    /// space.put_with(Key::new("leader")?, "ant".into(), first.clone()).await?;
    /// let second = space.put_with(Key::new("leader")?, "bat".into(), first).await;
    /// assert!(matches!(second, Err(WriteError::Precondition)));
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
    /// use std::time::Duration;
    /// use tidings::{Key, Namespace, node::WriteOptions};
    ///
    /// let space = node.space(&Namespace::default())?;
    /// let here = WriteOptions { ttl: Some(Duration::from_secs(30)), ..WriteOptions::default() };
    /// space.put_with(Key::new("here/ant")?, "yes".into(), here).await?;
    /// let entry = space.get("here/ant").await?.expect("for half a minute");
    /// assert!(entry.expires_at.is_some());
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    ///
    /// A precondition is checked against what *this* node holds: a concurrent write elsewhere is a
    /// sibling, as always.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn put_with(
        &self,
        key: Key,
        value: Value,
        options: WriteOptions,
    ) -> Result<Written, WriteError> {
        let write = self.prepare_put(0, key, value, options)?;
        self.write_one(write).await
    }

    /// Deletes `key`. Cancel-safe: the delete happens or not.
    ///
    /// # Errors
    /// [`WriteError::NothingThere`] when there is no value; else see [`WriteError`].
    pub async fn delete<K>(&self, key: K) -> Result<Written, WriteError>
    where
        K: TryInto<Key>,
        K::Error: Into<WriteError>,
    {
        let key = key.try_into().map_err(Into::into)?;
        self.delete_with(key, WriteOptions::default()).await
    }

    /// Deletes `key` if `options` allow it. Cancel-safe: the delete happens or not.
    ///
    /// # Errors
    /// [`WriteError::NothingThere`] when there is no value; else see [`WriteError`].
    pub async fn delete_with(&self, key: Key, options: WriteOptions) -> Result<Written, WriteError> {
        let WriteOptions { precondition, base, ttl: _ } = options;
        self.write_one(Write { key, body: Body::Delete, blob: None, precondition, made_from: base }).await
    }

    /// All operations or none, on this node and as one unit at every node that receives them by
    /// gossip. At most 1,000 operations and 1 MiB of keys and values. Cancel-safe: all of it happens
    /// or nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
    /// use tidings::{Key, Namespace, node::BatchOp};
    ///
    /// let space = node.space(&Namespace::default())?;
    /// let operations = vec![
    ///     BatchOp::Put(Key::new("users/ant")?, "Ant".into()),
    ///     BatchOp::Put(Key::new("names/Ant")?, "ant".into()),
    /// ];
    /// let written = space.batch(operations).await?;
    /// assert_eq!(written.len(), 2);
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`WriteError::BatchTooLarge`] when it has more than it may;
    /// [`WriteError::NothingThere`] when it deletes what is not there; else see [`WriteError`].
    pub async fn batch(&self, operations: Vec<BatchOp>) -> Result<Vec<Written>, WriteError> {
        let size = |operation: &BatchOp| match operation {
            BatchOp::Put(key, value) | BatchOp::Expiring(key, value, _) => {
                key.as_bytes().len() + value.bytes.len()
            }
            BatchOp::Delete(key) => key.as_bytes().len(),
        };
        let bytes = operations.iter().map(size).sum();
        if operations.len() > BATCH_OPERATIONS_MAX || bytes > BATCH_BYTES_MAX {
            return Err(WriteError::BatchTooLarge { operations: operations.len(), bytes });
        }
        if operations.is_empty() {
            return Ok(Vec::new());
        }
        let prepare = |(index, operation)| match operation {
            BatchOp::Put(key, value) => self.prepare_put(index, key, value, WriteOptions::default()),
            BatchOp::Expiring(key, value, ttl) => {
                let options = WriteOptions { ttl: Some(ttl), ..WriteOptions::default() };
                self.prepare_put(index, key, value, options)
            }
            BatchOp::Delete(key) => Ok(Write::new(key, Body::Delete)),
        };
        self.write(operations.into_iter().enumerate().map(prepare).collect::<Result<_, _>>()?).await
    }

    fn prepare_put(
        &self,
        index: usize,
        key: Key,
        value: Value,
        options: WriteOptions,
    ) -> Result<Write, WriteError> {
        let limit = self.society().settings.limits.value_bytes_max;
        let size = value.bytes.len();
        if size > limit {
            return Err(WriteError::ValueTooLarge { size, limit });
        }
        let valid = self.society().hooks.validate(&self.namespace, &key, &value);
        valid.map_err(|refusal| WriteError::Invalid { index, reason: refusal.reason })?;
        let Value { content_type, bytes } = value;
        let (payload, blob) = if size > INLINE_BYTES_MAX {
            let hash = *blake3::hash(&bytes).as_bytes();
            (Payload::Blob { hash, size: size as u64 }, Some(bytes))
        } else {
            (Payload::Inline(bytes), None)
        };
        let put = Put { content_type, payload };
        let body = match options.ttl {
            None => Body::Put(put),
            Some(ttl) => Body::Expiring { put, until: self.deadline(ttl)? },
        };
        Ok(Write { key, body, blob, precondition: options.precondition, made_from: options.base })
    }

    /// When a value expires that is written now, in milliseconds since 1970.
    fn deadline(&self, ttl: Duration) -> Result<u64, WriteError> {
        if ttl.is_zero() || ttl > TTL_MAX {
            return Err(WriteError::Ttl { ttl });
        }
        let millis = u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        Ok(self.society().clock.wall_ms().saturating_add(millis))
    }

    async fn write_one(&self, write: Write) -> Result<Written, WriteError> {
        let written = self.write(vec![write]).await?;
        Ok(written.into_iter().next().expect("one write became one version"))
    }

    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Written>, WriteError> {
        let society = self.society();
        let bytes = writes.iter().map(write_bytes).sum();
        let permit = society.admission.writes.admit(bytes, WRITE_PATIENCE).await;
        let permit = permit.ok_or(WriteError::Busy { retry_after: Duration::from_secs(1) })?;
        // A node that is closing takes in nothing more, even while its parts are still there.
        if !society.ready.load(Ordering::Relaxed) {
            return Err(WriteError::Closed);
        }
        let (reply, written) = oneshot::channel();
        let namespace = self.namespace.clone();
        let request = WriteRequest { namespace, writes, permit, reply };
        if !society.storage.cast(StorageMsg::Write(request)) {
            return Err(self.nobody_writes());
        }
        match written.await {
            Ok(Ok(versions)) => Ok(versions.into_iter().map(|version| self.written_of(version)).collect()),
            Ok(Err(WriteFailure::Refused { index, refused })) => Err(match refused {
                Refused::NothingThere => WriteError::NothingThere { index },
                Refused::Precondition => WriteError::Precondition,
                Refused::TooManyWriters => WriteError::TooManyWriters,
                Refused::AlreadySet => WriteError::AlreadySet { index },
                Refused::UnknownBase => WriteError::UnknownBase,
                Refused::TooManyBeside => WriteError::TooManyBeside,
            }),
            Ok(Err(WriteFailure::Store(error))) => Err(error.into()),
            Ok(Err(WriteFailure::NotCarried(namespace))) => Err(WriteError::NoNamespace(namespace)),
            Err(_) => Err(WriteError::Closed),
        }
    }

    /// Why nobody took a write: the node is closed, or the writer is just being started again.
    fn nobody_writes(&self) -> WriteError {
        if self.node.health().ready {
            WriteError::Busy { retry_after: RESTART_TIME }
        } else {
            WriteError::Closed
        }
    }
}

fn write_bytes(write: &Write) -> usize {
    let inline = match write.body.put().map(|put| &put.payload) {
        Some(Payload::Inline(bytes)) => bytes.len(),
        _ => 0,
    };
    write.key.as_bytes().len() + inline + write.blob.as_ref().map_or(0, Bytes::len)
}
