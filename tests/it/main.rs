//! Whole nodes, in one process and as processes of their own. One binary: each would link all of
//! libp2p, fjall and axum again.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in what they share")]

mod actors;
mod admission;
mod arrivals;
mod bundles;
mod carriers;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "cli")]
mod cli_conflicts;
mod clocks;
#[cfg(feature = "http")]
mod collisions;
mod conflicts;
mod damage;
#[cfg(feature = "cli")]
mod doctor;
mod events;
mod examples;
mod expiry;
#[cfg(feature = "http")]
mod fills;
mod follow;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod full_disk;
mod halves;
#[cfg(feature = "http")]
mod history;
mod hooks;
mod host;
mod hostile;
#[cfg(feature = "http")]
mod http;
mod lives;
#[cfg(feature = "http")]
mod local_http;
mod local_keys;
mod local_only;
mod local_watch;
mod looked_at;
mod mesh;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod namespaces;
mod newcomers;
#[cfg(feature = "http")]
mod openapi;
#[cfg(feature = "cli")]
mod program;
#[cfg(feature = "cli")]
mod programs;
mod repair;
mod resolvers;
#[cfg(feature = "http")]
mod spaces;
#[cfg(feature = "cli")]
mod stalls;
mod strategies;
mod support;
mod tap;
mod topologies;
mod upkeep;
mod watch;
