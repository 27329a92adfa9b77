//! Who is let in: asked once the handshake has proven who it is, before anything else is said.

use std::{
    fmt,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm, dummy,
    },
};

use super::peer::node_of;
use crate::network::Admit;

/// A peer was not let in; why.
#[derive(Debug)]
pub(super) struct NotAdmitted(String);

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the peer is not let in here: {}", self.0)
    }
}

impl std::error::Error for NotAdmitted {}

/// Asks about each connection, whoever dialled.
pub(super) struct Door(pub(super) Admit);

impl Door {
    fn ask(&self, peer: &PeerId) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        let node = node_of(peer).ok_or_else(|| NotAdmitted("its id is none of this mesh".to_owned()));
        let answer = node.and_then(|node| (self.0)(node).map_err(NotAdmitted));
        answer.map(|()| dummy::ConnectionHandler).map_err(ConnectionDenied::new)
    }
}

impl NetworkBehaviour for Door {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = std::convert::Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.ask(&peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.ask(&peer)
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}
