//! Earlier versions of keys: what was superseded, or came late, is kept, up to a number per key.
//!
//! Invariant: for the account of rule 3 and the digests a kept version is dead like any other that was
//! superseded. Of all that came to a store and was superseded there, the greatest are kept, by stamp, origin,
//! sequence: so replicas to which the same came keep the same, in whatever order it did.

use std::sync::{Arc, PoisonError};

use super::{
    Ledger, StoreError, View,
    draft::Place,
    kept::{self, Rank},
    layout,
    layout::NsNo,
    shared::SpaceState,
    stored,
};
use crate::{
    causality::{Dot, Origin},
    conflict::{Payload, Version},
    types::{Key, Namespace, Value},
};

/// The most earlier versions that can be kept of a key.
pub const HISTORY_MAX: usize = 1_000;

/// An earlier version of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// What was written. The bytes of a large value are gone; their hash and size are in it.
    pub version: Version,
    /// Whether it has expired since: readers see a delete then, here as well.
    pub expired: bool,
}

impl Earlier {
    /// The value, where its bytes are still there; a delete has none, nor has what has expired.
    #[must_use]
    pub fn value(&self) -> Option<Value> {
        if self.expired {
            return None;
        }
        let put = self.version.put()?;
        match &put.payload {
            Payload::Inline(bytes) => Some(Value::new(put.content_type.clone(), bytes.clone())),
            Payload::Blob { .. } => None,
        }
    }
}

impl Ledger {
    /// From now on keeps so many earlier versions of each key, [`HISTORY_MAX`] at most; none unless told. If
    /// it is fewer than before, the others of a key go when it is written next.
    pub fn keep_history(&mut self, versions: usize) {
        self.history = versions.min(HISTORY_MAX);
    }

    /// The same in one namespace only, carried now or later.
    pub fn keep_history_in(&mut self, namespace: &Namespace, versions: usize) {
        self.histories.insert(namespace.clone(), versions.min(HISTORY_MAX));
        self.history_of = self
            .histories
            .iter()
            .flat_map(|(name, versions)| [(name.clone(), versions), (name.companion(), versions)])
            .filter_map(|(name, versions)| Some((self.shared.space(&name)?.no, *versions)))
            .collect();
    }

    /// How many earlier versions of each key are kept in the namespace of this number.
    fn history_cap(&self, ns: NsNo) -> usize {
        self.history_of.get(&ns).copied().unwrap_or(self.history)
    }

    /// Whether what was superseded is kept at all.
    pub(super) fn keeps_history(&self, ns: NsNo) -> bool {
        self.history_cap(ns) > 0
    }

    /// Keeps `gone`, versions of the record at `at` that are dead now, as far as they are among the greatest.
    pub(super) fn keep(&mut self, space: &Arc<SpaceState>, at: Place, gone: Vec<Version>) {
        let cap = self.history_cap(space.no);
        if !self.draft.records.kept(at).takes(cap, &gone) {
            return;
        }
        for version in gone {
            self.number(version.dot.origin);
            for (origin, _) in version.context.iter() {
                self.number(origin);
            }
            self.draft.record_bytes += version.size_hint();
            self.draft.records.kept_mut(at).add(version);
        }
        self.draft.records.kept_mut(at).cut(cap);
        // A draft that changes nothing but a history is a draft all the same.
        self.draft.space(space);
    }
}

/// What is kept of one key, as a draft leaves it.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// As the store has it.
    stored: Vec<Rank>,
    /// As it will be, ascending; versions that the store does not have yet.
    now: Vec<(Rank, Option<Version>)>,
}

impl Kept {
    pub(super) fn stored(ranks: Vec<Rank>) -> Self {
        let mut now: Vec<_> = ranks.iter().map(|rank| (*rank, None)).collect();
        now.sort_unstable_by_key(|(rank, _)| *rank);
        Self { stored: ranks, now }
    }

    /// Whether `gone` would change anything.
    fn takes(&self, cap: usize, gone: &[Version]) -> bool {
        self.now.len() > cap || (cap > 0 && !gone.is_empty())
    }

    fn add(&mut self, version: Version) {
        let rank = version.rank();
        if self.ranks().any(|(_, dot)| *dot == version.dot) {
            // Perhaps with another content (rule 2, last paragraph): what came first stays.
            return;
        }
        if let Err(at) = self.now.binary_search_by_key(&rank, |(rank, _)| *rank) {
            self.now.insert(at, (rank, Some(version)));
        }
    }

    fn cut(&mut self, cap: usize) {
        self.now.drain(..self.now.len().saturating_sub(cap));
    }

    /// The record is forgotten, and its history with it.
    pub(super) fn forget(&mut self) {
        self.now.clear();
    }

    pub(super) fn ranks(&self) -> impl ExactSizeIterator<Item = &Rank> {
        self.now.iter().map(|(rank, _)| rank)
    }

    /// What the store has and is not to have any more.
    pub(super) fn gone(&self) -> impl Iterator<Item = Dot> {
        let stays = |rank: &Rank| self.now.binary_search_by_key(rank, |(rank, _)| *rank).is_ok();
        self.stored.iter().filter(move |rank| !stays(rank)).map(|(_, dot)| *dot)
    }

    /// What the store is to have and has not.
    pub(super) fn fresh(&self) -> impl Iterator<Item = &Version> {
        self.now.iter().filter_map(|(_, version)| version.as_ref())
    }
}

impl View {
    /// At `now`, in milliseconds since 1970, the earlier versions of `key`, newest first: what was superseded, or came after what superseded it.
    /// The current siblings are not among them. One that is damaged is left out; the scrub tells of it.
    ///
    /// # Errors
    /// When the store cannot be read, or the record of the key is damaged.
    pub fn history(&self, namespace: &Namespace, key: &Key, now: u64) -> Result<Vec<Earlier>, StoreError> {
        let Some(no) = self.number_of(namespace) else { return Ok(Vec::new()) };
        let Some(bytes) = self.snapshot().get(&layout::record(no, key.as_bytes()))? else {
            return Ok(Vec::new());
        };
        let mut ranks = stored::decode_names_of(&bytes, self.shared())?;
        ranks.sort_unstable_by(|a, b| b.cmp(a));
        let mut versions = Vec::with_capacity(ranks.len());
        for (_, dot) in ranks {
            let version = self.kept(no, dot)?.filter(|version| version.key == *key);
            versions.extend(version.map(|version| Earlier { expired: version.is_expired(now), version }));
        }
        Ok(versions)
    }

    /// The sequence of the first kept version of `origin` from `first` to `last`.
    ///
    /// Of keys that are written again and again nearly all that was kept is gone again, and what is gone still lies
    /// in the store's way until it compacts: it is passed over once in each view, not once in each page.
    pub(super) fn first_kept(
        &self,
        ns: NsNo,
        origin: &Origin,
        first: u64,
        last: u64,
    ) -> Result<Option<u64>, StoreError> {
        let mut gaps = self.kept_gaps.lock().unwrap_or_else(PoisonError::into_inner);
        let gap = gaps.entry((ns, *origin)).or_insert(first..first);
        if !(gap.start <= first && first <= gap.end) {
            *gap = first..first;
        }
        if gap.end <= last {
            let next = self.entries(layout::kept, ns, origin, gap.end, last).next().transpose()?;
            gap.end = next.map_or(Ok(last.saturating_add(1)), |(at, _)| super::view::seq_of(&at))?;
        }
        Ok(Some(gap.end).filter(|next| *next <= last))
    }

    /// The kept version `dot`; nothing, with a warning, if it is damaged.
    fn kept(&self, ns: NsNo, dot: Dot) -> Result<Option<Version>, StoreError> {
        let Some(no) = self.shared().origins().number(&dot.origin) else { return Ok(None) };
        let Some(bytes) = self.snapshot().get(&layout::kept(ns, no, dot.seq))? else { return Ok(None) };
        Ok(self.read_kept(&bytes))
    }

    /// What a neighbour is sent of it: nothing that is damaged, and nothing whose bytes are gone.
    pub(super) fn kept_to_send(&self, bytes: &bytes::Bytes) -> Option<Version> {
        self.read_kept(bytes).filter(|version| !version.is_large())
    }

    fn read_kept(&self, bytes: &bytes::Bytes) -> Option<Version> {
        match kept::decode_kept(bytes, self.shared()) {
            Ok(version) => Some(version),
            Err(error) => {
                tracing::warn!(%error, "left out of a history");
                None
            }
        }
    }
}
