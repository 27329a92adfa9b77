//! What a node tells of itself and of its peers. All of it serialises as the HTTP API shows it.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, Serializer};

use crate::{
    causality::SeenSet,
    types::Namespace,
    wire::{self, DecodeError},
};

/// What was seen, in transit: base64url, compact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier(pub SeenSet);

impl fmt::Display for Frontier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(wire::encode(&self.0)))
    }
}

impl FromStr for Frontier {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|error| DecodeError::Malformed(format!("not base64url: {error}")))?;
        wire::decode(&bytes).map(Self)
    }
}

impl Serialize for Frontier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a node is and does.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The node's id.
    pub peer_id: String,
    /// Its name for people.
    pub name: String,
    /// The version of the program.
    pub version: String,
    /// The mesh it belongs to.
    pub mesh: String,
    /// The life of its store, 16 hex digits.
    pub epoch: String,
    /// Where peers reach it (multiaddrs).
    pub listen: Vec<String>,
    /// The namespaces it carries.
    pub namespaces: Vec<Namespace>,
    /// The prefixes whose keys never leave the node, of each namespace that has some.
    pub local_only: BTreeMap<Namespace, Vec<String>>,
    /// Keys with a value, over all namespaces.
    pub keys: u64,
    /// Connected peers.
    pub peers: usize,
    /// Seconds since it was started.
    pub uptime: f64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// What an acknowledged write has survived: `fsync` or `buffer`.
    pub durability: String,
    /// How full its queues are.
    pub queues: BTreeMap<String, Queue>,
    /// Counters that should be zero, such as dots with two contents.
    pub warnings: Vec<String>,
}

/// How full a queue is.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Queue {
    /// What waits in it.
    pub depth: usize,
    /// The most that may.
    pub max: usize,
    /// What was refused because it was full, since the start.
    pub shed: u64,
}

/// Whether the node can serve.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// True when reads and writes are answered.
    pub ready: bool,
    /// If not, why.
    pub reason: Option<String>,
}

/// A peer, connected or known.
#[derive(Clone, Debug, Serialize)]
pub struct PeerInfo {
    /// The peer's id.
    pub peer_id: String,
    /// Its name for people, where it has told it.
    pub name: Option<String>,
    /// Its address (multiaddr).
    pub addr: Option<String>,
    /// Whether it is connected now.
    pub connected: bool,
    /// Since when it is (or is not), milliseconds since 1970.
    pub since: u64,
    /// `inbound` or `outbound`, while connected.
    pub direction: Option<String>,
    /// Whether it is blocked here.
    pub blocked: bool,
    /// The last measured round trip.
    pub rtt_ms: Option<f64>,
    /// How far its wall clock is ahead of ours, as it said when connecting.
    pub skew_ms: Option<i64>,
    /// Writes that it has and this node has not, at the last comparison.
    pub behind: Option<u64>,
    /// Writes that this node has and it has not, at the last comparison.
    pub ahead: Option<u64>,
}

/// What one round of exchanges did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SyncReport {
    /// Bytes of frames received.
    pub bytes_in: u64,
    /// Bytes of frames sent.
    pub bytes_out: u64,
    /// Versions received and stored.
    pub versions_in: u64,
    /// Versions sent.
    pub versions_out: u64,
    /// Versions dropped here, for a peer knew them to be dead.
    pub dropped: u64,
    /// Round trips, the most of any exchange.
    pub rounds: u32,
    /// The same per peer.
    pub peers: Vec<ExchangeReport>,
}

impl SyncReport {
    /// The sums of what exchanges did.
    pub(crate) fn of(peers: Vec<ExchangeReport>) -> Self {
        Self {
            bytes_in: peers.iter().map(|report| report.bytes_in).sum(),
            bytes_out: peers.iter().map(|report| report.bytes_out).sum(),
            versions_in: peers.iter().map(|report| report.versions_in).sum(),
            versions_out: peers.iter().map(|report| report.versions_out).sum(),
            dropped: peers.iter().map(|report| report.dropped).sum(),
            rounds: peers.iter().map(|report| report.rounds).max().unwrap_or(0),
            peers,
        }
    }

    /// What went wrong first, if anything did.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.peers.iter().find_map(|report| report.error.as_deref())
    }
}

/// What one exchange did.
#[derive(Clone, Debug, Serialize)]
pub struct ExchangeReport {
    /// The peer's id.
    pub peer_id: String,
    /// The namespace compared.
    pub namespace: Namespace,
    /// How the two came to agree; absent if the exchange failed.
    pub how: Option<ExchangeKind>,
    /// If it failed, why.
    pub error: Option<String>,
    /// Bytes of frames received.
    pub bytes_in: u64,
    /// Bytes of frames sent.
    pub bytes_out: u64,
    /// Versions received and stored.
    pub versions_in: u64,
    /// Versions sent.
    pub versions_out: u64,
    /// Versions dropped here, for the peer knew them to be dead.
    pub dropped: u64,
    /// Round trips.
    pub rounds: u32,
    /// How long it took, in milliseconds.
    #[serde(serialize_with = "millis", rename = "elapsed_ms")]
    pub elapsed: Duration,
}

impl ExchangeReport {
    /// What led here is counted, too.
    pub(crate) fn add(&mut self, before: &Self) {
        self.bytes_in += before.bytes_in;
        self.bytes_out += before.bytes_out;
        self.versions_in += before.versions_in;
        self.versions_out += before.versions_out;
        self.dropped += before.dropped;
        self.rounds = self.rounds.max(before.rounds);
        self.elapsed += before.elapsed;
    }

    pub(crate) fn failed(peer_id: String, namespace: Namespace, error: String) -> Self {
        Self {
            peer_id,
            namespace,
            how: None,
            error: Some(error),
            bytes_in: 0,
            bytes_out: 0,
            versions_in: 0,
            versions_out: 0,
            dropped: 0,
            rounds: 0,
            elapsed: Duration::ZERO,
        }
    }
}

fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64() * 1e3)
}

/// How an exchange brought two replicas together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ExchangeKind {
    /// Both had seen the same.
    Equal,
    /// What one had and the other had not was sent.
    Delta,
    /// What that could not explain was found by comparing ranges.
    Ranges,
}

/// What a replica holds, in one hash.
#[derive(Clone, Debug, Serialize)]
pub struct Digest {
    /// Two nodes with equal roots hold the same data: 64 hex digits.
    pub root: String,
    /// Keys with a value.
    pub keys: u64,
    /// What the node has seen.
    pub frontier: Frontier,
}
