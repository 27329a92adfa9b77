//! News that travels by word of mouth: an embeddable, eventually consistent, replicated key-value
//! store for meshes in which not every node reaches every other.

pub mod actors;
pub mod causality;
#[cfg(feature = "cli")]
pub mod cli;
pub mod conflict;
pub mod docs;
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
