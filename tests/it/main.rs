//! Whole nodes, in one process and as processes of their own. One binary: each would link all of
//! libp2p, fjall and axum again.

#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "http")]
mod http;
mod mesh;
mod support;
