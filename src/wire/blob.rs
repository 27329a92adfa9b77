//! `/tidings/blob/1`: the bytes of one large value.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Frame, FrameError, decode, encode, write_frame};
use crate::{causality::Dot, types::Namespace};

/// The most bytes of a value that travel in one frame.
pub const BLOB_CHUNK_BYTES: usize = 64 * 1024;

/// A request for the bytes of the value that the version `dot` announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRequest {
    /// Where the version belongs.
    pub namespace: Namespace,
    /// Which version.
    pub dot: Dot,
    /// blake3 of the bytes asked for.
    pub hash: [u8; 32],
}

/// The answer: chunks in order, up to the size announced, or that the value is not held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobReply {
    /// The next bytes.
    Chunk(Bytes),
    /// The version is not held here (any more).
    Gone,
    /// The sender has no room for another transfer now; ask again later.
    Busy,
}

impl BlobRequest {
    /// The frame as it stands on the stream.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        write_frame(0, &encode(self))
    }

    /// Reads a frame of this stream.
    ///
    /// # Errors
    /// When the frame is no request.
    pub fn from_frame(frame: &Frame) -> Result<Self, FrameError> {
        match frame.kind {
            0 => Ok(decode(&frame.payload)?),
            kind => Err(FrameError::Kind(kind)),
        }
    }
}

impl BlobReply {
    /// The frame as it stands on the stream.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Chunk(bytes) => write_frame(1, bytes),
            Self::Gone => write_frame(2, &[]),
            Self::Busy => write_frame(3, &[]),
        }
    }

    /// Reads a frame of this stream.
    ///
    /// # Errors
    /// When the frame is no answer.
    pub fn from_frame(frame: &Frame) -> Result<Self, FrameError> {
        match frame.kind {
            1 if frame.payload.len() > BLOB_CHUNK_BYTES => Err(FrameError::TooLong(frame.payload.len())),
            1 => Ok(Self::Chunk(frame.payload.clone())),
            2 => Ok(decode(&frame.payload).map(|()| Self::Gone)?),
            3 => Ok(decode(&frame.payload).map(|()| Self::Busy)?),
            kind => Err(FrameError::Kind(kind)),
        }
    }
}
