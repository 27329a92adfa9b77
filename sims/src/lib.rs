//! Partition simulations of real tidings nodes: the whole production node, by the dozen in one
//! process, under weather drawn from a seed, in virtual time, the same events for the same seed.

pub mod dice;
pub mod history;
pub mod net;
pub mod os;
pub mod plan;
mod plan_file;
pub mod scenario;
pub mod shrink;
pub mod topology;
