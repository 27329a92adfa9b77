//! What a node takes from the world beside storage and network: the wall clock, entropy, and a
//! scope for its tasks. The simulator brings its own.

mod entropy;
mod scope;
mod wall;

pub use entropy::{Entropy, SystemEntropy};
pub use scope::Scope;
pub use wall::{SystemWall, WallClock};
