//! The digests of a store, in memory, in step with its dot index.
//!
//! They are made by going through the dot index once, a page at a time between commits, while writes
//! go on: what a commit changes behind the place that was reached is counted, what it changes before
//! that is found when the place gets there. After a clean stop they are read back from a checkpoint,
//! which is taken out before anything is written, so that an old one can never be believed.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    Ledger, Store, StoreError,
    draft::{Draft, Item},
    layout::{self, NsNo},
    shared::{Origins, Shared, SpaceState},
    stored,
};
use crate::{
    causality::Dot,
    digest::{Digests, Sum},
    types::Namespace,
};

/// So many entries of the dot index are read at a time: a few milliseconds.
const PAGE_ENTRIES: usize = 8_192;
/// A store with more entries of the dot index that cannot be read is not repaired piece by piece.
const GARBAGE_MAX: usize = 100_000;

/// The digests of all namespaces of a store.
#[derive(Debug, Default)]
pub(super) struct Tally {
    digests: BTreeMap<NsNo, Digests>,
    stage: Stage,
    /// Keys of entries that cannot be read: they count as not there, and are taken out in the end.
    garbage: Vec<Bytes>,
}

#[derive(Debug)]
enum Stage {
    /// Entries from this key of the dot index on are still to be read.
    Reading(Bytes),
    Complete,
    /// None are kept: for benches, to say what keeping them costs.
    Off,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Reading(layout::all(b'd').0)
    }
}

impl Tally {
    /// Of these digests, which are those of all that the dot index holds.
    pub(super) fn complete(digests: BTreeMap<NsNo, Digests>) -> Self {
        Self { digests, stage: Stage::Complete, garbage: Vec::new() }
    }

    pub(super) fn all(&self) -> &BTreeMap<NsNo, Digests> {
        &self.digests
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(self.stage, Stage::Complete)
    }

    pub(super) fn is_off(&self) -> bool {
        matches!(self.stage, Stage::Off)
    }

    pub(super) fn garbage(&self) -> &[Bytes] {
        &self.garbage
    }

    pub(super) fn borrow(&self, ns: NsNo) -> Option<&Digests> {
        self.digests.get(&ns)
    }

    pub(super) fn of(&self, ns: NsNo) -> Option<Digests> {
        self.is_complete().then(|| self.digests.get(&ns).cloned().unwrap_or_default())
    }

    /// The namespace was left.
    pub(super) fn leave(&mut self, ns: NsNo) {
        self.digests.remove(&ns);
    }

    /// What a commit changed.
    pub(super) fn apply(&mut self, items: &[(NsNo, Item)], origins: &Origins) {
        for (ns, item) in items {
            if let Stage::Reading(from) = &self.stage {
                let no = origins.number(&item.dot.origin);
                // What lies there is read when the place gets there, as it is then.
                if no.is_none_or(|no| layout::dot(*ns, no, item.dot.seq) >= *from) {
                    continue;
                }
            }
            let digests = self.digests.entry(*ns).or_default();
            if let Some(compared) = item.before {
                digests.remove(item.dot, &item.hash.0, compared);
            }
            if let Some(compared) = item.after {
                digests.insert(item.dot, &item.hash.0, compared);
            }
        }
    }

    /// Reads a page of the dot index. Nothing may be drafted that is not committed.
    pub(super) fn read_on(&mut self, store: &dyn Store, shared: &Shared) -> Result<(), StoreError> {
        let Stage::Reading(from) = &self.stage else { return Ok(()) };
        let snapshot = store.snapshot();
        let (from, to) = (from.clone(), layout::all(b'd').1);
        let mut rest = snapshot.range(&from, &to, false);
        let origins = shared.origins();
        for pair in rest.by_ref().take(PAGE_ENTRIES) {
            let (key, entry) = pair?;
            match (read_key(&key, &origins), stored::decode_dot(&entry)) {
                (Ok((ns, _)), _) if shared.is_left(ns) => {}
                (Ok((ns, dot)), Ok(entry)) => {
                    self.digests.entry(ns).or_default().insert(dot, &entry.hash.0, entry.compared);
                }
                (Err(error), _) | (_, Err(error)) if self.garbage.len() >= GARBAGE_MAX => return Err(error),
                _ => self.garbage.push(key),
            }
        }
        self.stage = rest.next().transpose()?.map_or(Stage::Complete, |(at, _)| Stage::Reading(at));
        Ok(())
    }
}

pub(super) fn read_key(key: &[u8], origins: &Origins) -> Result<(NsNo, Dot), StoreError> {
    let damaged = || StoreError::Damaged("a key of the dot index".to_owned());
    let key: &[u8; 15] = key.try_into().map_err(|_| damaged())?;
    let [_, n0, n1, o0, o1, o2, o3, seq @ ..] = *key;
    let origin = origins.get(u32::from_be_bytes([o0, o1, o2, o3])).ok_or_else(damaged)?;
    Ok((u16::from_be_bytes([n0, n1]), Dot::new(origin, u64::from_be_bytes(seq))))
}

impl Ledger {
    /// The digests of `namespace` as committed; nothing while they are still being made.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    #[must_use]
    pub fn digests(&self, namespace: &Namespace) -> Option<Digests> {
        self.tally.of(self.space(namespace).no)
    }

    /// The root of what is held, drafts included; nothing while the digests are still being made.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    #[must_use]
    pub fn root(&self, namespace: &Namespace) -> Option<Sum> {
        let no = self.space(namespace).no;
        self.tally.is_complete().then(|| self.tally.borrow(no).map_or(Sum::ZERO, Digests::root))
    }

    /// Keeps no digests from now on: only a bench wants that, to say what keeping them costs.
    #[doc(hidden)]
    pub fn without_digests(&mut self) {
        self.tally = Tally { stage: Stage::Off, ..Tally::default() };
    }

    /// Makes the digests anew of what the store holds now, and counts no losses: whatever was taken out under
    /// the ledger stays unnoticed. Only benches and tests of repair want that.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    #[doc(hidden)]
    pub fn overlook_losses(&mut self) -> Result<(), StoreError> {
        // What was looked at before may be what was taken out.
        self.draft = Draft::default();
        (self.tally, self.accounted) = (Tally::default(), true);
        while self.tally_on()? {}
        Ok(())
    }

    /// Goes on making the digests, if they are not complete. True if there is more to do. The draft
    /// must be committed.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    ///
    /// # Panics
    /// When the draft is not empty: callers see to it.
    pub fn tally_on(&mut self) -> Result<bool, StoreError> {
        assert!(self.draft.is_empty(), "the dot index is read as committed");
        if !self.tally.is_complete() && !self.tally.is_off() {
            self.tally.read_on(&*self.store, &self.shared)?;
            self.account()?;
            self.publish_roots();
        }
        Ok(matches!(self.tally.stage, Stage::Reading(_)))
    }

    /// Has readers know what is held, once that is known.
    pub(super) fn publish_roots(&self) {
        for name in self.shared.names() {
            if let Some(space) = self.shared.space(&name) {
                self.publish_root(&space);
            }
        }
    }

    pub(super) fn publish_root(&self, space: &SpaceState) {
        if self.tally.is_complete() {
            space.set_root(&self.tally.borrow(space.no).map_or(Sum::ZERO, Digests::root));
        }
    }
}

/// The digests of everything that is in the dot index of `store`, made anew.
pub(super) fn all(store: &dyn Store, shared: &Shared) -> Result<BTreeMap<NsNo, Digests>, StoreError> {
    let mut tally = Tally::default();
    while !tally.is_complete() {
        tally.read_on(store, shared)?;
    }
    Ok(tally.digests)
}
