//! A record as readers need it.

use crate::causality::Context;

use super::{Record, Strategy, Version, VersionHash, Visible};

/// What was read of a key: nearly always a record of one version, which then needs no list of
/// siblings and no context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The only sibling.
    One(Version),
    /// None or several.
    Many(Record),
}

impl Reading {
    /// The versions that stand beside each other, by dot.
    #[must_use]
    pub fn siblings(&self) -> &[Version] {
        match self {
            Self::One(only) => std::slice::from_ref(only),
            Self::Many(record) => record.siblings(),
        }
    }

    /// What a reader sees under `strategy` at `now`, in milliseconds since 1970: a version, or nothing.
    #[must_use]
    pub fn visible(&self, strategy: &Strategy, now: u64) -> Option<Visible<'_>> {
        strategy.visible(self.siblings(), now)
    }
}

/// The name of a whole record, all its siblings: equal on replicas that hold the same. It is worked
/// out when it is asked for, because that takes a hash of all values.
#[derive(Clone, Debug)]
pub struct Etag(Of);

#[derive(Clone, Debug)]
enum Of {
    Known(VersionHash),
    Reading(Reading),
}

impl Etag {
    /// What it is the name of, where that is known: it came from a read in this process.
    #[must_use]
    pub fn reading(&self) -> Option<&Reading> {
        match &self.0 {
            Of::Known(_) => None,
            Of::Reading(reading) => Some(reading),
        }
    }

    /// The name itself.
    #[must_use]
    pub fn hash(&self) -> VersionHash {
        match &self.0 {
            Of::Known(hash) => *hash,
            Of::Reading(reading) => VersionHash::of_siblings(reading.siblings()),
        }
    }
}

impl Etag {
    /// Which writes the record accounts for, as far as it is known: a name that was only sent says
    /// nothing of it.
    #[must_use]
    pub fn context(&self) -> Context {
        match &self.0 {
            Of::Known(_) => Context::new(),
            Of::Reading(Reading::Many(record)) => record.context().clone(),
            Of::Reading(Reading::One(only)) => {
                let mut context = Context::new();
                only.extend(&mut context);
                context
            }
        }
    }
}

impl From<VersionHash> for Etag {
    fn from(hash: VersionHash) -> Self {
        Self(Of::Known(hash))
    }
}

impl From<Reading> for Etag {
    fn from(reading: Reading) -> Self {
        Self(Of::Reading(reading))
    }
}

impl PartialEq for Etag {
    fn eq(&self, other: &Self) -> bool {
        self.hash() == other.hash()
    }
}

impl Eq for Etag {}
