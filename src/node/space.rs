//! Reading and writing one namespace.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Frontier, Node, ReadError, WriteError};
use crate::{
    actors::{
        society::Society,
        storage::{StorageMsg, WriteFailure, WriteRequest},
    },
    causality::{Dot, Hlc, SeenSet},
    conflict::{Body, Etag, Payload, Put, Strategy, Visible},
    digest::Sum,
    replica::{Precondition, Refused},
    storage::{Dropped, Earlier, Found, Reader, Write},
    types::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, INLINE_BYTES_MAX, Key, Namespace, Prefix, Value},
};

/// One namespace of a node: keys of one are not seen in another, and namespaces are compared apart.
/// Cloning is cheap.
///
/// Every method is cancel-safe: a write whose future is dropped happens or does not, as a whole.
///
/// ```
/// use tidings::{Namespace, Node};
///
/// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let birds = Namespace::new("birds")?;
/// let listen = ["/ip4/127.0.0.1/tcp/0".parse()?];
/// let node = Node::builder().in_memory().namespace(birds.clone()).listen(listen).start().await?;
/// let space = node.space(&birds)?;
/// space.put("ant", "three eggs").await?;
/// assert!(space.get("ant").await?.is_some());
/// assert!(node.get("ant").await?.is_none(), "this one is called `default`");
/// # node.close().await;
/// # Ok(()) }
/// ```
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
    /// When the value expires, in milliseconds since 1970, if it does.
    pub expires_at: Option<u64>,
    /// How many concurrent versions stand in the record; 1 where there is no conflict.
    pub siblings: usize,
    /// The name of the whole record, all its siblings.
    pub etag: Etag,
    /// Whether the key never leaves the node ([`Builder::local_only`](super::Builder::local_only)).
    pub local_only: bool,
}

impl Entry {
    /// The writes that the record accounts for: whoever has seen this much has seen the value. Empty where the
    /// key never leaves the node: there is nothing that another node could see.
    #[must_use]
    pub fn frontier(&self) -> Frontier {
        if self.local_only {
            return Frontier::default();
        }
        let context = self.etag.context();
        let mut seen: SeenSet = context.iter().map(|(origin, seq)| Dot::new(origin, seq)).collect();
        seen.insert(self.dot);
        Frontier(seen)
    }
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
    /// The version that the write was made from ([`Entry::etag`] of what was read). The write supersedes that
    /// and what that superseded, and nothing newer: a newer one becomes a sibling, and `merge-fields`
    /// compares with this one. Without it, whatever the node holds at that moment.
    pub base: Option<Etag>,
}

/// The longest time that a value can be given until it expires: a century.
pub const TTL_MAX: Duration = Duration::from_secs(36_525 * 24 * 3_600);

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

/// The most entries in a page of a scan.
const SCAN_LIMIT_MAX: usize = 10_000;
/// Room is made for so many entries before they are read.
const SCAN_ENTRIES_FORESEEN: usize = 1_000;
/// A page of a scan is closed when its values have so many bytes.
const SCAN_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Larger values are left out of scans; their size is told.
const SCAN_VALUE_BYTES_MAX: u64 = 64 * 1024;
/// A writer waits for room so long, then is told that the node is busy.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// A writer that failed is there again after about this time.
const RESTART_TIME: Duration = Duration::from_millis(100);
/// A reader of everything lets others run after so many records.
const RECORDS_AT_ONCE: usize = 512;
/// So often is looked for a digest that fits what was seen: a commit is published in between at most.
const DIGEST_TRIES: usize = 8;

impl Space {
    /// The name of the namespace.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The node that it is a namespace of.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Where tasks run that end with the node.
    pub(crate) fn scope(&self) -> &crate::ports::Scope {
        &self.society().scope
    }

    /// The end of the node, whatever ends it; why, if it could not go on. Keeps nothing alive.
    pub(crate) fn ending(&self) -> impl Future<Output = Option<String>> + use<> {
        let mut ended = self.society().ended.subscribe();
        async move {
            let end = ended.wait_for(Option::is_some).await;
            end.ok().and_then(|end| end.as_ref()?.failure().map(str::to_owned))
        }
    }

    /// How readers of this node resolve what stands under `key`.
    #[must_use]
    pub fn strategy(&self, key: &Key) -> Strategy {
        self.society().reader().strategy(&self.namespace, key)
    }

    pub(super) fn society(&self) -> &Society {
        &self.node.inner.society
    }

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

    /// A reader of the store; taken before the look whether the node is open, for afterwards it may
    /// be one of nothing.
    pub(super) fn open_reader(&self) -> Result<Reader, ReadError> {
        let reader = self.society().reader();
        self.check_open()?;
        if reader.carries(&self.namespace) {
            Ok(reader)
        } else {
            Err(ReadError::NoNamespace(self.namespace.clone()))
        }
    }

    pub(super) fn check_open(&self) -> Result<(), ReadError> {
        if self.society().ready.load(Ordering::SeqCst) { Ok(()) } else { Err(ReadError::Closed) }
    }

    /// What readers see under `key`.
    ///
    /// # Errors
    /// See [`ReadError`].
    #[expect(clippy::unused_async, reason = "reads may have to wait for a frontier in the future")]
    pub async fn get<K>(&self, key: K) -> Result<Option<Entry>, ReadError>
    where
        K: TryInto<Key>,
        K::Error: Into<ReadError>,
    {
        let key = key.try_into().map_err(Into::into)?;
        let reader = self.open_reader()?;
        let now = self.society().clock.wall_ms();
        let found = reader.get(self.home(&key), &key, now)?;
        Ok(found.map(|Found { reading, value, dot, hlc, expires_at }| {
            let (size, siblings) = (value.bytes.len() as u64, reading.siblings().len());
            let local_only = self.is_local_only(&key);
            Entry { key, value, size, dot, hlc, expires_at, siblings, etag: reading.into(), local_only }
        }))
    }

    /// Keys in order, a page at a time: at most `limit` entries, and at most 4 MiB of values.
    /// Values above 64 KiB are left out; their size is told. Each page is of one moment, several are
    /// of several.
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
    /// use tidings::{Namespace, Prefix, node::Scan};
    ///
    /// let space = node.space(&Namespace::default())?;
    /// for n in 0..5 {
    ///     space.put(format!("users/{n}"), "somebody").await?;
    /// }
    /// let mut scan = Scan { prefix: Prefix::new("users")?, limit: 2, ..Scan::default() };
    /// let mut sizes = Vec::new();
    /// loop {
    ///     let page = space.scan(scan.clone()).await?;
    ///     sizes.push(page.entries.len());
    ///     scan.after = page.next;
    ///     if scan.after.is_none() {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(sizes, [2, 2, 1]);
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`ReadError`].
    #[expect(clippy::unused_async, reason = "reads may have to wait for a frontier in the future")]
    pub async fn scan(&self, scan: Scan) -> Result<ScanPage, ReadError> {
        let limit = scan.limit.clamp(1, SCAN_LIMIT_MAX);
        let view = self.open_reader()?.view();
        let mut page = ScanPage { entries: Vec::with_capacity(limit.min(SCAN_ENTRIES_FORESEEN)), next: None };
        let strategies = view.strategies(&self.namespace);
        let (mut bytes, now) = (0, self.society().clock.wall_ms());
        for pair in self.readings(&view, &scan.prefix, scan.after.as_ref(), scan.reverse) {
            let (key, reading) = pair?;
            let Some(Visible { version, put }) = reading.visible(strategies.of(&key), now) else { continue };
            let size = put.payload.size();
            let shown = !scan.keys_only && size <= SCAN_VALUE_BYTES_MAX;
            let full = page.entries.len() >= limit || (shown && bytes > 0 && bytes + size > SCAN_BYTES_MAX);
            if full {
                page.next = page.entries.last().map(|entry: &Entry| entry.key.clone());
                break;
            }
            let value = match (&put.payload, shown) {
                (_, false) => Bytes::new(),
                (Payload::Inline(bytes), true) => bytes.clone(),
                (Payload::Blob { .. }, true) => view.blob(self.home(&key), version.dot)?.unwrap_or_default(),
            };
            bytes += value.len() as u64;
            let value = Value::new(put.content_type.clone(), value);
            let (dot, hlc, expires_at) = (version.dot, version.hlc, version.expires_at());
            let (siblings, local_only) = (reading.siblings().len(), self.is_local_only(&key));
            page.entries.push(Entry {
                key,
                value,
                size,
                dot,
                hlc,
                expires_at,
                siblings,
                etag: reading.into(),
                local_only,
            });
        }
        Ok(page)
    }

    /// The earlier versions of `key`, newest first, deletes among them: what was superseded, here or
    /// elsewhere, or came after what superseded it. What stands there now is not among them. Looks at no
    /// other key. As many are kept as [`Builder::history`](super::Builder::history) says, by stamp, origin,
    /// sequence: nodes to which the same came show the same.
    ///
    /// To bring one back, put its value: that is a write like any other, and shows in the history once it is
    /// superseded itself.
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
    /// use tidings::{Key, Namespace};
    ///
    /// let space = node.space(&Namespace::default())?;
    /// for title in ["draft", "final", "final 2"] {
    ///     space.put("title", title).await?;
    /// }
    /// let earlier = space.history("title").await?;
    /// assert_eq!(earlier.len(), 2);
    /// let value = earlier[0].value().expect("no delete, and not large");
    /// space.put("title", value).await?;
    /// assert_eq!(&space.get("title").await?.expect("put back").value.bytes[..], b"final");
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`ReadError`].
    #[expect(clippy::unused_async, reason = "as all reads")]
    pub async fn history<K>(&self, key: K) -> Result<Vec<Earlier>, ReadError>
    where
        K: TryInto<Key>,
        K::Error: Into<ReadError>,
    {
        let key = key.try_into().map_err(Into::into)?;
        let now = self.society().clock.wall_ms();
        Ok(self.open_reader()?.view().history(self.home(&key), &key, now)?)
    }

    /// What this node held and a peer knew to be deleted or superseded, with whatever did it forgotten
    /// since: the latest first, `limit` at most. It is kept as long as a delete is remembered; a `put`
    /// brings one back.
    ///
    /// # Errors
    /// See [`ReadError`].
    #[expect(clippy::unused_async, reason = "as all reads")]
    pub async fn dropped(&self, limit: usize) -> Result<Vec<Dropped>, ReadError> {
        Ok(self.open_reader()?.view().dropped(&self.namespace, limit)?)
    }

    /// What the node holds of this namespace, in one hash: two nodes with equal roots hold the same
    /// data. What never leaves a node is no part of it. Reads everything, and so asks nobody: a node whose disk takes no writes answers, too.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn digest(&self) -> Result<super::Digest, ReadError> {
        let view = self.open_reader()?.view();
        let strategies = view.strategies(&self.namespace);
        let mut root = Sum::ZERO;
        let (mut keys, now) = (0, self.society().clock.wall_ms());
        let mut after: Option<Key> = None;
        loop {
            let mut last = None;
            for pair in
                view.records(&self.namespace, &Prefix::all(), after.as_ref(), false).take(RECORDS_AT_ONCE)
            {
                let (key, record) = pair?;
                keys += u64::from(strategies.of(&key).shows(record.siblings(), now));
                // Deletes that stand alone are not compared: one side may have forgotten them.
                if record.siblings().iter().any(|sibling| !sibling.is_delete()) {
                    for sibling in record.siblings() {
                        root.insert(&sibling.hash().0);
                    }
                }
                last = Some(key);
            }
            let Some(last) = last else { break };
            after = Some(last);
            tokio::task::yield_now().await;
        }
        Ok(digest(&root, keys, view.seen(&self.namespace)?))
    }

    /// The same from the digests that are kept in step with every commit, whatever the size of the store. Its
    /// `keys` may count a value for a quarter of a second longer than readers see it. While the digests
    /// are being made (after a crash) everything is read.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn kept_digest(&self) -> Result<super::Digest, ReadError> {
        let reader = self.open_reader()?;
        for _ in 0..DIGEST_TRIES {
            if let Some((root, seen)) = reader.rooted(&self.namespace) {
                return Ok(digest(&root, reader.exchanged_keys(&self.namespace), seen));
            }
            tokio::task::yield_now().await;
        }
        self.digest().await
    }

    /// What the node has seen of this namespace.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn frontier(&self) -> Result<Frontier, ReadError> {
        let seen = self.open_reader()?.with_seen(&self.namespace, SeenSet::clone);
        Ok(Frontier(seen.unwrap_or_default()))
    }
}

fn digest(root: &Sum, keys: u64, seen: SeenSet) -> super::Digest {
    let root = blake3::Hash::from(root.hash()).to_hex().to_string();
    super::Digest { root, keys, frontier: Frontier(seen) }
}

fn write_bytes(write: &Write) -> usize {
    let inline = match write.body.put().map(|put| &put.payload) {
        Some(Payload::Inline(bytes)) => bytes.len(),
        _ => 0,
    };
    write.key.as_bytes().len() + inline + write.blob.as_ref().map_or(0, Bytes::len)
}
