//! bincode 2, behind one door: little-endian, varint, bounded, fully consumed.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::FRAME_BYTES_MAX;

/// The bytes are no message of the kind expected. The message was dropped; nothing else suffers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// More bytes than a message may have.
    #[error("a message of {0} bytes, the limit is {FRAME_BYTES_MAX}")]
    TooLong(usize),
    /// The bytes do not follow the format.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// Bytes are left over after the message.
    #[error("{0} bytes after the end of the message")]
    Trailing(usize),
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<FRAME_BYTES_MAX>()
}

/// The canonical bytes of `message`.
///
/// # Panics
/// Never for the types of this crate: all of them can be encoded.
#[must_use]
pub fn encode<T: Serialize>(message: &T) -> Bytes {
    let mut out = Vec::new();
    encode_into(message, &mut out);
    out.into()
}

/// Adds the canonical bytes of `message` to `out`. Whoever knows how many they will be makes the
/// room before: growing on the way costs more than encoding.
///
/// # Panics
/// Never for the types of this crate: all of them can be encoded.
pub fn encode_into<T: Serialize>(message: &T, out: &mut Vec<u8>) {
    bincode::serde::encode_into_writer(message, Appended(out), bincode::config::standard())
        .expect("the messages of this crate have no field that cannot be encoded");
}

struct Appended<'a>(&'a mut Vec<u8>);

impl bincode::enc::write::Writer for Appended<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Reads one message that fills `bytes`.
///
/// # Errors
/// A [`DecodeError`] when the bytes are too many, malformed, or not all used.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(DecodeError::TooLong(bytes.len()));
    }
    let (message, used) = bincode::serde::decode_from_slice(bytes, config())
        .map_err(|error| DecodeError::Malformed(error.to_string()))?;
    match bytes.len() - used {
        0 => Ok(message),
        left => Err(DecodeError::Trailing(left)),
    }
}

/// The most bytes in one value of a store: a record with many large siblings.
const STORED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Reads what this program stored; the message may borrow from `bytes`.
///
/// # Errors
/// A [`DecodeError`] when the bytes are malformed or not all used: the store is damaged.
pub fn decode_stored<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    let config = bincode::config::standard().with_limit::<STORED_BYTES_MAX>();
    let (message, used) = bincode::serde::borrow_decode_from_slice(bytes, config)
        .map_err(|error| DecodeError::Malformed(error.to_string()))?;
    match bytes.len() - used {
        0 => Ok(message),
        left => Err(DecodeError::Trailing(left)),
    }
}
