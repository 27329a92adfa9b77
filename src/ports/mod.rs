//! What a node takes from the world beside storage and network: the wall clock, entropy, a scope for
//! its tasks, of which the simulator brings its own; what a host has to say, and the carriers it brings.

mod carrier;
mod entropy;
mod hooks;
mod scope;
mod wall;

#[cfg(unix)]
pub use carrier::UnixSocket;
pub use carrier::{Carrier, CarrierStream, Duplex, OneStream, carrier};
pub use entropy::{Entropy, SystemEntropy};
pub use hooks::{Asked, Authorize, Client, Extent, Operation, Refusal, Validator, Who};
pub use scope::Scope;
pub use wall::{SystemWall, WallClock};
