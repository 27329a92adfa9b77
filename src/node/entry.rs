//! What a reader sees under a key.

use super::Frontier;
use crate::{
    causality::{Dot, Hlc, SeenSet},
    conflict::Etag,
    types::{Key, Value},
};

/// A value as a reader sees it, with the version it comes from.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it stands.
    pub key: Key,
    /// What stands there. Empty bytes in a scan of keys only.
    pub value: Value,
    /// How many bytes the value has.
    pub size: u64,
    /// The write that readers see.
    pub dot: Dot,
    /// Its stamp.
    pub hlc: Hlc,
    /// When the value expires, in milliseconds since 1970, if it does.
    pub expires_at: Option<u64>,
    /// How many concurrent versions stand in the record; 1 where there is no conflict.
    pub siblings: usize,
    /// The name of the whole record, all its siblings.
    pub etag: Etag,
    /// Whether the key never leaves the node ([`Builder::local_only`](super::Builder::local_only)).
    pub local_only: bool,
}

impl Entry {
    /// The writes that the record accounts for: whoever has seen this much has seen the value. Empty where the
    /// key never leaves the node: there is nothing that another node could see.
    #[must_use]
    pub fn frontier(&self) -> Frontier {
        if self.local_only {
            return Frontier::default();
        }
        let context = self.etag.context();
        let mut seen: SeenSet = context.iter().map(|(origin, seq)| Dot::new(origin, seq)).collect();
        seen.insert(self.dot);
        Frontier(seen)
    }
}
