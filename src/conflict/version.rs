//! One write of one key, as its author made it.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    causality::{Context, Dot, Hlc},
    types::{ContentType, Key},
    wire,
};

/// The keyed hash of a version in its canonical form, key included. Equal hashes are equal content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VersionHash(pub [u8; 32]);

impl fmt::Debug for VersionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}…")
    }
}

/// The hash under which the base of a version (its writer's floors) is interned. No version has one
/// until deletes are forgotten; its place in the format is kept from the start.
pub type BaseHash = [u8; 32];

/// blake3 keys its hash of versions with this, so that it is no hash of anything else.
const HASH_KEY: [u8; 32] = *b"tidings: hash of a version, no 1";

/// One write: what was written, by whom, when, and what its writer had in front of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The name of this write.
    pub dot: Dot,
    /// Its stamp; ties between concurrent writes go by it.
    pub hlc: Hlc,
    /// The interned floors of its writer, if any deletes had been forgotten there.
    pub base: Option<BaseHash>,
    /// What it supersedes beside every earlier write of its own origin.
    pub context: Context,
    /// The key it was written to.
    pub key: Key,
    /// What was written.
    pub body: Body,
}

/// What a write did. Append-only: variants keep their places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// A value was stored.
    Put(Put),
    /// The key was deleted.
    Delete,
}

/// A stored value, or where to find it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    /// What the bytes are.
    pub content_type: ContentType,
    /// The bytes, or their hash.
    pub payload: Payload,
}

/// The bytes of a value: with the version up to [`INLINE_BYTES_MAX`](crate::types::INLINE_BYTES_MAX),
/// else by hash, fetched and stored beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// The bytes themselves.
    Inline(Bytes),
    /// blake3 and length of bytes that travel on a stream of their own.
    Blob {
        /// blake3 of the bytes.
        hash: [u8; 32],
        /// How many bytes they are.
        size: u64,
    },
}

impl Payload {
    /// How many bytes the value has.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Blob { size, .. } => *size,
        }
    }
}

impl Version {
    /// Whether this write had `dot` (a write of the same key) in front of it.
    #[must_use]
    pub fn supersedes(&self, dot: Dot) -> bool {
        let own_past = dot.origin == self.dot.origin && dot.seq < self.dot.seq;
        own_past || self.context.covers(dot)
    }

    /// Whether it is a delete.
    #[must_use]
    pub fn is_delete(&self) -> bool {
        matches!(self.body, Body::Delete)
    }

    /// Whether its value travels and is stored beside it, by hash.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.put().is_some_and(|put| matches!(put.payload, Payload::Blob { .. }))
    }

    /// The value it stored, if it is no delete.
    #[must_use]
    pub fn put(&self) -> Option<&Put> {
        match &self.body {
            Body::Put(put) => Some(put),
            Body::Delete => None,
        }
    }

    /// Its hash: what a dot names, for good.
    #[must_use]
    pub fn hash(&self) -> VersionHash {
        VersionHash(*blake3::keyed_hash(&HASH_KEY, &wire::encode(self)).as_bytes())
    }

    /// Roughly how many bytes it has when encoded.
    #[must_use]
    pub fn size_hint(&self) -> usize {
        let inline = match self.put().map(|put| &put.payload) {
            Some(Payload::Inline(bytes)) => bytes.len(),
            _ => 40,
        };
        64 + self.key.as_bytes().len() + self.context.len() * 44 + inline
    }

    /// Its place in the total order that breaks ties: stamp, origin, sequence.
    #[must_use]
    pub fn rank(&self) -> (Hlc, Dot) {
        (self.hlc, self.dot)
    }
}
