//! What a cursor says of the local-only keys of a node.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Cursor;
use crate::causality::{Floors, NodeId, Origin, SeenSet};

/// How far the local-only keys of a node were told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LocalPart {
    pub(super) of: NodeId,
    /// Which keys were local-only then, as a hash.
    pub(super) prefixes: u64,
    pub(super) seen: Arc<SeenSet>,
    pub(super) floors: Floors,
    pub(super) only_on: Option<Origin>,
}

impl Cursor {
    /// Whether nothing was told yet, not of local-only keys either.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.is_beginning() && self.local.is_none()
    }

    /// Takes out how far the local-only keys of `me` were told: a cursor of these alone, and the tag of the prefixes
    /// that were local-only then. What it says of another node's is left in it.
    pub fn take_local(&mut self, me: NodeId) -> Option<(Self, u64)> {
        let part = self.local.take_if(|part| part.of == me)?;
        let LocalPart { seen, floors, only_on, prefixes, .. } = Arc::unwrap_or_clone(part);
        let (namespace, prefix) = (self.namespace.clone(), self.prefix.clone());
        Some((Self { namespace, prefix, seen, floors, only_on, local: None }, prefixes))
    }

    /// The same, and that the local-only keys of `me` were told as far as `local` says, in the place of what it said
    /// of any node's. `prefixes` is the tag of what is local-only there.
    #[must_use]
    pub fn with_local(&self, me: NodeId, prefixes: u64, local: &Self) -> Self {
        let Self { seen, floors, only_on, .. } = local.clone();
        Self { local: Some(Arc::new(LocalPart { of: me, prefixes, seen, floors, only_on })), ..self.clone() }
    }
}
