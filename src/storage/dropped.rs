//! What was dropped on a peer's word (rule 6): it is kept aside for as long as a delete is remembered,
//! so that a person can look at it and write it anew.

use super::{Ledger, StoreError, View, layout, layout::NsNo};
use crate::{
    causality::Hlc,
    conflict::{Payload, Version},
    types::{Namespace, Value},
    wire,
};

/// A version that a peer knew to be dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// When it was dropped.
    pub at: Hlc,
    /// What it was. The bytes of a large value are gone; their hash and size are in it.
    pub version: Version,
}

impl Dropped {
    /// The value, where its bytes are still there.
    #[must_use]
    pub fn value(&self) -> Option<Value> {
        let put = self.version.put()?;
        match &put.payload {
            Payload::Inline(bytes) => Some(Value::new(put.content_type.clone(), bytes.clone())),
            Payload::Blob { .. } => None,
        }
    }
}

fn decode(bytes: &[u8]) -> Result<Dropped, StoreError> {
    let (at, version) = wire::decode_stored::<(u64, Version)>(bytes)
        .map_err(|error| StoreError::Damaged(format!("among dropped versions: {error}")))?;
    Ok(Dropped { at: Hlc(at), version })
}

/// The keys of what was dropped before `until`.
fn range(ns: NsNo, until: u64) -> (bytes::Bytes, bytes::Bytes) {
    (layout::dropped(ns, 0, 0, 0), layout::dropped(ns, until, 0, 0))
}

impl View {
    /// What was dropped on a peer's word and is still kept, the latest first, `count_max` at most.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    pub fn dropped(&self, namespace: &Namespace, count_max: usize) -> Result<Vec<Dropped>, StoreError> {
        let Some(no) = self.number_of(namespace) else { return Ok(Vec::new()) };
        let (from, to) = range(no, u64::MAX);
        self.range(&from, &to, true).take(count_max).map(|pair| decode(&pair?.1)).collect()
    }
}

impl Ledger {
    /// Plans to let go of what was dropped before `until`, `count_max` of it at most; how much it was.
    ///
    /// # Errors
    /// When the store cannot be read.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    pub fn sweep_dropped(
        &mut self,
        namespace: &Namespace,
        until: Hlc,
        count_max: usize,
    ) -> Result<usize, StoreError> {
        let (from, to) = range(self.space(namespace).no, until.0);
        let snapshot = self.store.snapshot();
        let mut swept = 0;
        for pair in snapshot.range(&from, &to, false).take(count_max) {
            self.draft.batch.remove(pair?.0);
            swept += 1;
        }
        Ok(swept)
    }
}
