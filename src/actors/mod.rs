//! The society of actors that a node is.
//!
//! ```text
//! Supervisor
//!  ├─ Clock         the HLC and the skew of each peer
//!  ├─ Storage       the single writer, on a thread of its own
//!  ├─ Mesh          owns the swarm task: gossip, dialing, discovery
//!  ├─ Sessions ── Session (one per connected peer)
//!  ├─ AntiEntropy   decides when neighbours compare what they hold
//!  └─ Watch         fans changes out to subscribers
//! ```
//!
//! A host's own actors do not talk to these: they have a desk, [`host`](crate::host).
//!
//! Calls go down only (Node → Storage); casts go anywhere. Mailboxes are unbounded, so admission is
//! bounded at the edge: a permit (`admission`) is taken before a message is cast and
//! travels in it until the work is done. `Err` from a handler means "this actor can no longer be
//! trusted"; what is wrong with a request travels in its reply.

pub(crate) mod admission;
pub(crate) mod anti_entropy;
pub(crate) mod arrivals;
pub(crate) mod carriers;
pub(crate) mod clock;
mod expire;
pub(crate) mod fills;
pub(crate) mod hooks;
mod linger;
pub(crate) mod mailbox;
pub(crate) mod membership;
pub(crate) mod mesh;
pub(crate) mod metrics;
pub(crate) mod peers;
pub(crate) mod protection;
pub(crate) mod resolvers;
pub(crate) mod runner;
pub(crate) mod scrub;
pub(crate) mod session;
pub(crate) mod sessions;
pub(crate) mod society;
pub(crate) mod standing;
pub(crate) mod storage;
pub(crate) mod subscribers;
pub(crate) mod supervisor;
pub(crate) mod watch;

pub use runner::{Inline, OwnThread, StorageRunner};
#[cfg(feature = "cli")]
pub(crate) use session::exchange::NOT_CARRIED;
pub use society::Observer;
pub use subscribers::{WATCH_BYTES_MAX, WATCH_QUEUE_MAX};
pub use supervisor::Role;
