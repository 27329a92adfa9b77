//! The single writer of a store: plans writes and merges against the current records and commits
//! them in atomic batches.
//!
//! Invariant: record, dot index, seen and dead sets change in one batch, so that at every commit
//! `seen = held ⊎ dead`. Plans are drafted against what earlier plans of the same draft will leave.
//! If a commit fails the ledger is not to be used again: open another one on the store.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use super::{
    Durability, Store, StoreError,
    bases::Marking,
    chunks, dead_runs,
    draft::{Change, Draft, Grown, Item, LookedAt, Place, Records},
    earlier::Earlier,
    history::Kept,
    kept,
    known::Known,
    layout::{self, NsNo, OriginNo},
    reader::Reader,
    settle::RangeWatch,
    shared::{Shared, SpaceState},
    sight::{Seeing, Sight, Sights, sight},
    stored,
    tally::Tally,
};
use crate::{
    causality::{DeadSet, Dot, Floors, Hlc, Intervals, Origin, PENS_MAX, SeenSet},
    conflict::{Base, Body, CONTEXT_ENTRIES_MAX, Etag, Payload, Record, Strategies, Strategy, Version},
    replica::{Plan, Precondition, Refused, Rules, plan_collision, plan_merge, plan_write},
    types::{Key, Namespace},
    wire,
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
    known: Known,
    /// Whether anybody subscribes.
    watched: bool,
    /// What the wall clock shows, as last told.
    pub(super) now: u64,
    /// Up to which deadline expired values were taken out of the count of keys.
    pub(super) counted_until: BTreeMap<NsNo, u64>,
    /// So many earlier versions of each key are kept.
    pub(super) history: usize,
    /// The same where a namespace has its own number, by name, …
    pub(super) histories: BTreeMap<Namespace, usize>,
    /// … and by number, of those that are carried.
    pub(super) history_of: BTreeMap<NsNo, usize>,
    /// The origins of local writes, `me` first.
    pub(super) pens: [Origin; PENS_MAX],
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
            history: 0,
            histories: BTreeMap::new(),
            history_of: BTreeMap::new(),
            pens: me.pens(),
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

    /// Whether `origin` is one of those that this ledger writes as.
    #[must_use]
    pub fn writes_as(&self, origin: &Origin) -> bool {
        self.pens.contains(origin)
    }

    /// Writes as `me` from now on: a new epoch has begun (rule 7). The caller has made it durable.
    pub fn set_origin(&mut self, me: Origin) {
        self.me = me;
        self.pens = me.pens();
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
        let pen = made_from.as_ref().map_or(Ok(self.me), |record| self.pen(at, record));
        let me = match pen {
            Ok(me) => me,
            Err(refused) => return Ok(Err(refused)),
        };
        let dot = Dot::new(me, self.last_seq(&space, &me) + 1);
        let base = self.base(&space);
        let strategy = space.strategy(&key).clone();
        let rules = Rules { strategy: &strategy, made_from: made_from.as_ref(), now: self.now };
        let current = self.draft.records.get(at);
        let planned = match plan_write(current, key, dot, body, precondition, base, rules, stamp) {
            Ok(planned) => planned,
            Err(refused) => return Ok(Err(refused)),
        };
        self.apply_and_keep(namespace, &space, at, planned.plan, dot, blob, true);
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

    /// Rule 7: plans `lost`, a write of this node whose dot names another content now, once more
    /// under a fresh dot: beside whatever stands there, as it was written.
    ///
    /// # Errors
    /// When the store cannot be read.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    pub fn write_again(
        &mut self,
        namespace: &Namespace,
        lost: Version,
        blob: Option<Bytes>,
        hlc: Hlc,
    ) -> Result<Version, StoreError> {
        let space = self.space(namespace);
        let mut context = lost.context;
        if lost.dot.seq > 1 {
            context.insert(Dot::new(lost.dot.origin, lost.dot.seq - 1));
        }
        let dot = Dot::new(self.me, self.last_seq(&space, &self.me) + 1);
        if let Some(base) = &lost.base {
            self.intern(base);
        }
        let context = context.without(&self.me);
        let version = Version { dot, hlc, base: lost.base, context, key: lost.key, body: lost.body };
        let at = self.look(space.no, &version.key)?;
        let plan = plan_merge(self.draft.records.get(at), version.clone());
        self.apply_and_keep(namespace, &space, at, plan, dot, blob, false);
        Ok(version)
    }

    /// Whether `dot` has been seen, committed or planned.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    #[must_use]
    pub fn is_seen(&self, namespace: &Namespace, dot: Dot) -> bool {
        self.has_seen(&self.space(namespace), dot)
    }

    /// Whether `version` would be held and its large value is needed for that.
    ///
    /// # Errors
    /// When the store cannot be read.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    pub fn wants_blob(&mut self, namespace: &Namespace, version: &Version) -> Result<bool, StoreError> {
        if !version.is_large() {
            return Ok(false);
        }
        let space = self.space(namespace);
        if self.has_seen(&space, version.dot) {
            let Some(no) = self.shared.origins().number(&version.dot.origin) else { return Ok(false) };
            let held = self.held(space.no, no, version.dot)?;
            return Ok(held.is_some_and(|held| held.hash() < version.hash()));
        }
        let at = self.look(space.no, &version.key)?;
        Ok(!self.draft.records.get(at).is_some_and(|record| record.context().covers(version.dot)))
    }

    /// Whether a write of `key` would be refused because too many origins wrote it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn is_crowded(&mut self, namespace: &Namespace, key: &Key) -> Result<bool, StoreError> {
        let at = self.look(self.space(namespace).no, key)?;
        Ok(self.draft.records.get(at).is_some_and(|record| record.context().len() > CONTEXT_ENTRIES_MAX))
    }

    /// Rule 2: plans the merge of a version from elsewhere. `blob` is its large value, verified by
    /// the caller.
    ///
    /// # Errors
    /// When the store cannot be read.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    pub fn receive(
        &mut self,
        namespace: &Namespace,
        version: Version,
        blob: Option<Bytes>,
    ) -> Result<Received, StoreError> {
        let space = self.space(namespace);
        let dot = version.dot;
        let mut version = version;
        if !self.resolve(&mut version) {
            return Ok(Received::NeedsBase);
        }
        if self.has_seen(&space, dot) {
            return self.receive_again(namespace, &space, version, blob.as_ref());
        }
        if self.lost.get(&space.no).is_some_and(|lost| lost.contains(dot)) {
            return self.take_back(namespace, version, blob);
        }
        let at = self.look(space.no, &version.key)?;
        let before = self.draft.records.get(at);
        if blob.is_none() && version.is_large() && !before.is_some_and(|r| r.context().covers(dot)) {
            return Ok(Received::NeedsBlob);
        }
        let late = before.is_some_and(|record| record.context().covers(dot)) && self.keeps_history(space.no);
        let late = late.then(|| version.clone());
        let plan = plan_merge(before, version);
        let received = if plan.held.is_some() { Received::Held } else { Received::Superseded };
        self.apply_and_keep(namespace, &space, at, plan, dot, blob, false);
        self.keep(&space, at, late.into_iter().collect());
        Ok(received)
    }

    /// Rule 2, last paragraph: a dot that was seen arrives again, perhaps with another content.
    fn receive_again(
        &mut self,
        namespace: &Namespace,
        space: &Arc<SpaceState>,
        version: Version,
        blob: Option<&Bytes>,
    ) -> Result<Received, StoreError> {
        let dot = version.dot;
        let Some(no) = self.shared.origins().number(&dot.origin) else { return Ok(Received::Seen) };
        let Some(held) = self.held(space.no, no, dot)? else { return Ok(Received::Seen) };
        let Some(record) = self.record(space.no, &held.key)? else { return Ok(Received::Seen) };
        let others = if version.key == held.key { None } else { self.record(space.no, &version.key)? };
        let needs_blob = version.is_large() && blob.is_none();
        let Some(collision) = plan_collision(&record, others.as_ref(), &held, version) else {
            return Ok(Received::Seen);
        };
        if needs_blob && collision.plans.iter().any(|(_, plan)| plan.held.is_some()) {
            return Ok(Received::NeedsBlob);
        }
        if held.is_large() && collision.kept != held.hash() {
            self.draft.batch.remove(layout::blob(space.no, no, dot.seq));
        }
        for (key, plan) in collision.plans {
            let at = self.look(space.no, &key)?;
            let blob = blob.filter(|_| plan.held.is_some()).cloned();
            self.apply_and_keep(namespace, space, at, plan, dot, blob, false);
        }
        let lost = (collision.kept != held.hash()).then_some(held);
        Ok(Received::Collision(lost.map(Box::new)))
    }

    /// Rule 4: merges the frontier that ended a delta. What it names and was neither seen before
    /// nor sent is dead there, and so here.
    ///
    /// The floors that came with it are taken over in the same batch as its last part.
    pub fn absorb(&mut self, namespace: &Namespace, frontier: &SeenSet, floors: &Floors) {
        let space = self.space(namespace);
        self.join_floors(&space, floors);
        let mut missing = frontier.difference(&space.seen());
        if let Some(fresh) = self.draft.fresh(space.no) {
            missing = missing.difference(fresh);
        }
        if missing.is_empty() {
            return;
        }
        for (origin, seqs) in missing.iter() {
            self.number(*origin);
            let dead = self.dead.entry(space.no).or_default();
            for (first, last) in seqs.iter() {
                dead.insert_range(*origin, first, last, |block, _| {
                    self.draft.dead_blocks.insert((space.no, *origin, block));
                });
            }
        }
        self.draft.space(&space).fresh.union(&missing);
    }

    /// Commits the draft in one atomic batch, with `clock` as the last stamp given or seen.
    ///
    /// # Errors
    /// When the store refuses. The ledger is then of no further use.
    pub fn commit(&mut self, durability: Durability, clock: Hlc) -> Result<Committed, StoreError> {
        let draft = std::mem::take(&mut self.draft);
        if draft.is_empty() {
            return Ok(Committed::default());
        }
        let Draft { mut batch, records, mut spaces, dead_blocks, changes, sights, items, .. } = draft;
        {
            let origins = self.shared.origins();
            for LookedAt { at, record, kept, .. } in records.changed() {
                if let Some(marking) = &mut self.marking {
                    marking.mark(record.iter().flat_map(Record::siblings).chain(kept.fresh()));
                }
                let record =
                    record.as_ref().map(|record| stored::encode_record(record, kept.ranks(), &origins));
                match record {
                    Some(record) => batch.insert(at.clone(), record),
                    None => batch.remove(at.clone()),
                }
                let ns = layout::ns_of_record(at);
                let place = |dot: Dot| {
                    let no = origins.number(&dot.origin).expect("numbered when it was kept");
                    layout::kept(ns, no, dot.seq)
                };
                kept.gone().for_each(|dot| batch.remove(place(dot)));
                kept.fresh().for_each(|v| batch.insert(place(v.dot), kept::encode_kept(v, &origins)));
            }
            dead_runs::write(&mut batch, &dead_blocks, &self.dead, &origins);
        }
        let mut unions = Vec::new();
        for Grown { space, fresh, floors, keys } in spaces.values() {
            if let Some(floors) = floors {
                batch.insert(floors_fact(space.no), wire::encode(floors));
            }
            let seen = space.seen();
            let nothing = Intervals::new();
            for (origin, more) in fresh.iter() {
                let before = seen.get(origin).unwrap_or(&nothing);
                let union = before.plan_union(more);
                let no = self.number_of(origin);
                chunks::write_union(&mut batch, before, more, &union, |chunk| {
                    layout::seen(space.no, no, chunk)
                });
                unions.push((space, *origin, union));
            }
            if *keys != 0 {
                let count = space.keys().saturating_add_signed(*keys);
                batch.insert(keys_fact(space.no), Bytes::copy_from_slice(&count.to_le_bytes()));
            }
        }
        batch.insert(layout::fact(CLOCK), Bytes::copy_from_slice(&clock.0.to_le_bytes()));
        self.draft = Draft::after(records, batch.len(), changes.len());
        self.store.commit(batch, durability)?;
        self.tally.apply(&items, &self.shared.origins());
        if let Some(recount) = &mut self.recount {
            recount.apply(&items, &self.shared.origins());
        }
        for (space, origin, union) in unions {
            space.seen_mut().apply(origin, union);
        }
        let sights = if self.watched { self.sights(sights, &mut spaces) } else { Sights::default() };
        for Grown { space, keys, floors, .. } in spaces.into_values() {
            if let Some(floors) = floors {
                space.set_floors(floors);
                self.bases.remove(&space.no);
            }
            space.set_keys(space.keys().saturating_add_signed(keys));
            self.publish_root(&space);
        }
        Ok(Committed { changes, sights })
    }

    fn sights(&self, keys: Vec<Sight>, spaces: &mut BTreeMap<NsNo, Grown>) -> Sights {
        let fresh = spaces.values_mut().filter(|grown| !grown.fresh.is_empty());
        let fresh = fresh
            .filter_map(|grown| Some((self.shared.name(grown.space.no)?, std::mem::take(&mut grown.fresh))));
        Sights { keys, fresh: fresh.collect() }
    }

    /// Learns more of what the store held before, if there is more: writes to fresh keys are planned
    /// faster then. To be called when nobody waits.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn learn(&mut self) -> Result<(), StoreError> {
        self.known.read_on(&*self.store)
    }

    /// Makes everything committed survive a loss of power.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.store.sync()
    }

    pub(super) fn space(&self, namespace: &Namespace) -> Arc<SpaceState> {
        self.shared.space(namespace).expect("callers name a namespace that is carried")
    }

    fn last_seq(&self, space: &SpaceState, me: &Origin) -> u64 {
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
    fn held(&mut self, ns: NsNo, no: OriginNo, dot: Dot) -> Result<Option<Version>, StoreError> {
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

    pub(super) fn join_floors(&mut self, space: &Arc<SpaceState>, more: &Floors) {
        let grown = self.draft.space(space);
        let known = |floors: &Floors| floors.includes(more);
        if grown.floors.as_ref().map_or_else(|| known(&space.floors()), known) {
            return;
        }
        grown.floors.get_or_insert_with(|| space.floors().clone()).join(more);
    }

    /// Carries out a plan, and keeps what it supersedes. What left a record alive, for its dot names another
    /// content now, is not kept: that dot may be kept yet.
    #[expect(clippy::too_many_arguments, reason = "the parts of one plan")]
    pub(super) fn apply_and_keep(
        &mut self,
        namespace: &Namespace,
        space: &Arc<SpaceState>,
        at: Place,
        plan: Plan,
        dot: Dot,
        blob: Option<Bytes>,
        local: bool,
    ) {
        let gone = self.apply(namespace, space, at, plan, dot, blob, local);
        self.keep(space, at, gone);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one plan")]
    pub(super) fn apply(
        &mut self,
        namespace: &Namespace,
        space: &Arc<SpaceState>,
        at: Place,
        plan: Plan,
        dot: Dot,
        blob: Option<Bytes>,
        local: bool,
    ) -> Vec<Version> {
        let no = self.number(dot.origin);
        for (origin, _) in plan.record.context().iter() {
            self.number(origin);
        }
        self.reindex(space.no, at, &plan);
        for dead in &plan.dead {
            self.number(dead.origin);
            self.dead.entry(space.no).or_default().insert(*dead);
            self.draft.dead_blocks.insert((space.no, dead.origin, DeadSet::block_of(dead.seq)));
        }
        let before = self.draft.records.get(at).map_or(0, |record| self.counts(space, record));
        let more = self.counts(space, &plan.record) - before;
        if self.watched {
            let (held, gone) = (plan.held.as_ref(), plan.superseded.first());
            let before = self.draft.records.get(at);
            self.draft.sights.extend(sight(
                &Seeing { space, now: self.now },
                namespace,
                before,
                &plan.record,
                dot,
                held,
                gone,
            ));
        }
        if self.draft.records.get(at).is_none() {
            self.known.add(self.draft.records.key(at));
        }
        if !plan.superseded.is_empty()
            && let Some(before) = self.draft.records.get(at)
        {
            self.earlier.keep(self.draft.records.key(at), before.clone());
        }
        self.draft.records.set(at, Some(plan.record));
        if let Some(version) = plan.held {
            for watch in self.watches.values_mut().filter(|watch| watch.ns == space.no) {
                watch.live.insert(dot);
            }
            if let Some(bytes) = blob {
                self.draft.batch.insert(layout::blob(space.no, no, dot.seq), bytes);
            }
            self.draft.record_bytes += inline_bytes(&version);
            self.draft.changes.push(Change { namespace: namespace.clone(), version, local });
        }
        let grown = self.draft.space(space);
        grown.fresh.insert(dot);
        grown.keys += more;
        let mut gone = plan.superseded;
        gone.retain(|version| plan.dead.contains(&version.dot));
        gone
    }

    /// Makes the dot index say of one record what it will hold.
    fn reindex(&mut self, ns: NsNo, at: Place, plan: &Plan) {
        let before = self.draft.records.get(at).map(|r| (r.is_deleted(), r.siblings().to_vec()));
        let (was_deleted, before) = before.unwrap_or_default();
        let deleted = plan.record.is_deleted();
        for gone in &before {
            match plan.record.get(gone.dot) {
                // Nearly all that stay stay as they are.
                Some(stays) if was_deleted == deleted && stays == gone => {}
                Some(stays) => self.reindex_one(ns, Some((gone, was_deleted)), Some((stays, deleted))),
                None => self.reindex_one(ns, Some((gone, was_deleted)), None),
            }
        }
        if let Some(held) = &plan.held
            && !before.iter().any(|sibling| sibling.dot == held.dot)
        {
            self.reindex_one(ns, None, Some((held, deleted)));
        }
    }

    /// Each side: a version, and whether its record has nothing but deletes.
    pub(super) fn reindex_one(
        &mut self,
        ns: NsNo,
        before: Option<(&Version, bool)>,
        after: Option<(&Version, bool)>,
    ) {
        if let Some((version, deleted)) = before {
            let no = self.number_of(&version.dot.origin);
            let dot = version.dot;
            if !self.tally.is_off() {
                let item = Item { dot, hash: version.hash(), before: Some(!deleted), after: None };
                self.draft.items.push((ns, item));
            }
            if deleted {
                self.draft.batch.remove(layout::forgettable(ns, version.remembered_from().0, no, dot.seq));
            }
            if let Some(deadline) = version.expires_at() {
                self.draft.batch.remove(layout::deadline(ns, deadline, no, dot.seq));
            }
            if after.is_none() {
                self.draft.batch.remove(layout::dot(ns, no, dot.seq));
                if version.is_large() {
                    self.draft.batch.remove(layout::blob(ns, no, dot.seq));
                }
            }
        }
        if let Some((version, deleted)) = after {
            let no = self.number_of(&version.dot.origin);
            let (dot, hash) = (version.dot, version.hash());
            let entry = stored::encode_dot(hash, &version.key, !deleted);
            self.draft.batch.insert(layout::dot(ns, no, dot.seq), entry);
            if !self.tally.is_off() {
                self.draft.items.push((ns, Item { dot, hash, before: None, after: Some(!deleted) }));
            }
            let key = || Bytes::copy_from_slice(version.key.as_bytes());
            if deleted {
                let at = layout::forgettable(ns, version.remembered_from().0, no, dot.seq);
                self.draft.batch.insert(at, key());
            }
            // What was counted out already is so without a list.
            let counted = self.counted_until.get(&ns).copied().unwrap_or(0);
            if let Some(deadline) = version.expires_at().filter(|deadline| *deadline > counted) {
                self.draft.batch.insert(layout::deadline(ns, deadline, no, dot.seq), key());
            }
        }
    }

    pub(super) fn number_of(&self, origin: &Origin) -> OriginNo {
        self.shared.origins().number(origin).expect("numbered when its first dot was planned")
    }

    /// The number of `origin`; a new one is part of the draft.
    pub(super) fn number(&mut self, origin: Origin) -> OriginNo {
        if let Some(no) = self.shared.origins().number(&origin) {
            return no;
        }
        let (no, _) = self.shared.origins_mut().intern(origin);
        self.draft.batch.insert(layout::origin(no), wire::encode(&origin));
        no
    }
}

fn inline_bytes(version: &Version) -> usize {
    match version.put().map(|put| &put.payload) {
        Some(Payload::Inline(bytes)) => bytes.len() + version.key.as_bytes().len(),
        _ => version.key.as_bytes().len(),
    }
}
