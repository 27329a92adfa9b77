//! Connections that come, live and go.

use std::collections::BTreeMap;

use libp2p::{
    PeerId,
    core::ConnectedPoint,
    identify, mdns, ping,
    swarm::{ConnectionError, ConnectionId, DialError},
};

use super::{
    super::{
        Input, Source,
        dialer::Fault,
        peer::{is_dialable, is_loopback, node_of, peer_of, split},
        reason,
    },
    Task,
};
use crate::{
    causality::NodeId,
    network::{Direction, Event},
};

impl Task {
    pub(super) fn on_connected(&mut self, peer: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let dial = self.dials.remove(&connection);
        let Some(node) = node_of(&peer) else {
            let reason = format!("{peer} is no node: its key is not an ed25519 key");
            self.tell(Event::DialFailed { peer: None, reason });
            // An error says that it is gone already.
            let _ = self.parts.swarm.disconnect_peer_id(peer);
            self.fail(dial, Fault::Unreachable);
            return;
        };
        let address = split(endpoint.get_remote_address().clone()).0;
        let links = self.links.entry(node).or_default();
        links.insert(connection);
        if links.len() == 1 {
            let direction = if endpoint.is_dialer() { Direction::Outbound } else { Direction::Inbound };
            tracing::debug!(%node, %address, ?direction, "connected");
            self.parts.metrics.connections.inc();
            if self.protected.contains(&node) {
                self.parts.swarm.behaviour_mut().gossip.add_explicit_peer(&peer);
            }
            self.tell(Event::Connected { peer: node, address: address.clone(), direction });
        }
        if endpoint.is_dialer() {
            self.parts.book.note(node, [address.clone()], self.parts.wall.now_ms());
        }
        self.tell_dialer(Input::Connected { peer: node, address, dial });
    }

    pub(super) fn on_closed(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        cause: Option<&ConnectionError>,
    ) {
        self.liveness.forget(connection);
        let Some(node) = node_of(&peer) else { return };
        let Some(links) = self.links.get_mut(&node) else { return };
        links.remove(&connection);
        if !links.is_empty() {
            return;
        }
        self.links.remove(&node);
        let reason = self.partings.remove(&node).unwrap_or_else(|| reason::of_close(cause));
        tracing::debug!(%node, reason, "disconnected");
        self.parts.metrics.connections.dec();
        if self.protected.contains(&node) {
            self.parts.swarm.behaviour_mut().gossip.remove_explicit_peer(&peer);
        }
        self.tell(Event::Disconnected { peer: node, reason });
        self.tell_dialer(Input::Disconnected(node));
    }

    pub(super) fn on_dial_failed(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        error: &DialError,
    ) {
        let dial = self.dials.remove(&connection);
        let fault = self.on_fault(peer.as_ref().and_then(node_of), error);
        self.fail(dial, fault);
    }

    /// Counts and tells that a dial failed.
    pub(super) fn on_fault(&self, peer: Option<NodeId>, error: &DialError) -> Fault {
        let fault = match error {
            DialError::LocalPeerId { .. } => Fault::Ourselves,
            DialError::WrongPeerId { .. } => Fault::Stranger,
            _ => Fault::Unreachable,
        };
        let reason = reason::of_dial(error, self.keyed);
        tracing::debug!(?peer, reason, "a dial failed");
        self.parts.metrics.dial_failures.inc();
        let connected_meanwhile = peer.is_some_and(|node| self.links.contains_key(&node));
        if fault != Fault::Ourselves && !connected_meanwhile && !self.stopping {
            self.tell(Event::DialFailed { peer, reason });
        }
        fault
    }

    fn fail(&mut self, dial: Option<super::DialId>, fault: Fault) {
        if let Some(dial) = dial {
            self.tell_dialer(Input::Failed { dial, fault });
        }
    }

    pub(super) fn on_ping(&mut self, ping: ping::Event) {
        let Some(node) = node_of(&ping.peer) else { return };
        match ping.result {
            Ok(rtt) => {
                self.liveness.answered(ping.connection);
                self.tell(Event::Rtt { peer: node, rtt });
            }
            Err(error) => {
                tracing::debug!(%node, %error, "a ping failed");
                if self.liveness.failed(ping.connection) {
                    if self.links.get(&node).is_some_and(|links| links.len() == 1) {
                        self.partings.entry(node).or_insert_with(|| "it does not answer".into());
                    }
                    self.parts.swarm.close_connection(ping.connection);
                }
            }
        }
    }

    pub(super) fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received { connection_id: _, peer_id, info } = event else { return };
        let Some(node) = node_of(&peer_id).filter(|node| self.links.contains_key(node)) else { return };
        if info.protocol_version != self.protocol_version {
            let theirs: String = info.protocol_version.chars().take(80).collect();
            let reason =
                format!("it is of another mesh: it speaks {theirs:?}, this node {:?}", self.protocol_version);
            self.refuse(node, &reason);
            return;
        }
        // Only on this machine does a loopback address lead to the peer.
        let near = is_loopback(&info.observed_addr);
        let addresses: Vec<_> = info
            .listen_addrs
            .into_iter()
            .map(|address| split(address).0)
            .filter(|address| is_dialable(address) && (near || !is_loopback(address)))
            .collect();
        self.parts.book.note(node, addresses.clone(), self.parts.wall.now_ms());
        self.tell_dialer(Input::Found { peer: node, addresses, source: Source::Identify });
    }

    /// That a record expired says nothing about the peer: only what is discovered counts.
    pub(super) fn on_mdns(&mut self, event: mdns::Event) {
        let mdns::Event::Discovered(found) = event else { return };
        let mut peers = BTreeMap::<_, Vec<_>>::new();
        for (peer, address) in found {
            if let Some(node) = node_of(&peer) {
                peers.entry(node).or_default().push(split(address).0);
            }
        }
        for (peer, addresses) in peers {
            tracing::debug!(%peer, ?addresses, "found on the local network");
            self.tell_dialer(Input::Found { peer, addresses, source: Source::Mdns });
        }
    }

    pub(super) fn on_stream(&mut self, inbound: super::super::streams::Inbound) {
        let node = node_of(&inbound.peer).filter(|node| self.links.contains_key(node));
        // Without a connection the stream is dead already.
        let Some(peer) = node else { return };
        debug_assert_eq!(peer_of(peer), inbound.peer);
        self.tell(Event::Inbound { peer, protocol: inbound.protocol, stream: Box::new(inbound.stream) });
    }
}
