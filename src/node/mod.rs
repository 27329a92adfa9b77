//! The public handle of a node, how one is built, and what it tells of itself.

mod agreement;
mod both;
mod builder;
mod bundle;
mod carried;
mod changes;
mod conflicts;
mod entry;
mod error;
mod follow;
mod handle;
mod local_only;
mod put_new;
mod remote;
mod resolving;
mod scan;
mod space;
mod start;
mod tail;
mod wait;
mod watch;
mod write;

#[cfg(feature = "cli")]
pub(crate) use crate::actors::NOT_CARRIED;
pub use builder::{Builder, Discovery, Membership};
pub use bundle::{Export, ImportError, Imported};
pub use carried::{Carried, CarryError};
pub use changes::{CHANGES_LIMIT_MAX, ChangesPage};
pub use conflicts::{Conflict, ConflictPage, Explanation, Sibling};
pub use entry::Entry;
pub use error::{ConnectError, ReadError, StartError, WriteError};
pub use follow::Changed;
pub use handle::Node;
pub use remote::{CARRIED_MAX, INTERVAL_MIN, Remote, RemoteError, SCHEDULES_MAX};
pub use scan::{Scan, ScanPage};
pub use space::Space;
pub use wait::WaitError;
pub use watch::{SUBSCRIBERS_MAX, Watch, WatchError, WatchEvent, WatchOptions};
pub use write::{BatchOp, TTL_MAX, WriteOptions, Written};

pub use crate::network::libp2p::swarm_key::SwarmKeyError;
pub use crate::report::{
    Agreement, Arrival, Came, Cursor, CursorError, Digest, ExchangeKind, ExchangeReport, Filling, Frontier,
    Health, NamespaceSync, NodeEvent, OriginGap, PeerInfo, PeerSync, Queue, Status, SyncReport, SyncStatus,
};
pub use crate::storage::doctor;
/// What the signatures of a node name, so that a program needs no other module.
pub use crate::{
    actors::Observer,
    causality::{Dot, Hlc, NodeId},
    conflict::{Etag, Resolution, Resolver, Strategy, Version, VersionHash},
    network::{Multiaddr, Tuning},
    ports::{Asked, Authorize, Client, Extent, Operation, Refusal, Validator, Who},
    replica::Precondition,
    storage::{Change, Dropped, Durability, Earlier, HISTORY_MAX, OpenError, StoreError},
    wire::{BundleChunk, BundleEnd, BundleError, BundleHead, BundleReader, Way},
};
