//! Whole nodes, in one process and as processes of their own. One binary: each would link all of
//! libp2p, fjall and axum again.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in what they share")]

#[cfg(feature = "cli")]
mod cli;
mod events;
#[cfg(feature = "http")]
mod http;
mod mesh;
mod support;
