//! Partition simulations of real tidings nodes: the whole production node, by the dozen in one
//! process, under weather drawn from a seed, in virtual time, the same events for the same seed.

pub mod cli;
pub mod dice;
pub mod history;
mod mesh;
pub mod net;
pub mod oracles;
pub mod os;
pub mod plan;
mod plan_file;
mod ports;
pub mod report;
mod run;
pub mod scenario;
pub mod shrink;
mod timeline;
pub mod topology;
mod trace;
mod verdict;
mod world;

pub use mesh::{Mesh, Program};
pub use run::{Cost, Options, Outcome, RunError, run};
pub use trace::Trace;
pub use verdict::verdict;
pub use world::Configure;
