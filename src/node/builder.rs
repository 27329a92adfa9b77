//! How a node is made.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use crate::{
    causality::NodeId,
    network::Multiaddr,
    storage::Durability,
    types::{Limits, Namespace},
};

use super::{Node, StartError};

/// How nodes find each other beside [`Builder::peer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// By mDNS on the local network.
    pub mdns: bool,
    /// By a directory that the nodes of one user on one machine share.
    pub same_host: bool,
    /// Where that directory is; the usual place if absent.
    pub same_host_directory: Option<PathBuf>,
}

/// Who may join the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// Whoever has the same 32-byte key.
    SwarmKey([u8; 32]),
    /// Whoever reaches the port.
    Open,
}

/// Settings of a node; each has the default of the command line.
#[derive(Clone)]
pub struct Builder {
    pub(super) data_dir: Option<PathBuf>,
    pub(super) name: Option<String>,
    pub(super) mesh: String,
    pub(super) listen: Vec<Multiaddr>,
    pub(super) peers: Vec<Multiaddr>,
    pub(super) discovery: Discovery,
    pub(super) peer_exchange: bool,
    pub(super) membership: Membership,
    pub(super) allow: BTreeSet<NodeId>,
    pub(super) durability: Durability,
    pub(super) sync_interval: Duration,
    pub(super) namespaces: Vec<Namespace>,
    pub(super) limits: Limits,
}

impl Builder {
    /// Starts the node.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(self) -> Result<Node, StartError> {
        unimplemented!()
    }
}
