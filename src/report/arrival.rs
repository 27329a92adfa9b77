//! How and when a version came to this node.

use std::fmt;

use crate::causality::NodeId;

/// By which way a version came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Came {
    /// It was written here.
    Written,
    /// Gossip brought it, or the answer to a question for what gossip had missed.
    Gossip,
    /// A delta, or a second neighbour of a fill.
    Delta,
    /// A comparison of ranges.
    Ranges,
    /// A bundle that was imported.
    Bundle,
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Written => "written",
            Self::Gossip => "gossip",
            Self::Delta => "delta",
            Self::Ranges => "ranges",
            Self::Bundle => "bundle",
        })
    }
}

/// How and when a version came to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it was committed, in milliseconds since 1970 by the wall clock of this node.
    pub at: u64,
    /// By which way.
    pub by: Came,
    /// Who handed it on: a neighbour, which need not be its writer. Nothing where nobody did.
    pub from: Option<NodeId>,
}
