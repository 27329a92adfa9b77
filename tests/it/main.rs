//! Whole nodes, in one process and as processes of their own. One binary: each would link all of
//! libp2p, fjall and axum again.

mod actors;
mod admission;
#[cfg(feature = "cli")]
mod cli;
mod clocks;
mod hostile;
#[cfg(feature = "http")]
mod http;
mod lives;
mod mesh;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod namespaces;
#[cfg(feature = "cli")]
mod program;
#[cfg(feature = "cli")]
mod programs;
mod support;
mod topologies;
