//! Rule 10: what expires. From its deadline on readers see nothing of it, for they look at the clock. What
//! is left to do then is to count it as a key no more: deadlines are listed in order, and gone through as they
//! pass.
//!
//! Invariant: of each namespace it is known up to when that was done, in the same batch as the count. The count is
//! that of the keys with a value *at that time*, so it is a pure function of records and that time.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{
    Ledger, StoreError, layout,
    layout::NsNo,
    shared::SpaceState,
    sight::{Seeing, Sight},
};
use crate::{
    conflict::{Record, Visible},
    types::{Key, Namespace},
};

/// So many values are remembered of which nobody has to be told that they expired, until their deadlines are gone
/// through. If there were more, whoever watches may be told of some twice.
const TOLD_GONE_MAX: usize = 4_096;

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

    /// What whoever watches was told of a record last: of most that expires they hear when its deadline is gone
    /// through.
    pub(super) fn told<'a>(&self, space: &SpaceState, record: &'a Record) -> Option<Visible<'a>> {
        let key = &record.siblings().first()?.key;
        let until = self.counted_until.get(&space.no).copied().unwrap_or(0);
        let shown = Seeing { space, now: until }.shown(key, record);
        shown.filter(|shown| !self.told_gone.contains(&(space.no, shown.version.dot)))
    }

    /// Takes note of what had expired when whoever watches was told of `record`, or came after its deadline: its
    /// deadline is no news any more.
    pub(super) fn note_gone(&mut self, space: &SpaceState, record: &Record) {
        let counted = self.counted_until.get(&space.no).copied().unwrap_or(0);
        for version in record.siblings() {
            let gone =
                version.expires_at().is_some_and(|deadline| counted < deadline && deadline <= self.now);
            if gone && self.told_gone.len() < TOLD_GONE_MAX {
                self.told_gone.insert((space.no, version.dot));
            }
        }
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
        // None is listed that was gone through; what is gone still lies in the way until the store compacts.
        let from = layout::deadline(space.no, before.saturating_add(1), 0, 0);
        let snapshot = self.store.snapshot();
        let (mut keys, mut gone, mut until, mut next) = (BTreeSet::new(), Vec::new(), before, None);
        for pair in snapshot.range(&from, &layout::after(&layout::deadline(space.no, 0, 0, 0)[..3]), false) {
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
            let Some(record) = self.draft.records.get(at) else { continue };
            less += space.shown(record, until) - space.shown(record, before);
            if self.watched {
                let is = Seeing { space: &space, now: until }.shown(&key, record);
                let sight = self.told(&space, record).and_then(|was| expired(namespace, &key, &was, is));
                self.draft.sights.extend(sight);
                for sibling in record.siblings() {
                    if sibling.expires_at().is_some_and(|deadline| deadline <= until) {
                        self.told_gone.remove(&(space.no, sibling.dot));
                    }
                }
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

/// What whoever watches is told where readers saw `was`, and see `is` from a deadline on.
fn expired(namespace: &Namespace, key: &Key, was: &Visible<'_>, is: Option<Visible<'_>>) -> Option<Sight> {
    let news = is.as_ref().is_none_or(|is| is.put != was.put);
    news.then(|| Sight {
        namespace: namespace.clone(),
        key: key.clone(),
        dot: was.version.dot,
        hlc: was.version.hlc,
        shown: is.map(|is| (is.version.dot, is.put.into_owned())),
        news,
        again: true,
    })
}
