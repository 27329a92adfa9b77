//! Rule 3 over everything: what was seen is held or dead, or it was lost.
//!
//! Counted on the digests, in memory, as soon as they are complete: when a store is opened after a
//! clean stop, and after a crash as soon as the dot index was gone through.

use bytes::Bytes;

use super::{Batch, Durability, Ledger, StoreError, issued::Count, layout::NsNo};
use crate::{
    causality::{Origin, SeenSet},
    types::Namespace,
};

impl Ledger {
    /// What was found to be lost since the last call: it has left the seen set.
    pub fn take_found(&mut self) -> Vec<(Namespace, SeenSet)> {
        std::mem::take(&mut self.found)
    }

    /// How many names the life that writes here has given, as committed.
    #[must_use]
    pub fn issued(&self) -> Count {
        let spaces = self.shared.names().into_iter().filter_map(|name| self.shared.space(&name));
        let given = spaces.map(|space| self.pens.given(&space, self.lost.get(&space.no)));
        Count { epoch: self.origin().epoch, writes: given.sum() }
    }

    /// Once the digests are complete: takes what cannot be read out of the dot index, and what was lost
    /// out of the seen set. The draft must be committed.
    pub(super) fn account(&mut self) -> Result<(), StoreError> {
        if self.accounted || !self.tally.is_complete() {
            return Ok(());
        }
        self.accounted = true;
        self.remove(self.tally.garbage().to_vec())?;
        for name in self.shared.names() {
            let suspects = self.suspects(&name);
            if suspects.is_empty() {
                continue;
            }
            let lost = self.unsee(&name, &suspects)?;
            if !lost.is_empty() {
                self.found.push((name, lost));
            }
        }
        Ok(())
    }

    fn remove(&self, keys: Vec<Bytes>) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        keys.into_iter().for_each(|key| batch.remove(key));
        self.store.commit(batch, Durability::Buffer)
    }

    /// What was seen and is neither held, by the digests, nor dead.
    fn suspects(&self, namespace: &Namespace) -> SeenSet {
        let space = self.space(namespace);
        let mut suspects = SeenSet::new();
        for (origin, seqs) in space.seen().iter() {
            for (first, last) in seqs.iter() {
                for block in first / 64..=last / 64 {
                    let from = first.max(block * 64) % 64;
                    let to = last.min(block * 64 + 63) % 64;
                    let expected = (u64::MAX << from) & (u64::MAX >> (63 - to));
                    let missing = expected & !self.accounted_bits(space.no, origin, block);
                    (0..64).filter(|bit| missing >> bit & 1 == 1).for_each(|bit| {
                        suspects.insert_range(*origin, block * 64 + bit, block * 64 + bit);
                    });
                }
            }
        }
        suspects
    }

    fn accounted_bits(&self, ns: NsNo, origin: &Origin, block: u64) -> u64 {
        let held = self.tally.borrow(ns).map_or(0, |digests| digests.held(origin, block));
        held | self.dead.get(&ns).map_or(0, |dead| dead.block(origin, block))
    }
}
