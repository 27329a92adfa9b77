//! What a network needs to know before it starts.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use super::Multiaddr;
use crate::{causality::NodeId, types::Namespace};

/// Whether a peer may be connected, or why not. It is called on the task of the network.
pub type Admit = Arc<dyn Fn(NodeId) -> Result<(), String> + Send + Sync>;

/// Settings of the network of one node.
#[derive(Clone)]
pub struct NetworkConfig {
    /// The 32 secret bytes of the node's ed25519 key.
    pub secret: [u8; 32],
    /// The name of the mesh: part of topics and of the same-host directory.
    pub mesh: String,
    /// Where to listen. A TCP port that is taken gives way to any free one, remembered in
    /// `directory` for the next start.
    pub listen: Vec<Multiaddr>,
    /// Peers to dial and keep.
    pub peers: Vec<Multiaddr>,
    /// Look for peers by mDNS on the local network.
    pub mdns: bool,
    /// The directory in which nodes of one user on one machine tell each other their addresses.
    pub same_host: Option<PathBuf>,
    /// Dial peers that were found, that peers told of, and those of the address book. Without it only
    /// `peers` are dialled, whatever else is found: the topology is exactly what was asked for.
    pub peer_exchange: bool,
    /// Only nodes with this key get through (`pnet`); whoever reaches the port, if absent.
    pub swarm_key: Option<[u8; 32]>,
    /// Only these peers, if there are any.
    pub allow: BTreeSet<NodeId>,
    /// Asked about each connection once the handshake has proven who it is; all are let in, if absent.
    pub admit: Option<Admit>,
    /// The namespaces carried: their topics are joined.
    pub namespaces: Vec<Namespace>,
    /// Where the address book, the block list and the port are kept; nowhere, if absent.
    pub directory: Option<PathBuf>,
    /// How it behaves.
    pub tuning: Tuning,
}

/// How a network behaves. The defaults did well in measurements; change one when you have measured.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tuning {
    /// Dial peers learned by discovery only below so many connections.
    pub degree_low: usize,
    /// Never dial above so many connections; `--peer` and inbound ones stay.
    pub degree_high: usize,
    /// The most connections in all.
    pub connections_max: u32,
    /// The most dials under way at once.
    pub dials_max: usize,
    /// The longest wait before a peer that was found is dialled again.
    pub backoff_max: Duration,
    /// The longest wait before a peer that was asked for (`--peer`) is dialled again.
    pub backoff_kept_max: Duration,
    /// The time between two pings of a peer.
    pub ping_interval: Duration,
    /// A ping that takes longer has failed.
    pub ping_timeout: Duration,
    /// A peer whose pings failed so many times in a row is disconnected.
    pub ping_failures_max: u32,
    /// The time between two heartbeats of gossipsub.
    pub heartbeat: Duration,
    /// Gossipsub's mesh degree.
    pub gossip_degree: usize,
    /// The most messages gossipsub queues for one peer.
    pub gossip_queue_max: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            degree_low: 6,
            degree_high: 16,
            connections_max: 256,
            dials_max: 8,
            backoff_max: Duration::from_secs(60),
            backoff_kept_max: Duration::from_secs(1),
            ping_interval: Duration::from_secs(5),
            ping_timeout: Duration::from_secs(5),
            ping_failures_max: 3,
            heartbeat: Duration::from_millis(500),
            gossip_degree: 5,
            gossip_queue_max: 512,
        }
    }
}
