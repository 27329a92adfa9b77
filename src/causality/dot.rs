//! Names of writers and of writes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de};
use thiserror::Error;

/// A node: its ed25519 public key. Shown and read as a libp2p peer id (`12D3Koo…`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub [u8; 32]);

/// An identity multihash of a protobuf that holds an ed25519 key: what libp2p puts before the key.
const PEER_ID_HEAD: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// The text is not the peer id of an ed25519 key. Copy it from `tidings status` of that node.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no peer id of an ed25519 key (12D3Koo…): `tidings status` shows a node's own")]
pub struct NodeIdError(String);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 38];
        bytes[..6].copy_from_slice(&PEER_ID_HEAD);
        bytes[6..].copy_from_slice(&self.0);
        f.write_str(&bs58::encode(bytes).into_string())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NodeId {
    type Err = NodeIdError;

    fn from_str(text: &str) -> Result<Self, NodeIdError> {
        let refused = || NodeIdError(text.chars().take(80).collect());
        let mut bytes = [0; 38];
        match bs58::decode(text).onto(&mut bytes) {
            Ok(38) if bytes[..6] == PEER_ID_HEAD => {
                let mut key = [0; 32];
                key.copy_from_slice(&bytes[6..]);
                Ok(Self(key))
            }
            _ => Err(refused()),
        }
    }
}

/// One uninterrupted life of one store: a node, and 64 random bits drawn when that life began.
///
/// The epoch is never a counter: two restores of one backup would draw the same number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The node whose store it is.
    pub node: NodeId,
    /// Which life of that store.
    pub epoch: u64,
}

impl Origin {
    /// As shown, by whoever has the text of its node at hand: to make that takes a microsecond or two.
    pub(crate) fn shown_as(&self, node: &str) -> String {
        format!("{node}.{:016x}", self.epoch)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown_as(&self.node.to_string()))
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [.., a, b] = self.node.0;
        write!(f, "{a:02x}{b:02x}.{:x}", self.epoch)
    }
}

/// The greatest sequence number: a million writes a second for nine years. Greater ones are refused
/// wherever they arrive, so that no sum of them overflows.
pub const SEQ_MAX: u64 = (1 << 48) - 1;

/// One write: its origin and sequence number. Numbers run 1, 2, 3, … per origin and namespace,
/// without a hole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Dot {
    /// Who wrote.
    pub origin: Origin,
    /// The how-manieth write of that origin, from 1 to [`SEQ_MAX`].
    #[serde(deserialize_with = "lawful_seq")]
    pub seq: u64,
}

fn lawful_seq<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match u64::deserialize(deserializer)? {
        seq @ 1..=SEQ_MAX => Ok(seq),
        seq => Err(de::Error::custom(format_args!("{seq} is no sequence number"))),
    }
}

impl Dot {
    /// The dot of write number `seq` of `origin`.
    #[must_use]
    pub const fn new(origin: Origin, seq: u64) -> Self {
        Self { origin, seq }
    }
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.origin, self.seq)
    }
}

impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{}", self.origin, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};

    #[test]
    fn a_dot_with_no_sequence_number_is_refused() {
        let origin = Origin { node: NodeId([7; 32]), epoch: 3 };
        for (seq, lawful) in [(0, false), (1, true), (SEQ_MAX, true), (SEQ_MAX + 1, false), (u64::MAX, false)]
        {
            let dot = Dot::new(origin, seq);
            assert_eq!(decode::<Dot>(&encode(&dot)).is_ok(), lawful, "{seq}");
        }
    }

    #[test]
    fn a_node_id_reads_as_it_is_written() {
        let id = NodeId([7; 32]);
        let text = id.to_string();
        assert!(text.starts_with("12D3Koo"), "{text}");
        assert_eq!(text.parse(), Ok(id));
        for bad in ["", "12D3Koo", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad}");
        }
    }
}
