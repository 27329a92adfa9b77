//! Which way versions go in an exchange.

use serde::{Deserialize, Serialize};

/// Which way versions go in an exchange, as one end sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Way {
    /// Both ways: each end gives what the other lacks.
    #[default]
    Both,
    /// This end only takes: nothing of what it holds leaves it.
    Take,
    /// This end only gives: nothing changes what it holds.
    Give,
}

impl Way {
    /// Whether versions leave this end.
    #[must_use]
    pub const fn gives(self) -> bool {
        matches!(self, Self::Both | Self::Give)
    }

    /// Whether this end takes in versions.
    #[must_use]
    pub const fn takes(self) -> bool {
        matches!(self, Self::Both | Self::Take)
    }

    /// The same as the other end sees it.
    #[must_use]
    pub const fn turned(self) -> Self {
        match self {
            Self::Both => Self::Both,
            Self::Take => Self::Give,
            Self::Give => Self::Take,
        }
    }
}
