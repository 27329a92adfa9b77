//! What a node knows of its peers: read by whoever asks, written by the sessions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::protection::Links;
use crate::{
    causality::NodeId,
    network::{Direction, Multiaddr},
    report::{PeerInfo, PeerSync},
    types::Namespace,
};

/// The most peers remembered beside those that are connected.
const PEERS_REMEMBERED_MAX: usize = 1_024;

/// How a peer and this node stood at their last comparison of one namespace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    /// Writes that the peer had and this node had not.
    pub behind: u64,
    /// Writes that this node had and the peer had not.
    pub ahead: u64,
    /// When both last had seen the same.
    pub last_match: Option<u64>,
    /// The revision of this node's seen set at that time.
    pub revision: u64,
}

/// One peer.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// Its name for people.
    pub name: Option<String>,
    /// Where it was reached.
    pub address: Option<Multiaddr>,
    /// Who dialled, while connected.
    pub direction: Option<Direction>,
    /// Since when it is connected, or is not.
    pub since_ms: u64,
    /// Where it says it can be dialled.
    pub listen: Vec<String>,
    /// The life of its store.
    pub epoch: Option<u64>,
    /// How far its clock is ahead.
    pub skew_ms: Option<i64>,
    /// The last round trip.
    pub rtt: Option<Duration>,
    /// How it stands, per namespace.
    pub standing: BTreeMap<Namespace, Standing>,
    /// The namespaces it carries, once it has said so on the connection that stands.
    pub carries: Option<BTreeSet<Namespace>>,
    /// The tags of its own neighbours, once it has told them on the connection that stands.
    pub neighbours: Option<Vec<u32>>,
}

#[derive(Debug, Default)]
struct Table {
    peers: BTreeMap<NodeId, Peer>,
    connected: usize,
    blocked: BTreeSet<NodeId>,
    twins: BTreeSet<NodeId>,
}

/// The peers of one node.
#[derive(Debug, Default)]
pub struct Peers(Mutex<Table>);

impl Peers {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of `peer`.
    pub fn update<T>(&self, peer: NodeId, change: impl FnOnce(&mut Peer) -> T) -> T {
        let mut table = self.table();
        let known = table.peers.entry(peer).or_default();
        let before = known.direction.is_some();
        let changed = change(known);
        match (before, known.direction.is_some()) {
            (false, true) => table.connected += 1,
            (true, false) => table.connected -= 1,
            _ => {}
        }
        if table.peers.len() > PEERS_REMEMBERED_MAX {
            let gone = |(_, peer): &(&NodeId, &Peer)| peer.direction.is_none();
            let oldest = table.peers.iter().filter(gone).min_by_key(|(_, peer)| peer.since_ms);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                table.peers.remove(&oldest);
            }
        }
        changed
    }

    /// Whether any peer is connected.
    pub fn any_connected(&self) -> bool {
        self.table().connected > 0
    }

    /// The peers that are connected.
    pub fn connected(&self) -> Vec<NodeId> {
        self.table().peers.iter().filter(|(_, peer)| peer.direction.is_some()).map(|(id, _)| *id).collect()
    }

    /// The peers that are connected, with what they told of their own neighbours.
    pub fn links(&self) -> Links {
        let table = self.table();
        let connected = table.peers.iter().filter(|(_, peer)| peer.direction.is_some());
        connected.map(|(id, peer)| (*id, peer.neighbours.clone())).collect()
    }

    /// What is known of `peer`.
    pub fn get(&self, peer: &NodeId) -> Option<Peer> {
        self.table().peers.get(peer).cloned()
    }

    /// Marks a peer as blocked here, or not.
    pub fn set_blocked(&self, peer: NodeId, blocked: bool) {
        let mut table = self.table();
        if blocked {
            table.blocked.insert(peer);
        } else {
            table.blocked.remove(&peer);
        }
    }

    /// Two processes were seen with the identity of `peer`. True the first time.
    pub fn mark_twins(&self, peer: NodeId) -> bool {
        self.table().twins.insert(peer)
    }

    /// The identities that two processes were seen with.
    pub fn twins(&self) -> Vec<NodeId> {
        self.table().twins.iter().copied().collect()
    }

    /// All peers, as the API shows them.
    pub fn infos(&self) -> Vec<PeerInfo> {
        let table = self.table();
        let known = table.peers.iter().map(|(id, peer)| info(*id, peer, table.blocked.contains(id)));
        let strangers = table.blocked.iter().filter(|id| !table.peers.contains_key(*id));
        known.chain(strangers.map(|id| info(*id, &Peer::default(), true))).collect()
    }

    /// How each peer stands. `ours` are the namespaces of this node, each with the revision of its
    /// seen set.
    pub fn standings(&self, ours: &BTreeMap<Namespace, u64>) -> Vec<PeerSync> {
        let table = self.table();
        table.peers.iter().map(|(id, peer)| standing(*id, peer, ours)).collect()
    }
}

fn info(id: NodeId, peer: &Peer, blocked: bool) -> PeerInfo {
    let compared = !peer.standing.is_empty();
    let sum = |of: fn(&Standing) -> u64| compared.then(|| peer.standing.values().map(of).sum());
    PeerInfo {
        peer_id: id.to_string(),
        name: peer.name.clone(),
        addr: peer.address.as_ref().map(Multiaddr::to_string),
        connected: peer.direction.is_some(),
        since: peer.since_ms,
        direction: peer.direction.map(|direction| match direction {
            Direction::Inbound => "inbound".to_owned(),
            Direction::Outbound => "outbound".to_owned(),
        }),
        blocked,
        rtt_ms: peer.rtt.map(|rtt| rtt.as_secs_f64() * 1e3),
        skew_ms: peer.skew_ms,
        behind: sum(|standing| standing.behind),
        ahead: sum(|standing| standing.ahead),
    }
}

fn standing(id: NodeId, peer: &Peer, ours: &BTreeMap<Namespace, u64>) -> PeerSync {
    let all = || peer.standing.iter();
    let equal = all().all(|(_, s)| s.behind == 0 && s.ahead == 0);
    // Both carry it, this connection has compared it, and nothing was seen here since.
    let unmoved = |namespace: &Namespace| {
        let standing = peer.standing.get(namespace);
        standing.is_some_and(|s| s.last_match.is_some() && Some(&s.revision) == ours.get(namespace))
    };
    let shared = |carried: &BTreeSet<Namespace>| {
        carried.iter().filter(|namespace| ours.contains_key(namespace)).all(unmoved)
    };
    let unmoved = peer.direction.is_some() && peer.carries.as_ref().is_some_and(shared);
    let compared = !peer.standing.is_empty();
    // Equal at the last comparison, but one of the two has moved on since: not known.
    let in_sync = match (compared, equal, unmoved) {
        (true, true, true) => Some(true),
        (true, false, _) => Some(false),
        _ => None,
    };
    PeerSync {
        peer_id: id.to_string(),
        in_sync,
        behind: compared.then(|| all().map(|(_, s)| s.behind).sum()),
        ahead: compared.then(|| all().map(|(_, s)| s.ahead).sum()),
        last_match: all().map(|(_, s)| s.last_match).min().flatten(),
    }
}
