//! Concurrent versions: which keys have some, and the whole story of a key.

use bytes::Bytes;

use super::{ReadError, Space};
use crate::{
    causality::{Dot, Hlc},
    conflict::{Etag, Payload, Reading, Strategy, Version, VersionHash},
    report::Arrival,
    storage::{Dropped, View},
    types::{ContentType, Key, Prefix, Value},
};

/// So many records are looked at for one page of conflicts.
const CONFLICT_RECORDS_MAX: usize = 10_000;
/// A page of conflicts is closed when its values have so many bytes.
const CONFLICT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Larger values are left out of pages of conflicts; their size is told.
const CONFLICT_VALUE_BYTES_MAX: u64 = 64 * 1024;
/// So many of the writes that were dropped on a peer's word are looked through for one key.
const DROPPED_LOOKED_AT_MAX: usize = 10_000;

/// One of the versions that stand beside each other under a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Sibling {
    /// The write.
    pub dot: Dot,
    /// Its stamp, by its writer's clock.
    pub hlc: Hlc,
    /// What was written; nothing for a delete.
    pub content_type: Option<ContentType>,
    /// How many bytes it has.
    pub size: u64,
    /// The value. Absent for a delete, and where it is too large for the answer.
    pub value: Option<Value>,
    /// When it expires or did, in milliseconds since 1970, if it does: readers see a delete from then on.
    pub expires_at: Option<u64>,
    /// The name of the version: a write may be made from it ([`WriteOptions::base`](super::WriteOptions::base)).
    pub etag: VersionHash,
    /// What its writer had in front of it, beside its own earlier writes: up to this write of each origin.
    pub supersedes: Vec<Dot>,
    /// Whether what readers see comes from it: it is what they see, or was merged into that.
    pub seen_by_readers: bool,
    /// How and when it came to this node. Remembered since the node started, of the latest 8,192 versions.
    pub arrived: Option<Arrival>,
}

/// A key with concurrent versions.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// The key.
    pub key: Key,
    /// How readers of this node resolve it.
    pub strategy: Strategy,
    /// The version that readers see, or the greatest of those that were merged; nothing if they see no value.
    pub shown: Option<Dot>,
    /// Whether what readers see is made of several versions, or of the program's own function.
    pub merged: bool,
    /// The name of the whole record.
    pub etag: VersionHash,
    /// All versions, by origin and number.
    pub siblings: Vec<Sibling>,
}

/// Some of the keys with concurrent versions.
#[derive(Clone, Debug)]
pub struct ConflictPage {
    /// In the order of their keys.
    pub conflicts: Vec<Conflict>,
    /// Where to go on, if not all keys were looked at. A page may be empty and have this.
    pub next: Option<Key>,
}

/// The whole story of a key, as far as it is stored.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The versions, and which of them readers see; a record of one version has no conflict.
    pub record: Conflict,
    /// The writes of this key that are accounted for here: of each origin up to this one.
    pub accounted: Vec<Dot>,
    /// What was dropped of this key because a peer knew it to be dead, the latest first.
    pub dropped: Vec<Dropped>,
}

impl Space {
    /// The keys below `prefix` with concurrent versions, `limit` of them at most, from behind `after` on. A
    /// page is closed when it has 4 MiB of values or 10,000 keys were looked at; then it says where to go
    /// on, even if it has nothing. Values above 64 KiB are left out.
    ///
    /// None of the versions is lost until somebody writes with all of them in front of them. A loser comes
    /// back by a new write of its value:
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
    /// use tidings::{Key, Namespace, Prefix, node::WriteOptions};
    ///
    /// let space = node.space(&Namespace::default())?;
    /// space.put("nest", "empty").await?;
    /// let read = space.get("nest").await?.expect("just stored");
    /// space.put("nest", "three eggs").await?;
    /// // Written by somebody who had seen no eggs.
    /// let options = WriteOptions { base: Some(read.etag), ..WriteOptions::default() };
    /// space.put_with(Key::new("nest")?, "for rent".into(), options).await?;
    ///
    /// let page = space.conflicts(&Prefix::all(), None, 100).await?;
    /// let loser = page.conflicts[0].siblings.iter().find(|sibling| !sibling.seen_by_readers);
    /// let value = loser.and_then(|loser| loser.value.clone()).expect("a small value");
    /// assert_eq!(&value.bytes[..], b"three eggs");
    /// space.put("nest", value).await?;
    /// assert!(space.conflicts(&Prefix::all(), None, 100).await?.conflicts.is_empty());
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`ReadError`].
    #[expect(clippy::unused_async, reason = "as all reads")]
    pub async fn conflicts(
        &self,
        prefix: &Prefix,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<ConflictPage, ReadError> {
        let view = self.open_reader()?.view();
        let strategies = view.strategies(&self.namespace);
        let mut page = ConflictPage { conflicts: Vec::new(), next: None };
        let (mut bytes, mut last) = (0, None);
        for (count, pair) in self.readings(&view, prefix, after, false).enumerate() {
            let full = page.conflicts.len() >= limit.max(1) || bytes >= CONFLICT_BYTES_MAX;
            if full || count >= CONFLICT_RECORDS_MAX {
                page.next = last;
                break;
            }
            let (key, reading) = pair?;
            last = Some(key.clone());
            if reading.siblings().len() > 1 {
                let strategy = strategies.of(&key).clone();
                let conflict = self.conflict(&view, key, strategy, &reading, CONFLICT_VALUE_BYTES_MAX)?;
                let values = conflict.siblings.iter().filter_map(|sibling| sibling.value.as_ref());
                bytes += values.map(|value| value.bytes.len() as u64).sum::<u64>();
                page.conflicts.push(conflict);
            }
        }
        Ok(page)
    }

    /// All that is stored about `key`: its versions, with their origins and clocks, which of them readers see
    /// and why, how and when they came here, as far as that is remembered, and what was dropped; nothing if nothing
    /// is. What was superseded is not part of it.
    ///
    /// # Errors
    /// See [`ReadError`].
    #[expect(clippy::unused_async, reason = "as all reads")]
    pub async fn explain(&self, key: &Key) -> Result<Option<Explanation>, ReadError> {
        let view = self.open_reader()?.view();
        let Some(record) = view.record_of(self.home(key), key)? else { return Ok(None) };
        let dropped = view.dropped(self.home(key), DROPPED_LOOKED_AT_MAX)?;
        let dropped: Vec<_> = dropped.into_iter().filter(|one| one.version.key == *key).collect();
        if record.siblings().is_empty() && dropped.is_empty() {
            return Ok(None);
        }
        let accounted = record.context().iter().map(|(origin, seq)| Dot::new(origin, seq)).collect();
        let strategy = view.strategies(&self.namespace).of(key).clone();
        let record = self.conflict(&view, key.clone(), strategy, &Reading::Many(record), u64::MAX)?;
        Ok(Some(Explanation { record, accounted, dropped }))
    }

    fn conflict(
        &self,
        view: &View,
        key: Key,
        strategy: Strategy,
        reading: &Reading,
        value_bytes_max: u64,
    ) -> Result<Conflict, ReadError> {
        let versions = reading.siblings();
        let seen = strategy.visible(versions, self.node.inner.society.clock.wall_ms());
        let merged = seen.as_ref().is_some_and(|seen| seen.version.put() != Some(&*seen.put));
        let shown = seen.as_ref().map(|seen| seen.version.dot);
        let put = seen.map(|seen| seen.put);
        let objects = |version: &Version| version.put().is_some_and(|put| put.content_type.is_json());
        let mut siblings = Vec::with_capacity(versions.len());
        for version in versions {
            let seen_by_readers = if merged && strategy == Strategy::MergeFields {
                put.is_some() && objects(version)
            } else {
                !merged && shown == Some(version.dot)
            };
            let value = self.value_of(view, version, value_bytes_max)?;
            siblings.push(Sibling {
                dot: version.dot,
                hlc: version.hlc,
                content_type: version.put().map(|put| put.content_type.clone()),
                size: version.put().map_or(0, |put| put.payload.size()),
                value,
                expires_at: version.expires_at(),
                etag: version.hash(),
                supersedes: version.context.iter().map(|(origin, seq)| Dot::new(origin, seq)).collect(),
                seen_by_readers,
                arrived: self.society().arrivals.of(self.home(&version.key), version.dot),
            });
        }
        let etag = VersionHash::of_siblings(versions);
        Ok(Conflict { key, strategy, shown, merged, etag, siblings })
    }

    fn value_of(&self, view: &View, version: &Version, bytes_max: u64) -> Result<Option<Value>, ReadError> {
        let Some(put) = version.put().filter(|put| put.payload.size() <= bytes_max) else { return Ok(None) };
        let bytes: Option<Bytes> = match &put.payload {
            Payload::Inline(bytes) => Some(bytes.clone()),
            Payload::Blob { .. } => view.blob(self.home(&version.key), version.dot)?,
        };
        Ok(bytes.map(|bytes| Value::new(put.content_type.clone(), bytes)))
    }
}

impl super::Entry {
    /// All versions that stand under the key, one where there is no conflict. Under
    /// [`Strategy::KeepAll`] this is what was read. Empty if the entry was made otherwise than by a read.
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
    /// node.put("nest", "empty").await?;
    /// let entry = node.get("nest").await?.expect("just stored");
    /// assert_eq!(entry.versions().len(), 1);
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn versions(&self) -> &[Version] {
        Etag::reading(&self.etag).map_or(&[], Reading::siblings)
    }
}
