//! Guides: how to begin, how the program is built, what replicas agree on, what travels between them,
//! how a program follows what changes, how nodes exchange over carriers of the host's, what became of the
//! programs before this one, what they get wrong,
//! how all of it is simulated, and what repair costs.

#[doc = include_str!("getting-started.md")]
pub mod getting_started {}

#[doc = include_str!("architecture.md")]
pub mod architecture {}

#[doc = include_str!("protocol.md")]
pub mod protocol {}

#[doc = include_str!("wire.md")]
pub mod wire {}

#[doc = include_str!("following.md")]
pub mod following {}

#[doc = include_str!("carriers.md")]
pub mod carriers {}

#[doc = include_str!("seeds.md")]
pub mod seeds {}

#[doc = include_str!("acceptance.md")]
pub mod acceptance {}

#[doc = include_str!("simulation.md")]
pub mod simulation {}

#[doc = include_str!("speed.md")]
pub mod speed {}
