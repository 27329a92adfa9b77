//! Namespaces come and go. One that is left is not there any more from one commit on; what it held is removed
//! after that, a batch at a time, and goes on being removed after a restart.
//!
//! Invariant: the number of a namespace is given once in the life of a store. So whatever still speaks of a
//! namespace that was left is never taken for one of its name that was joined since.

use bytes::Bytes;

use super::{
    Batch, Durability, Ledger, Snapshot, StoreError, expire,
    layout::{self, NsNo},
    ledger, local_only,
    shared::SpaceState,
};
use crate::{
    causality::{Floors, SeenSet},
    conflict::Strategies,
    types::{NAMESPACES_MAX, Namespace},
};

/// So many entries are removed in one batch, …
const CLEARED_ENTRIES: usize = 512;
/// … or fewer, once so many bytes were read.
const CLEARED_BYTES: usize = 4 * 1024 * 1024;
/// What lies under the number of a namespace.
const PARTS: &[u8] = b"rdbsgycxek";

/// What became of a wish to carry a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joining {
    /// It is carried from now on.
    Joined,
    /// It was carried already.
    Carried,
    /// There are [`NAMESPACES_MAX`] already.
    Full,
}

/// How many numbers were given.
pub(super) fn given_fact() -> Bytes {
    layout::fact("namespaces-given")
}

fn left_fact(no: NsNo) -> Bytes {
    layout::fact(&format!("left/{no:05}"))
}

/// The numbers of namespaces whose data is still being removed.
pub(super) fn left(snapshot: &dyn Snapshot) -> Result<Vec<NsNo>, StoreError> {
    let from = layout::fact("left/");
    let damaged = || StoreError::Damaged("a namespace that was left has no lawful number".to_owned());
    let number = |key: &Bytes| std::str::from_utf8(&key[from.len()..]).ok()?.parse().ok();
    let mut out = Vec::new();
    for pair in snapshot.range(&from, &layout::after(&from), false) {
        out.push(number(&pair?.0).ok_or_else(damaged)?);
    }
    Ok(out)
}

impl Ledger {
    /// Carries `name` from now on, which nothing is known of yet.
    pub(super) fn add(
        &mut self,
        name: &Namespace,
        strategies: &Strategies,
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        let no = self.next_namespace;
        let next = no.checked_add(1);
        let used_up =
            || StoreError::Io("65535 namespaces were joined here: reset the data directory".to_owned());
        self.next_namespace = next.ok_or_else(used_up)?;
        batch.insert(layout::namespace(no), Bytes::copy_from_slice(name.as_str().as_bytes()));
        let given = u64::from(self.next_namespace);
        batch.insert(given_fact(), Bytes::copy_from_slice(&given.to_le_bytes()));
        let space = SpaceState::new(no, name.is_companion(), SeenSet::new(), Floors::new(), 0);
        space.set_strategies(strategies.of(&name.home()));
        self.publish_root(&space);
        self.history_of.extend(self.histories.get(&name.home()).map(|versions| (no, *versions)));
        self.shared.add_space(name.clone(), space);
        Ok(())
    }

    /// Carries `namespace` from now on, over restarts. The draft must be committed.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn join(&mut self, namespace: &Namespace, strategies: &Strategies) -> Result<Joining, StoreError> {
        if self.shared.space(namespace).is_some() {
            return Ok(Joining::Carried);
        }
        if self.shared.exchanged().len() >= NAMESPACES_MAX {
            return Ok(Joining::Full);
        }
        let mut batch = Batch::new();
        self.add(namespace, strategies, &mut batch)?;
        self.store.commit(batch, Durability::Fsync)?;
        Ok(Joining::Joined)
    }

    /// Whether the life that writes here has given names in `namespace`: were it left and joined again, they
    /// would be given twice.
    #[must_use]
    pub fn has_written(&self, namespace: &Namespace) -> bool {
        let given = |space: &SpaceState| self.pens.given(space, self.lost.get(&space.no));
        let spaces = [namespace.clone(), namespace.companion()];
        spaces.iter().filter_map(|name| self.shared.space(name)).any(|space| given(&space) > 0)
    }

    /// Carries `namespace` no more, nor its companion; false if it did not. What they held is removed by
    /// [`clear_left`](Self::clear_left). The draft must be committed, and the life that
    /// [has written](Self::has_written) there be over.
    ///
    /// # Errors
    /// When the store refuses.
    ///
    /// # Panics
    /// When the draft is not empty: callers see to it.
    pub fn leave(&mut self, namespace: &Namespace) -> Result<bool, StoreError> {
        if self.shared.space(namespace).is_none() {
            return Ok(false);
        }
        assert!(self.draft.is_empty(), "what is drafted may be of it");
        let spaces = [namespace.clone(), namespace.companion()];
        let leaving: Vec<_> =
            spaces.iter().filter_map(|name| Some((name, self.shared.space(name)?.no))).collect();
        // Both at once: a companion without its namespace would come back with it.
        let mut batch = Batch::new();
        for (_, no) in &leaving {
            batch.remove(layout::namespace(*no));
            batch.insert(left_fact(*no), Bytes::new());
        }
        let given = u64::from(self.next_namespace);
        batch.insert(given_fact(), Bytes::copy_from_slice(&given.to_le_bytes()));
        self.store.commit(batch, Durability::Fsync)?;
        // What was looked at for writes that were refused may be of it.
        self.draft = super::draft::Draft::default();
        for (name, no) in leaving {
            self.forget_space(name, no);
        }
        Ok(true)
    }

    fn forget_space(&mut self, name: &Namespace, no: NsNo) {
        self.shared.set_left(no, true);
        self.shared.remove_space(name);
        self.dead.remove(&no);
        self.lost.remove(&no);
        self.bases.remove(&no);
        self.counted_until.remove(&no);
        self.history_of.remove(&no);
        self.watches.retain(|_, watch| watch.ns != no);
        self.found.retain(|(of, _)| of != name);
        self.tally.leave(no);
        if let Some(recount) = &mut self.recount {
            recount.leave(no);
        }
    }

    /// Removes some of what namespaces held that were left. True if there is more.
    ///
    /// # Errors
    /// When the store cannot be read, or refuses.
    pub fn clear_left(&mut self) -> Result<bool, StoreError> {
        let Some(no) = self.shared.first_left() else { return Ok(false) };
        let mut batch = Batch::new();
        let (mut entries, mut bytes) = (0, 0);
        {
            let snapshot = self.store.snapshot();
            'parts: for part in PARTS {
                let from = [&[*part][..], &no.to_be_bytes()].concat();
                for pair in snapshot.range(&from, &layout::after(&from), false) {
                    let (key, value) = pair?;
                    (entries, bytes) = (entries + 1, bytes + key.len() + value.len());
                    batch.remove(key);
                    if entries >= CLEARED_ENTRIES || bytes >= CLEARED_BYTES {
                        break 'parts;
                    }
                }
            }
        }
        let last = entries < CLEARED_ENTRIES && bytes < CLEARED_BYTES;
        if last {
            for fact in [
                ledger::floors_fact(no),
                ledger::lost_fact(no),
                ledger::keys_fact(no),
                expire::counted_fact(no),
                local_only::fact(no),
                left_fact(no),
            ] {
                batch.remove(fact);
            }
        }
        self.store.commit(batch, Durability::Buffer)?;
        if last {
            self.shared.set_left(no, false);
        }
        Ok(self.shared.first_left().is_some())
    }

    /// As [`View::incarnation`](super::View::incarnation), now.
    #[must_use]
    pub fn incarnation(&self, namespace: &Namespace) -> Option<u16> {
        self.shared.space(namespace).map(|space| space.no)
    }
}

#[cfg(test)]
#[path = "membership_tests.rs"]
mod tests;
