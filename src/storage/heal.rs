//! Takes out what is bad, so that it counts as lost and is fetched again; what stays is indexed as what it is then.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{
    Batch, Durability, Ledger, StoreError,
    draft::Draft,
    layout::{self, NsNo},
    ledger::keys_fact,
    scrub::Bad,
    shared::SpaceState,
    stored,
};
use crate::{
    causality::{Dot, SeenSet},
    conflict::Record,
    types::{Key, Namespace},
};

/// What leaves a record.
#[derive(Debug, Default)]
struct Parting {
    siblings: BTreeSet<Dot>,
    earlier: BTreeSet<Dot>,
}

impl Ledger {
    /// Takes out what is bad, in a batch of its own. Returns what left the seen set with it. Unless nothing but
    /// history is concerned, the digests are made anew.
    pub(super) fn heal(&mut self, bad: &[Bad]) -> Result<Vec<(Namespace, SeenSet)>, StoreError> {
        let mut batch = Batch::new();
        let mut suspects: BTreeMap<NsNo, SeenSet> = BTreeMap::new();
        let mut records: BTreeMap<Bytes, Parting> = BTreeMap::new();
        for bad in bad {
            if let (Some(ns), Some(dot)) = (bad.ns, bad.dot) {
                suspects.entry(ns).or_default().insert(dot);
                let no = self.number_of(&dot.origin);
                batch.remove(layout::dot(ns, no, dot.seq));
                batch.remove(layout::blob(ns, no, dot.seq));
            }
            if let Some(entry) = &bad.entry {
                batch.remove(entry.clone());
            }
            if let Some(record) = &bad.record {
                let parting = records.entry(record.clone()).or_default();
                parting.siblings.extend(bad.dot);
                parting.earlier.extend(bad.strike);
            }
        }
        for (at, parting) in records {
            self.heal_record(&at, &parting, &mut batch)?;
        }
        self.store.commit(batch, Durability::Buffer)?;
        // What was looked at before may be what was taken out.
        self.draft = Draft::default();
        if bad.iter().all(Bad::is_history) {
            return Ok(Vec::new());
        }
        // And the digests are made anew.
        self.make_digests_anew();
        let mut lost = Vec::new();
        for name in self.shared.names() {
            let no = self.space(&name).no;
            if let Some(suspects) = suspects.remove(&no) {
                lost.push((name.clone(), self.unsee(&name, &suspects)?));
            }
        }
        Ok(lost)
    }

    /// Takes what parts out of a record; one that cannot be read goes as a whole, and what else it held is
    /// found when its entries in the dot index are looked at, and what it named when earlier versions are.
    fn heal_record(&self, at: &Bytes, parting: &Parting, batch: &mut Batch) -> Result<(), StoreError> {
        let Some(bytes) = self.store.get(at)? else { return self.uncount_missing(at, parting, batch) };
        let key = at.get(3..).and_then(|key| Key::from_bytes(key).ok());
        let record = key.and_then(|key| stored::decode_record(&key, &bytes, &self.shared).ok());
        let ns = layout::ns_of_record(at);
        let space = self.shared.name(ns).and_then(|name| self.shared.space(&name));
        let shows = |record: &Record| space.as_ref().is_some_and(|space| self.counts(space, record) > 0);
        let was_visible = record.as_ref().is_none_or(shows);
        let names = record.as_ref().and_then(|_| stored::decode_names_of(&bytes, &self.shared).ok());
        let mut names = names.unwrap_or_default();
        names.retain(|(_, dot)| !parting.earlier.contains(dot));
        let unreadable = record.is_none();
        let record_was_deleted = record.as_ref().is_none_or(Record::is_deleted);
        let mut rest = record.unwrap_or_default();
        for dot in &parting.siblings {
            rest.drop_sibling(*dot);
        }
        let is_visible = shows(&rest);
        self.reindex_healed(ns, record_was_deleted, &rest, batch)?;
        let origins = self.shared.origins();
        match (unreadable || (rest.siblings().is_empty() && !parting.siblings.is_empty()), names.is_empty()) {
            (true, true) => batch.remove(at.clone()),
            // Its context goes, and what is kept of it stays.
            (true, false) => {
                batch.insert(at.clone(), stored::encode_record(&Record::default(), names.iter(), &origins));
            }
            (false, _) => batch.insert(at.clone(), stored::encode_record(&rest, names.iter(), &origins)),
        }
        drop(origins);
        if was_visible
            && !is_visible
            && let Some(space) = &space
        {
            Self::uncount_key(space, batch);
        }
        Ok(())
    }

    fn uncount_key(space: &SpaceState, batch: &mut Batch) {
        let keys = space.keys().saturating_sub(1);
        space.set_keys(keys);
        batch.insert(keys_fact(space.no), Bytes::copy_from_slice(&keys.to_le_bytes()));
    }

    /// A record that is missing showed a value, as far as that can be told, if the dot index compares what it held.
    fn uncount_missing(&self, at: &Bytes, parting: &Parting, batch: &mut Batch) -> Result<(), StoreError> {
        let ns = layout::ns_of_record(at);
        let space = self.shared.name(ns).and_then(|name| self.shared.space(&name));
        for dot in &parting.siblings {
            let entry = self.store.get(&layout::dot(ns, self.number_of(&dot.origin), dot.seq))?;
            let entry = entry.and_then(|entry| stored::decode_dot(&entry).ok());
            if let (Some(space), true) = (&space, entry.is_some_and(|entry| entry.compared)) {
                Self::uncount_key(space, batch);
                break;
            }
        }
        Ok(())
    }

    /// Makes the dot index say of the siblings that stay what they are now: deletes that a put stood beside stand
    /// alone now. What the index does not know is found in its turn.
    fn reindex_healed(
        &self,
        ns: NsNo,
        was_deleted: bool,
        rest: &Record,
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        if was_deleted || !rest.is_deleted() {
            return Ok(());
        }
        for sibling in rest.siblings() {
            let no = self.number_of(&sibling.dot.origin);
            let at = layout::dot(ns, no, sibling.dot.seq);
            let entry = self.store.get(&at)?.and_then(|entry| stored::decode_dot(&entry).ok());
            if entry.is_some_and(|entry| entry.key == sibling.key && entry.hash == sibling.hash()) {
                batch.insert(at, stored::encode_dot(sibling.hash(), &sibling.key, false));
                let since = layout::forgettable(ns, sibling.remembered_from().0, no, sibling.dot.seq);
                batch.insert(since, Bytes::copy_from_slice(sibling.key.as_bytes()));
            }
        }
        Ok(())
    }
}
