//! What a node tells of itself: values without behaviour, made by the actors and shown by the faces.

mod event;
mod sync;
mod tell;

pub use event::NodeEvent;
pub use sync::{Agreement, NamespaceSync, OriginGap, PeerSync, SyncStatus};
pub use tell::{Digest, ExchangeKind, ExchangeReport, Frontier, Health, PeerInfo, Queue, Status, SyncReport};
