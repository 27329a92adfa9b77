//! `/tidings/sync/1`: one exchange between two nodes, both directions at once.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Frame, FrameError, decode, encode, write_frame};
use crate::{causality::SeenSet, conflict::Version, types::Namespace};

/// A page is closed when it holds this many bytes; it holds at least one version.
pub const PAGE_BYTES: usize = 64 * 1024;
/// The most versions in one page.
pub const PAGE_VERSIONS: usize = 1_000;

/// A message of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExchangeFrame {
    /// The first frame each way; equal hashes end the exchange.
    Hello(Hello),
    /// What the sender has seen.
    Seen(SeenSet),
    /// Versions that the receiver has not seen.
    Page(Page),
    /// All that the receiver had not seen has been sent: the frontier of the sender's snapshot.
    End(SeenSet),
    /// The sender has no room for an exchange now; ask again later.
    Busy,
}

/// What is compared, and the hash of what the sender has seen of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The namespace compared.
    pub namespace: Namespace,
    /// blake3 of the sender's seen set.
    pub seen_hash: [u8; 32],
}

/// Versions in dot order, applied as one atomic batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The versions.
    pub versions: Vec<Version>,
}

impl ExchangeFrame {
    /// The frame as it stands on the stream.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Hello(hello) => write_frame(0, &encode(hello)),
            Self::Seen(seen) => write_frame(1, &encode(seen)),
            Self::Page(page) => write_frame(2, &encode(page)),
            Self::End(frontier) => write_frame(3, &encode(frontier)),
            Self::Busy => write_frame(4, &[]),
        }
    }

    /// Reads a frame of this stream.
    ///
    /// # Errors
    /// When the kind is unknown or the payload malformed.
    pub fn from_frame(frame: &Frame) -> Result<Self, FrameError> {
        let payload = &frame.payload;
        Ok(match frame.kind {
            0 => Self::Hello(decode(payload)?),
            1 => Self::Seen(decode(payload)?),
            2 => Self::Page(decode(payload)?),
            3 => Self::End(decode(payload)?),
            4 => Self::Busy,
            kind => return Err(FrameError::Kind(kind)),
        })
    }
}
