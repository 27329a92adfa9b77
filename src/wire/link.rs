//! `/tidings/link/1`: the control stream between two connected nodes.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Frame, FrameError, bounds, decode, encode,
    versions::{self, Interned},
    write_frame,
};
use crate::{
    causality::{NodeId, Origin, SEQ_MAX},
    conflict::Version,
    types::{NAMESPACES_MAX, Namespace},
};

/// The most peers in one frame of addresses.
pub const LINK_ADDRESSES_MAX: usize = 64;
/// The most addresses of one peer.
pub const PEER_ADDRESSES_MAX: usize = 32;
/// The longest address.
pub const ADDRESS_BYTES_MAX: usize = 256;
/// The longest name, of a node or a mesh, in a hello.
pub const LINK_HELLO_NAME_BYTES_MAX: usize = 128;
/// The most neighbours in one beacon.
pub const BEACON_NEIGHBOURS_MAX: usize = 1_024;
/// The most sequence numbers in one request for missing writes.
pub const NEED_SEQS_MAX: u64 = NEEDED_ANSWERS_MAX as u64;
/// The most answers to it: one for each.
pub const NEEDED_ANSWERS_MAX: usize = 256;
/// An answer is closed when the versions in it hold this many bytes; one version always fits.
pub const NEEDED_BYTES: usize = 256 * 1024;

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
    /// The sender is connected to another process with the receiver's identity: both must begin a
    /// new epoch, or they would give one name to two writes.
    Twin,
}

/// Who is there, and in which mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkHello {
    /// The name of the mesh; another one's link is closed.
    #[serde(deserialize_with = "bounds::text::<_, LINK_HELLO_NAME_BYTES_MAX>")]
    pub mesh: String,
    /// A person's name for the node.
    #[serde(deserialize_with = "bounds::text::<_, LINK_HELLO_NAME_BYTES_MAX>")]
    pub name: String,
    /// The life of the sender's store.
    pub epoch: u64,
    /// Random bits drawn by the sender's process: two of them under one identity are two processes.
    pub instance: u64,
    /// The sender's wall clock, milliseconds since 1970: skew is shown, nothing is refused for it.
    pub wall_ms: u64,
    /// Where the sender can be dialled (multiaddrs as text).
    #[serde(deserialize_with = "addresses")]
    pub listen: Vec<String>,
}

/// What a node holds, in 8 bytes per namespace, and who its neighbours are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beacon {
    /// Per namespace carried: the [tag](crate::causality::SeenSet::tag) of the seen set.
    #[serde(deserialize_with = "bounds::list::<_, _, NAMESPACES_MAX>")]
    pub seen: Vec<(Namespace, u64)>,
    /// Short tags of the sender's neighbours: ends that share none protect their link.
    #[serde(deserialize_with = "bounds::list::<_, _, BEACON_NEIGHBOURS_MAX>")]
    pub neighbours: Vec<u32>,
}

/// A peer and where to find it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerAddresses {
    /// The peer.
    pub peer: NodeId,
    /// Its addresses (multiaddrs as text).
    #[serde(deserialize_with = "addresses")]
    pub addresses: Vec<String>,
}

/// A request for writes number `first` to `last` of an origin, at most [`NEED_SEQS_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedNeed")]
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "UncheckedNeeded")]
pub struct Needed {
    /// Where the writes belong.
    pub namespace: Namespace,
    /// Whose they are.
    pub origin: Origin,
    /// Sequence numbers, ascending, and what is known of each; at most [`NEED_SEQS_MAX`].
    pub answers: Vec<(u64, Answer)>,
}

/// What a peer knows of a write that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "nearly every answer is a version")]
pub enum Answer {
    /// Here it is.
    Version(Version),
    /// Not held here: superseded, or never seen. A comparison will tell.
    Unknown,
}

/// A request as it arrives.
#[derive(Deserialize)]
struct UncheckedNeed {
    namespace: Namespace,
    origin: Origin,
    first: u64,
    last: u64,
}

impl TryFrom<UncheckedNeed> for Need {
    type Error = &'static str;

    fn try_from(need: UncheckedNeed) -> Result<Self, Self::Error> {
        let UncheckedNeed { namespace, origin, first, last } = need;
        if first == 0 || first > last || last > SEQ_MAX {
            return Err("a request for no sequence numbers");
        }
        if last - first >= NEED_SEQS_MAX {
            return Err("a request for too many sequence numbers");
        }
        Ok(Self { namespace, origin, first, last })
    }
}

/// An answer as it arrives.
#[derive(Deserialize)]
struct UncheckedNeeded {
    namespace: Namespace,
    origin: Origin,
    #[serde(deserialize_with = "bounds::list::<_, _, NEEDED_ANSWERS_MAX>")]
    answers: Vec<(u64, Answer)>,
    bases: Interned,
}

impl Serialize for Needed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Bases<'a>(&'a [(u64, Answer)]);
        impl Serialize for Bases<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let versions = self.0.iter().filter_map(|(_, answer)| match answer {
                    Answer::Version(version) => Some(version),
                    Answer::Unknown => None,
                });
                versions::serialize_bases(versions, serializer)
            }
        }
        (&self.namespace, &self.origin, &self.answers, Bases(&self.answers)).serialize(serializer)
    }
}

impl TryFrom<UncheckedNeeded> for Needed {
    type Error = &'static str;

    fn try_from(needed: UncheckedNeeded) -> Result<Self, Self::Error> {
        let UncheckedNeeded { namespace, origin, mut answers, bases } = needed;
        for (_, answer) in &mut answers {
            if let Answer::Version(version) = answer {
                bases.resolve(version)?;
            }
        }
        let lawful = |(seq, answer): &(u64, Answer)| match answer {
            Answer::Version(version) => version.dot.origin == origin && version.dot.seq == *seq,
            Answer::Unknown => (1..=SEQ_MAX).contains(seq),
        };
        if !answers.iter().all(lawful) {
            return Err("an answer about another write than it says");
        }
        if !answers.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            return Err("answers out of order");
        }
        Ok(Self { namespace, origin, answers })
    }
}

/// An address as it arrives.
#[derive(Deserialize)]
struct Address(#[serde(deserialize_with = "bounds::text::<_, ADDRESS_BYTES_MAX>")] String);

fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let addresses = bounds::list::<_, Address, PEER_ADDRESSES_MAX>(deserializer)?;
    Ok(addresses.into_iter().map(|address| address.0).collect())
}

/// The addresses that a receiver takes: what is longer or more than it may be is left out, for a
/// link is worth more than one address of many.
fn fitted(addresses: &[String]) -> Vec<String> {
    let short = addresses.iter().filter(|address| address.len() <= ADDRESS_BYTES_MAX);
    short.take(PEER_ADDRESSES_MAX).cloned().collect()
}

/// The peers of a frame of addresses, as they arrive.
#[derive(Deserialize)]
struct Peers(#[serde(deserialize_with = "bounds::list::<_, _, LINK_ADDRESSES_MAX>")] Vec<PeerAddresses>);

impl LinkFrame {
    /// The frame as it stands on the stream. Names that are too long are cut, and of addresses and
    /// neighbours those are left out that a receiver would not take.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Hello(hello) => {
                let mut hello = hello.clone();
                hello.mesh = bounds::cut(&hello.mesh, LINK_HELLO_NAME_BYTES_MAX).to_owned();
                hello.name = bounds::cut(&hello.name, LINK_HELLO_NAME_BYTES_MAX).to_owned();
                hello.listen = fitted(&hello.listen);
                write_frame(0, &encode(&hello))
            }
            Self::Beacon(beacon) => {
                let mut beacon = beacon.clone();
                beacon.neighbours.truncate(BEACON_NEIGHBOURS_MAX);
                write_frame(1, &encode(&beacon))
            }
            Self::Addresses(peers) => {
                let fitted = |peer: &PeerAddresses| PeerAddresses {
                    peer: peer.peer,
                    addresses: fitted(&peer.addresses),
                };
                let peers: Vec<_> = peers.iter().take(LINK_ADDRESSES_MAX).map(fitted).collect();
                write_frame(2, &encode(&peers))
            }
            Self::Need(need) => write_frame(3, &encode(need)),
            Self::Needed(needed) => write_frame(4, &encode(needed)),
            Self::Blocked => write_frame(5, &[]),
            Self::Twin => write_frame(6, &[]),
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
            2 => Self::Addresses(decode::<Peers>(payload)?.0),
            3 => Self::Need(decode(payload)?),
            4 => Self::Needed(decode(payload)?),
            5 => decode(payload).map(|()| Self::Blocked)?,
            6 => decode(payload).map(|()| Self::Twin)?,
            kind => return Err(FrameError::Kind(kind)),
        })
    }
}
