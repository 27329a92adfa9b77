//! How messages stand on a stream: version byte, kind, u32 length, payload.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

/// The protocol this node speaks. It also speaks the one before, once there is one.
pub const PROTOCOL_VERSION: u8 = 2;
/// The most bytes in the payload of one frame or gossip message: 2 MiB. A full batch fits, with the
/// longest content types and ten writers in the context of each of its versions.
pub const FRAME_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The bytes before the payload.
pub const FRAME_HEAD_BYTES: usize = 6;

/// The first bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// Which message the payload is; each stream has its own kinds.
    pub kind: u8,
    /// How many bytes follow.
    pub length: usize,
}

/// A frame as it stands on a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Which message the payload is.
    pub kind: u8,
    /// The bytes of the message.
    pub payload: Bytes,
}

/// The stream does not carry frames of ours; it is closed, its peer counted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The peer speaks another version of the protocol.
    #[error(
        "the peer speaks protocol version {0}, this node speaks {PROTOCOL_VERSION}: update the older one"
    )]
    Version(u8),
    /// The frame would be longer than a frame may be.
    #[error("a frame of {0} bytes is longer than one of its kind may be")]
    TooLong(usize),
    /// No message of this stream has this kind.
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
    /// The payload is no message of its kind.
    #[error(transparent)]
    Decode(#[from] super::DecodeError),
}

/// Reads the first bytes of a frame.
///
/// # Errors
/// When the version is not spoken here, or the frame would be too long.
pub fn read_head(bytes: [u8; FRAME_HEAD_BYTES]) -> Result<FrameHead, FrameError> {
    let [version, kind, a, b, c, d] = bytes;
    if version != PROTOCOL_VERSION {
        return Err(FrameError::Version(version));
    }
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong(length));
    }
    Ok(FrameHead { kind, length })
}

/// The bytes of a frame with this kind and payload.
///
/// # Panics
/// When the payload is longer than [`FRAME_BYTES_MAX`], which is a mistake of the sender's code.
#[must_use]
pub fn write_frame(kind: u8, payload: &[u8]) -> Bytes {
    assert!(payload.len() <= FRAME_BYTES_MAX, "senders page what is larger than a frame");
    let mut out = BytesMut::with_capacity(FRAME_HEAD_BYTES + payload.len());
    out.put_u8(PROTOCOL_VERSION);
    out.put_u8(kind);
    out.put_u32_le(u32::try_from(payload.len()).expect("checked above"));
    out.put_slice(payload);
    out.freeze()
}

/// Makes frames out of the bytes of a stream, however they are split.
///
/// Keeps what was pushed and not taken yet; whoever reads a stream takes all frames before the
/// next push, so that it holds one incomplete frame and one read's bytes at most.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: BytesMut,
}

impl FrameReader {
    /// A reader at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, if all of it is there.
    ///
    /// # Errors
    /// When the stream does not carry frames of ours. As soon as the head is there: nobody waits
    /// for the rest of a frame that will be refused.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(head) = self.buffer.first_chunk::<FRAME_HEAD_BYTES>() else { return Ok(None) };
        let FrameHead { kind, length } = read_head(*head)?;
        if self.buffer.len() < FRAME_HEAD_BYTES + length {
            return Ok(None);
        }
        self.buffer.advance(FRAME_HEAD_BYTES);
        Ok(Some(Frame { kind, payload: self.buffer.split_to(length).freeze() }))
    }

    /// Whether the stream may end here: no frame is incomplete.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}
