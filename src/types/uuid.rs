//! Names that nobody else makes: UUIDs of version 7 (RFC 9562), which sort by the time they were made.

use std::fmt;

/// A UUID of version 7: 48 bits of milliseconds, then 74 random bits.
///
/// ```
/// use tidings::types::Uuid;
///
/// let first = Uuid::v7(1_700_000_000_000, 7);
/// let second = first.after(1);
/// assert!(first.to_string() < second.to_string());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid {
    /// Milliseconds since 1970, in the low 48 bits.
    ms: u64,
    /// 74 bits.
    random: u128,
}

const MS_BITS: u32 = 48;
const RANDOM_BITS: u32 = 74;

impl Uuid {
    /// A UUID of the time `ms`, milliseconds since 1970, and 74 of the bits of `random`.
    #[must_use]
    pub const fn v7(ms: u64, random: u128) -> Self {
        Self { ms: ms & ((1 << MS_BITS) - 1), random: random & ((1 << RANDOM_BITS) - 1) }
    }

    /// A greater one, `step` further on.
    #[must_use]
    pub const fn after(self, step: u64) -> Self {
        let sum = self.random + step as u128;
        Self::v7(self.ms + (sum >> RANDOM_BITS) as u64, sum)
    }

    /// The next after `last`: of the time `ms` and from `random`, or where the clock has not moved on, as
    /// little greater than `last` as to keep the order, and by more than could be guessed.
    #[must_use]
    pub fn next(last: Self, ms: u64, random: u128) -> Self {
        let fresh = Self::v7(ms, random);
        let [a, b, c, d, ..] = random.to_le_bytes();
        let step = u32::from_le_bytes([a, b, c, d]).max(1);
        if fresh.ms > last.ms { fresh } else { last.after(step.into()) }
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Version and variant stand at fixed places among the random bits.
        let (high, low) = (self.random >> 62, self.random & ((1 << 62) - 1));
        write!(
            f,
            "{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}",
            self.ms >> 16,
            self.ms & 0xffff,
            high,
            0x8000 | (low >> 48),
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_the_rfc_says() {
        // RFC 9562, appendix A.6: unix_ts_ms 017F22E279B0, rand_a CC3, rand_b 18C4DC0C0C07398F.
        let random = 0xcc3 << 62 | 0x18c4_dc0c_0c07_398f_u128;
        let uuid = Uuid::v7(0x017f_22e2_79b0, random);
        assert_eq!(uuid.to_string(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
        assert_eq!(Uuid::v7(u64::MAX, u128::MAX).to_string(), "ffffffff-ffff-7fff-bfff-ffffffffffff");
    }

    #[test]
    fn each_is_greater_than_the_last_whatever_the_clock_does() {
        let mut last = Uuid::v7(1_000, u128::MAX);
        for (n, ms) in [1_000, 1_000, 999, 5, 2_000, 2_000, 1_999].into_iter().enumerate() {
            let next = Uuid::next(last, ms, n as u128);
            assert!(next > last && next.to_string() > last.to_string(), "{last} {next}");
            last = next;
        }
    }
}
