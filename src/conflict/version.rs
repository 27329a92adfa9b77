//! One write of one key, as its author made it.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Base, Stamps};
use crate::{
    causality::{Context, Dot, Hlc, MAX_DRIFT},
    types::{BLOB_BYTES_MAX, ContentType, INLINE_BYTES_MAX, Key},
    wire,
};

/// The most writers that the context of one version names. With a full context, the largest key
/// and the largest value that travels inline, a version still fits a frame.
pub const CONTEXT_ENTRIES_MAX: usize = 16_384;

/// The keyed hash of a version in its canonical form, key included. Equal hashes are equal content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VersionHash(pub [u8; 32]);

impl VersionHash {
    /// The name of a record that has these siblings: that of the version where there is one.
    #[must_use]
    pub fn of_siblings(siblings: &[Version]) -> Self {
        match siblings {
            [only] => only.hash(),
            many => {
                let mut hasher = blake3::Hasher::new();
                for sibling in many {
                    hasher.update(&sibling.hash().0);
                }
                Self(*hasher.finalize().as_bytes())
            }
        }
    }
}

impl fmt::Debug for VersionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}…")
    }
}

/// blake3 keys its hash of versions with this, so that it is no hash of anything else.
const HASH_KEY: [u8; 32] = *b"tidings: hash of a version, no 1";

/// One write: what was written, by whom, when, and what its writer had in front of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Version {
    /// The name of this write.
    pub dot: Dot,
    /// Its stamp; ties between concurrent writes go by it.
    pub hlc: Hlc,
    /// The floors of its writer, if any deletes had been forgotten there.
    pub base: Option<Base>,
    /// What it supersedes beside every earlier write of its own origin.
    pub context: Context,
    /// The key it was written to.
    pub key: Key,
    /// What was written.
    pub body: Body,
}

/// A version as it arrives, field by field like [`Version`].
#[derive(Deserialize)]
struct Unchecked {
    dot: Dot,
    hlc: Hlc,
    base: Option<Base>,
    context: Context,
    key: Key,
    body: Body,
}

impl TryFrom<Unchecked> for Version {
    type Error = &'static str;

    fn try_from(version: Unchecked) -> Result<Self, Self::Error> {
        let Unchecked { dot, hlc, base, context, key, body } = version;
        // Its own past is implied. Were it named, it could name its own future too, and swallow
        // what this origin is yet to write.
        if context.get(&dot.origin) > 0 {
            return Err("the context of a version names its own origin");
        }
        if context.len() > CONTEXT_ENTRIES_MAX {
            return Err("the context of a version names too many origins");
        }
        if let Body::Fields(Put { payload: Payload::Blob { .. }, .. }, _) = &body {
            return Err("a value that does not travel with its version has no fields");
        }
        match body.put().map(|put| &put.payload) {
            Some(Payload::Inline(bytes)) if bytes.len() > INLINE_BYTES_MAX => {
                Err("a value that travels with its version is too large for it")
            }
            Some(Payload::Blob { size, .. }) if *size > BLOB_BYTES_MAX => {
                Err("a value is larger than any can be")
            }
            _ => Ok(Self { dot, hlc, base, context, key, body }),
        }
    }
}

/// What a write did. Append-only: variants keep their places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// A value was stored.
    Put(Put),
    /// The key was deleted.
    Delete,
    /// A value was stored that readers see until a deadline, and a delete from then on (rule 10). For
    /// all that replicas compare and forget it is a delete from the beginning.
    Expiring {
        /// The value.
        put: Put,
        /// The deadline by the wall clock, in milliseconds since 1970.
        until: u64,
    },
    /// An object was stored, some of whose fields earlier writes had changed last.
    Fields(Put, Arc<Stamps>),
}

impl Body {
    /// The value, if one was stored; it may have expired.
    #[must_use]
    pub fn put(&self) -> Option<&Put> {
        match self {
            Self::Put(put) | Self::Fields(put, _) | Self::Expiring { put, .. } => Some(put),
            Self::Delete => None,
        }
    }
}

/// A stored value, or where to find it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    /// What the bytes are.
    pub content_type: ContentType,
    /// The bytes, or their hash.
    pub payload: Payload,
}

/// The bytes of a value: with the version up to [`INLINE_BYTES_MAX`],
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
        own_past || self.context.covers(dot) || self.base.as_ref().is_some_and(|base| base.covers_dot(dot))
    }

    /// Covers in `context` what this write supersedes beside its own past, and the write itself.
    pub fn extend(&self, context: &mut Context) {
        context.extend(&self.context);
        if let Some(covers) = self.base.as_ref().and_then(Base::covers) {
            context.extend(covers);
        }
        context.insert(self.dot);
    }

    /// Whether all that it supersedes is known: what stands behind the hash of its base, if it has
    /// one. One that is not must not be merged.
    #[must_use]
    pub fn is_resolved(&self) -> bool {
        self.base.as_ref().is_none_or(|base| base.covers().is_some())
    }

    /// Whether it is a delete for all that replicas compare and forget: also a value that expires, from the
    /// beginning (rule 10). What readers see is another matter: [`Self::is_expired`].
    #[must_use]
    pub fn is_delete(&self) -> bool {
        matches!(self.body, Body::Delete | Body::Expiring { .. })
    }

    /// When it expires, in milliseconds since 1970, if it does.
    #[must_use]
    pub fn expires_at(&self) -> Option<u64> {
        match self.body {
            Body::Expiring { until, .. } => Some(until),
            Body::Put(_) | Body::Fields(..) | Body::Delete => None,
        }
    }

    /// Whether readers see a delete where it stood, at `now` in milliseconds since 1970.
    #[must_use]
    pub fn is_expired(&self, now: u64) -> bool {
        self.expires_at().is_some_and(|until| until <= now)
    }

    /// Whether readers see a value at `now`, if they see this version.
    #[must_use]
    pub fn shows_value(&self, now: u64) -> bool {
        self.put().is_some() && !self.is_expired(now)
    }

    /// The stamp from which on it is remembered like a delete that was made then. Where it expires, that is
    /// not before all clocks that are right within the drift allowed have passed its deadline.
    #[must_use]
    pub fn remembered_from(&self) -> Hlc {
        let drift = u64::try_from(MAX_DRIFT.as_millis()).unwrap_or(u64::MAX);
        let over = |until: u64| Hlc::from_millis(until.saturating_add(drift));
        self.hlc.max(self.expires_at().map_or(Hlc::default(), over))
    }

    /// Whether its value travels and is stored beside it, by hash.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.put().is_some_and(|put| matches!(put.payload, Payload::Blob { .. }))
    }

    /// The value it stored, if it is no delete.
    #[must_use]
    pub fn put(&self) -> Option<&Put> {
        self.body.put()
    }

    /// Its hash: what a dot names, for good.
    #[must_use]
    pub fn hash(&self) -> VersionHash {
        let mut canonical = Vec::with_capacity(self.size_hint() + 64);
        wire::encode_into(self, &mut canonical);
        VersionHash(*blake3::keyed_hash(&HASH_KEY, &canonical).as_bytes())
    }

    /// Roughly how many bytes it has when encoded.
    #[must_use]
    pub fn size_hint(&self) -> usize {
        let inline = match self.put().map(|put| &put.payload) {
            Some(Payload::Inline(bytes)) => bytes.len(),
            _ => 40,
        };
        let stamps = match &self.body {
            Body::Fields(_, stamps) => stamps.bytes(),
            Body::Put(_) | Body::Expiring { .. } | Body::Delete => 0,
        };
        64 + self.key.as_bytes().len() + self.context.len() * 44 + inline + stamps
    }

    /// Its place in the total order that breaks ties: stamp, origin, sequence.
    #[must_use]
    pub fn rank(&self) -> (Hlc, Dot) {
        (self.hlc, self.dot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        causality::{NodeId, Origin},
        wire::{decode, encode},
    };

    fn version() -> Version {
        let origin = Origin { node: NodeId([1; 32]), epoch: 1 };
        let content_type = ContentType::octets();
        let body = Body::Put(Put { content_type, payload: Payload::Inline(Bytes::from_static(b"worm")) });
        let key = Key::new("nest").expect("lawful");
        Version { dot: Dot::new(origin, 2), hlc: Hlc(3), base: None, context: Context::new(), key, body }
    }

    fn with_payload(payload: Payload) -> Version {
        let content_type = ContentType::octets();
        Version { body: Body::Put(Put { content_type, payload }), ..version() }
    }

    #[test]
    fn a_version_that_names_its_own_origin_is_refused() {
        let lawful = version();
        assert_eq!(decode(&encode(&lawful)), Ok(lawful.clone()));
        let context = [Dot::new(lawful.dot.origin, 9)].into_iter().collect();
        let greedy = Version { context, ..lawful };
        assert!(decode::<Version>(&encode(&greedy)).is_err());
    }

    #[test]
    fn a_version_that_breaks_a_limit_is_refused() {
        let zeros = |length| Payload::Inline(Bytes::from(vec![0; length]));
        let blob = |size| Payload::Blob { hash: [0; 32], size };
        let writers = |count: usize| {
            let node = |n: usize| {
                let mut bytes = [9; 32];
                bytes[..8].copy_from_slice(&n.to_le_bytes());
                NodeId(bytes)
            };
            (0..count).map(|n| Dot::new(Origin { node: node(n), epoch: u64::MAX }, 1)).collect()
        };
        for (version, lawful) in [
            (with_payload(zeros(INLINE_BYTES_MAX)), true),
            (with_payload(zeros(INLINE_BYTES_MAX + 1)), false),
            (with_payload(blob(BLOB_BYTES_MAX)), true),
            (with_payload(blob(BLOB_BYTES_MAX + 1)), false),
            (
                Version { context: writers(CONTEXT_ENTRIES_MAX), ..with_payload(zeros(INLINE_BYTES_MAX)) },
                true,
            ),
            (Version { context: writers(CONTEXT_ENTRIES_MAX + 1), ..version() }, false),
        ] {
            assert_eq!(decode::<Version>(&encode(&version)).is_ok(), lawful);
        }
    }

    #[test]
    fn the_hash_names_all_that_was_written() {
        let base = version();
        let others = [
            Version { dot: Dot::new(base.dot.origin, 3), ..base.clone() },
            Version { hlc: Hlc(4), ..base.clone() },
            Version { base: Some(Base::unresolved([0; 32])), ..base.clone() },
            Version { key: Key::new("tree").expect("lawful"), ..base.clone() },
            Version { body: Body::Delete, ..base.clone() },
            with_payload(Payload::Inline(Bytes::from_static(b"moth"))),
        ];
        for other in others {
            assert_ne!(other.hash(), base.hash(), "{other:?}");
        }
    }
}
