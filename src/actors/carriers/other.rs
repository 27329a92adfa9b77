//! Another node to exchange with: over a carrier, or over the connection that stands.

use std::sync::Arc;

use tokio::sync::{Mutex, oneshot};

use super::{RemoteError, Target, as_task, visit::visit};
use crate::{
    actors::{sessions::SessionsMsg, society::Society},
    causality::NodeId,
    ports::Carrier,
    report::SyncReport,
    wire::Way,
};

/// Another node.
#[derive(Clone)]
pub enum Other {
    /// A peer, over libp2p.
    Peer(NodeId),
    /// Whoever a carrier leads to.
    Carried {
        /// Which carrier of this node.
        number: u64,
        /// The carrier.
        carrier: Arc<dyn Carrier>,
        /// One visit at a time.
        turn: Arc<Mutex<()>>,
    },
}

impl Other {
    /// Whoever `carrier` leads to.
    pub fn carried(society: &Society, carrier: Arc<dyn Carrier>) -> Self {
        Self::Carried { number: society.schedules.next_carrier(), carrier, turn: Arc::default() }
    }

    /// Under what it is scheduled.
    pub fn target(&self) -> Target {
        match self {
            Self::Peer(peer) => Target::Peer(*peer),
            Self::Carried { number, .. } => Target::Carrier(*number),
        }
    }

    /// What it is called in logs.
    pub fn describe(&self) -> String {
        match self {
            Self::Peer(peer) => peer.to_string(),
            Self::Carried { carrier, .. } => carrier.describe(),
        }
    }

    /// One exchange about each namespace, now. Dropping the future ends a visit; what has begun over a
    /// connection goes on.
    pub async fn sync(&self, society: &Arc<Society>, way: Way) -> Result<SyncReport, RemoteError> {
        match self {
            Self::Peer(peer) => {
                let (reply, report) = oneshot::channel();
                society.sessions.cast(SessionsMsg::Sync { peer: Some(*peer), namespace: None, way, reply });
                let report = report.await.map_err(|_| RemoteError::Closed)?;
                report.ok_or(RemoteError::NotConnected(*peer))
            }
            Self::Carried { carrier, turn, .. } => {
                let _turn = turn.lock().await;
                as_task(society, |society, scope| visit(society, scope, carrier.clone(), way)).await
            }
        }
    }
}
