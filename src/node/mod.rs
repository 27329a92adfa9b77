//! The public handle of a node, how one is built, and what it tells of itself.

mod builder;
mod error;
mod event;
mod handle;
mod report;
mod space;

pub use builder::{Builder, Discovery, Membership};
pub use error::{ConnectError, ReadError, StartError, WriteError};
pub use event::NodeEvent;
pub use handle::Node;
pub use report::{
    Digest, ExchangeKind, ExchangeReport, Frontier, Health, PeerInfo, PeerSync, Queue, Status, SyncReport,
    SyncStatus,
};
pub use space::{BatchOp, Entry, Scan, ScanPage, Space, WriteOptions, Written};
