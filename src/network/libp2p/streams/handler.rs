//! The part in a connection: negotiates streams.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, ready},
    io,
    task::{Context, Poll},
};

use libp2p::{
    core::{
        upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
        util::unreachable,
    },
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, StreamProtocol, StreamUpgradeError, SubstreamProtocol,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};

use super::{Open, PROTOCOLS, wire_name};
use crate::network::{Protocol, StreamError};

/// Negotiates the streams of one connection.
#[derive(Default)]
pub(in super::super) struct Handler {
    opens: VecDeque<Open>,
    accepted: VecDeque<(Protocol, libp2p::Stream)>,
}

/// The protocols offered or asked for.
pub(in super::super) struct Offer(Vec<Protocol>);

impl UpgradeInfo for Offer {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.iter().copied().map(wire_name).collect::<Vec<_>>().into_iter()
    }
}

impl InboundUpgrade<libp2p::Stream> for Offer {
    type Output = (libp2p::Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: libp2p::Stream, name: StreamProtocol) -> Self::Future {
        ready(Ok((stream, name)))
    }
}

impl OutboundUpgrade<libp2p::Stream> for Offer {
    type Output = libp2p::Stream;
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: libp2p::Stream, _: StreamProtocol) -> Self::Future {
        ready(Ok(stream))
    }
}

fn failure(protocol: Protocol, error: StreamUpgradeError<Infallible>) -> StreamError {
    match error {
        StreamUpgradeError::NegotiationFailed => StreamError::Unsupported(protocol.name()),
        StreamUpgradeError::Timeout => StreamError::Timeout,
        StreamUpgradeError::Io(error) if error.kind() == io::ErrorKind::TimedOut => StreamError::Timeout,
        StreamUpgradeError::Io(error) => StreamError::Closed(error.to_string()),
        StreamUpgradeError::Apply(never) => unreachable(never),
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = (Protocol, libp2p::Stream);
    type InboundProtocol = Offer;
    type OutboundProtocol = Offer;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Open;

    fn listen_protocol(&self) -> SubstreamProtocol<Offer> {
        SubstreamProtocol::new(Offer(PROTOCOLS.to_vec()), ())
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Offer, Open, (Protocol, libp2p::Stream)>> {
        if let Some(accepted) = self.accepted.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(accepted));
        }
        while let Some(open) = self.opens.pop_front() {
            if !open.reply.is_closed() {
                let protocol = SubstreamProtocol::new(Offer(vec![open.protocol]), open);
                return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
            }
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, open: Open) {
        self.opens.push_back(open);
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<Offer, Offer, (), Open>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, name),
                ..
            }) => {
                let protocol = PROTOCOLS.into_iter().find(|protocol| protocol.name() == name.as_ref());
                let protocol = protocol.expect("nothing but what was offered is negotiated");
                self.accepted.push_back((protocol, stream));
            }
            // If whoever asked is gone, the stream is dropped, and so reset.
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                let _ = info.reply.send(Ok(protocol));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, info }) => {
                let _ = info.reply.send(Err(failure(info.protocol, error)));
            }
            _ => {}
        }
    }
}
