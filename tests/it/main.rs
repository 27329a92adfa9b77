//! All integration tests, in one binary: each would link all of libp2p, fjall and axum again.

#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "http")]
mod http;
