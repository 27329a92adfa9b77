//! The frames of an exchange that compare ranges.

use serde::{Deserialize, Serialize};

use super::bounds;
use crate::{causality::Dot, conflict::Version, types::Key};

/// The most ranges, and the most blocks, in one frame: with all their digests they fit it.
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

/// Which of 64 writes the sender holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockHeld {
    /// The number of the origin.
    pub origin: u32,
    /// The number of the block.
    pub block: u64,
    /// A bit for each write.
    pub live: u64,
    /// Whether it answers what the receiver said of the block.
    pub answer: bool,
}

/// One step down: what differs, one level deeper. A step with nothing in it ends the descent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descent {
    /// Ranges that differ, in parts.
    #[serde(deserialize_with = "bounds::list::<_, _, RANGES_MAX>")]
    pub ranges: Vec<Parts>,
    /// Blocks that differ.
    #[serde(deserialize_with = "bounds::list::<_, _, RANGES_MAX>")]
    pub blocks: Vec<BlockHeld>,
    /// Whether the same step goes on in another frame.
    pub more: bool,
}

/// Versions that only the sender holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Their names and keys.
    #[serde(deserialize_with = "bounds::list::<_, _, CLAIMS_MAX>")]
    pub claims: Vec<(Dot, Key)>,
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

/// The answer to a frame of claims.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// In the order of the claims.
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
