//! News that travels by word of mouth: an embeddable, eventually consistent, replicated key-value
//! store for meshes in which not every node reaches every other.
//!
//! A [`Node`] is a whole store: it reads and writes on its own, whether it reaches others or not.
//! Fresh writes travel by gossip over many hops; what gossip missed is found by comparison and
//! brought by deltas. Any number of nodes live in one process, each a small society of actors on
//! the tokio runtime that it was started in.
//!
//! ```
//! use tidings::{Key, Node, Prefix, node::{BatchOp, Scan}};
//!
//! # #[tokio::main(flavor = "multi_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // On disk: `data_dir("./data")`. For others to find it: `discovery`, `peers`, `membership`.
//! let node = Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
//!
//! node.put("birds/ant", "three eggs").await?;
//! node.batch(vec![
//!     BatchOp::Put(Key::new("birds/bat")?, "no eggs".into()),
//!     BatchOp::Delete(Key::new("birds/ant")?),
//! ])
//! .await?;
//!
//! let page = node.scan(Scan { prefix: Prefix::new("birds")?, ..Scan::default() }).await?;
//! let keys: Vec<&str> = page.entries.iter().map(|entry| entry.key.as_str()).collect();
//! assert_eq!(keys, ["birds/bat"]);
//! node.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//!
//! A write that was acknowledged has survived what [`Durability`](node::Durability) says, and its
//! name is never given to another. All replicas end equal whatever the mesh does to messages, and
//! which of two concurrent writes readers see is the same at every node. What breaks a limit is
//! refused with an error that names it, and what is shed under load is counted and found again by
//! comparison.
//!
//! No transaction spans nodes, and members of a mesh are trusted: see [`docs::protocol`].
//!
//! # Where things are
//!
//! | for | modules |
//! | --- | --- |
//! | programs | [`node`]: the handle, its builder, errors, reports · `http`: the API of a node, to serve or to mount · the nouns at the root: [`Key`], [`Prefix`], [`Value`], [`Namespace`] |
//! | hosts with actors of their own | [`host`]: a node in their tree of supervision, to be asked and to be told by |
//! | guides | [`docs`]: how to begin, architecture, protocol, wire |
//! | other stores, networks, clocks, dice | [`storage`], [`network`], [`ports`], with [`actors::StorageRunner`] |
//! | readers of this program, and simulators | [`types`], [`causality`], [`conflict`], [`replica`], [`reconcile`], [`wire`]: the core, which turns values into values · [`actors`] |
//!
//! # Features
//!
//! * `http` (default): the module `http`.
//! * `cli` (default): the program `tidings`, in the module `cli`. Programs that embed a node leave
//!   it out.
//! * `async-trait`: to be set where something else in the same build sets ractor's `async-trait`,
//!   without which this crate would not compile there.
//! * `quic`, `wan`, `websocket`: **reserved**. They build parts of libp2p that nothing here uses yet.

pub mod actors;
pub mod causality;
#[cfg(feature = "cli")]
pub mod cli;
pub mod conflict;
pub mod digest;
pub mod docs;
pub mod host;
#[cfg(feature = "http")]
pub mod http;
pub mod network;
pub mod node;
pub mod ports;
pub mod reconcile;
pub mod replica;
mod report;
pub mod storage;
pub mod types;
pub mod wire;

pub use node::Node;
pub use types::{
    ContentType, ContentTypeError, Key, KeyError, Limits, Namespace, NamespaceError, Prefix, Value,
};
