//! A node among the [ractor](https://docs.rs/ractor) actors of a host: a desk that they ask and that tells them
//! of changes, and that stands for the node in their tree of supervision.
//!
//! ```
//! # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tidings::{Key, Node, Namespace, host::{self, Ask, ractor}, node::WriteOptions};
//!
//! # let listen = ["/ip4/127.0.0.1/tcp/0".parse()?];
//! let node = Node::builder().in_memory().listen(listen).start().await?;
//! // In a program the supervisor is one of the host's actors: `Some(myself.get_cell())`.
//! let desk = host::desk(&node.space(&Namespace::default())?, None).await?;
//!
//! let (key, options) = (Key::new("birds/ant")?, WriteOptions::default());
//! ractor::call_t!(desk, Ask::Put, 1_000, key.clone(), "three eggs".into(), options)??;
//! let entry = ractor::call_t!(desk, Ask::Get, 1_000, key)??.expect("it was just stored");
//! assert_eq!(&entry.value.bytes[..], b"three eggs");
//! # node.close().await;
//! # Ok(()) }
//! ```
//!
//! `examples/host_actor.rs` is a whole program: an actor that reacts to changes, and a supervisor that is told when
//! the node ends. Programs without actors of their own need nothing of this: [`Node`](crate::Node) has it all.
//!
//! The actors inside a node are its own: what they say to each other changes from version to version.

mod desk;
mod watching;

pub use desk::{Ask, WRITES_MAX, desk};
/// As this crate uses it: the actors of a host must be of the same version.
pub use ractor;
pub use watching::{NEWS_BYTES_MAX, NEWS_MAX, News, Told, Watching};
