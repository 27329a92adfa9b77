//! What a store holds and a cursor has not seen, a page at a time.

use std::borrow::Cow;

use super::{StoreError, View, ledger::floors_fact, sight::Seeing, stored, view::seq_of};
use crate::{
    causality::{Dot, Floors, Hlc, SeenSet},
    conflict::{Put, Record, Version, Visible},
    types::{Key, Namespace, Prefix},
    wire,
};

/// So many entries of the dot index are looked at for one page.
const LOOKED_AT_MAX: usize = 8_192;

/// How much a page of news may hold.
#[derive(Clone, Copy, Debug)]
pub struct PageLimit {
    /// So many keys.
    pub count: usize,
    /// It is closed when their values have so many bytes.
    pub bytes: usize,
}

/// What readers see of a key some of whose versions were not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct New {
    /// The key.
    pub key: Key,
    /// The versions of it that were not seen.
    pub dots: Vec<Dot>,
    /// The one that readers see, or else the latest of these.
    pub dot: Dot,
    /// Its stamp.
    pub hlc: Hlc,
    /// What readers see, and the write that it comes from.
    pub shown: Option<(Dot, Put)>,
}

/// A page of news, in dot order.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// What is new.
    pub items: Vec<New>,
    /// Versions not seen that mean nothing to whoever asks: of other keys, or not what readers see.
    pub passed: SeenSet,
    /// The last version looked at; absent when nothing is left behind it.
    pub next: Option<Dot>,
}

impl View {
    /// What is left of forgotten deletes.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    pub fn floors(&self, namespace: &Namespace) -> Result<Floors, StoreError> {
        let Some(no) = self.number_of(namespace) else { return Ok(Floors::new()) };
        let Some(bytes) = self.fact(&floors_fact(no))? else { return Ok(Floors::new()) };
        wire::decode_stored(&bytes).map_err(|error| StoreError::Damaged(format!("the floors: {error}")))
    }

    /// What is held below `prefix` among `wanted`, which are all writes that `seen` does not have: each
    /// key once, as readers see it at `now`, in the order of the first of its versions. A key of which they see
    /// a version that was seen is passed over.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    pub fn news(
        &self,
        namespace: &Namespace,
        prefix: &Prefix,
        wanted: &SeenSet,
        seen: &SeenSet,
        now: u64,
        limit: PageLimit,
    ) -> Result<News, StoreError> {
        let mut news = News::default();
        let Some(space) = self.space(namespace) else { return Ok(news) };
        let (ns, seeing) = (space.no, Seeing { space: &space, now });
        let (mut looked_at, mut bytes, mut told) = (0, 0, SeenSet::new());
        for (origin, seqs) in wanted.iter() {
            for (first, last) in seqs.iter() {
                for pair in self.dot_entries(ns, origin, first, last) {
                    let (at, entry) = pair?;
                    let dot = Dot::new(*origin, seq_of(&at)?);
                    looked_at += 1;
                    if !told.contains(dot) {
                        let key = stored::decode_dot(&entry)?.key;
                        let record = if prefix.selects(&key) { self.record(ns, &key)? } else { None };
                        match record.as_ref().and_then(|record| new(&key, record, seen, &seeing)) {
                            Some(new) => {
                                for dot in &new.dots {
                                    told.insert(*dot);
                                }
                                bytes += new.size_hint();
                                news.items.push(new);
                            }
                            None => {
                                news.passed.insert(dot);
                            }
                        }
                    }
                    let full = news.items.len() >= limit.count || bytes >= limit.bytes;
                    if full || looked_at >= LOOKED_AT_MAX {
                        news.next = Some(dot);
                        return Ok(news);
                    }
                }
            }
        }
        Ok(news)
    }
}

/// What readers see of `record`, unless it is what they saw already.
fn new(key: &Key, record: &Record, seen: &SeenSet, seeing: &Seeing<'_>) -> Option<New> {
    let unseen: Vec<&Version> = record.siblings().iter().filter(|v| !seen.contains(v.dot)).collect();
    let visible = seeing.shown(key, record);
    let by = match &visible {
        // What was merged of several is another value when any of them is new.
        Some(Visible { version, put: Cow::Borrowed(_) }) if seen.contains(version.dot) => return None,
        Some(visible) => visible.version,
        None => unseen.iter().max_by_key(|version| version.rank())?,
    };
    Some(New {
        key: key.clone(),
        dots: unseen.iter().map(|version| version.dot).collect(),
        dot: by.dot,
        hlc: by.hlc,
        shown: visible.map(|seen| (seen.version.dot, seen.put.into_owned())),
    })
}

impl New {
    fn size_hint(&self) -> usize {
        match self.shown.as_ref().map(|(_, put)| &put.payload) {
            Some(crate::conflict::Payload::Inline(bytes)) => bytes.len(),
            _ => self.key.as_bytes().len(),
        }
    }
}
