//! `/tidings/link/1`: the control stream between two connected nodes.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Frame, FrameError, decode, encode, write_frame};
use crate::{
    causality::{NodeId, Origin},
    conflict::Version,
    types::Namespace,
};

/// The most peers in one frame of addresses.
pub const LINK_ADDRESSES_MAX: usize = 64;
/// The longest name of a node in a hello.
pub const LINK_HELLO_NAME_BYTES_MAX: usize = 128;
/// The most sequence numbers in one request for missing writes.
pub const NEED_SEQS_MAX: u64 = 256;

/// A message on the control stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkFrame {
    /// The first frame each way.
    Hello(LinkHello),
    /// What the sender holds, in short; compared with what the receiver holds.
    Beacon(Beacon),
    /// Peers that the sender knows, for peer exchange.
    Addresses(Vec<PeerAddresses>),
    /// A request for writes whose later ones arrived.
    Need(Need),
    /// The answer to a request.
    Needed(Needed),
    /// The sender blocks the receiver and is about to close.
    Blocked,
}

/// Who is there, and in which mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkHello {
    /// The name of the mesh; another one's link is closed.
    pub mesh: String,
    /// A person's name for the node.
    pub name: String,
    /// The life of the sender's store.
    pub epoch: u64,
    /// The sender's wall clock, milliseconds since 1970: skew is shown, nothing is refused for it.
    pub wall_ms: u64,
    /// Where the sender can be dialled (multiaddrs as text).
    pub listen: Vec<String>,
}

/// What a node holds, in 8 bytes per namespace, and who its neighbours are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beacon {
    /// Per namespace carried: a short hash of the seen set.
    pub seen: Vec<(Namespace, u64)>,
    /// Short tags of the sender's neighbours: ends that share none protect their link.
    pub neighbours: Vec<u32>,
}

/// A peer and where to find it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerAddresses {
    /// The peer.
    pub peer: NodeId,
    /// Its addresses (multiaddrs as text).
    pub addresses: Vec<String>,
}

/// A request for writes number `first` to `last` of an origin, at most [`NEED_SEQS_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// Where the writes belong.
    pub namespace: Namespace,
    /// Whose they are.
    pub origin: Origin,
    /// The first one missing.
    pub first: u64,
    /// The last one missing.
    pub last: u64,
}

/// The answer to a [`Need`]; numbers it does not name could not be told, and are left to repair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needed {
    /// Where the writes belong.
    pub namespace: Namespace,
    /// Whose they are.
    pub origin: Origin,
    /// Sequence numbers and what is known of each.
    pub answers: Vec<(u64, Answer)>,
}

/// What a peer knows of a write that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Here it is.
    Version(Version),
    /// Not held here: superseded, or never seen. A comparison will tell.
    Unknown,
}

impl LinkFrame {
    /// The frame as it stands on the stream.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Hello(hello) => write_frame(0, &encode(hello)),
            Self::Beacon(beacon) => write_frame(1, &encode(beacon)),
            Self::Addresses(peers) => write_frame(2, &encode(peers)),
            Self::Need(need) => write_frame(3, &encode(need)),
            Self::Needed(needed) => write_frame(4, &encode(needed)),
            Self::Blocked => write_frame(5, &[]),
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
            1 => Self::Beacon(decode(payload)?),
            2 => Self::Addresses(decode(payload)?),
            3 => Self::Need(decode(payload)?),
            4 => Self::Needed(decode(payload)?),
            5 => Self::Blocked,
            kind => return Err(FrameError::Kind(kind)),
        })
    }
}
