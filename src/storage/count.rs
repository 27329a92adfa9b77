//! How many keys have a value, where readers resolve otherwise than when that was counted.

use bytes::Bytes;

use super::{
    Ledger, StoreError,
    layout::{self, NsNo},
    ledger::keys_fact,
};
use crate::types::Prefix;

/// The strategies by which the keys of a namespace were last counted, as text.
fn strategies_fact(ns: NsNo) -> Bytes {
    layout::fact(&format!("strategies/{ns}"))
}

impl Ledger {
    /// Counts the keys of each namespace whose strategies are others than when its keys were counted. That
    /// takes a look at all its records.
    pub(super) fn count_keys(&mut self) -> Result<(), StoreError> {
        for name in self.shared.names() {
            let space = self.space(&name);
            let text = space.strategies().map(crate::conflict::Table::text).unwrap_or_default();
            let fact = strategies_fact(space.no);
            let before = self.store.get(&fact)?.unwrap_or_default();
            if before == text.as_bytes() {
                continue;
            }
            let mut keys = 0;
            for pair in self.reader().view().records(&name, &Prefix::all(), None, false) {
                keys += self.counts(&space, &pair?.1).unsigned_abs();
            }
            space.set_keys(keys);
            self.draft.batch.insert(keys_fact(space.no), Bytes::copy_from_slice(&keys.to_le_bytes()));
            self.draft.batch.insert(fact, Bytes::from(text));
        }
        Ok(())
    }
}
