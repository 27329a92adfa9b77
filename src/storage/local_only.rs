//! The companions that hold what is local-only, and the prefixes they were opened with.
//!
//! Invariant: of a prefix that the store was opened with, whatever a reader wrote lies in the companion. So only a
//! prefix that is new, or gone, can hide something; and what peers write below one, in the namespace itself, is
//! never taken for data that stands in the way.

use bytes::Bytes;

use super::{
    Batch, Durability, Ledger, StoreError, View,
    layout::{self, NsNo},
};
use crate::{
    conflict::{Record, Strategies},
    types::{Key, LocalPrefixes, Locals, Namespace, Prefix},
    wire,
};

/// So many records are looked at to find out whether anything stands in the way of a prefix.
pub const LOCAL_RECORDS_LOOKED_AT_MAX: usize = 100_000;
/// Keys that stand in the way are counted up to so many.
pub const IN_THE_WAY_MAX: usize = 1_000;

/// The prefixes that a companion was last opened with.
pub(super) fn fact(no: NsNo) -> Bytes {
    layout::fact(&format!("local-only/{no}"))
}

/// What a change of the local-only prefixes would hide from readers, or bring out unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InTheWay {
    /// Where.
    pub namespace: Namespace,
    /// The prefix that is local-only from now on, or no more.
    pub prefix: Prefix,
    /// Whether it is new.
    pub new: bool,
    /// The first key with a value; nothing where more records than may be looked at have none.
    pub first: Option<Key>,
    /// How many there are, up to [`IN_THE_WAY_MAX`].
    pub count: usize,
}

impl View {
    /// The prefixes of `namespace` that are local-only as this store was last opened.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    pub fn local_prefixes(&self, namespace: &Namespace) -> Result<Vec<Prefix>, StoreError> {
        let Some(no) = self.number_of(&namespace.companion()) else { return Ok(Vec::new()) };
        let Some(bytes) = self.fact(&fact(no))? else { return Ok(Vec::new()) };
        let damaged = |error: String| StoreError::Damaged(format!("the local-only prefixes: {error}"));
        let texts: Vec<String> = wire::decode_stored(&bytes).map_err(|error| damaged(error.to_string()))?;
        texts.iter().map(|text| Prefix::new(text).map_err(|error| damaged(error.to_string()))).collect()
    }

    /// What stands in the way of `locals`, first of all: replicated keys below a prefix that becomes local-only,
    /// or local ones below one that is so no more. A bounded look at what lies below these prefixes alone.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    pub fn in_the_way(&self, locals: &LocalPrefixes, now: u64) -> Result<Option<InTheWay>, StoreError> {
        for namespace in self.homes() {
            let (before, after) = (self.local_prefixes(&namespace)?, locals.of(&namespace));
            for prefix in after.into_iter().flat_map(Locals::prefixes) {
                if before.iter().any(|known| known.includes(prefix)) {
                    continue;
                }
                // What lies below a known prefix has been in the companion all along.
                let stays = |key: &Key| before.iter().any(|known| known.selects(key));
                if let Some((first, count)) = self.values(&namespace, prefix, now, stays)? {
                    let namespace = namespace.clone();
                    return Ok(Some(InTheWay { namespace, prefix: prefix.clone(), new: true, first, count }));
                }
            }
            for prefix in before {
                if after.is_some_and(|after| after.hold_all(&prefix)) {
                    continue;
                }
                let stays = |key: &Key| after.is_some_and(|after| after.holds(key));
                if let Some((first, count)) = self.values(&namespace.companion(), &prefix, now, stays)? {
                    return Ok(Some(InTheWay { namespace, prefix, new: false, first, count }));
                }
            }
        }
        Ok(None)
    }

    /// The first key below `prefix` with a value, but for those that stay where they are, and how many there are.
    fn values(
        &self,
        space: &Namespace,
        prefix: &Prefix,
        now: u64,
        stays: impl Fn(&Key) -> bool,
    ) -> Result<Option<(Option<Key>, usize)>, StoreError> {
        let holds = |record: &Record| record.siblings().iter().any(|sibling| sibling.shows_value(now));
        let (mut first, mut count) = (None, 0);
        for (looked_at, pair) in self.records(space, prefix, None, false).enumerate() {
            if looked_at >= LOCAL_RECORDS_LOOKED_AT_MAX {
                return Ok(Some((first, count)));
            }
            let (key, record) = pair?;
            if holds(&record) && !stays(&key) {
                first.get_or_insert(key);
                count += 1;
            }
            if count >= IN_THE_WAY_MAX {
                break;
            }
        }
        Ok(first.map(|first| (Some(first), count)))
    }
}

impl Ledger {
    /// Has a companion for each namespace that is carried and has local-only prefixes, and keeps these. The draft
    /// must be committed, and nothing be [in the way](View::in_the_way).
    ///
    /// # Errors
    /// When the store cannot be read, or refuses.
    pub fn keep_local(&mut self, locals: &LocalPrefixes, strategies: &Strategies) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        for home in self.shared.exchanged() {
            let (companion, prefixes) = (home.companion(), locals.of(&home));
            if prefixes.is_some() && self.shared.space(&companion).is_none() {
                self.add(&companion, strategies, &mut batch)?;
            }
            let Some(space) = self.shared.space(&companion) else { continue };
            let texts: Vec<&str> =
                prefixes.into_iter().flat_map(Locals::prefixes).map(Prefix::as_str).collect();
            let bytes = wire::encode(&texts);
            if self.store.get(&fact(space.no))?.as_ref() != Some(&bytes) {
                batch.insert(fact(space.no), bytes);
            }
        }
        if batch.is_empty() { Ok(()) } else { self.store.commit(batch, Durability::Fsync) }
    }
}

#[cfg(test)]
#[path = "local_only_tests.rs"]
mod tests;
