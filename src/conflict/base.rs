//! What a version supersedes beside its context: the deletes that its writer had forgotten.

use std::{hash, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    causality::{Context, Dot},
    wire,
};

/// The hash under which a [`Base`] is interned.
pub type BaseHash = [u8; 32];

/// blake3 keys its hash of bases with this, so that it is no hash of anything else.
const HASH_KEY: [u8; 32] = *b"tidings: hash of a base, numbr 1";

/// The floors of a writer, no higher than what it had seen without a gap, when it wrote (rule 1).
///
/// A key whose delete was forgotten is written anew without a context; the base makes that write
/// supersede what was forgotten all the same. It changes only when deletes are forgotten, so it is
/// stored and sent once under its hash, and all versions that have it share it. Equal hashes are
/// equal bases.
#[derive(Clone, Debug)]
pub struct Base {
    hash: BaseHash,
    /// Absent until somebody tells what stands behind the hash.
    covers: Option<Arc<Context>>,
}

impl Base {
    /// The base that covers what `covers` does.
    #[must_use]
    pub fn new(covers: Arc<Context>) -> Self {
        Self { hash: Self::hash_of(&covers), covers: Some(covers) }
    }

    /// A base of which no more than the hash is known.
    #[must_use]
    pub const fn unresolved(hash: BaseHash) -> Self {
        Self { hash, covers: None }
    }

    /// The hash under which `covers` is interned.
    #[must_use]
    pub fn hash_of(covers: &Context) -> BaseHash {
        *blake3::keyed_hash(&HASH_KEY, &wire::encode(covers)).as_bytes()
    }

    /// The hash under which it is interned.
    #[must_use]
    pub const fn hash(&self) -> BaseHash {
        self.hash
    }

    /// What it covers, if that is known.
    #[must_use]
    pub const fn covers(&self) -> Option<&Arc<Context>> {
        self.covers.as_ref()
    }

    /// Whether it covers `dot`; while it is unresolved, nothing.
    #[must_use]
    pub fn covers_dot(&self, dot: Dot) -> bool {
        self.covers.as_ref().is_some_and(|covers| covers.covers(dot))
    }
}

impl PartialEq for Base {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Base {}

impl hash::Hash for Base {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

impl Serialize for Base {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.hash.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Base {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BaseHash::deserialize(deserializer).map(Self::unresolved)
    }
}
