//! The public handle of a node, how one is built, and what it tells of itself.

mod agreement;
mod builder;
mod conflicts;
mod error;
mod handle;
mod resolving;
mod space;
mod start;
mod wait;

pub use builder::{Builder, Discovery, Membership};
pub use conflicts::{Conflict, ConflictPage, Explanation, Sibling};
pub use error::{ConnectError, ReadError, StartError, WriteError};
pub use handle::Node;
pub use space::{BatchOp, Entry, Scan, ScanPage, Space, WriteOptions, Written};
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
    conflict::{Etag, Resolution, Resolver, Strategy, Version, VersionHash},
    network::{Multiaddr, Tuning},
    replica::Precondition,
    storage::{Change, Dropped, Durability, OpenError, StoreError},
};
