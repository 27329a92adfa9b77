//! The part in the swarm: knows who is connected, passes requests to the oldest connection.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm,
    },
};
use tokio::sync::mpsc;

use super::{Open, handler::Handler};
use crate::network::{Protocol, StreamError};

/// A peer opened a stream.
#[derive(Debug)]
pub(in super::super) struct Inbound {
    /// The peer.
    pub(in super::super) peer: PeerId,
    /// What it speaks.
    pub(in super::super) protocol: Protocol,
    /// The stream.
    pub(in super::super) stream: libp2p::Stream,
}

/// Opens and accepts streams.
pub(in super::super) struct Behaviour {
    requests: mpsc::Receiver<(PeerId, Open)>,
    connections: BTreeMap<PeerId, BTreeSet<ConnectionId>>,
    inbound: VecDeque<Inbound>,
}

impl Behaviour {
    pub(super) fn new(requests: mpsc::Receiver<(PeerId, Open)>) -> Self {
        Self { requests, connections: BTreeMap::new(), inbound: VecDeque::new() }
    }

    fn oldest_connection(&self, peer: &PeerId) -> Option<ConnectionId> {
        self.connections.get(peer)?.first().copied()
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Inbound;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(new) => {
                self.connections.entry(new.peer_id).or_default().insert(new.connection_id);
            }
            FromSwarm::ConnectionClosed(gone) => {
                if let Some(left) = self.connections.get_mut(&gone.peer_id) {
                    left.remove(&gone.connection_id);
                    if left.is_empty() {
                        self.connections.remove(&gone.peer_id);
                    }
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        _: ConnectionId,
        (protocol, stream): THandlerOutEvent<Self>,
    ) {
        self.inbound.push_back(Inbound { peer, protocol, stream });
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Inbound, THandlerInEvent<Self>>> {
        if let Some(inbound) = self.inbound.pop_front() {
            return Poll::Ready(ToSwarm::GenerateEvent(inbound));
        }
        while let Poll::Ready(Some((peer_id, open))) = self.requests.poll_recv(context) {
            if let Some(connection) = self.oldest_connection(&peer_id) {
                let handler = NotifyHandler::One(connection);
                return Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler, event: open });
            }
            // Whoever asked may be gone; then nobody needs the answer.
            let _ = open.reply.send(Err(StreamError::Closed("it is not connected".into())));
        }
        Poll::Pending
    }
}
