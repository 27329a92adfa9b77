//! Why nothing was exchanged with another node.

use std::time::Duration;

use thiserror::Error;

use super::{CARRIED_MAX, INTERVAL_MIN, SCHEDULES_MAX};
use crate::{actors::session::frames::StreamBroken, causality::NodeId};

/// Nothing was exchanged, or nothing scheduled. What earlier exchanges brought stays.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The carrier could not open a stream.
    #[error("{carrier} cannot be opened: {reason}")]
    Open {
        /// What the carrier says of itself.
        carrier: String,
        /// Why not.
        reason: String,
    },
    /// The other end does not want to exchange anything with this node.
    #[error("the other end refuses this node: {0}")]
    Refused(String),
    /// This node does not want to exchange anything with the other end.
    #[error("the other end is refused: {0}")]
    Stranger(String),
    /// The other end is silent, gone, or no node that this one understands.
    #[error("the other end cannot be understood: {0}")]
    Broken(String),
    /// There is no connection to the peer; a peer is dialled by [`Node::connect`](crate::Node::connect).
    #[error("{0} is not connected: connect it first")]
    NotConnected(NodeId),
    /// As many streams of carriers are being answered as this node takes on.
    #[error("{CARRIED_MAX} streams of carriers are being answered already: try again later")]
    Busy,
    /// Too short an interval.
    #[error("an interval of {} s: the least is {} s", .0.as_secs_f64(), INTERVAL_MIN.as_secs_f64())]
    Interval(Duration),
    /// As many others are scheduled as there may be.
    #[error("{SCHEDULES_MAX} others are scheduled already: stop one of them first")]
    TooManySchedules,
    /// The node is closed.
    #[error("the node is closed")]
    Closed,
}

impl From<StreamBroken> for RemoteError {
    fn from(broken: StreamBroken) -> Self {
        Self::Broken(broken.to_string())
    }
}
