//! Which of many writes somebody holds, in few bytes.

use std::iter;

use serde::{Deserialize, Serialize};

use super::bounds;

/// How many writes [`Held`] speaks of: those of sixteen blocks of 64.
pub const HELD_WRITES: u64 = 1_024;

/// A bit for each of 1,024 writes that follow each other, the first block's lowest bit first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Packed", into = "Packed")]
pub struct Held(pub [u64; 16]);

/// How it travels: whichever of the two is shorter.
#[derive(Serialize, Deserialize)]
enum Packed {
    /// Which blocks are held whole, which in part, and the bits of those.
    Blocks { whole: u16, part: u16, bits: Part },
    /// How many are not held before each that is.
    Gaps(#[serde(deserialize_with = "bounds::list::<_, _, 1024>")] Vec<u16>),
}

#[derive(Serialize, Deserialize)]
struct Part(#[serde(deserialize_with = "bounds::list::<_, _, 16>")] Vec<[u8; 8]>);

impl Held {
    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 16]
    }

    /// What is held of this and not of `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = *self;
        rest.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine &= !theirs);
        rest
    }

    /// What is held of this in the places that `keep` names.
    #[must_use]
    pub fn only(&self, keep: impl Fn(u64) -> bool) -> Self {
        let mut kept = Self::default();
        for place in self.runs().flat_map(|(first, last)| first..=last).filter(|place| keep(*place)) {
            kept.hold(place);
        }
        kept
    }

    /// The places that are held, ascending, as runs: first and last.
    pub fn runs(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut next = 0;
        iter::from_fn(move || {
            let first = (next..HELD_WRITES).find(|place| self.holds(*place))?;
            next = (first..HELD_WRITES).find(|place| !self.holds(*place)).unwrap_or(HELD_WRITES);
            Some((first, next - 1))
        })
    }

    fn holds(&self, place: u64) -> bool {
        usize::try_from(place / 64).is_ok_and(|block| self.0[block] >> (place % 64) & 1 == 1)
    }

    fn hold(&mut self, place: u64) {
        if let Some(word) = usize::try_from(place / 64).ok().and_then(|block| self.0.get_mut(block)) {
            *word |= 1 << (place % 64);
        }
    }

    fn count(&self) -> usize {
        self.0.iter().map(|bits| bits.count_ones() as usize).sum()
    }
}

impl From<Held> for Packed {
    fn from(held: Held) -> Self {
        let (mut whole, mut part, mut bits) = (0, 0, Vec::new());
        for (block, word) in held.0.iter().enumerate() {
            match *word {
                0 => {}
                u64::MAX => whole |= 1 << block,
                word => {
                    part |= 1 << block;
                    bits.push(word.to_le_bytes());
                }
            }
        }
        // A gap takes a byte or three, the two masks at most six.
        if held.count() > bits.len() * 8 + 4 {
            return Self::Blocks { whole, part, bits: Part(bits) };
        }
        let mut after = 0;
        let places = held.runs().flat_map(|(first, last)| first..=last);
        let gap = |place: u64| {
            let gap = place - after;
            after = place + 1;
            u16::try_from(gap).expect("less than 1,024")
        };
        Self::Gaps(places.map(gap).collect())
    }
}

impl TryFrom<Packed> for Held {
    type Error = &'static str;

    fn try_from(packed: Packed) -> Result<Self, Self::Error> {
        let mut held = Self::default();
        match packed {
            Packed::Blocks { whole, part, bits: Part(bits) } => {
                if whole & part != 0 || part.count_ones() as usize != bits.len() {
                    return Err("blocks that do not fit their masks");
                }
                let mut bits = bits.into_iter().map(u64::from_le_bytes);
                for (block, word) in held.0.iter_mut().enumerate() {
                    if whole >> block & 1 == 1 {
                        *word = u64::MAX;
                    } else if part >> block & 1 == 1 {
                        *word = bits.next().unwrap_or_default();
                    }
                }
            }
            Packed::Gaps(gaps) => {
                let mut place = 0;
                for gap in gaps {
                    place += usize::from(gap);
                    let word = held.0.get_mut(place / 64).ok_or("writes beyond the sixteen blocks")?;
                    *word |= 1 << (place % 64);
                    place += 1;
                }
            }
        }
        Ok(held)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{decode, encode};

    proptest! {
        #[test]
        fn it_comes_as_it_was_sent_in_140_bytes_at_most(words in any::<[u64; 16]>(), kinds in any::<[u8; 16]>()) {
            let mut held = Held::default();
            for (word, (random, kind)) in held.0.iter_mut().zip(words.into_iter().zip(kinds)) {
                *word = match kind % 4 { 0 => 0, 1 => u64::MAX, 2 => 1 << (random % 64), _ => random };
            }
            let bytes = encode(&held);
            prop_assert!(bytes.len() <= 140, "{} bytes", bytes.len());
            prop_assert_eq!(decode::<Held>(&bytes), Ok(held));
            let runs = held.runs().flat_map(|(first, last)| first..=last);
            prop_assert_eq!(runs.count(), held.count());
        }
    }

    #[test]
    fn what_fits_no_sixteen_blocks_is_refused() {
        let blocks = |whole, part, bits| Packed::Blocks { whole, part, bits: Part(bits) };
        let bad = [
            blocks(0, 1, vec![]),
            blocks(0, 0, vec![[1; 8]]),
            blocks(1, 1, vec![[1; 8]]),
            Packed::Gaps(vec![1_024]),
            Packed::Gaps(vec![1_000, 23]),
            Packed::Gaps(vec![0; 1_025]),
        ];
        for packed in bad {
            assert!(decode::<Held>(&encode(&packed)).is_err());
        }
        assert!(decode::<Held>(&encode(&Packed::Gaps(vec![0; 1_024]))).is_ok());
    }
}
