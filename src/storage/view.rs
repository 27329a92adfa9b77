//! A consistent view of a store: scans, and what an exchange sends.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex},
};

use bytes::Bytes;

use super::{
    Pair, Snapshot, Store, StoreError,
    bases::Age,
    chunks, dead_runs,
    layout::{self, NsNo, OriginNo},
    load,
    reader::Found,
    shared::{Shared, SpaceState, Spaces},
    stored,
};
use crate::{
    causality::{Dot, Intervals, Origin, SeenSet},
    conflict::{Payload, Reading, Record, Table, Version, Visible},
    types::{Key, Namespace, Prefix, Value},
};

/// A store as it was when the view was taken.
pub struct View {
    snapshot: Box<dyn Snapshot>,
    shared: Arc<Shared>,
    /// The namespaces of that time: one that is left meanwhile is whole here.
    spaces: Arc<Spaces>,
    /// Of each origin, sequences from one on and up to another at which no version is kept.
    pub(super) kept_gaps: Mutex<BTreeMap<(NsNo, Origin), Range<u64>>>,
    /// The same, as it is found from the latest down.
    pub(super) kept_gaps_down: Mutex<BTreeMap<(NsNo, Origin), Range<u64>>>,
    /// Bases that the snapshot may name are kept that long.
    _age: Arc<Age>,
}

/// Versions of one origin and more, in dot order.
#[derive(Debug, Default)]
pub struct VersionPage {
    /// The versions.
    pub versions: Vec<Version>,
    /// The last dot looked at; absent when nothing is left behind it.
    pub next: Option<Dot>,
    /// What was looked at, is held by the dot index, and is not where that says: it was lost, and this
    /// replica must not vouch for it (rule 3).
    pub lost: SeenSet,
    bytes: usize,
}

impl VersionPage {
    /// Takes in one more, after a look at `dot`. Whether the page is full then: it has as many versions or bytes
    /// as it may.
    pub(super) fn takes(&mut self, dot: Dot, version: Version, count_max: usize, bytes_max: usize) -> bool {
        self.bytes += version.size_hint();
        self.versions.push(version);
        let full = self.versions.len() >= count_max || self.bytes >= bytes_max;
        self.next = full.then_some(dot);
        full
    }

    /// Takes note that nothing was found of `dot` by way of `key`. What is kept of a history is dead anyway.
    pub(super) fn misses(&mut self, dot: Dot, key: &[u8]) {
        if key.first() != Some(&b'k') {
            self.lost.insert(dot);
        }
    }
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(what.to_owned())
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}

impl View {
    pub(super) fn new(store: &dyn Store, shared: Arc<Shared>) -> Self {
        let age = shared.bases().age();
        // What is left is removed after it is not listed any more, so what is listed now is whole before.
        let snapshot = store.snapshot();
        let spaces = shared.spaces();
        Self {
            snapshot,
            shared,
            spaces,
            kept_gaps: Mutex::default(),
            kept_gaps_down: Mutex::default(),
            _age: age,
        }
    }

    /// A view of a store that no node has open, or that nobody writes to meanwhile: what a node would
    /// find there. Changes nothing.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    pub fn open(store: &dyn Store) -> Result<Self, StoreError> {
        let shared = load::load(store)?.shared;
        Ok(Self::new(store, Arc::new(shared)))
    }

    /// Tells a namespace from the one of that name that is joined after it was left; nothing where it is
    /// not carried.
    #[must_use]
    pub fn incarnation(&self, namespace: &Namespace) -> Option<u16> {
        self.number_of(namespace)
    }

    pub(super) fn space(&self, namespace: &Namespace) -> Option<&Arc<SpaceState>> {
        self.spaces.get(namespace)
    }

    pub(super) fn number_of(&self, namespace: &Namespace) -> Option<NsNo> {
        self.spaces.get(namespace).map(|space| space.no)
    }

    /// The namespaces of that time, without companions.
    pub(super) fn homes(&self) -> impl Iterator<Item = Namespace> {
        self.spaces.keys().filter(|name| !name.is_companion()).cloned()
    }

    pub(super) fn snapshot(&self) -> &dyn Snapshot {
        &*self.snapshot
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn range(&self, from: &[u8], to: &[u8], reverse: bool) -> super::Pairs<'_> {
        self.snapshot.range(from, to, reverse)
    }

    /// What readers see under `key` at `now`, in milliseconds since 1970.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    pub fn get(&self, namespace: &Namespace, key: &Key, now: u64) -> Result<Option<Found>, StoreError> {
        let Some(space) = self.spaces.get(namespace) else { return Ok(None) };
        let Some(bytes) = self.snapshot.get(&layout::record(space.no, key.as_bytes()))? else {
            return Ok(None);
        };
        let reading = stored::decode_reading(key, &bytes, &self.shared)?;
        let Some(Visible { version, put }) = reading.visible(space.strategy(key), now) else {
            return Ok(None);
        };
        let (dot, hlc, expires_at) = (version.dot, version.hlc, version.expires_at());
        let bytes = match &put.payload {
            Payload::Inline(bytes) => bytes.clone(),
            Payload::Blob { .. } => self
                .blob(namespace, version.dot)?
                .ok_or_else(|| damaged("a large value is missing beside its version"))?,
        };
        let value = Value::new(put.content_type.clone(), bytes);
        Ok(Some(Found { reading, value, dot, hlc, expires_at }))
    }

    /// How readers resolve what stands in `namespace`.
    #[must_use]
    pub fn strategies(&self, namespace: &Namespace) -> Table {
        let space = self.spaces.get(namespace);
        space.and_then(|space| space.strategies().cloned()).unwrap_or_default()
    }

    /// The bytes of the large value of the version `dot`, if it is held.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn blob(&self, namespace: &Namespace, dot: Dot) -> Result<Option<Bytes>, StoreError> {
        let Some(space) = self.spaces.get(namespace) else { return Ok(None) };
        let Some(no) = self.shared.origins().number(&dot.origin) else { return Ok(None) };
        self.snapshot.get(&layout::blob(space.no, no, dot.seq))
    }

    pub(super) fn fact(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.snapshot.get(key)
    }

    /// The record of `key`.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    pub fn record_of(&self, namespace: &Namespace, key: &Key) -> Result<Option<Record>, StoreError> {
        self.spaces.get(namespace).map_or(Ok(None), |space| self.record(space.no, key))
    }

    pub(super) fn record(&self, ns: NsNo, key: &Key) -> Result<Option<Record>, StoreError> {
        match self.snapshot.get(&layout::record(ns, key.as_bytes()))? {
            Some(bytes) => stored::decode_record(key, &bytes, &self.shared).map(Some),
            None => Ok(None),
        }
    }

    /// The records that `prefix` selects, in the order of their keys, from behind `after` on.
    pub fn records<'a>(
        &'a self,
        namespace: &Namespace,
        prefix: &Prefix,
        after: Option<&Key>,
        reverse: bool,
    ) -> impl Iterator<Item = Result<(Key, Record), StoreError>> + 'a {
        self.pairs(namespace, prefix, after, reverse).map(move |pair| self.read(pair, stored::decode_record))
    }

    /// What readers see of the records that `prefix` selects, as [`Self::records`] goes through
    /// them.
    pub fn readings<'a>(
        &'a self,
        namespace: &Namespace,
        prefix: &Prefix,
        after: Option<&Key>,
        reverse: bool,
    ) -> impl Iterator<Item = Result<(Key, Reading), StoreError>> + 'a {
        self.pairs(namespace, prefix, after, reverse).map(move |pair| self.read(pair, stored::decode_reading))
    }

    fn pairs<'a>(
        &'a self,
        namespace: &Namespace,
        prefix: &Prefix,
        after: Option<&Key>,
        reverse: bool,
    ) -> super::Pairs<'a> {
        let Some(space) = self.spaces.get(namespace) else { return Box::new(std::iter::empty()) };
        let mut ranges = ranges(space.no, prefix);
        if reverse {
            ranges.reverse();
        }
        let bound = after.map(|key| layout::record(space.no, key.as_bytes()));
        Box::new(ranges.into_iter().flat_map(move |(mut from, mut to)| {
            match &bound {
                Some(bound) if reverse => to = to.min(bound.clone()),
                Some(bound) => from = from.max([bound, &[0][..]].concat().into()),
                None => {}
            }
            if from < to { self.snapshot.range(&from, &to, reverse) } else { Box::new(std::iter::empty()) }
        }))
    }

    #[inline]
    fn read<T>(
        &self,
        pair: Result<Pair, StoreError>,
        decode: impl Fn(&Key, &Bytes, &Shared) -> Result<T, StoreError>,
    ) -> Result<(Key, T), StoreError> {
        let (key, value) = pair?;
        let key = Key::from_bytes(&key[3..]).map_err(|error| damaged(&format!("in a record: {error}")))?;
        let decoded = decode(&key, &value, &self.shared)?;
        Ok((key, decoded))
    }

    /// What had been seen when the view was taken.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    pub fn seen(&self, namespace: &Namespace) -> Result<SeenSet, StoreError> {
        let mut seen = SeenSet::new();
        let Some(space) = self.spaces.get(namespace) else { return Ok(seen) };
        let from = [&b"s"[..], &space.no.to_be_bytes()].concat();
        let origins = self.shared.origins();
        let (mut last, mut seqs) = (None, Intervals::new());
        for pair in self.snapshot.range(&from, &layout::after(&from), false) {
            let (key, value) = pair?;
            let no = key.get(3..7).and_then(|no| no.try_into().ok()).map(u32::from_be_bytes);
            let origin =
                no.and_then(|no| origins.get(no)).ok_or_else(|| damaged("an origin without a number"))?;
            if last != Some(origin)
                && let Some(last) = last.replace(origin)
            {
                seen.set(last, std::mem::take(&mut seqs));
            }
            chunks::read(&mut seqs, &value)?;
        }
        if let Some(last) = last {
            seen.set(last, seqs);
        }
        Ok(seen)
    }

    /// The versions held or kept among `dots`, in dot order, from behind `after` on: at least one if there
    /// is one, at most `count_max`, closed when they fill `bytes_max`. Of what is kept, large values are
    /// left out: their bytes are gone.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    pub fn versions(
        &self,
        namespace: &Namespace,
        dots: &SeenSet,
        after: Option<Dot>,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<VersionPage, StoreError> {
        let mut page = VersionPage::default();
        let Some(space) = self.spaces.get(namespace) else { return Ok(page) };
        for (origin, seqs) in dots.iter() {
            if after.is_some_and(|after| *origin < after.origin) {
                continue;
            }
            let behind = after.filter(|after| after.origin == *origin).map_or(0, |after| after.seq);
            for (first, last) in seqs.iter() {
                let first = first.max(behind + 1);
                let held = self.entries(layout::dot, space.no, origin, first, last);
                let kept = self.first_kept(space.no, origin, first, last)?;
                let kept = kept.map(|first| self.entries(layout::kept, space.no, origin, first, last));
                for pair in merged(held, kept) {
                    let (key, entry) = pair?;
                    let dot = Dot::new(*origin, seq_of(&key)?);
                    let Some(version) = self.version_to_send(space.no, dot, &key, &entry)? else {
                        page.misses(dot, &key);
                        continue;
                    };
                    if page.takes(dot, version, count_max, bytes_max) {
                        return Ok(page);
                    }
                }
            }
        }
        Ok(page)
    }

    /// The names and keys of the versions held among `dots`.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    pub fn claims(&self, namespace: &Namespace, dots: &SeenSet) -> Result<Vec<(Dot, Key)>, StoreError> {
        let mut claims = Vec::new();
        let Some(space) = self.spaces.get(namespace) else { return Ok(claims) };
        for (origin, seqs) in dots.iter() {
            for (first, last) in seqs.iter() {
                for pair in self.dot_entries(space.no, origin, first, last) {
                    let (at, entry) = pair?;
                    claims.push((Dot::new(*origin, seq_of(&at)?), stored::decode_dot(&entry)?.key));
                }
            }
        }
        Ok(claims)
    }

    /// Whether any of `dots` is held here and in what replicas compare.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    pub fn any_compared(&self, namespace: &Namespace, dots: &SeenSet) -> Result<bool, StoreError> {
        let Some(space) = self.spaces.get(namespace) else { return Ok(false) };
        for (origin, seqs) in dots.iter() {
            for (first, last) in seqs.iter() {
                for pair in self.dot_entries(space.no, origin, first, last) {
                    if stored::decode_dot(&pair?.1)?.compared {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    /// What lies under `key`, which names `dot` as held or as kept.
    pub(super) fn version_to_send(
        &self,
        ns: NsNo,
        dot: Dot,
        key: &[u8],
        entry: &Bytes,
    ) -> Result<Option<Version>, StoreError> {
        match key.first() {
            Some(b'k') => Ok(self.kept_to_send(entry)),
            _ => self.version(ns, dot, entry),
        }
    }

    fn version(&self, ns: NsNo, dot: Dot, entry: &[u8]) -> Result<Option<Version>, StoreError> {
        let entry = stored::decode_dot(entry)?;
        Ok(self.record(ns, &entry.key)?.and_then(|record| record.get(dot).cloned()))
    }

    pub(super) fn dot_entries<'a>(
        &'a self,
        ns: NsNo,
        origin: &Origin,
        first: u64,
        last: u64,
    ) -> super::Pairs<'a> {
        self.entries(layout::dot, ns, origin, first, last)
    }

    /// What lies under the writes `first..=last` of `origin`, in their order; `at` gives the key of one.
    pub(super) fn entries<'a>(
        &'a self,
        at: impl Fn(NsNo, OriginNo, u64) -> Bytes,
        ns: NsNo,
        origin: &Origin,
        first: u64,
        last: u64,
    ) -> super::Pairs<'a> {
        match self.shared.origins().number(origin) {
            Some(no) if first <= last => {
                let to = [&at(ns, no, last)[..], &[0]].concat();
                self.snapshot.range(&at(ns, no, first), &to, false)
            }
            _ => Box::new(std::iter::empty()),
        }
    }

    /// Rule 3: which of `dots`, all of them seen, are neither held nor dead: they were lost, and
    /// this replica must not vouch for them. What the dot index names counts as held; whether it is there, those
    /// know who read it ([`VersionPage::lost`]).
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    pub fn unaccounted(&self, namespace: &Namespace, dots: &SeenSet) -> Result<SeenSet, StoreError> {
        let mut lost = SeenSet::new();
        let Some(space) = self.spaces.get(namespace) else { return Ok(lost) };
        for (origin, seqs) in dots.iter() {
            let mut accounted = Intervals::new();
            for (first, last) in seqs.iter() {
                for pair in self.dot_entries(space.no, origin, first, last) {
                    accounted.insert(seq_of(&pair?.0)?);
                }
                self.dead_within(space.no, origin, first, last, &mut accounted)?;
            }
            lost.set(*origin, seqs.difference(&accounted));
        }
        Ok(lost)
    }

    fn dead_within(
        &self,
        ns: NsNo,
        origin: &Origin,
        first: u64,
        last: u64,
        dead: &mut Intervals,
    ) -> Result<(), StoreError> {
        let Some(no) = self.shared.origins().number(origin) else { return Ok(()) };
        dead_runs::within(&*self.snapshot, (ns, no), (first / 64, last / 64), |block, bits| {
            if bits == u64::MAX {
                return dead.insert_range(block * 64, block * 64 + 63);
            }
            for bit in (0..64).filter(|bit| bits >> bit & 1 == 1) {
                dead.insert(block * 64 + bit);
            }
        })
    }
}

/// Two lists of one origin, each in the order of its numbers, as one.
fn merged<'a>(held: super::Pairs<'a>, kept: Option<super::Pairs<'a>>) -> super::Pairs<'a> {
    let Some(kept) = kept else { return held };
    let (mut held, mut kept) = (held.peekable(), kept.peekable());
    // What cannot be read comes first, to be told.
    let seq = |pair: &Result<Pair, StoreError>| pair.as_ref().ok().and_then(|(key, _)| seq_of(key).ok());
    Box::new(std::iter::from_fn(move || match (held.peek(), kept.peek()) {
        (Some(a), Some(b)) if seq(b) < seq(a) => kept.next(),
        (Some(_), _) => held.next(),
        (None, _) => kept.next(),
    }))
}

/// The last eight bytes of a key: a sequence number or the number of a block.
pub(super) fn seq_of(key: &[u8]) -> Result<u64, StoreError> {
    let tail = key.len().checked_sub(8).and_then(|at| key[at..].try_into().ok());
    tail.map(u64::from_be_bytes).ok_or_else(|| damaged("a key that is too short"))
}

/// The ranges of record keys that `prefix` selects: the key itself, and what lies below it.
fn ranges(ns: NsNo, prefix: &Prefix) -> Vec<(Bytes, Bytes)> {
    let text = prefix.as_str();
    let own = layout::record(ns, text.as_bytes());
    if text.is_empty() {
        let end = layout::after(&own);
        return vec![(own, end)];
    }
    let below = layout::record(ns, format!("{text}/").as_bytes());
    let end = layout::after(&below);
    vec![(own.clone(), [&own, &[0][..]].concat().into()), (below, end)]
}
