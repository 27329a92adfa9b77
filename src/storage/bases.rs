//! Bases: which are known, and the collection of those that no version has any more.
//!
//! Every sweep that forgets makes for another base of later writes. So that they do not pile up, all
//! records and histories are gone through once the bases have doubled, a page at a time between commits; what a commit
//! writes meanwhile is marked as it is written. A base that was not met goes from the store, and from
//! memory when nobody reads of a time in which it was there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock, Weak},
};

use bytes::Bytes;

use super::{Batch, Durability, Ledger, Pair, StoreError, kept, layout, shared::SpaceState, stored};
use crate::{
    conflict::{Base, BaseHash, Version},
    wire,
};

/// With so many bases no search for those that are not needed begins: a few kilobytes.
const BASES_FEW: usize = 64;

/// How many bases may be left of the last search when it left so many.
pub(super) const fn enough_after(left: usize) -> usize {
    left.saturating_mul(2).saturating_add(BASES_FEW)
}

/// How many bases the last search left.
pub(super) fn left_fact() -> Bytes {
    layout::fact("bases")
}

/// The bases of a store.
#[derive(Debug, Default)]
pub(super) struct Bases {
    stored: BTreeMap<BaseHash, Base>,
    /// No longer in the store, and for whom they are kept. The last ones stay until the next are taken
    /// out: a read that takes no view lasts no longer than that.
    retired: Vec<(Weak<Age>, BTreeMap<BaseHash, Base>)>,
    age: Arc<Age>,
}

/// A time in which no base was taken out. Views keep theirs, and so all later ones.
#[derive(Debug, Default)]
pub(super) struct Age(OnceLock<Arc<Age>>);

impl Bases {
    /// The base with this hash, if it is known.
    pub(super) fn get(&self, hash: &BaseHash) -> Option<&Base> {
        self.stored.get(hash).or_else(|| self.retired.iter().find_map(|(_, bases)| bases.get(hash)))
    }

    /// The base with this hash, if it is in the store: then it can be referred to.
    pub(super) fn stored(&self, hash: &BaseHash) -> Option<Base> {
        self.stored.get(hash).cloned()
    }

    pub(super) fn add(&mut self, base: Base) {
        self.stored.insert(base.hash(), base);
    }

    /// To be held by whoever reads what is stored now. To be taken before the snapshot.
    pub(super) fn age(&self) -> Arc<Age> {
        self.age.clone()
    }

    fn retire(&mut self, hashes: &[BaseHash]) {
        self.retired.retain(|(age, _)| age.strong_count() > 0);
        let gone = hashes.iter().filter_map(|hash| self.stored.remove_entry(hash)).collect();
        let next = Arc::new(Age::default());
        let before = std::mem::replace(&mut self.age, next.clone());
        self.retired.push((Arc::downgrade(&before), gone));
        before.0.get_or_init(|| next);
    }
}

/// A search for the bases that versions have: first those that are kept, then those of records.
#[derive(Debug)]
pub(super) struct Marking {
    /// Entries from this key on are still to be read.
    from: Bytes,
    met: BTreeSet<BaseHash>,
}

impl Marking {
    /// Versions as they are written during the search, perhaps behind the place that was reached.
    pub(super) fn mark<'a>(&mut self, versions: impl Iterator<Item = &'a Version>) {
        self.met.extend(versions.filter_map(|version| version.base.as_ref().map(Base::hash)));
    }

    fn read(&mut self, pair: &Pair) -> Result<(), StoreError> {
        if self.is_among_kept() {
            kept::base_of(&pair.1, &mut self.met);
            return Ok(());
        }
        stored::bases_of(&pair.1, &mut self.met)
    }

    fn is_among_kept(&self) -> bool {
        self.from < layout::all(b'r').0
    }
}

impl Ledger {
    /// Rule 1: the base of the next local write: what was forgotten here, if anything was.
    pub(super) fn base(&mut self, space: &SpaceState) -> Option<Base> {
        let floors = space.floors();
        if floors.is_empty() {
            return None;
        }
        if let Some(base) = self.bases.get(&space.no) {
            return Some(base.clone());
        }
        let seen = space.seen();
        let me = self.me_in(space);
        let covers = floors.base_for(&me, &seen);
        let capped = !floors
            .covered
            .iter()
            .chain(floors.deletes.iter())
            .all(|(origin, seq)| origin == me || covers.get(&origin) >= seq);
        drop((seen, floors));
        let base = Base::new(Arc::new(covers));
        self.intern(&base);
        if !capped {
            self.bases.insert(space.no, base.clone());
        }
        Some(base)
    }

    /// Stores a base that is new here, with the draft.
    pub(super) fn intern(&mut self, base: &Base) {
        if self.shared.bases().stored(&base.hash()).is_some() {
            return;
        }
        if let Some(covers) = base.covers() {
            self.draft.batch.insert(layout::base(&base.hash()), wire::encode(&**covers));
            self.shared.bases_mut().add(base.clone());
        }
    }

    /// Finds out what stands behind the hash of the base of `version`. False if nobody told.
    pub(super) fn resolve(&mut self, version: &mut Version) -> bool {
        let Some(base) = &version.base else { return true };
        if version.is_resolved() {
            let base = base.clone();
            self.intern(&base);
            return true;
        }
        match self.shared.bases().stored(&base.hash()) {
            Some(known) if known.covers().is_some_and(|c| c.get(&version.dot.origin) < version.dot.seq) => {
                version.base = Some(known);
                true
            }
            _ => false,
        }
    }

    /// Goes on with the search for bases that no version has any more, if there are many, by
    /// `count_max` entries at most; in the end takes them out, in a batch of their own. True if there
    /// is more to do. The draft must be committed.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    ///
    /// # Panics
    /// When the draft is not empty: callers see to it.
    pub fn collect_bases(&mut self, count_max: usize) -> Result<bool, StoreError> {
        assert!(self.draft.is_empty(), "what is drafted may need bases that are not in the store yet");
        if self.marking.is_none() && self.shared.bases().stored.len() <= self.bases_enough {
            return Ok(false);
        }
        let (first, records) = (layout::all(b'k').0, layout::all(b'r').0);
        let marking = self.marking.get_or_insert_with(|| Marking { from: first, met: BTreeSet::new() });
        let snapshot = self.store.snapshot();
        let to = layout::all(if marking.is_among_kept() { b'k' } else { b'r' }).1;
        let mut rest = snapshot.range(&marking.from, &to, false);
        for pair in rest.by_ref().take(count_max) {
            if marking.read(&pair?).is_err() {
                // What it had is not known: nothing is taken out before the scrub has seen to it.
                self.marking = None;
                self.bases_enough = enough_after(self.shared.bases().stored.len());
                return Ok(false);
            }
        }
        if let Some(pair) = rest.next() {
            marking.from = pair?.0;
            return Ok(true);
        }
        if marking.is_among_kept() {
            marking.from = records;
            return Ok(true);
        }
        let mut met = std::mem::take(&mut marking.met);
        self.marking = None;
        met.extend(self.bases.values().map(Base::hash));
        self.take_out_bases(&met)?;
        Ok(false)
    }

    fn take_out_bases(&mut self, needed: &BTreeSet<BaseHash>) -> Result<(), StoreError> {
        let gone: Vec<BaseHash> = {
            let bases = self.shared.bases();
            bases.stored.keys().filter(|hash| !needed.contains(*hash)).copied().collect()
        };
        let left = self.shared.bases().stored.len() - gone.len();
        let mut batch = Batch::with_capacity(gone.len() + 1);
        gone.iter().for_each(|hash| batch.remove(layout::base(hash)));
        batch.insert(left_fact(), Bytes::copy_from_slice(&(left as u64).to_le_bytes()));
        self.store.commit(batch, Durability::Buffer)?;
        self.shared.bases_mut().retire(&gone);
        self.bases_enough = enough_after(left);
        Ok(())
    }
}

#[cfg(test)]
#[path = "upkeep_tests.rs"]
mod tests;
