//! Dice.

use std::time::Duration;

use rand::Rng;

/// Random bits for epochs and jitter. Keys of a node are drawn elsewhere.
pub trait Entropy: Send + Sync + 'static {
    /// 64 random bits.
    fn bits(&self) -> u64;

    /// A number in `low..=high`.
    fn between(&self, low: u64, high: u64) -> u64 {
        let span = high.saturating_sub(low).saturating_add(1).max(1);
        low + self.bits() % span
    }

    /// `wait`, shorter or longer by up to `percent` of it.
    fn jittered(&self, wait: Duration, percent: u32) -> Duration {
        let share =
            self.between(100_u32.saturating_sub(percent).into(), 100_u32.saturating_add(percent).into());
        wait.saturating_mul(u32::try_from(share).unwrap_or(u32::MAX)) / 100
    }
}

/// The operating system's entropy.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn bits(&self) -> u64 {
        rand::rng().next_u64()
    }
}
