//! Rule 5: deletes are remembered one by one for a while, then forgotten.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use super::{Ledger, StoreError, layout, layout::NsNo, shared::SpaceState};
use crate::{
    causality::{DeadSet, Dot, Floors, Hlc, Intervals, Origin},
    conflict::Record,
    types::{Key, Namespace},
};

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// So many records were forgotten.
    pub forgotten: u64,
    /// So many were old enough, but something that came before them is still missing here.
    pub held_back: u64,
    /// Where the next sweep is to go on; nothing if all was looked at.
    pub next: Option<Bytes>,
}

impl Ledger {
    /// Plans to forget the records whose siblings are all deletes, the youngest no younger than
    /// `until`; provided that everything that they account for has been seen without a gap. Looks at
    /// `count_max` of them at most, from `from` on. The draft must be committed.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    ///
    /// # Panics
    /// When the namespace is not carried, or the draft is not empty: callers see to it.
    pub fn forget(
        &mut self,
        namespace: &Namespace,
        until: Hlc,
        from: Option<Bytes>,
        count_max: usize,
    ) -> Result<Swept, StoreError> {
        assert!(self.draft.is_empty(), "records are compared with what is committed");
        let space = self.space(namespace);
        let snapshot = self.store.snapshot();
        let from = from.unwrap_or_else(|| layout::forgettable(space.no, 0, 0, 0));
        let to = layout::forgettable(space.no, until.0.saturating_add(1), 0, 0);
        let mut swept = Swept::default();
        if self.tally.of(space.no).is_none() {
            // What is not counted yet is not vouched for.
            return Ok(swept);
        }
        let mut sweep = Sweep::default();
        for (nth, pair) in snapshot.range(&from, &to, false).enumerate() {
            let (at, key) = pair?;
            if nth == count_max {
                swept.next = Some(at);
                break;
            }
            let key = Key::from_bytes(&key)
                .map_err(|error| StoreError::Damaged(format!("among forgettable deletes: {error}")))?;
            self.forget_one(&space, &at, &key, until, &mut sweep)?;
        }
        if !sweep.floors.is_empty() {
            self.join_floors(&space, &sweep.floors);
        }
        Ok(Swept { next: swept.next, ..sweep.swept })
    }

    fn forget_one(
        &mut self,
        space: &Arc<SpaceState>,
        entry: &Bytes,
        key: &Key,
        until: Hlc,
        sweep: &mut Sweep,
    ) -> Result<(), StoreError> {
        let ns = space.no;
        let at = self.look(ns, key)?;
        let record = match self.draft.records.get(at) {
            Some(record) if is_forgettable(record) => record.clone(),
            // It was written again, or forgotten by way of another of its deletes.
            _ => {
                self.draft.batch.remove(entry.clone());
                return Ok(());
            }
        };
        if record.siblings().iter().any(|sibling| sibling.remembered_from() > until) {
            return Ok(());
        }
        let seen = space.seen();
        let whole = record.context().iter().all(|(origin, seq)| {
            let seen = seen.get(&origin).map_or(0, Intervals::base);
            seen >= seq && self.accounted_up_to(ns, &origin, sweep) >= seq
        });
        drop(seen);
        if !whole {
            sweep.swept.held_back += 1;
            return Ok(());
        }
        sweep.floors.covered.extend(record.context());
        for sibling in record.siblings() {
            sweep.floors.deletes.insert(sibling.dot);
            self.reindex_one(ns, Some((sibling, true)), None);
            self.mark_dead(ns, sibling.dot);
        }
        self.draft.batch.remove(entry.clone());
        // Something that expired and was not counted out yet.
        let counted = self.counts(space, &record);
        self.draft.space(space).keys -= counted;
        self.draft.records.set(at, None);
        sweep.swept.forgotten += 1;
        Ok(())
    }

    /// Up to which number every write of `origin` is held or dead here (rule 3): what was lost and not
    /// noticed yet is a gap like any other, for what it superseded, or was superseded by, may be lost
    /// with it.
    fn accounted_up_to(&self, ns: NsNo, origin: &Origin, sweep: &mut Sweep) -> u64 {
        *sweep.accounted.entry(*origin).or_insert_with(|| self.count_up_to(ns, origin, u64::MAX))
    }

    /// The same, as far as `up_to` at most, or a little further.
    pub(super) fn count_up_to(&self, ns: NsNo, origin: &Origin, up_to: u64) -> u64 {
        let dead = |block| self.dead.get(&ns).map_or(0, |dead| dead.block(origin, block));
        let digests = self.tally.borrow(ns);
        let mut block = 0;
        loop {
            // No write has the number 0.
            let zeroth = u64::from(block == 0);
            let held = digests.map_or(0, |digests| digests.held(origin, block));
            let accounted = held | dead(block) | zeroth;
            if accounted != u64::MAX || block * 64 > up_to {
                return (block * 64 + u64::from(accounted.trailing_ones())).saturating_sub(1);
            }
            block += 1;
        }
    }

    fn mark_dead(&mut self, ns: NsNo, dot: Dot) {
        self.dead.entry(ns).or_default().insert(dot);
        self.draft.dead_blocks.insert((ns, dot.origin, DeadSet::block_of(dot.seq)));
    }
}

/// What one sweep has found so far.
#[derive(Debug, Default)]
struct Sweep {
    swept: Swept,
    floors: Floors,
    /// Per origin, up to which number every write is held or dead.
    accounted: BTreeMap<Origin, u64>,
}

/// Whether a record shows nothing, and stands only for what it accounts for.
fn is_forgettable(record: &Record) -> bool {
    record.siblings().is_empty() || record.is_deleted()
}
