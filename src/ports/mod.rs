//! What a node takes from the world beside storage and network: the wall clock, entropy, a scope for
//! its tasks, of which the simulator brings its own; and what a host has to say.

mod entropy;
mod hooks;
mod scope;
mod wall;

pub use entropy::{Entropy, SystemEntropy};
pub use hooks::{Asked, Authorize, Client, Extent, Operation, Refusal, Validator, Who};
pub use scope::Scope;
pub use wall::{SystemWall, WallClock};
