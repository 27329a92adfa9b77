//! Rule 10: what expires. From its deadline on readers see nothing of it, for they look at the clock. What
//! is left to do then is to count it as a key no more: deadlines are listed in order, and gone through as they
//! pass.
//!
//! Invariant: of each namespace it is known up to when that was done, in the same batch as the count. The count is
//! that of the keys with a value *at that time*, so it is a pure function of records and that time.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{Ledger, StoreError, layout, layout::NsNo, shared::SpaceState};
use crate::{
    conflict::Record,
    types::{Key, Namespace},
};

/// The fact up to when expired values were taken out of the count of keys.
pub(super) fn counted_fact(ns: NsNo) -> Bytes {
    layout::fact(&format!("expired/{ns}"))
}

impl Ledger {
    /// What the wall clock shows, in milliseconds since 1970: writes are planned against what readers see
    /// then. Nothing has expired unless told.
    pub fn tell_time(&mut self, now: u64) {
        self.now = now;
    }

    /// By how much a record adds to the count of keys.
    pub(super) fn counts(&self, space: &SpaceState, record: &Record) -> i64 {
        space.shown(record, self.counted_until.get(&space.no).copied().unwrap_or(0))
    }

    /// Plans to count as keys no more what has expired until `now`, `count_max` at most or a few more. Returns the
    /// next deadline there is, in the past or to come.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    ///
    /// # Panics
    /// When the namespace is not carried, or the draft is not empty: callers see to it.
    pub fn expire(
        &mut self,
        namespace: &Namespace,
        now: u64,
        count_max: usize,
    ) -> Result<Option<u64>, StoreError> {
        assert!(self.draft.is_empty(), "deadlines are read as committed");
        let space = self.space(namespace);
        let before = self.counted_until.get(&space.no).copied().unwrap_or(0);
        let from = layout::deadline(space.no, 0, 0, 0);
        let snapshot = self.store.snapshot();
        let (mut keys, mut gone, mut until, mut next) = (BTreeSet::new(), Vec::new(), before, None);
        for pair in snapshot.range(&from, &layout::after(&from[..3]), false) {
            let (at, key) = pair?;
            let deadline = layout::deadline_of(&at);
            // All of one deadline are counted together.
            if deadline > now || (gone.len() >= count_max && deadline > until) {
                next = Some(deadline);
                break;
            }
            until = until.max(deadline);
            gone.push(at);
            keys.extend(Key::from_bytes(&key));
        }
        if gone.is_empty() {
            return Ok(next);
        }
        let mut less = 0;
        for key in keys {
            let at = self.look(space.no, &key)?;
            if let Some(record) = self.draft.records.get(at) {
                less += space.shown(record, until) - space.shown(record, before);
            }
        }
        gone.into_iter().for_each(|at| self.draft.batch.remove(at));
        let bytes = Bytes::copy_from_slice(&until.to_le_bytes());
        self.draft.batch.insert(counted_fact(space.no), bytes);
        self.draft.space(&space).keys += less;
        self.counted_until.insert(space.no, until);
        Ok(next)
    }
}
