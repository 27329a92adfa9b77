//! What the actors ask for.

use std::collections::BTreeSet;

use libp2p::Multiaddr;

use super::{
    super::{
        Input, Source,
        peer::{node_of, peer_of, split},
    },
    Task,
};
use crate::{
    causality::NodeId,
    network::{Command, Event},
};

impl Task {
    pub(super) fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish { namespace, data } => self.publish(&namespace, data),
            Command::Join(namespace) => self.join(&namespace),
            Command::Leave(namespace) => self.leave(&namespace),
            Command::Dial(address) => self.keep(address, true),
            Command::Learn(peers) => {
                for (peer, addresses) in peers {
                    let addresses = addresses.into_iter().map(|address| split(address).0).collect();
                    self.tell_dialer(Input::Found { peer, addresses, source: Source::Exchange });
                }
            }
            Command::Disconnect(node) => self.part(node, "this node closed it"),
            Command::Refuse(node) => self.refuse(node, "this node refuses it"),
            Command::Block(node) => self.block(node),
            Command::Unblock(node) => self.unblock(node),
            Command::Protect(nodes) => self.protect(nodes),
            Command::Stop => unreachable!("taken care of where commands are taken"),
        }
    }

    /// Dials an address and keeps whoever lives there.
    pub(super) fn keep(&mut self, address: Multiaddr, eager: bool) {
        match split(address.clone()).1 {
            Some(peer) if node_of(&peer).is_none() => {
                let reason = format!("{address}: not the peer id of an ed25519 key (12D3Koo…)");
                self.tell(Event::DialFailed { peer: None, reason });
            }
            _ => self.tell_dialer(Input::Keep { address, eager }),
        }
    }

    /// Closes the connections to a peer.
    pub(super) fn part(&mut self, node: NodeId, reason: &str) {
        if self.links.contains_key(&node) {
            self.partings.entry(node).or_insert_with(|| reason.into());
            // An error says that it is gone already.
            let _ = self.parts.swarm.disconnect_peer_id(peer_of(node));
        }
    }

    /// Closes the connections to a peer, and does not dial it for some time.
    pub(super) fn refuse(&mut self, node: NodeId, reason: &str) {
        self.tell_dialer(Input::Refuse(node));
        self.part(node, reason);
    }

    fn block(&mut self, node: NodeId) {
        self.tell_dialer(Input::Block(node));
        self.part(node, "blocked here");
        self.parts.swarm.behaviour_mut().blocked.block_peer(peer_of(node));
        if let Err(error) = self.parts.blocks.block(node) {
            tracing::warn!(%error, %node, "blocked, but only until the next start: the list cannot be saved");
        }
    }

    fn unblock(&mut self, node: NodeId) {
        self.parts.swarm.behaviour_mut().blocked.unblock_peer(peer_of(node));
        if let Err(error) = self.parts.blocks.unblock(node) {
            tracing::warn!(%error, %node, "let in, but only until the next start: the list cannot be saved");
        }
        self.tell_dialer(Input::Unblock(node));
    }

    /// gossipsub dials explicit peers by itself, so it is told only of those who are connected.
    fn protect(&mut self, nodes: BTreeSet<NodeId>) {
        let gossip = &mut self.parts.swarm.behaviour_mut().gossip;
        for node in nodes.difference(&self.protected).filter(|node| self.links.contains_key(node)) {
            gossip.add_explicit_peer(&peer_of(*node));
        }
        for node in self.protected.difference(&nodes) {
            gossip.remove_explicit_peer(&peer_of(*node));
        }
        self.protected = nodes;
    }
}
