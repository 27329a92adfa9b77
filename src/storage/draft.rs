//! What a ledger has planned and not yet committed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Batch, layout::NsNo};
use crate::{
    causality::{Origin, SeenSet},
    conflict::{Record, Version},
    types::{Key, Namespace},
};

/// A version that a commit made part of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where it belongs.
    pub namespace: Namespace,
    /// The version, as it is held now.
    pub version: Version,
    /// Whether it was written here.
    pub local: bool,
}

/// Changes that wait for one commit, and the state that reads in between must see.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) batch: Batch,
    pub(super) records: BTreeMap<(NsNo, Key), Record>,
    pub(super) fresh: BTreeMap<Namespace, SeenSet>,
    pub(super) dead_blocks: BTreeSet<(NsNo, Origin, u64)>,
    /// By how much the number of keys with a value changes.
    pub(super) keys: BTreeMap<Namespace, i64>,
    pub(super) changes: Vec<Change>,
    pub(super) record_bytes: usize,
}

impl Draft {
    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty() && self.records.is_empty() && self.fresh.is_empty()
    }

    /// Roughly how many bytes the commit will write.
    pub(super) fn bytes(&self) -> usize {
        self.batch.bytes() + self.record_bytes
    }
}
