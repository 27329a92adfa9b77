//! The public handle of a node, how one is built, and what it tells of itself.

mod agreement;
mod builder;
mod bundle;
mod error;
mod handle;
mod space;
mod start;
mod wait;

pub use builder::{Builder, Discovery, Membership};
pub use bundle::{Export, ImportError, Imported};
pub use error::{ConnectError, ReadError, StartError, WriteError};
pub use handle::Node;
pub use space::{BatchOp, Entry, Scan, ScanPage, Space, TTL_MAX, WriteOptions, Written};
pub use wait::WaitError;

pub use crate::network::libp2p::swarm_key::SwarmKeyError;
pub use crate::report::{
    Agreement, Digest, ExchangeKind, ExchangeReport, Filling, Frontier, Health, NamespaceSync, NodeEvent,
    OriginGap, PeerInfo, PeerSync, Queue, Status, SyncReport, SyncStatus,
};
pub use crate::storage::doctor;
/// What the signatures of a node name, so that a program needs no other module.
pub use crate::{
    actors::{Notice, Observer},
    causality::{Dot, Hlc, NodeId},
    conflict::{Etag, VersionHash},
    network::{Multiaddr, Tuning},
    replica::Precondition,
    storage::{Change, Dropped, Durability, Earlier, HISTORY_MAX, OpenError, StoreError},
    wire::{BundleChunk, BundleEnd, BundleError, BundleHead, BundleReader},
};
