//! Records as they were before, for writes that say what they were made from.
//!
//! Kept in memory, within bounds: a write whose base is not found is refused, and reads again.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::{Ledger, draft::Place, shared::SpaceState};
use crate::{
    causality::Origin,
    conflict::{Etag, Reading, Record, Version, VersionHash},
    replica::Refused,
    types::Key,
};

/// The most earlier records that are kept …
const EARLIER_RECORDS_MAX: usize = 4_096;
/// … and about how many bytes they may take up.
const EARLIER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The records that were last replaced, the oldest go first.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    by_place: HashMap<Bytes, VecDeque<Record>>,
    order: VecDeque<Bytes>,
    bytes: usize,
}

fn bytes_of(record: &Record) -> usize {
    record.siblings().iter().map(Version::size_hint).sum::<usize>() + record.context().len() * 48
}

impl Earlier {
    /// Keeps what stood under the key `at` of the store.
    pub(super) fn keep(&mut self, at: &Bytes, record: Record) {
        self.bytes += bytes_of(&record);
        self.by_place.entry(at.clone()).or_default().push_back(record);
        self.order.push_back(at.clone());
        while self.order.len() > EARLIER_RECORDS_MAX || self.bytes > EARLIER_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            let Some(records) = self.by_place.get_mut(&oldest) else { continue };
            self.bytes -= records.pop_front().as_ref().map_or(0, bytes_of);
            if records.is_empty() {
                self.by_place.remove(&oldest);
            }
        }
    }

    /// The record under `at` that `hash` names, or the one version of such a record.
    fn find(&self, at: &Bytes, hash: VersionHash) -> Option<Record> {
        self.by_place.get(at)?.iter().rev().find_map(|record| named(record, hash))
    }
}

/// What `hash` names of a record: all of it, or one sibling.
fn named(record: &Record, hash: VersionHash) -> Option<Record> {
    if !record.siblings().is_empty() && record.etag() == hash {
        return Some(record.clone());
    }
    let one = record.siblings().iter().find(|sibling| sibling.hash() == hash)?;
    Some(Record::from_siblings(vec![one.clone()]))
}

impl Ledger {
    /// The record that a write of `key` was made from.
    pub(super) fn made_from(
        &self,
        space: &SpaceState,
        at: Place,
        key: &Key,
        etag: &Etag,
    ) -> Result<Record, Refused> {
        let record = match etag.reading() {
            Some(Reading::One(only)) => Some(Record::from_siblings(vec![only.clone()])),
            Some(Reading::Many(record)) => Some(record.clone()),
            None => {
                let hash = etag.hash();
                let current = self.draft.records.get(at).and_then(|record| named(record, hash));
                current.or_else(|| self.earlier.find(self.draft.records.key(at), hash))
            }
        };
        let known = |sibling: &Version| sibling.key == *key && self.has_seen(space, sibling.dot);
        let lawful = |record: &Record| !record.siblings().is_empty() && record.siblings().iter().all(known);
        record.filter(lawful).ok_or(Refused::UnknownBase)
    }

    /// The origin of a write that was made from `made_from`: one that wrote nothing newer here, for its own
    /// past is superseded with it.
    pub(super) fn pen(&self, space: &SpaceState, at: Place, made_from: &Record) -> Result<Origin, Refused> {
        let written = |pen: &Origin| self.draft.records.get(at).map_or(0, |record| record.context().get(pen));
        let free = self.pens.of_space(space).iter().find(|pen| written(pen) <= made_from.context().get(pen));
        free.copied().ok_or(Refused::TooManyBeside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        causality::{Context, Dot, Hlc, NodeId},
        conflict::Body,
    };

    fn record(seq: u64) -> Record {
        let dot = Dot::new(Origin { node: NodeId([7; 32]), epoch: 1 }, seq);
        let key = Key::new("k").expect("a key");
        Record::from_siblings(vec![Version {
            dot,
            hlc: Hlc(seq),
            base: None,
            context: Context::new(),
            key,
            body: Body::Delete,
        }])
    }

    #[test]
    fn so_many_earlier_records_are_kept_the_latest() {
        let mut earlier = Earlier::default();
        let (at, count) = (Bytes::from_static(b"r"), EARLIER_RECORDS_MAX as u64);
        for seq in 1..=count + 1 {
            earlier.keep(&at, record(seq));
        }
        assert_eq!(earlier.find(&at, record(1).etag()), None);
        assert_eq!(earlier.find(&at, record(2).etag()), Some(record(2)));
        assert_eq!(earlier.find(&Bytes::from_static(b"s"), record(2).etag()), None);
        assert_eq!(earlier.bytes, EARLIER_RECORDS_MAX * bytes_of(&record(1)));
    }
}
