//! What the swarm is made of.

use std::{collections::BTreeSet, time::Duration};

use libp2p::{
    PeerId, allow_block_list as lists, connection_limits as limits, identify,
    identity::Keypair,
    mdns, ping,
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
};

use super::{door::Door, gossip::Gossipsub, peer::peer_of, streams};
use crate::{causality::NodeId, network::NetworkConfig};

/// Connections to one peer. Never one: of two that dial each other at once, each would refuse the
/// other's connection.
const CONNECTIONS_PER_PEER_MAX: u32 = 2;
/// Inbound connections in their handshakes.
const HANDSHAKES_MAX: u32 = 128;
/// How often addresses are exchanged beside the pushes when they change.
const IDENTIFY_INTERVAL: Duration = Duration::from_secs(300);

/// The behaviours of a node.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: limits::Behaviour,
    pub(super) blocked: lists::Behaviour<lists::BlockedPeers>,
    allowed: Toggle<lists::Behaviour<lists::AllowedPeers>>,
    door: Toggle<Door>,
    streams: streams::Behaviour,
    pub(super) gossip: Gossipsub,
    ping: ping::Behaviour,
    identify: identify::Behaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
}

impl Behaviour {
    /// The behaviours of the node with this key.
    pub(super) fn new(
        config: &NetworkConfig,
        keypair: &Keypair,
        gossip: Gossipsub,
        streams: streams::Behaviour,
        blocked: &BTreeSet<NodeId>,
    ) -> Self {
        let tuning = &config.tuning;
        let limits = limits::ConnectionLimits::default()
            .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX))
            .with_max_established(Some(tuning.connections_max))
            .with_max_pending_incoming(Some(HANDSHAKES_MAX));
        let ping = ping::Config::new().with_interval(tuning.ping_interval).with_timeout(tuning.ping_timeout);
        let identify = identify::Config::new(protocol_version(&config.mesh), keypair.public())
            .with_agent_version(concat!("tidings/", env!("CARGO_PKG_VERSION")).into())
            .with_interval(IDENTIFY_INTERVAL)
            .with_push_listen_addr_updates(true)
            // The dialer keeps the addresses.
            .with_cache_size(0);
        Self {
            limits: limits::Behaviour::new(limits),
            blocked: block_list(blocked),
            allowed: allow_list(&config.allow).into(),
            door: config.admit.clone().map(Door).into(),
            streams,
            gossip,
            ping: ping::Behaviour::new(ping),
            identify: identify::Behaviour::new(identify),
            mdns: config.mdns.then(|| discovery(keypair.public().to_peer_id())).flatten().into(),
        }
    }
}

/// What nodes of a mesh say they speak; nodes of another mesh say something else.
pub(super) fn protocol_version(mesh: &str) -> String {
    format!("/tidings/1/{mesh}")
}

fn block_list(blocked: &BTreeSet<NodeId>) -> lists::Behaviour<lists::BlockedPeers> {
    let mut list = lists::Behaviour::default();
    for node in blocked {
        list.block_peer(peer_of(*node));
    }
    list
}

fn allow_list(allow: &BTreeSet<NodeId>) -> Option<lists::Behaviour<lists::AllowedPeers>> {
    let mut list = lists::Behaviour::default();
    for node in allow {
        list.allow_peer(peer_of(*node));
    }
    (!allow.is_empty()).then_some(list)
}

/// Without multicast a node works as well; it only has to be told whom to dial.
fn discovery(own: PeerId) -> Option<mdns::tokio::Behaviour> {
    let made = mdns::tokio::Behaviour::new(mdns::Config::default(), own);
    made.inspect_err(|error| tracing::warn!(%error, "no discovery on the local network")).ok()
}
