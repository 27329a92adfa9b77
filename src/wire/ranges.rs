//! The frames of an exchange that compare ranges.

use serde::{Deserialize, Serialize};

use super::{Held, bounds};
use crate::{conflict::Version, types::Key};

/// The most entries of each sort in one frame: with all their digests they fit it.
pub const RANGES_MAX: usize = 400;
/// The most claims in one frame: with the longest keys they fit it.
pub const CLAIMS_MAX: usize = 800;

/// A range of the tree that both cut alike: the origins that either has seen, in order, sixteen to a
/// range; below that the blocks of one origin, sixteen to a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Range {
    /// Range number `index` of 16^`level` origins.
    Origins {
        /// At least 1.
        level: u32,
        /// Which.
        index: u32,
    },
    /// Range number `index` of 16^`level` blocks of one origin.
    Blocks {
        /// The number of the origin.
        origin: u32,
        /// 0 is a block itself.
        level: u32,
        /// Which.
        index: u64,
    },
}

/// What the sender has in the sixteen parts of a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// The range.
    pub range: Range,
    /// Which of its parts hold anything.
    pub present: u16,
    /// The digests of those, cut to 8 bytes.
    #[serde(deserialize_with = "bounds::list::<_, _, 16>")]
    pub digests: Vec<[u8; 8]>,
}

/// Which writes of sixteen blocks: those that the sender holds, or lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeHeld {
    /// The number of the origin.
    pub origin: u32,
    /// The number of the range of level 1.
    pub index: u64,
    /// A bit for each write.
    pub writes: Held,
}

/// One step down: what differs, one level deeper. Ranges and `held` ask for an answer, `lacking` and
/// `colliding` do not; the descent is over with the first step that asks for none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descent {
    /// Ranges that differ, in parts. Those of level 1 only where both hold the same writes of it.
    #[serde(deserialize_with = "bounds::list::<_, _, RANGES_MAX>")]
    pub ranges: Vec<Parts>,
    /// Ranges of level 1 that differ: what the sender holds of each.
    #[serde(deserialize_with = "bounds::list::<_, _, RANGES_MAX>")]
    pub held: Vec<RangeHeld>,
    /// What the sender does not hold of what the receiver said it holds.
    #[serde(deserialize_with = "bounds::list::<_, _, RANGES_MAX>")]
    pub lacking: Vec<RangeHeld>,
    /// Blocks of which both hold the same writes with other contents: origin and number.
    #[serde(deserialize_with = "bounds::list::<_, _, RANGES_MAX>")]
    pub colliding: Vec<(u32, u64)>,
    /// Whether the same step goes on in another frame.
    pub more: bool,
}

/// A version that only the sender holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The number of its origin.
    pub origin: u32,
    /// Its sequence number.
    pub seq: u64,
    /// What it was written to.
    pub key: Key,
}

/// Versions that only the sender holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The versions.
    #[serde(deserialize_with = "bounds::list::<_, _, CLAIMS_MAX>")]
    pub claims: Vec<Claim>,
}

/// What becomes of a claim (rule 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It is not known here, or was lost here: send it.
    Want,
    /// It is held here by now.
    Held,
    /// What supersedes it was sent before this verdict.
    Superseded,
    /// It is superseded or forgotten here: drop it.
    Dead,
}

/// Which writes the sender of a step would have of those it said it lacks. It is no verdict: each of them is
/// claimed all the same, the wanted ones together with their versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wants {
    /// An entry for each of the step, also where none is wanted.
    #[serde(deserialize_with = "bounds::list::<_, _, RANGES_MAX>")]
    pub ranges: Vec<RangeHeld>,
}

/// The answer to a frame of claims, or of offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// In their order.
    #[serde(deserialize_with = "bounds::list::<_, _, CLAIMS_MAX>")]
    pub verdicts: Vec<Verdict>,
}

impl Items {
    /// The versions in as many frames as it takes.
    #[must_use]
    pub fn fitted(versions: Vec<Version>) -> Vec<Self> {
        let (mut frames, mut bytes) = (Vec::<Self>::new(), usize::MAX);
        for version in versions {
            if bytes >= super::PAGE_BYTES {
                frames.push(Self::default());
                bytes = 0;
            }
            bytes += version.size_hint();
            frames.last_mut().expect("one was just made sure of").versions.push(version);
        }
        frames
    }
}

/// Versions in any order: asked for, or superseding what was claimed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Items {
    /// The versions.
    #[serde(with = "super::versions")]
    pub versions: Vec<Version>,
}
