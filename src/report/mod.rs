//! What a node tells of itself: values without behaviour, made by the actors and shown by the faces.

mod event;
mod tell;

pub use event::NodeEvent;
pub use tell::{
    Digest, ExchangeKind, ExchangeReport, Frontier, Health, PeerInfo, PeerSync, Queue, Status, SyncReport,
    SyncStatus,
};
