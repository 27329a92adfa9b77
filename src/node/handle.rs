//! The handle of a running node.

use tokio::sync::broadcast;

use crate::{
    causality::NodeId,
    types::{Limits, Namespace},
};

use super::{
    Builder, ConnectError, Health, NodeEvent, PeerInfo, ReadError, Space, Status, SyncReport, SyncStatus,
};

/// A running node. Cloning shares it; when the last clone is dropped it stops.
#[derive(Clone)]
pub struct Node {}

impl Node {
    /// Settings for a new node.
    #[must_use]
    pub fn builder() -> Builder {
        unimplemented!()
    }

    /// The node's id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        unimplemented!()
    }

    /// The limits that the node keeps.
    #[must_use]
    pub fn limits(&self) -> Limits {
        unimplemented!()
    }

    /// What happens to the node from now on, for people. A reader that is too slow is told how much
    /// it missed.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<NodeEvent> {
        unimplemented!()
    }

    /// A namespace of the node.
    ///
    /// # Errors
    /// [`ReadError::NoNamespace`] when the node does not carry it.
    pub fn space(&self, namespace: &Namespace) -> Result<Space, ReadError> {
        let _ = namespace;
        unimplemented!()
    }

    /// What the node is and does.
    pub async fn status(&self) -> Status {
        unimplemented!()
    }

    /// Whether reads and writes are answered.
    pub fn health(&self) -> Health {
        unimplemented!()
    }

    /// The peers that are connected or known.
    pub async fn peers(&self) -> Vec<PeerInfo> {
        unimplemented!()
    }

    /// Dials a peer and keeps it, as `--peer` does.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(&self, address: &str) -> Result<(), ConnectError> {
        let _ = address;
        unimplemented!()
    }

    /// Cuts a peer off and refuses it from now on.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn block(&self, peer: NodeId) -> Result<(), ConnectError> {
        let _ = peer;
        unimplemented!()
    }

    /// Lets a blocked peer in again.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn unblock(&self, peer: NodeId) -> Result<(), ConnectError> {
        let _ = peer;
        unimplemented!()
    }

    /// One round of exchanges with every neighbour, now.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn sync(&self) -> Result<SyncReport, ReadError> {
        unimplemented!()
    }

    /// Whether the node knows of anything it lacks, and how it stands with each peer.
    pub async fn sync_status(&self) -> SyncStatus {
        unimplemented!()
    }

    /// The node's metrics in the text format of Prometheus (OpenMetrics).
    #[must_use]
    pub fn metrics(&self) -> String {
        unimplemented!()
    }

    /// Stops the node: everything acknowledged is on disk when this returns.
    pub async fn close(&self) {
        unimplemented!()
    }

    /// Waits until the node has stopped, for whatever reason; the text says why if it was an error.
    pub async fn closed(&self) -> Option<String> {
        unimplemented!()
    }
}
