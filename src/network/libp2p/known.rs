//! What the dialer knows of peers.

use std::{collections::BTreeMap, time::Duration};

use libp2p::Multiaddr;

use super::dialer::DialId;
use crate::causality::NodeId;

/// The most peers that are known at a time; beyond it found peers that cannot be reached go first.
pub(super) const KNOWN_PEERS_MAX: usize = 1024;
/// The most addresses of one peer.
pub(super) const KNOWN_ADDRESSES_MAX: usize = 16;

/// How an address became known; the first is trusted most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// The user said so.
    Kept,
    /// It worked.
    Dialled,
    /// The same-host directory.
    SameHost,
    /// Multicast DNS.
    Mdns,
    /// The peer itself.
    Identify,
    /// Another peer.
    Exchange,
    /// The address book.
    Book,
}

/// A peer, as the dialer sees it.
#[derive(Default)]
pub(super) struct Peer {
    /// Where it may be reached.
    pub(super) addresses: BTreeMap<Multiaddr, Source>,
    /// Dialled for ever: asked for, or living at an address that was.
    pub(super) kept: bool,
    /// Asked for by its id.
    pub(super) asked: bool,
    /// The dial under way.
    pub(super) dial: Option<DialId>,
    /// Connected since.
    pub(super) since: Option<Duration>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Not dialled before.
    pub(super) not_before: Duration,
    /// Must not be talked to before.
    pub(super) refused_until: Duration,
}

impl Peer {
    /// Learns addresses; says whether one of them is new. What a source that knows all addresses said
    /// before gives way to what it says now.
    pub(super) fn learn(&mut self, new: impl IntoIterator<Item = Multiaddr>, source: Source) -> bool {
        let new: Vec<_> = new.into_iter().take(KNOWN_ADDRESSES_MAX).collect();
        if source == Source::SameHost || source == Source::Identify {
            self.addresses.retain(|address, from| *from != source || new.contains(address));
        }
        let mut fresh = false;
        for address in new {
            let from = self.addresses.entry(address).or_insert_with(|| {
                fresh = true;
                source
            });
            *from = source.min(*from);
        }
        while self.addresses.len() > KNOWN_ADDRESSES_MAX {
            let last = self.addresses.iter().max_by_key(|(_, source)| **source);
            let last = last.map(|(address, _)| address.clone());
            last.and_then(|address| self.addresses.remove(&address));
        }
        fresh
    }

    /// Forgets an address.
    pub(super) fn forget(&mut self, address: &Multiaddr) {
        self.addresses.remove(address);
    }

    /// Whether it may live there.
    pub(super) fn has(&self, address: &Multiaddr) -> bool {
        self.addresses.contains_key(address)
    }

    /// The addresses trusted most.
    pub(super) fn best_addresses(&self, count: usize) -> Vec<Multiaddr> {
        let mut ranked: Vec<_> = self.addresses.iter().map(|(address, source)| (source, address)).collect();
        ranked.sort();
        ranked.into_iter().take(count).map(|(_, address)| address.clone()).collect()
    }

    /// Whether it could be dialled.
    pub(super) fn is_idle(&self) -> bool {
        self.since.is_none() && self.dial.is_none() && !self.addresses.is_empty()
    }

    /// Whether it was found nearby, without being told by other peers.
    pub(super) fn is_local(&self) -> bool {
        !self.kept && self.addresses.values().any(|from| matches!(from, Source::SameHost | Source::Mdns))
    }

    /// When it may be dialled.
    pub(super) fn due_at(&self) -> Duration {
        self.not_before.max(self.refused_until)
    }
}

/// All peers the dialer knows of.
#[derive(Default)]
pub(super) struct Known {
    peers: BTreeMap<NodeId, Peer>,
}

impl Known {
    /// The peer, made known by this call if need be.
    pub(super) fn entry(&mut self, node: NodeId) -> &mut Peer {
        self.peers.entry(node).or_default()
    }

    /// All peers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.peers.iter().map(|(node, peer)| (*node, peer))
    }

    /// How many are connected.
    pub(super) fn connected(&self) -> usize {
        self.peers.values().filter(|peer| peer.since.is_some()).count()
    }

    /// Who is connected and known to live at an address.
    pub(super) fn connected_at(&self, address: &Multiaddr) -> Option<NodeId> {
        let mut connected = self.iter().filter(|(_, peer)| peer.since.is_some());
        connected.find(|(_, peer)| peer.has(address)).map(|(node, _)| node)
    }

    /// Forgets the most hopeless ones when there are too many.
    pub(super) fn trim(&mut self) {
        while self.peers.len() > KNOWN_PEERS_MAX {
            let spare = self
                .peers
                .iter()
                .filter(|(_, peer)| !peer.kept && peer.since.is_none() && peer.dial.is_none());
            let spare = spare.max_by_key(|(_, peer)| (peer.failures, peer.addresses.values().min().copied()));
            let Some(node) = spare.map(|(node, _)| *node) else { return };
            self.peers.remove(&node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
    }

    #[test]
    fn the_addresses_trusted_most_stay_and_come_first() {
        let mut peer = Peer::default();
        peer.learn((1..=20).map(address), Source::Book);
        peer.learn([address(100)], Source::Kept);
        peer.learn([address(5)], Source::Mdns);
        assert_eq!(peer.addresses.len(), KNOWN_ADDRESSES_MAX);
        assert_eq!(peer.best_addresses(2), [address(100), address(5)]);
    }

    #[test]
    fn a_node_that_moved_is_not_sought_at_its_old_port() {
        let mut peer = Peer::default();
        assert!(peer.learn([address(1)], Source::SameHost));
        assert!(!peer.learn([address(1)], Source::SameHost));
        assert!(peer.learn([address(2)], Source::SameHost));
        assert_eq!(peer.best_addresses(9), [address(2)]);
    }

    #[test]
    fn the_hopeless_are_forgotten_first() {
        let mut known = Known::default();
        for number in 0..=KNOWN_PEERS_MAX {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&(number as u64).to_be_bytes());
            let peer = known.entry(NodeId(key));
            peer.failures = u32::try_from(number % 100).unwrap();
            peer.kept = number % 100 == 99;
        }
        known.trim();
        assert_eq!(known.iter().count(), KNOWN_PEERS_MAX);
        assert_eq!(known.iter().filter(|(_, peer)| peer.failures == 98).count(), 9);
        assert_eq!(known.iter().filter(|(_, peer)| peer.kept).count(), 10);
    }
}
