//! Hybrid logical clocks: wall time that never runs backwards between cause and effect, as far as
//! the drift allowed.
//!
//! Kulkarni et al., "Logical Physical Clocks" (OPODIS 2014). Stamps only break ties between
//! concurrent writes; order between causally related ones comes from contexts alone. So no stamp,
//! however wrong, is refused, and none can hold a key.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// How far beyond its own wall clock a node follows the stamps of others, unless told otherwise.
pub const MAX_DRIFT: Duration = Duration::from_secs(60);

/// A hybrid stamp: 48 bits of milliseconds since 1970, 16 bits of counter.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hlc(pub u64);

impl Hlc {
    /// The first stamp of millisecond `millis` since 1970.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self((if millis >> 48 == 0 { millis } else { (1 << 48) - 1 }) << 16)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0 >> 16
    }

    /// Which stamp of its millisecond it is.
    #[must_use]
    pub const fn counter(self) -> u16 {
        (self.0 & 0xffff) as u16
    }

    /// The next stamp. A counter that is full runs over into the milliseconds.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.millis(), self.counter())
    }
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The clock of one node: the last stamp it gave or saw, and how far it may run ahead.
///
/// Wall time is an argument, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct HlcClock {
    last: Hlc,
    max_drift_ms: u64,
}

impl HlcClock {
    /// A clock that goes on from `last`.
    #[must_use]
    pub fn new(last: Hlc, max_drift: Duration) -> Self {
        Self { last, max_drift_ms: u64::try_from(max_drift.as_millis()).unwrap_or(u64::MAX) }
    }

    /// The last stamp given or seen.
    #[must_use]
    pub const fn last(&self) -> Hlc {
        self.last
    }

    /// The greatest stamp the clock gives while the wall shows `wall_ms`: the last one of the
    /// millisecond that lies `max_drift` ahead.
    #[must_use]
    pub const fn horizon(&self, wall_ms: u64) -> Hlc {
        Hlc(Hlc::from_millis(wall_ms.saturating_add(self.max_drift_ms)).0 | 0xffff)
    }

    /// A new stamp: at least the wall's, later than the last one, and later than each of `superseded`
    /// that lies within the drift allowed; never beyond the [`horizon`](Self::horizon).
    ///
    /// A clock that had run ahead by more than that (the wall was wrong, and was put right) starts
    /// from the wall again, so that its writer is not ahead of everybody for ever.
    pub fn tick(&mut self, wall_ms: u64, superseded: impl IntoIterator<Item = Hlc>) -> Hlc {
        let horizon = self.horizon(wall_ms);
        let mut stamp = Hlc::from_millis(wall_ms);
        for earlier in superseded.into_iter().chain([self.last]) {
            if earlier < horizon {
                stamp = stamp.max(earlier.next());
            }
        }
        self.last = stamp;
        stamp
    }

    /// Takes note of a stamp seen elsewhere; follows it no further than the drift allowed.
    ///
    /// Returns by how many milliseconds the stamp is ahead of the wall, 0 if it is not.
    pub fn observe(&mut self, wall_ms: u64, seen: Hlc) -> u64 {
        if seen < self.horizon(wall_ms) {
            self.last = self.last.max(seen);
        }
        seen.millis().saturating_sub(wall_ms)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DRIFT: Duration = Duration::from_secs(60);

    proptest! {
        #[test]
        fn a_stamp_is_later_than_all_that_it_supersedes_within_the_drift(
            last in 0..200_000_u64, wall in 0..200_000_u64,
            superseded in proptest::collection::vec((0..400_000_u64, any::<u16>()), 0..4),
        ) {
            let mut clock = HlcClock::new(Hlc::from_millis(last), DRIFT);
            let stamp_of = |(millis, counter)| Hlc(Hlc::from_millis(millis).0 | u64::from(counter));
            let superseded: Vec<Hlc> = superseded.into_iter().map(stamp_of).collect();
            let horizon = clock.horizon(wall);
            let stamp = clock.tick(wall, superseded.iter().copied());
            prop_assert!(superseded.iter().all(|earlier| stamp > *earlier || *earlier >= horizon));
            prop_assert!(stamp >= Hlc::from_millis(wall) && stamp <= horizon, "{stamp} {horizon}");
            prop_assert!(stamp > Hlc::from_millis(last) || last > wall + 60_000);
            prop_assert_eq!(clock.last(), stamp);
        }

        #[test]
        fn stamps_rise_while_the_wall_does_not_step_back(
            steps in proptest::collection::vec((0..50_u64, 0..200_000_u64, any::<bool>()), 1..40),
        ) {
            let mut clock = HlcClock::new(Hlc::default(), DRIFT);
            let (mut wall, mut last) = (100_000, Hlc::default());
            for (step, remote, write) in steps {
                wall += step;
                if write {
                    let stamp = clock.tick(wall, [Hlc::from_millis(remote)]);
                    prop_assert!(stamp > last, "{stamp} after {last}");
                    last = stamp;
                } else {
                    let ahead = clock.observe(wall, Hlc::from_millis(remote));
                    prop_assert_eq!(ahead, remote.saturating_sub(wall));
                    prop_assert!(clock.last() <= clock.horizon(wall).max(last));
                }
            }
        }

        #[test]
        fn no_stamp_and_no_wall_makes_the_clock_fail(last: u64, wall: u64, superseded: u64, drift: u64) {
            let mut clock = HlcClock::new(Hlc(last), Duration::from_millis(drift));
            clock.observe(wall, Hlc(superseded));
            clock.tick(wall, [Hlc(superseded)]);
        }
    }

    #[test]
    fn the_clock_stays_at_its_horizon_instead_of_falling_back_from_it() {
        let mut clock = HlcClock::new(Hlc::default(), DRIFT);
        clock.observe(1_000, Hlc::from_millis(61_000));
        let first = clock.tick(1_000, []);
        assert!(clock.tick(1_000, []) > first);
    }

    #[test]
    fn stamps_rise_while_the_wall_stands_still_or_steps_back() {
        let mut clock = HlcClock::new(Hlc::default(), DRIFT);
        let first = clock.tick(1_000, []);
        let second = clock.tick(1_000, []);
        let third = clock.tick(500, []);
        assert!(first < second && second < third, "{first} {second} {third}");
        assert_eq!(third.millis(), 1_000);
    }

    #[test]
    fn a_stamp_from_far_ahead_does_not_move_the_clock() {
        let mut clock = HlcClock::new(Hlc::default(), DRIFT);
        assert_eq!(clock.observe(1_000, Hlc::from_millis(100_000)), 99_000);
        assert_eq!(clock.tick(1_000, [Hlc::from_millis(u64::MAX >> 16)]).millis(), 1_000);
        clock.observe(1_000, Hlc::from_millis(61_000));
        assert_eq!(clock.tick(1_000, []).millis(), 61_000);
    }

    #[test]
    fn a_clock_that_was_ten_days_ahead_comes_back_when_the_wall_is_put_right() {
        let day = 86_400_000;
        let mut clock = HlcClock::new(Hlc::default(), DRIFT);
        clock.tick(20 * day, []);
        assert_eq!(clock.tick(10 * day, []).millis(), 10 * day);
    }

    #[test]
    fn a_full_counter_runs_over_into_the_milliseconds() {
        let full = Hlc(Hlc::from_millis(7).0 | 0xffff);
        assert_eq!(full.next(), Hlc::from_millis(8));
    }
}
