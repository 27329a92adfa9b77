//! What libp2p needs of `web-time`, on tokio's clock. [`Instant`] is tokio's; [`SystemTime`] is the
//! system's until a thread says [`virtual_epoch`].

use std::{
    cell::Cell,
    error, fmt,
    ops::{Add, AddAssign, Sub, SubAssign},
};

pub use std::time::{Duration, TryFromFloatSecsError};
pub use tokio::time::Instant;

/// Time since 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SystemTime(Duration);

/// The first moment of 1970.
pub const UNIX_EPOCH: SystemTime = SystemTime(Duration::ZERO);

/// The second time was later than the first, by so much.
#[derive(Clone, Debug)]
pub struct SystemTimeError(Duration);

thread_local! {
    static EPOCH: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

/// On this thread it is now so long after 1970, and tokio's clock says how time goes on; or, with
/// `None`, the time of day is the system's again.
pub fn virtual_epoch(at: Option<Duration>) {
    EPOCH.set(at.map(|at| (Instant::now(), at)));
}

impl SystemTime {
    /// The first moment of 1970.
    pub const UNIX_EPOCH: Self = UNIX_EPOCH;

    /// The time of day.
    #[must_use]
    pub fn now() -> Self {
        Self(match EPOCH.get() {
            Some((since, at)) => at + since.elapsed(),
            None => std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default(),
        })
    }

    /// The time from `earlier` to this.
    ///
    /// # Errors
    /// When `earlier` is later.
    pub fn duration_since(&self, earlier: Self) -> Result<Duration, SystemTimeError> {
        self.0.checked_sub(earlier.0).ok_or_else(|| SystemTimeError(earlier.0.saturating_sub(self.0)))
    }

    /// The time from this to now.
    ///
    /// # Errors
    /// When this is in the future.
    pub fn elapsed(&self) -> Result<Duration, SystemTimeError> {
        Self::now().duration_since(*self)
    }

    /// This and `duration`, if there is such a time.
    #[must_use]
    pub fn checked_add(&self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }

    /// This without `duration`, if there is such a time.
    #[must_use]
    pub fn checked_sub(&self, duration: Duration) -> Option<Self> {
        self.0.checked_sub(duration).map(Self)
    }
}

impl SystemTimeError {
    /// By how much the second time was later.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.0
    }
}

impl fmt::Display for SystemTimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the second time was later than the first")
    }
}

impl error::Error for SystemTimeError {}

impl Add<Duration> for SystemTime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

impl Sub<Duration> for SystemTime {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0 - duration)
    }
}

impl AddAssign<Duration> for SystemTime {
    fn add_assign(&mut self, duration: Duration) {
        self.0 += duration;
    }
}

impl SubAssign<Duration> for SystemTime {
    fn sub_assign(&mut self, duration: Duration) {
        self.0 -= duration;
    }
}
