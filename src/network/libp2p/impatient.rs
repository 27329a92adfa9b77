//! Connections that are closed within their time.
//!
//! libp2p closes a connection in good order: it waits until everything that was to be sent is on its
//! way. Where both ends give up a link that carries nothing any more, each may wait to say so behind
//! more than the other will ever read, and the two stay connected by a link that is dead.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use tokio::time::{Sleep, sleep};

/// Closing takes no longer than this; then the socket is dropped with what it still had to send.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(5);

/// A multiplexed connection whose end is not waited for in vain.
pub(super) struct Impatient<M> {
    muxer: M,
    patience: Option<Pin<Box<Sleep>>>,
}

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum ImpatientError<E> {
    /// What the connection says.
    Muxer(E),
    /// It could not be closed in time.
    Stuck,
}

impl<M> Impatient<M> {
    pub(super) fn new(muxer: M) -> Self {
        Self { muxer, patience: None }
    }
}

impl<M> StreamMuxer for Impatient<M>
where
    M: StreamMuxer + Unpin,
    M::Error: 'static,
{
    type Substream = M::Substream;
    type Error = ImpatientError<M::Error>;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        Pin::new(&mut self.muxer).poll_inbound(context).map_err(ImpatientError::Muxer)
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        Pin::new(&mut self.muxer).poll_outbound(context).map_err(ImpatientError::Muxer)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if let Poll::Ready(closed) = Pin::new(&mut self.muxer).poll_close(context) {
            return Poll::Ready(closed.map_err(ImpatientError::Muxer));
        }
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(CLOSE_TIME_MAX)));
        patience.as_mut().poll(context).map(|()| Err(ImpatientError::Stuck))
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        Pin::new(&mut self.muxer).poll(context).map_err(ImpatientError::Muxer)
    }
}

impl<E: fmt::Display> fmt::Display for ImpatientError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Muxer(error) => error.fmt(f),
            Self::Stuck => write!(f, "it could not be closed within {} s", CLOSE_TIME_MAX.as_secs()),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for ImpatientError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Muxer(error) => error.source(),
            Self::Stuck => None,
        }
    }
}
