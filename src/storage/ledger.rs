//! The single writer of a store: plans writes and merges against the current records and commits
//! them in atomic batches.
//!
//! Invariant: record, dot index, seen and dead sets change in one batch, so that at every commit
//! `seen = held ⊎ dead`. Plans are drafted against what earlier plans of the same draft will leave.
//! If a commit fails the ledger is not to be used again: open another one on the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    Durability, Store, StoreError,
    apply::Step,
    bases::Marking,
    draft::{Change, Draft, Place, Records},
    earlier::Earlier,
    history::Kept,
    known::Known,
    layout::{self, NsNo, OriginNo},
    pens::Pens,
    reader::Reader,
    settle::RangeWatch,
    shared::{Shared, SpaceState},
    sight::Sights,
    stored,
    tally::Tally,
};
use crate::{
    causality::{DeadSet, Dot, Hlc, Intervals, Origin, SeenSet},
    conflict::{Base, Body, CONTEXT_ENTRIES_MAX, Etag, Record, Strategies, Strategy, Version},
    replica::{Precondition, Refused, Rules, plan_write},
    types::{Key, Namespace},
};

/// A local write, ready to be planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where to.
    pub key: Key,
    /// What; a large value by its hash.
    pub body: Body,
    /// The bytes of a large value.
    pub blob: Option<Bytes>,
    /// What must hold of the record.
    pub precondition: Precondition,
    /// The record that it was made from; as it stands, if not given.
    pub made_from: Option<Etag>,
}

impl Write {
    /// A write that nothing has to hold for, of what takes no more bytes than `body` has.
    #[must_use]
    pub const fn new(key: Key, body: Body) -> Self {
        Self { key, body, blob: None, precondition: Precondition::None, made_from: None }
    }
}

/// What became of a version that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is held now.
    Held,
    /// It came after something that superseded it.
    Superseded,
    /// It had been seen.
    Seen,
    /// Its dot names another content here; the greater hash is kept on all replicas.
    /// Boxed, for it hardly ever is: the content that was held here, where that lost.
    Collision(Option<Box<Version>>),
    /// Nothing was done: the bytes of its large value are needed first.
    NeedsBlob,
    /// Nothing was done: what its base covers is not known here.
    NeedsBase,
}

/// What a commit changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The versions that are held now and were not before, in the order they were planned.
    pub changes: Vec<Change>,
    /// What subscribers are told; nothing while the ledger is not [watched](Ledger::set_watched).
    pub sights: Sights,
}

/// The single writer of a store.
pub struct Ledger {
    pub(super) store: Arc<dyn Store>,
    pub(super) shared: Arc<Shared>,
    pub(super) me: Origin,
    pub(super) dead: BTreeMap<NsNo, DeadSet>,
    /// What was seen and lost (rule 3), and is taken back whatever a context says.
    pub(super) lost: BTreeMap<NsNo, SeenSet>,
    /// The base of local writes, as long as it holds.
    pub(super) bases: BTreeMap<NsNo, Base>,
    /// The search for bases that no version has any more, while it is under way.
    pub(super) marking: Option<Marking>,
    /// It begins when there are more bases than so many.
    pub(super) bases_enough: usize,
    /// What became live since the snapshots that ranges are compared on.
    pub(super) watches: BTreeMap<u64, RangeWatch>,
    pub(super) next_watch: u64,
    pub(super) tally: Tally,
    /// The digests as the dot index says during a pass of the scrub, to take their place in the end.
    pub(super) recount: Option<Tally>,
    /// Whether rule 3 was checked over everything since the digests were made.
    pub(super) accounted: bool,
    /// What was found to be lost by that, and nobody was told of yet.
    pub(super) found: Vec<(Namespace, SeenSet)>,
    pub(super) known: Known,
    /// Whether anybody subscribes.
    pub(super) watched: bool,
    /// What the wall clock shows, as last told.
    pub(super) now: u64,
    /// Up to which deadline expired values were taken out of the count of keys.
    pub(super) counted_until: BTreeMap<NsNo, u64>,
    /// Versions of which nobody has to be told that they expired; their deadlines were not gone through yet.
    pub(super) told_gone: BTreeSet<(NsNo, Dot)>,
    /// So many earlier versions of each key are kept.
    pub(super) history: usize,
    /// The same where a namespace has its own number, by name, …
    pub(super) histories: BTreeMap<Namespace, usize>,
    /// … and by number, of those that are carried.
    pub(super) history_of: BTreeMap<NsNo, usize>,
    /// The origins of local writes.
    pub(super) pens: Pens,
    pub(super) earlier: Earlier,
    /// The number of the namespace that is joined next.
    pub(super) next_namespace: NsNo,
    pub(super) draft: Draft,
}

/// Records looked at for writes that were then refused are forgotten when there are so many.
const RECORDS_LOOKED_AT_MAX: usize = 1_024;

pub(super) const CLOCK: &str = "clock";

pub(super) fn floors_fact(ns: NsNo) -> Bytes {
    layout::fact(&format!("floors/{ns}"))
}

pub(super) fn lost_fact(ns: NsNo) -> Bytes {
    layout::fact(&format!("lost/{ns}"))
}

pub(super) fn keys_fact(ns: NsNo) -> Bytes {
    layout::fact(&format!("keys/{ns}"))
}

impl Ledger {
    /// Opens the ledger of `store` for writes as `me`, carrying `namespaces`. Returns it and the
    /// last stamp of the clock.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what this program did not write.
    pub fn open(
        store: Arc<dyn Store>,
        me: Origin,
        namespaces: &[Namespace],
    ) -> Result<(Self, Hlc), StoreError> {
        Self::open_with(store, me, namespaces, &Strategies::default())
    }

    /// As [`Self::open`], for readers that resolve siblings by `strategies`.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what this program did not write.
    pub fn open_with(
        store: Arc<dyn Store>,
        me: Origin,
        namespaces: &[Namespace],
        strategies: &Strategies,
    ) -> Result<(Self, Hlc), StoreError> {
        let loaded = super::load::load(&*store)?;
        super::migrate::migrate(&*store, &loaded.shared, &loaded.dead)?;
        let known = Known::open(&*store)?;
        let shared = Arc::new(loaded.shared);
        let mut ledger = Self {
            store,
            shared,
            me,
            dead: loaded.dead,
            lost: loaded.lost,
            bases: BTreeMap::new(),
            marking: None,
            bases_enough: loaded.bases_enough,
            watches: BTreeMap::new(),
            next_watch: 0,
            tally: Tally::default(),
            recount: None,
            accounted: false,
            found: Vec::new(),
            known,
            watched: false,
            now: 0,
            counted_until: loaded.counted_until,
            told_gone: BTreeSet::new(),
            history: 0,
            histories: BTreeMap::new(),
            history_of: BTreeMap::new(),
            pens: Pens::of(me),
            earlier: Earlier::default(),
            next_namespace: loaded.next_namespace,
            draft: Draft::default(),
        };
        ledger.read_checkpoint()?;
        ledger.tally_on()?;
        ledger.number(me);
        for name in namespaces {
            if ledger.shared.space(name).is_none() {
                let mut batch = std::mem::take(&mut ledger.draft.batch);
                ledger.add(name, strategies, &mut batch)?;
                ledger.draft.batch = batch;
            }
        }
        ledger.shared.set_strategies(strategies);
        ledger.count_keys()?;
        ledger.publish_roots();
        let batch = std::mem::take(&mut ledger.draft.batch);
        if !batch.is_empty() {
            ledger.store.commit(batch, Durability::Fsync)?;
        }
        Ok((ledger, loaded.clock))
    }

    /// What a node needs to know of a store before its writer starts: a reader, the last stamp, and how
    /// many names `me` has given. Changes nothing.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what this program did not write.
    pub fn peek(store: Arc<dyn Store>, me: Origin) -> Result<(Reader, Hlc, u64), StoreError> {
        let loaded = super::load::load(&*store)?;
        let issued = loaded.issued(me);
        Ok((Reader::new(store, Arc::new(loaded.shared)), loaded.clock, issued))
    }

    /// A reader of the same store. Readers see what is committed, at any time, from any thread.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(self.store.clone(), self.shared.clone())
    }

    /// The origin of this ledger's writes.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.me
    }

    /// Whether `origin` is one of those that this ledger writes as, where nodes exchange it.
    #[must_use]
    pub fn writes_as(&self, origin: &Origin) -> bool {
        self.pens.exchange_as(origin)
    }

    /// Writes as `me` from now on: a new epoch has begun (rule 7). The caller has made it durable.
    pub fn set_origin(&mut self, me: Origin) {
        self.me = me;
        self.pens = Pens::of(me);
        self.number(me);
    }

    /// Whether commits say what [subscribers](Sights) are told. The draft must be committed.
    pub fn set_watched(&mut self, watched: bool) {
        self.watched = watched;
    }

    /// Roughly how many bytes the next commit will write.
    #[must_use]
    pub fn draft_bytes(&self) -> usize {
        self.draft.bytes()
    }

    /// Whether a commit would change anything.
    #[must_use]
    pub fn has_draft(&self) -> bool {
        !self.draft.is_empty()
    }

    /// Rule 1: plans a local write. `stamp` is given what is superseded and answers with a new stamp.
    ///
    /// # Errors
    /// The outer error when the store cannot be read, the inner one when the write is refused.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    pub fn write(
        &mut self,
        namespace: &Namespace,
        write: Write,
        stamp: impl FnOnce(&[Version]) -> Hlc,
    ) -> Result<Result<Version, Refused>, StoreError> {
        let space = self.space(namespace);
        let at = self.look(space.no, &write.key)?;
        let Write { key, body, blob, precondition, made_from } = write;
        let made_from = made_from.map(|etag| self.made_from(&space, at, &key, &etag)).transpose();
        let made_from = match made_from {
            Ok(made_from) => made_from,
            Err(refused) => return Ok(Err(refused)),
        };
        let pen =
            made_from.as_ref().map_or_else(|| Ok(self.me_in(&space)), |record| self.pen(&space, at, record));
        let me = match pen {
            Ok(me) => me,
            Err(refused) => return Ok(Err(refused)),
        };
        let dot = Dot::new(me, self.last_seq(&space, &me) + 1);
        let base = self.base(&space);
        let rules = Rules { strategy: space.strategy(&key), made_from: made_from.as_ref(), now: self.now };
        let current = self.draft.records.get(at);
        let planned = match plan_write(current, key, dot, body, precondition, base, rules, stamp) {
            Ok(planned) => planned,
            Err(refused) => return Ok(Err(refused)),
        };
        let step = Step { at, plan: planned.plan, dot, blob, local: true };
        self.apply_and_keep(namespace, &space, step);
        Ok(Ok(planned.version))
    }

    /// Whether a delete of `key` would find something to delete.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn has_value(&mut self, namespace: &Namespace, key: &Key) -> Result<bool, StoreError> {
        let at = self.look(self.space(namespace).no, key)?;
        Ok(self
            .draft
            .records
            .get(at)
            .is_some_and(|record| record.siblings().iter().any(|sibling| sibling.shows_value(self.now))))
    }

    /// Whether the first write of `key` wins: a put is refused where a value is seen.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    #[must_use]
    pub fn keeps_first(&self, namespace: &Namespace, key: &Key) -> bool {
        *self.space(namespace).strategy(key) == Strategy::FirstWriteWins
    }

    /// Whether a write of `key` would be refused because too many origins wrote it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn is_crowded(&mut self, namespace: &Namespace, key: &Key) -> Result<bool, StoreError> {
        let at = self.look(self.space(namespace).no, key)?;
        Ok(self.draft.records.get(at).is_some_and(|record| record.context().len() > CONTEXT_ENTRIES_MAX))
    }

    pub(super) fn space(&self, namespace: &Namespace) -> Arc<SpaceState> {
        self.shared.space(namespace).expect("callers name a namespace that is carried")
    }

    pub(super) fn last_seq(&self, space: &SpaceState, me: &Origin) -> u64 {
        let last = |seen: &SeenSet| seen.get(me).map_or(0, Intervals::max);
        // What was lost was given all the same.
        let lost = self.lost.get(&space.no).map_or(0, last);
        last(&space.seen()).max(self.draft.fresh(space.no).map_or(0, last)).max(lost)
    }

    pub(super) fn has_seen(&self, space: &SpaceState, dot: Dot) -> bool {
        space.seen().contains(dot) || self.draft.fresh(space.no).is_some_and(|fresh| fresh.contains(dot))
    }

    /// The record of `key` as the draft leaves it.
    pub(super) fn look(&mut self, ns: NsNo, key: &Key) -> Result<Place, StoreError> {
        let at = layout::record(ns, key.as_bytes());
        if let Some(place) = self.draft.records.find(&at) {
            return Ok(place);
        }
        if self.draft.is_empty() && self.draft.records.len() >= RECORDS_LOOKED_AT_MAX {
            self.draft.records = Records::default();
        }
        let bytes = if self.known.rules_out(&at) { None } else { self.store.get(&at)? };
        let (record, earlier) = match bytes {
            Some(bytes) => (
                Some(stored::decode_record(key, &bytes, &self.shared)?),
                // What cannot be read is no reason not to write: the scrub sweeps up what it named.
                Kept::stored(stored::decode_names_of(&bytes, &self.shared).unwrap_or_default()),
            ),
            None => (None, Kept::default()),
        };
        Ok(self.draft.records.add(at, record, earlier))
    }

    pub(super) fn record(&mut self, ns: NsNo, key: &Key) -> Result<Option<Record>, StoreError> {
        let at = self.look(ns, key)?;
        Ok(self.draft.records.get(at).cloned())
    }

    /// The version that `dot` names here, if it is held.
    pub(super) fn held(&mut self, ns: NsNo, no: OriginNo, dot: Dot) -> Result<Option<Version>, StoreError> {
        let drafted = self.draft.changes.iter().rev().find(|change| change.version.dot == dot);
        let key = match drafted {
            Some(change) => change.version.key.clone(),
            None => match self.store.get(&layout::dot(ns, no, dot.seq))? {
                Some(entry) => stored::decode_dot(&entry)?.key,
                None => return Ok(None),
            },
        };
        Ok(self.record(ns, &key)?.and_then(|record| record.get(dot).cloned()))
    }
}
