//! A homomorphic hash of a set.

use serde::{Deserialize, Serialize};

/// blake3 keys its hash of sums with this, so that it is no hash of anything else.
const HASH_KEY: [u8; 32] = *b"tidings: hash of a sum, number 1";

/// How many items a set has, and the sum of their hashes modulo 2^256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// How many items.
    pub count: u64,
    /// The least significant limb first.
    limbs: [u64; 4],
}

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self { count: 0, limbs: [0; 4] };

    /// Adds an item by its hash.
    pub fn insert(&mut self, hash: &[u8; 32]) {
        self.add(&Self { count: 1, limbs: limbs(hash) });
    }

    /// Takes an item out that is in it.
    pub fn remove(&mut self, hash: &[u8; 32]) {
        self.subtract(&Self { count: 1, limbs: limbs(hash) });
    }

    /// Adds all items of another set; the two have none in common.
    pub fn add(&mut self, other: &Self) {
        self.count = self.count.wrapping_add(other.count);
        let mut carry = false;
        for (mine, theirs) in self.limbs.iter_mut().zip(other.limbs) {
            let (sum, first) = mine.overflowing_add(theirs);
            let (sum, second) = sum.overflowing_add(carry.into());
            (*mine, carry) = (sum, first | second);
        }
    }

    /// Takes out all items of a set that is part of it.
    pub fn subtract(&mut self, other: &Self) {
        self.count = self.count.wrapping_sub(other.count);
        let mut borrow = false;
        for (mine, theirs) in self.limbs.iter_mut().zip(other.limbs) {
            let (rest, first) = mine.overflowing_sub(theirs);
            let (rest, second) = rest.overflowing_sub(borrow.into());
            (*mine, borrow) = (rest, first | second);
        }
    }

    /// A hash of it: equal hashes are equal sets.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        *blake3::keyed_hash(&HASH_KEY, &self.to_bytes()).as_bytes()
    }

    /// Count and sum in 40 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 40] {
        let mut out = [0; 40];
        let words = [self.count].into_iter().chain(self.limbs);
        out.chunks_exact_mut(8)
            .zip(words)
            .for_each(|(place, word)| place.copy_from_slice(&word.to_le_bytes()));
        out
    }
}

fn limbs(hash: &[u8; 32]) -> [u64; 4] {
    let mut limbs = [0; 4];
    for (limb, bytes) in limbs.iter_mut().zip(hash.chunks_exact(8)) {
        *limb = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    }
    limbs
}
