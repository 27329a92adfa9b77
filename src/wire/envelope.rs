//! What gossip carries: versions as their author wrote them, signed once.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{DecodeError, decode, encode};
use crate::{
    causality::{NodeId, Origin},
    conflict::Version,
    types::{BATCH_OPERATIONS_MAX, Namespace},
};

/// Versions of one origin that travel as one message and are stored as one unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Where the versions belong.
    pub namespace: Namespace,
    /// The versions, ascending in sequence, all of one origin; at most [`BATCH_OPERATIONS_MAX`].
    #[serde(with = "super::versions")]
    pub versions: Vec<Version>,
}

/// The most bytes of an encoded envelope: with its signature it fits a message.
pub const ENVELOPE_BYTES_MAX: usize = super::FRAME_BYTES_MAX - 256;

impl Envelope {
    /// The same in as many envelopes as it takes for each to fit a message; nearly always one. A
    /// batch of versions that name very many writers stops being one unit to those who hear of it
    /// by gossip; what it says arrives all the same.
    #[must_use]
    pub fn fitted(self) -> Vec<Self> {
        if self.versions.len() < 2 || encode(&self).len() <= ENVELOPE_BYTES_MAX {
            return vec![self];
        }
        let Self { namespace, mut versions } = self;
        let rest = versions.split_off(versions.len() / 2);
        let halves = [versions, rest].map(|versions| Self { namespace: namespace.clone(), versions });
        halves.into_iter().flat_map(Self::fitted).collect()
    }
}

/// An envelope in transit: its bytes, and its author's ed25519 signature over them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedEnvelope {
    /// The author's key.
    pub signer: NodeId,
    /// The first and the second half of the signature over [`SignedEnvelope::signed_bytes`].
    pub signature: ([u8; 32], [u8; 32]),
    /// The encoded [`Envelope`].
    pub payload: Bytes,
}

/// Why an envelope is refused. It is not forwarded, and counted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The bytes are no envelope.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It carries nothing, or more than a batch may have.
    #[error("an envelope of {0} versions, 1 to {BATCH_OPERATIONS_MAX} are allowed")]
    Count(usize),
    /// A version in it was not written by the node that signed.
    #[error("the envelope is signed by {signer}, a version in it has the origin {origin}")]
    ForgedOrigin {
        /// Who signed.
        signer: NodeId,
        /// Who is said to have written.
        origin: Origin,
    },
    /// The signature is not that of the signer over these bytes.
    #[error("the signature of the envelope is not that of {0}")]
    Signature(NodeId),
    /// Sequence numbers do not ascend, or one is zero.
    #[error("the sequence numbers in the envelope do not ascend")]
    Order,
}

/// What is signed begins with this, so that a signature serves for nothing else.
const SIGNING_DOMAIN: &[u8] = b"tidings envelope 1\0";

impl SignedEnvelope {
    /// The bytes that a signature is made over.
    #[must_use]
    pub fn signed_bytes(payload: &[u8]) -> Vec<u8> {
        [SIGNING_DOMAIN, payload].concat()
    }

    /// Wraps `payload` with a signature made over [`SignedEnvelope::signed_bytes`].
    #[must_use]
    pub fn new(signer: NodeId, signature: [u8; 64], payload: Bytes) -> Self {
        let (mut head, mut tail) = ([0; 32], [0; 32]);
        head.copy_from_slice(&signature[..32]);
        tail.copy_from_slice(&signature[32..]);
        Self { signer, signature: (head, tail), payload }
    }

    /// The signature in one piece.
    #[must_use]
    pub fn signature(&self) -> [u8; 64] {
        let mut out = [0; 64];
        out[..32].copy_from_slice(&self.signature.0);
        out[32..].copy_from_slice(&self.signature.1);
        out
    }

    /// The bytes as gossip carries them.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        encode(self)
    }

    /// Reads the outer shell; the signature is checked by the caller, before [`Self::open`].
    ///
    /// # Errors
    /// When the bytes are no signed envelope.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        Ok(decode(bytes)?)
    }

    /// Reads the envelope and checks that the signer wrote all of it.
    ///
    /// # Errors
    /// When it is malformed, empty, too full, out of order, or of somebody else's origin.
    pub fn open(&self) -> Result<Envelope, EnvelopeError> {
        let envelope: Envelope = decode(&self.payload)?;
        let count = envelope.versions.len();
        if count == 0 || count > BATCH_OPERATIONS_MAX {
            return Err(EnvelopeError::Count(count));
        }
        let forged = envelope.versions.iter().find(|version| version.dot.origin.node != self.signer);
        if let Some(version) = forged {
            return Err(EnvelopeError::ForgedOrigin { signer: self.signer, origin: version.dot.origin });
        }
        let first = envelope.versions[0].dot;
        let ascending = envelope
            .versions
            .windows(2)
            .all(|pair| pair[0].dot.origin == pair[1].dot.origin && pair[0].dot.seq < pair[1].dot.seq);
        if first.seq == 0 || !ascending {
            return Err(EnvelopeError::Order);
        }
        Ok(envelope)
    }
}
