//! A draft becomes part of the store, in one batch.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    Durability, Ledger, StoreError, chunks, dead_runs,
    draft::{Draft, Grown, LookedAt},
    kept,
    layout::{self, NsNo},
    ledger::{CLOCK, Committed, floors_fact, keys_fact},
    sight::{Sight, Sights},
    stored,
};
use crate::{
    causality::{Dot, Hlc, Intervals},
    conflict::Record,
    wire,
};

impl Ledger {
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

    pub(super) fn sights(&self, keys: Vec<Sight>, spaces: &mut BTreeMap<NsNo, Grown>) -> Sights {
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
}
