//! The ports of a simulated node, beside network and store: its wall clock, its dice, and who runs
//! its storage.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures::future::BoxFuture;
use tidings::{
    actors::StorageRunner,
    ports::{Entropy, Scope, WallClock},
};

use crate::{dice::Dice, os};

/// A wall clock on virtual time, as wrong as it is told to be.
#[derive(Debug, Default)]
pub struct SimClock {
    skew_ms: AtomicI64,
}

impl SimClock {
    /// Ahead by so many milliseconds from now on; behind, where negative.
    pub fn set_skew(&self, skew_ms: i64) {
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
    }

    /// How wrong it is.
    #[must_use]
    pub fn skew_ms(&self) -> i64 {
        self.skew_ms.load(Ordering::Relaxed)
    }
}

impl WallClock for SimClock {
    fn now_ms(&self) -> u64 {
        let now = os::EPOCH + os::elapsed();
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_add_signed(self.skew_ms())
    }
}

/// Dice of one life of one node.
pub struct SimEntropy(Mutex<Dice>);

impl SimEntropy {
    /// Those of this seed.
    #[must_use]
    pub fn new(dice: Dice) -> Self {
        Self(Mutex::new(dice))
    }
}

impl Entropy for SimEntropy {
    fn bits(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bits()
    }
}

/// Runs Storage among the node's other tasks, and holds it up while the disk stalls. Clones share
/// the gate.
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<Stall>>);

#[derive(Default)]
struct Stall {
    stalled: bool,
    waiting: Vec<Waker>,
}

impl Gate {
    /// From now on the disk answers, or does not.
    pub fn set_stalled(&self, stalled: bool) {
        let waiting = {
            let mut stall = self.lock();
            stall.stalled = stalled;
            std::mem::take(&mut stall.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Whether the disk does not answer.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.lock().stalled
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Stall> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StorageRunner for Gate {
    fn run(&self, scope: &Scope, task: BoxFuture<'static, ()>) -> Result<(), String> {
        scope.spawn(Gated { gate: self.clone(), task });
        Ok(())
    }
}

struct Gated {
    gate: Gate,
    task: BoxFuture<'static, ()>,
}

impl Future for Gated {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        {
            let mut stall = self.gate.lock();
            if stall.stalled {
                stall.waiting.push(context.waker().clone());
                return Poll::Pending;
            }
        }
        self.task.as_mut().poll(context)
    }
}
