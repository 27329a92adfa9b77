//! The first frame each way on a carrier's stream, before anything else.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Frame, FrameError, LinkHello, bounds, decode, encode, write_frame};
use crate::causality::NodeId;

/// The longest reason for which an end is refused.
pub const CARRIER_REASON_BYTES_MAX: usize = 512;

/// What an end of a carrier's stream says first. The end that opened the stream says hello; the other one
/// says hello, too, or why it refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CarrierFrame {
    /// Who is there, and in which mesh.
    Hello(CarrierHello),
    /// In the place of a hello: why there will be no exchange. The stream ends with it.
    Refused(String),
}

/// Who is there. Nothing proves it: the carrier vouches for it, or nobody does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarrierHello {
    /// The sender's id.
    pub node: NodeId,
    /// What it says on a control stream, too.
    pub hello: LinkHello,
}

/// A reason as it arrives.
#[derive(Serialize, Deserialize)]
struct Reason(#[serde(deserialize_with = "bounds::text::<_, CARRIER_REASON_BYTES_MAX>")] String);

impl CarrierFrame {
    /// A refusal; a reason that is too long is cut.
    #[must_use]
    pub fn refused(reason: &str) -> Self {
        Self::Refused(bounds::cut(reason, CARRIER_REASON_BYTES_MAX).to_owned())
    }

    /// The frame as it stands on the stream.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Hello(hello) => write_frame(0, &encode(hello)),
            Self::Refused(reason) => write_frame(1, &encode(&Reason(reason.clone()))),
        }
    }

    /// Reads a frame of this stream.
    ///
    /// # Errors
    /// When the kind is unknown or the payload malformed.
    pub fn from_frame(frame: &Frame) -> Result<Self, FrameError> {
        Ok(match frame.kind {
            0 => Self::Hello(decode(&frame.payload)?),
            1 => Self::Refused(decode::<Reason>(&frame.payload)?.0),
            kind => return Err(FrameError::Kind(kind)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_at_its_bound_and_never_inside_a_character() {
        let CarrierFrame::Refused(reason) = CarrierFrame::refused(&"ü".repeat(CARRIER_REASON_BYTES_MAX))
        else {
            panic!("a refusal")
        };
        assert_eq!(reason, "ü".repeat(CARRIER_REASON_BYTES_MAX / 2));
        let odd = CarrierFrame::refused(&format!("x{}", "ü".repeat(CARRIER_REASON_BYTES_MAX)));
        assert_eq!(odd.to_bytes().len(), 6 + 3 + CARRIER_REASON_BYTES_MAX - 1);
        let too_long = write_frame(1, &encode(&"x".repeat(CARRIER_REASON_BYTES_MAX + 1)));
        let frame = Frame { kind: 1, payload: too_long.slice(6..) };
        assert!(matches!(CarrierFrame::from_frame(&frame), Err(FrameError::Decode(_))));
    }
}
