//! What a node knows of its peers: read by whoever asks, written by the sessions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    protection::Links,
    standing::{Ours, Standing},
};
use crate::{
    causality::{NodeId, SeenSet},
    network::{Direction, Multiaddr},
    report::{Agreement, NamespaceSync, PeerInfo, PeerSync},
    types::Namespace,
};

/// The most peers remembered beside those that are connected.
const PEERS_REMEMBERED_MAX: usize = 1_024;
/// What peers have shown is kept of so many that are away, those that left last.
const SHOWN_AWAY_MAX: usize = 64;

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

impl Table {
    /// Of those that are away only the last few keep what they have shown.
    fn forget_shown(&mut self) {
        let shows = |peer: &Peer| peer.direction.is_none() && peer.standing.values().any(Standing::has_shown);
        let mut away: Vec<&mut Peer> = self.peers.values_mut().filter(|peer| shows(peer)).collect();
        if away.len() > SHOWN_AWAY_MAX {
            away.sort_unstable_by_key(|peer| std::cmp::Reverse(peer.since_ms));
            for peer in &mut away[SHOWN_AWAY_MAX..] {
                peer.standing.values_mut().for_each(Standing::forget_shown);
            }
        }
    }
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
            (true, false) => {
                table.connected -= 1;
                table.forget_shown();
            }
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

    /// Changes how `peer` stands in `namespace`.
    pub fn stand<T>(
        &self,
        peer: NodeId,
        namespace: &Namespace,
        change: impl FnOnce(&mut Standing) -> T,
    ) -> T {
        self.update(peer, |known| change(known.standing.entry(namespace.clone()).or_default()))
    }

    /// A peer that is not connected was met over a carrier, which ends. What it has shown is kept as that of
    /// others that are away.
    pub fn met(&self, peer: NodeId, now_ms: u64, change: impl FnOnce(&mut Peer)) {
        self.update(peer, |known| {
            change(known);
            if known.direction.is_none() {
                known.since_ms = now_ms;
            }
        });
        self.table().forget_shown();
    }

    /// Whether nothing is to be exchanged with `peer`.
    pub fn is_blocked(&self, peer: &NodeId) -> bool {
        self.table().blocked.contains(peer)
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

    /// Something was heard of that is not stored: nothing that peers said of `namespace` counts.
    pub fn doubt(&self, namespace: &Namespace) {
        for peer in self.table().peers.values_mut() {
            if let Some(standing) = peer.standing.get_mut(namespace) {
                standing.doubt();
            }
        }
    }

    /// The namespace is not carried here any more.
    pub fn forget_namespace(&self, namespace: &Namespace) {
        for peer in self.table().peers.values_mut() {
            peer.standing.remove(namespace);
        }
    }

    /// All peers, as the API shows them.
    pub fn infos(&self, ours: &BTreeMap<Namespace, Ours>) -> Vec<PeerInfo> {
        let table = self.table();
        let known = table.peers.iter().map(|(id, peer)| info(*id, peer, table.blocked.contains(id), ours));
        let strangers = table.blocked.iter().filter(|id| !table.peers.contains_key(*id));
        known.chain(strangers.map(|id| info(*id, &Peer::default(), true, ours))).collect()
    }

    /// How each peer stands in the namespaces `ours`; a match older than `age_max` does not count.
    pub fn standings(&self, ours: &BTreeMap<Namespace, Ours>, age_max: Duration) -> Vec<PeerSync> {
        let table = self.table();
        table.peers.iter().map(|(id, peer)| standing(*id, peer, ours, age_max)).collect()
    }

    /// What peers have shown of `namespace` that is not in `ours`.
    pub fn lacking(&self, namespace: &Namespace, ours: &SeenSet) -> SeenSet {
        let mut all = SeenSet::new();
        for standing in self.table().peers.values().filter_map(|peer| peer.standing.get(namespace)) {
            all.union(&standing.lacking(ours));
        }
        all
    }
}

fn info(id: NodeId, peer: &Peer, blocked: bool, ours: &BTreeMap<Namespace, Ours>) -> PeerInfo {
    let all = namespaces(peer, ours, Duration::ZERO);
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
        behind: sum(&all, |one| one.behind),
        ahead: sum(&all, |one| one.ahead),
    }
}

/// The namespaces that both carry. What a peer carries it says on each connection anew.
fn namespaces(peer: &Peer, ours: &BTreeMap<Namespace, Ours>, age_max: Duration) -> Vec<NamespaceSync> {
    let nothing = Standing::default();
    let reachable = peer.direction.is_some() && peer.carries.is_some();
    let shared = |namespace: &&Namespace| match &peer.carries {
        Some(carries) => carries.contains(*namespace),
        None => peer.standing.contains_key(*namespace),
    };
    let judge = |namespace: &Namespace| {
        let standing = peer.standing.get(namespace).unwrap_or(&nothing);
        standing.judge(namespace.clone(), &ours[namespace], reachable, age_max)
    };
    ours.keys().filter(shared).map(judge).collect()
}

/// The sum over all namespaces; not known if it is not known of one.
fn sum(all: &[NamespaceSync], of: fn(&NamespaceSync) -> Option<u64>) -> Option<u64> {
    if all.is_empty() { None } else { all.iter().map(of).sum() }
}

fn standing(id: NodeId, peer: &Peer, ours: &BTreeMap<Namespace, Ours>, age_max: Duration) -> PeerSync {
    let namespaces = namespaces(peer, ours, age_max);
    let state = namespaces.iter().map(|one| one.state).reduce(Agreement::and).unwrap_or(Agreement::Unknown);
    let since = match state {
        Agreement::Behind => {
            namespaces.iter().filter(|one| one.state == state).filter_map(|one| one.since).min()
        }
        Agreement::InSync | Agreement::Unknown => namespaces.iter().map(|one| one.since).max().flatten(),
    };
    PeerSync {
        peer_id: id.to_string(),
        name: peer.name.clone(),
        connected: peer.direction.is_some(),
        state,
        in_sync: state.in_sync(),
        behind: sum(&namespaces, |one| one.behind),
        ahead: sum(&namespaces, |one| one.ahead),
        // Nothing is less than something: not known of one is not known of all.
        matched_at: namespaces.iter().map(|one| one.matched_at).min().flatten(),
        since: since.filter(|_| state != Agreement::Unknown),
        namespaces,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causality::{Dot, Origin};

    #[test]
    fn what_peers_have_shown_is_kept_of_a_bounded_number_of_those_that_are_away() {
        let (peers, namespace) = (Peers::default(), Namespace::default());
        let id = |number: usize| NodeId([u8::try_from(number).expect("few"); 32]);
        let shown = SeenSet::from_iter([Dot::new(Origin { node: id(0), epoch: 1 }, 1)]);
        for number in 0..=SHOWN_AWAY_MAX {
            peers.update(id(number), |peer| peer.direction = Some(Direction::Inbound));
            peers.stand(id(number), &namespace, |standing| standing.show(&shown));
        }
        let kept = || {
            let has = |number: &usize| peers.stand(id(*number), &namespace, |standing| standing.has_shown());
            (0..=SHOWN_AWAY_MAX).filter(has).collect::<Vec<_>>()
        };
        assert_eq!(kept().len(), SHOWN_AWAY_MAX + 1, "all are there");
        for number in 0..=SHOWN_AWAY_MAX {
            peers.update(id(number), |peer| {
                (peer.direction, peer.since_ms) = (None, 1_000 - number as u64);
            });
        }
        assert_eq!(kept(), (0..SHOWN_AWAY_MAX).collect::<Vec<_>>(), "the one that is away for longest");
    }
}
