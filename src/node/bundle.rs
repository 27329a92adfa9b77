//! Bundles: what a node holds of a namespace, as a file, and such a file taken in. A delta (rule 4) without a
//! wire: for backups, and for meshes that only a person with a disk in the pocket connects.

use std::{collections::VecDeque, pin::Pin, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use serde::Serialize;
use thiserror::Error;
use tokio::sync::oneshot;

use super::{Frontier, ReadError, Space, WriteError};
use crate::{
    actors::{
        society::Society,
        storage::{Absorbed, MergeRequest, Source, StorageMsg, Whole},
    },
    causality::{Dot, SeenSet},
    conflict::Version,
    storage::{StoreError, View},
    types::Namespace,
    wire::{
        BUNDLE_PART_BYTES, BundleChunk, BundleEnd, BundleError, BundleHead, BundleReader, BundleWriter,
        PAGE_BYTES, PAGE_VERSIONS, Page,
    },
};

/// A page waits for room so long, then the import is told that the node is busy.
const PAGE_PATIENCE: Duration = Duration::from_secs(30);

/// The bytes of a bundle, as they are made.
pub type Export = Pin<Box<dyn Stream<Item = Result<Bytes, ReadError>> + Send>>;

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Versions in the bundle.
    pub versions: u64,
    /// Those that had not been seen here.
    pub fresh: u64,
    /// Those left out, for their values are larger than this node takes.
    pub too_large: u64,
    /// Whether all that the writer of the bundle had seen counts as seen here, too: superseded writes included.
    pub complete: bool,
    /// If not, why, and what will bring the rest.
    pub incomplete_because: Option<String>,
}

/// An import broke off. Whatever came before and is verified is stored; the same bundle can be imported again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The bundle cannot be read.
    #[error("{error}; {stored} of its versions were stored before")]
    Bundle {
        /// What is wrong with it.
        error: BundleError,
        /// How many versions were stored before that.
        stored: u64,
    },
    /// It is of another namespace than it was to be imported to.
    #[error("the bundle is of the namespace {0}: import it there")]
    Namespace(Namespace),
    /// The bytes stopped coming.
    #[error("the bundle stopped coming: {0}; import it again")]
    Broken(String),
    /// What was read could not be stored.
    #[error(transparent)]
    Store(#[from] WriteError),
}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

impl Space {
    /// What this node holds, deletes and earlier versions included, beyond what `since` names, but for what is
    /// local-only ([`Builder::local_only`](super::Builder::local_only)): as of now,
    /// while writes go on. For a whole backup `since` is empty; what was exported last ends with the frontier to
    /// go on from. The store keeps what is written meanwhile in memory until the stream is dropped: do not let
    /// it lie.
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let listen = || ["/ip4/127.0.0.1/tcp/0".parse().expect("an address")];
    /// # let (ant, bat) = (
    /// #     tidings::Node::builder().in_memory().listen(listen()).start().await?,
    /// #     tidings::Node::builder().in_memory().listen(listen()).start().await?,
    /// # );
    /// use tidings::{Namespace, node::Frontier};
    ///
    /// ant.put("greeting", "hello").await?;
    /// let bundle = ant.space(&Namespace::default())?.export(&Frontier::default()).await?;
    /// let imported = bat.space(&Namespace::default())?.import(bundle).await?;
    /// assert_eq!(imported.versions, 1);
    /// assert!(bat.get("greeting").await?.is_some());
    /// # ant.close().await;
    /// # bat.close().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ReadError`], also in the middle of the stream, which ends with it: a bundle without an end is refused
    /// by whoever imports it.
    pub async fn export(&self, since: &Frontier) -> Result<Export, ReadError> {
        if let Some(dot) = self.never_made(&self.namespace, &since.0)? {
            return Err(ReadError::NeverMade(dot.seq));
        }
        let whole = self.whole(false).await?;
        let missing = whole.seen.difference(&since.0);
        let head = BundleHead {
            namespace: self.namespace.clone(),
            since: since.0.clone(),
            expected: missing.count(),
        };
        let exporting = Exporting {
            society: self.node.inner.society.clone(),
            namespace: self.namespace.clone(),
            whole,
            missing,
            writer: BundleWriter::default(),
            next: Next::Head(head),
            versions: 0,
            lost: SeenSet::new(),
        };
        Ok(Box::pin(stream::try_unfold(exporting, |mut exporting| async move {
            // Others run between two pages.
            tokio::task::yield_now().await;
            Ok(exporting.step()?.map(|bytes| (bytes, exporting)))
        })))
    }

    /// Takes in what [`Self::export`] wrote, page by page: what was seen here already changes nothing, so
    /// the same bundle can be imported again, and one that broke off goes on. What the writer had seen counts as
    /// seen here only when all of it has come, and only where that can be told: see [`Imported::complete`].
    /// Whoever made the bundle is trusted as a member of the mesh is.
    ///
    /// Cancel-safe: what was stored stays, and the rest can be imported later.
    ///
    /// # Errors
    /// [`ImportError`].
    pub async fn import<S, E>(&self, mut bundle: S) -> Result<Imported, ImportError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: std::fmt::Display,
    {
        let (mut reader, mut importing) = (BundleReader::default(), Importing::default());
        while let Some(bytes) = bundle.next().await {
            let bytes = bytes.map_err(|error| ImportError::Broken(error.to_string()))?;
            reader.push(&bytes);
            loop {
                let stored = importing.imported.versions;
                match reader.next_chunk().map_err(|error| ImportError::Bundle { error, stored })? {
                    Some(chunk) => self.take(chunk, &mut importing).await?,
                    None => break,
                }
            }
        }
        let stored = importing.imported.versions;
        reader.finish().map_err(|error| ImportError::Bundle { error, stored })?;
        self.complete(importing).await
    }

    async fn take(&self, chunk: BundleChunk, importing: &mut Importing) -> Result<(), ImportError> {
        match chunk {
            BundleChunk::Head(head) if head.namespace != self.namespace => {
                return Err(ImportError::Namespace(head.namespace));
            }
            BundleChunk::Head(head) => importing.since = head.since,
            BundleChunk::Page(page) => self.store(page.versions, None, importing).await?,
            BundleChunk::Large(version) => importing.large = Some((*version, BytesMut::new())),
            BundleChunk::Bytes { part, last } => self.take_part(&part, last, importing).await?,
            BundleChunk::End(end) => importing.end = Some(end),
        }
        Ok(())
    }

    async fn take_part(
        &self,
        part: &Bytes,
        last: bool,
        importing: &mut Importing,
    ) -> Result<(), ImportError> {
        let limit = self.society().settings.limits.value_bytes_max as u64;
        let Some((version, bytes)) = &mut importing.large else { return Ok(()) };
        // What this node does not take is not kept in memory either.
        if version.put().is_some_and(|put| put.payload.size() <= limit) {
            bytes.extend_from_slice(part);
        }
        match importing.large.take_if(|_| last) {
            Some((version, bytes)) => self.store(vec![version], Some(bytes.freeze()), importing).await,
            None => Ok(()),
        }
    }

    async fn store(
        &self,
        versions: Vec<Version>,
        blob: Option<Bytes>,
        importing: &mut Importing,
    ) -> Result<(), ImportError> {
        let society = self.society();
        importing.imported.versions += versions.len() as u64;
        versions.iter().for_each(|version| {
            importing.came.insert(version.dot);
        });
        let size = blob.as_ref().map_or(0, Bytes::len);
        if versions.iter().any(Version::is_large) && size == 0 {
            // It is no part of what will count as seen.
            importing.imported.too_large += 1;
            return Ok(());
        }
        let bytes = versions.iter().map(Version::size_hint).sum::<usize>() + size;
        let busy = || WriteError::Busy { retry_after: Duration::from_secs(1) };
        let permit = society.admission.pages.admit(bytes, PAGE_PATIENCE).await.ok_or_else(busy)?;
        let blobs = versions.first().map(|version| version.dot).zip(blob).into_iter().collect();
        let (reply, merged) = oneshot::channel();
        society.storage.cast(StorageMsg::Merge(MergeRequest {
            namespace: self.namespace.clone(),
            versions,
            blobs,
            from: society.node,
            source: Source::Exchange,
            permit: permit.heard_of(&society.admission.waiting, &self.namespace),
            reply: Some(reply),
        }));
        importing.imported.fresh += merged.await.map_err(|_| WriteError::Closed)??.fresh;
        Ok(())
    }

    /// Rule 4: what the writer had seen and did not send is dead, unless that cannot be told from here.
    async fn complete(&self, importing: Importing) -> Result<Imported, ImportError> {
        let Importing { since, end, came, mut imported, .. } = importing;
        let Some(BundleEnd { frontier, floors, .. }) = end else { return Ok(imported) };
        let whole = self.whole(true).await.map_err(|error| match error {
            ReadError::Store(error) => WriteError::Store(error),
            _ => WriteError::Closed,
        })?;
        let _watch = Watching { society: self.society(), number: whole.watch };
        // What could not be stored is not seen, whatever its writer has.
        let frontier = frontier.difference(&came.difference(&whole.seen));
        let unknown = frontier.difference(&came);
        let why = if !whole.seen.includes(&since) {
            Some("the bundle leaves out writes that were not seen here: import the one before it, too")
        } else if !floors.are_reached_by(&whole.seen) && whole.view.any_compared(&self.namespace, &unknown)? {
            // Rule 5: something here may have been deleted there, and the delete forgotten.
            Some("deletes were forgotten where the bundle was made, and something here may be deleted there")
        } else {
            None
        };
        if let Some(why) = why {
            imported.incomplete_because = Some(format!("{why}; or a comparison with a peer will settle it"));
            return Ok(imported);
        }
        let (reply, absorbed) = oneshot::channel();
        let (namespace, settled) = (self.namespace.clone(), Some((whole.watch, came)));
        self.society().storage.cast(StorageMsg::Absorb {
            namespace,
            frontier,
            floors,
            settled,
            incarnation: whole.view.incarnation(&self.namespace),
            drop: Vec::new(),
            reply,
        });
        let why = match absorbed.await.map_err(|_| WriteError::Closed)?? {
            Absorbed::Done => None,
            Absorbed::Late(_) => Some("something else came meanwhile: import it again"),
            Absorbed::DoesNotAddUp => {
                Some("something was lost here: it is fetched from the peers; import it again")
            }
        };
        imported.complete = why.is_none();
        imported.incomplete_because = why.map(ToOwned::to_owned);
        Ok(imported)
    }

    async fn whole(&self, watch: bool) -> Result<Whole, ReadError> {
        self.check_open()?;
        let (reply, whole) = oneshot::channel();
        let namespace = self.namespace.clone();
        self.society().storage.cast(StorageMsg::Snapshot { namespace, watch, reply });
        Ok(whole.await.map_err(|_| ReadError::Closed)??)
    }
}

/// Storage watches what becomes live until this is dropped.
struct Watching<'a> {
    society: &'a Society,
    number: u64,
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.society.storage.cast(StorageMsg::CloseRanges(self.number));
    }
}

/// What came of a bundle so far.
#[derive(Default)]
struct Importing {
    since: SeenSet,
    end: Option<BundleEnd>,
    came: SeenSet,
    imported: Imported,
    /// A large value, as far as it has come.
    large: Option<(Version, BytesMut)>,
}

/// An export under way.
struct Exporting {
    society: Arc<Society>,
    namespace: Namespace,
    whole: Whole,
    missing: SeenSet,
    writer: BundleWriter,
    next: Next,
    versions: u64,
    /// What was to be written and is not there.
    lost: SeenSet,
}

/// What comes next.
enum Next {
    Head(BundleHead),
    /// The versions behind this one.
    Page(Option<Dot>),
    /// Large ones of the page before, the first with as much of its value as is left.
    Large(VecDeque<(Version, Option<Bytes>)>, Option<Dot>),
    End,
    Nothing,
}

impl Exporting {
    fn step(&mut self) -> Result<Option<Bytes>, ReadError> {
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Head(head) => {
                self.next = Next::Page(None);
                self.chunk(&BundleChunk::Head(head)).map(Some)
            }
            Next::Page(after) => self.page(after).map(Some),
            Next::Large(large, after) => self.large(large, after).map(Some),
            Next::End => {
                let end = self.end()?;
                self.chunk(&BundleChunk::End(end)).map(Some)
            }
            Next::Nothing => Ok(None),
        }
    }

    fn chunk(&mut self, chunk: &BundleChunk) -> Result<Bytes, ReadError> {
        Ok(self.writer.chunk(chunk).map_err(StoreError::Damaged)?)
    }

    fn page(&mut self, after: Option<Dot>) -> Result<Bytes, ReadError> {
        let view: &View = &self.whole.view;
        let page = view.versions(&self.namespace, &self.missing, after, PAGE_VERSIONS, PAGE_BYTES)?;
        self.versions += page.versions.len() as u64;
        if !page.lost.is_empty() {
            self.lost.union(&page.lost);
            let (namespace, suspects) = (self.namespace.clone(), page.lost);
            self.society.storage.cast(StorageMsg::Lost { namespace, suspects });
        }
        let (large, versions): (Vec<_>, Vec<_>) = page.versions.into_iter().partition(Version::is_large);
        self.next = Next::Large(large.into_iter().map(|version| (version, None)).collect(), page.next);
        if versions.is_empty() { Ok(Bytes::new()) } else { self.chunk(&BundleChunk::Page(Page { versions })) }
    }

    /// A large value goes out in parts: the store reads it as a whole, and it is copied only once more.
    fn large(
        &mut self,
        mut large: VecDeque<(Version, Option<Bytes>)>,
        after: Option<Dot>,
    ) -> Result<Bytes, ReadError> {
        let chunk = match large.pop_front() {
            None => {
                self.next = after.map_or(Next::End, |dot| Next::Page(Some(dot)));
                return Ok(Bytes::new());
            }
            Some((version, None)) => {
                let missing = || StoreError::Damaged(format!("{}: its large value is missing", version.dot));
                let bytes = self.whole.view.blob(&self.namespace, version.dot)?.ok_or_else(missing)?;
                let chunk = self.chunk(&BundleChunk::Large(Box::new(version.clone())))?;
                large.push_front((version, Some(bytes)));
                chunk
            }
            Some((version, Some(mut bytes))) => {
                let part = bytes.split_to(bytes.len().min(BUNDLE_PART_BYTES));
                let last = bytes.is_empty();
                if !last {
                    large.push_front((version, Some(bytes)));
                }
                self.chunk(&BundleChunk::Bytes { part, last })?
            }
        };
        self.next = Next::Large(large, after);
        Ok(chunk)
    }

    /// Rule 3: a replica vouches for what adds up.
    fn end(&self) -> Result<BundleEnd, ReadError> {
        let seen = &self.whole.seen;
        let lost = self.whole.view.unaccounted(&self.namespace, seen)?;
        let frontier = seen.difference(&lost).difference(&self.lost);
        Ok(BundleEnd { frontier, floors: self.whole.floors.clone(), versions: self.versions })
    }
}
