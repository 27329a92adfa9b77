//! Who wrote what, in which order, and what a replica has seen of it.
//!
//! One write is named by a [`Dot`]. What a *key's* writer had in front of it is a [`Context`]; what
//! a *replica* has in its store is a [`SeenSet`]. The two are never mixed: a node's global clock is
//! never attached to a record. Wall time enters through [`Hlc`] alone, and only breaks ties.
//!
//! Sources: Gonçalves, Almeida, Baquero, Fonte, "Concise Server-Wide Causality Management for
//! Eventually Consistent Data Stores" (DAIS 2015); Kulkarni et al., "Logical Physical Clocks"
//! (OPODIS 2014).

mod context;
mod dead;
mod dot;
mod floors;
mod hlc;
mod intervals;
mod pens;
mod seen;
#[cfg(test)]
mod tests;

pub use context::Context;
pub use dead::DeadSet;
pub use dot::{Dot, NodeId, NodeIdError, Origin, SEQ_MAX};
pub use floors::Floors;
pub use hlc::{Hlc, HlcClock, MAX_DRIFT};
pub use intervals::{Intervals, Union};
pub use pens::PENS_MAX;
pub use seen::SeenSet;
