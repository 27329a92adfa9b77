//! Clock: the HLC, its discipline against the wall clock, and the skew of each peer.
//!
//! Stamps are leased under a lock, without a message: a lease per batch that crossed threads cost
//! one awaiting writer a fifth of its speed. The actor keeps what is not needed in a hurry.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::{
    causality::{Hlc, HlcClock, MAX_DRIFT, NodeId},
    ports::WallClock,
};

/// Leases stamps. Cloning shares the clock, which outlives the actor.
#[derive(Clone)]
pub struct ClockHandle {
    hlc: Arc<Mutex<HlcClock>>,
    wall: Arc<dyn WallClock>,
}

impl ClockHandle {
    /// A clock that goes on from `last`.
    pub fn new(last: Hlc, wall: Arc<dyn WallClock>) -> Self {
        Self { hlc: Arc::new(Mutex::new(HlcClock::new(last, MAX_DRIFT))), wall }
    }

    fn lock(&self) -> MutexGuard<'_, HlcClock> {
        self.hlc.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new stamp, later than each of `superseded` that lies within the drift allowed.
    pub fn tick(&self, superseded: impl IntoIterator<Item = Hlc>) -> Hlc {
        let wall = self.wall.now_ms();
        self.lock().tick(wall, superseded)
    }

    /// Takes note of a stamp that arrived.
    pub fn observe(&self, seen: Hlc) {
        let wall = self.wall.now_ms();
        self.lock().observe(wall, seen);
    }

    /// The last stamp given or seen.
    pub fn last(&self) -> Hlc {
        self.lock().last()
    }

    /// The wall clock.
    pub fn wall_ms(&self) -> u64 {
        self.wall.now_ms()
    }
}

/// What the Clock is told.
#[derive(Debug)]
pub enum ClockMsg {
    /// A peer said what its wall clock shows.
    PeerWall {
        /// The peer.
        peer: NodeId,
        /// Milliseconds since 1970.
        wall_ms: u64,
    },
    /// A peer is gone.
    Forget(NodeId),
}

/// A peer whose clock is further off than this is warned about.
const SKEW_WARNING_MS: u64 = 10_000;

/// The Clock actor.
pub struct Clock;

/// What it keeps.
pub struct ClockState {
    clock: ClockHandle,
    skew_ms: BTreeMap<NodeId, i64>,
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Clock {
    type Msg = ClockMsg;
    type State = ClockState;
    type Arguments = ClockHandle;

    async fn pre_start(
        &self,
        _: ActorRef<ClockMsg>,
        clock: ClockHandle,
    ) -> Result<ClockState, ActorProcessingErr> {
        Ok(ClockState { clock, skew_ms: BTreeMap::new() })
    }

    async fn handle(
        &self,
        _: ActorRef<ClockMsg>,
        message: ClockMsg,
        state: &mut ClockState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ClockMsg::PeerWall { peer, wall_ms } => state.on_peer_wall(peer, wall_ms),
            ClockMsg::Forget(peer) => {
                state.skew_ms.remove(&peer);
            }
        }
        Ok(())
    }
}

impl ClockState {
    fn on_peer_wall(&mut self, peer: NodeId, wall_ms: u64) {
        let skew = skew_ms(wall_ms, self.clock.wall_ms());
        if skew.unsigned_abs() > SKEW_WARNING_MS && self.skew_ms.get(&peer) != Some(&skew) {
            tracing::warn!(%peer, skew_ms = skew, "a peer's wall clock is off; set both by NTP");
        }
        self.skew_ms.insert(peer, skew);
    }
}

/// By how much `theirs` is ahead of `ours`.
pub fn skew_ms(theirs: u64, ours: u64) -> i64 {
    let distance = i64::try_from(theirs.abs_diff(ours)).unwrap_or(i64::MAX);
    if theirs < ours { -distance } else { distance }
}
