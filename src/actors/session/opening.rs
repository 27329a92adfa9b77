//! How an exchange begins that a peer opens, and whether this node takes part in it.

use std::sync::{Arc, atomic::AtomicU64};

use super::frames::{StreamBroken, expect_frame};
use crate::{
    actors::{
        society::Society,
        standing::{Mark, Standing},
    },
    causality::NodeId,
    network::Stream,
    ports::Operation,
    types::Namespace,
    wire::{ExchangeFrame, Way},
};

/// The first frames of an exchange that a peer opened.
pub struct Opening {
    /// Which way versions go, as this end sees it.
    pub way: Way,
    /// The hello, if it is one.
    pub first: ExchangeFrame,
    /// Bytes of both.
    pub bytes: u64,
}

impl Opening {
    /// Reads them.
    ///
    /// # Errors
    /// When they do not come, or are no frames of an exchange.
    pub async fn read(stream: &mut Stream) -> Result<Self, StreamBroken> {
        let bytes = AtomicU64::new(0);
        let mut way = Way::Both;
        let mut first = ExchangeFrame::from_frame(&expect_frame(stream, &bytes).await?)?;
        if let ExchangeFrame::Way(theirs) = first {
            way = theirs.turned();
            first = ExchangeFrame::from_frame(&expect_frame(stream, &bytes).await?)?;
        }
        Ok(Self { way, first, bytes: bytes.into_inner() })
    }

    /// What it is about, if it begins as it should.
    pub fn namespace(&self) -> Option<&Namespace> {
        match &self.first {
            ExchangeFrame::Hello(hello) => Some(&hello.namespace),
            _ => None,
        }
    }

    /// Whether this node takes part in it, or what the peer is answered. With it, when the peer said so.
    ///
    /// # Errors
    /// What is said in the place of a hello.
    pub fn admit(
        &self,
        society: &Arc<Society>,
        peer: NodeId,
        namespace: &Namespace,
    ) -> Result<Mark, ExchangeFrame> {
        if !society.reader().carries(namespace) || !society.hooks.allows(peer, Operation::Exchange, namespace)
        {
            return Err(ExchangeFrame::NotCarried);
        }
        // Also if it is refused: it was said.
        let mark = society.peers.stand(peer, namespace, Standing::hello_unasked);
        if self.way.takes() && society.fills.other_than(&peer, namespace).is_some() {
            return Err(ExchangeFrame::Busy);
        }
        Ok(mark)
    }
}
