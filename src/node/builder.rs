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

    /// Everything the node keeps lies in this directory.
    #[must_use]
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// Keeps everything in memory; it is gone when the node stops.
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.data_dir = None;
        self
    }

    /// A person's name for the node, shown to others.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Which mesh it belongs to.
    #[must_use]
    pub fn mesh(mut self, mesh: impl Into<String>) -> Self {
        self.mesh = mesh.into();
        self
    }

    /// Where peers reach it.
    #[must_use]
    pub fn listen(mut self, addresses: Vec<Multiaddr>) -> Self {
        self.listen = addresses;
        self
    }

    /// Peers to dial and keep.
    #[must_use]
    pub fn peers(mut self, addresses: Vec<Multiaddr>) -> Self {
        self.peers = addresses;
        self
    }

    /// How it finds other nodes.
    #[must_use]
    pub fn discovery(mut self, discovery: Discovery) -> Self {
        self.discovery = discovery;
        self
    }

    /// Whether it connects to peers that peers told of.
    #[must_use]
    pub fn peer_exchange(mut self, on: bool) -> Self {
        self.peer_exchange = on;
        self
    }

    /// Who may join.
    #[must_use]
    pub fn membership(mut self, membership: Membership) -> Self {
        self.membership = membership;
        self
    }

    /// Only these peers, if there are any.
    #[must_use]
    pub fn allow(mut self, peers: BTreeSet<NodeId>) -> Self {
        self.allow = peers;
        self
    }

    /// What an acknowledged write has survived.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How often a neighbour is asked whether both still agree.
    #[must_use]
    pub fn sync_interval(mut self, interval: Duration) -> Self {
        self.sync_interval = interval;
        self
    }

    /// The limits that it keeps.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}
