//! What travels where a second neighbour brings a part of what a first one is sending.

use serde::{Deserialize, Serialize};

use crate::{causality::SeenSet, types::Namespace};

/// To the neighbour that sends all there is: what the sender of this has seen meanwhile, of what it is being
/// sent. It need not come any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Got {
    /// Seen, write by write: nothing that is only under way.
    pub seen: SeenSet,
}

/// In the place of a hello, to a second neighbour: what the sender lacks. It is brought from its end on, a page
/// for each time that is asked for one, and nobody vouches for anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lacking {
    /// Of which namespace.
    pub namespace: Namespace,
    /// The writes, or a part of them: all parts together are what is asked for.
    pub set: SeenSet,
    /// Whether another part follows.
    pub more: bool,
}
