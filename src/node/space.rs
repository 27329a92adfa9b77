//! Reading and writing one namespace.

use std::sync::atomic::Ordering;

use super::{Entry, Frontier, Node, ReadError};
use crate::{
    actors::society::Society,
    causality::SeenSet,
    conflict::Strategy,
    digest::Sum,
    storage::{Dropped, Earlier, Found, Reader},
    types::{Key, Namespace, Prefix},
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
    /// brings one back. Of a large value only hash and size are kept, so it can be brought back from elsewhere only.
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
