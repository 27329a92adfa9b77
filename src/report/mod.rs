//! What a node tells of itself: values without behaviour, made by the actors and shown by the faces.

mod arrival;
mod cursor;
mod event;
mod filling;
mod sync;
mod tell;

pub use arrival::{Arrival, Came};
pub use cursor::{Cursor, CursorError};
pub use event::NodeEvent;
pub use filling::Filling;
pub use sync::{Agreement, NamespaceSync, OriginGap, PeerSync, SyncStatus};
pub use tell::{Digest, ExchangeKind, ExchangeReport, Frontier, Health, PeerInfo, Queue, Status, SyncReport};
