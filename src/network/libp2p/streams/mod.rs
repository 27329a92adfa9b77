//! Streams to connected peers.
//!
//! Not `libp2p-stream`: that one dials when there is no connection, picks a connection at random, and
//! drops inbound streams when two arrive before its channel is emptied. Here nothing dials, the
//! oldest connection is used, and inbound streams travel as events of the swarm, with its
//! back-pressure.

mod behaviour;
mod handler;

use std::time::Duration;

use futures::future::BoxFuture;
use libp2p::swarm::StreamProtocol;
use tokio::sync::{mpsc, oneshot};

pub(super) use behaviour::{Behaviour, Inbound};

use super::peer::peer_of;
use crate::{
    causality::NodeId,
    network::{Protocol, Stream, StreamError, Streams},
};

/// The most requests for a stream that wait for the swarm.
const OPENS_MAX: usize = 256;
/// How long opening a stream may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// The stream protocols, in the order in which they are offered.
const PROTOCOLS: [Protocol; 3] = [Protocol::Link, Protocol::Sync, Protocol::Blob];

const fn wire_name(protocol: Protocol) -> StreamProtocol {
    StreamProtocol::new(protocol.name())
}

pub(super) type Reply = oneshot::Sender<Result<libp2p::Stream, StreamError>>;

/// Somebody wants a stream.
#[derive(Debug)]
pub(super) struct Open {
    protocol: Protocol,
    reply: Reply,
}

/// Asks the swarm for streams.
pub(super) struct Opener {
    requests: mpsc::Sender<(libp2p::PeerId, Open)>,
}

/// The opener, and the behaviour that serves it.
pub(super) fn channel() -> (Opener, Behaviour) {
    let (requests, receiver) = mpsc::channel(OPENS_MAX);
    (Opener { requests }, Behaviour::new(receiver))
}

impl Streams for Opener {
    fn open(&self, peer: NodeId, protocol: Protocol) -> BoxFuture<'static, Result<Stream, StreamError>> {
        let requests = self.requests.clone();
        Box::pin(async move {
            let stopped = || StreamError::Closed("the network has stopped".into());
            let opening = async {
                let (reply, answer) = oneshot::channel();
                requests.send((peer_of(peer), Open { protocol, reply })).await.map_err(|_| stopped())?;
                let lost = |_| StreamError::Closed("it broke while the stream was opened".into());
                answer.await.map_err(lost)?
            };
            let stream =
                tokio::time::timeout(OPEN_TIMEOUT, opening).await.map_err(|_| StreamError::Timeout)??;
            Ok(Box::new(stream) as Stream)
        })
    }
}
