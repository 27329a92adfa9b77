//! Which of several concurrent versions a reader sees.

use super::{Put, Version};

/// How siblings are resolved for readers. A pure function of the set of siblings: the same on every
/// replica, in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// The greatest by stamp, origin, sequence; a delete counts as a value.
    #[default]
    LastWriteWins,
}

impl Strategy {
    /// What readers see of `siblings`: a version with its value, or nothing.
    #[must_use]
    pub fn visible(self, siblings: &[Version]) -> Option<(&Version, &Put)> {
        let winner = self.resolve(siblings)?;
        winner.put().map(|put| (winner, put))
    }

    /// The sibling that readers see; it may be a delete.
    #[must_use]
    pub fn resolve(self, siblings: &[Version]) -> Option<&Version> {
        match self {
            Self::LastWriteWins if siblings.len() == 1 => siblings.first(),
            Self::LastWriteWins => siblings.iter().max_by_key(|version| version.rank()),
        }
    }
}
