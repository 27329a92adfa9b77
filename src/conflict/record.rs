//! What a replica holds of one key.

use serde::{Deserialize, Serialize};

use super::{Strategy, Version, VersionHash, Visible};
use crate::causality::{Context, Dot};

/// The siblings of a key, none of which supersedes another, and the context that says which of its
/// writes are accounted for.
///
/// Merging is idempotent, commutative and associative: replicas that received the same versions in
/// any order hold equal records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    siblings: Vec<Version>,
    context: Context,
}

/// What became of a version that was merged into a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Whether the version is a sibling now; else the context covered it: it came late.
    pub added: bool,
    /// The siblings that it superseded.
    pub superseded: Vec<Version>,
}

impl Record {
    /// A record out of stored parts: siblings sorted by dot, and the context.
    #[must_use]
    pub fn from_parts(mut siblings: Vec<Version>, context: Context) -> Self {
        siblings.sort_unstable_by_key(|sibling| sibling.dot);
        Self { siblings, context }
    }

    /// A record whose context follows from its siblings.
    #[must_use]
    pub fn from_siblings(siblings: Vec<Version>) -> Self {
        let mut record = Self::from_parts(siblings, Context::new());
        record.context = record.context_of_siblings();
        record
    }

    /// The versions that stand beside each other, by dot.
    #[must_use]
    pub fn siblings(&self) -> &[Version] {
        &self.siblings
    }

    /// Which writes of the key are accounted for here.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The context that follows from the siblings alone.
    #[must_use]
    pub fn context_of_siblings(&self) -> Context {
        let mut context = Context::new();
        for sibling in &self.siblings {
            sibling.extend(&mut context);
        }
        context
    }

    /// Whether the context is the one that follows from the siblings alone.
    #[must_use]
    pub fn context_follows(&self) -> bool {
        let [only] = &self.siblings[..] else { return self.context == self.context_of_siblings() };
        let covered = |(origin, seq)| self.context.get(&origin) == seq;
        if only.context.get(&only.dot.origin) > 0 || only.base.is_some() {
            return self.context == self.context_of_siblings();
        }
        let own = (only.dot.origin, only.dot.seq);
        self.context.len() == only.context.len() + 1 && only.context.iter().chain([own]).all(covered)
    }

    /// Rule 2: drops what `version` supersedes, adds it unless the context covers it, and widens
    /// the context.
    pub fn merge(&mut self, version: Version) -> Merged {
        let (superseded, mut kept): (Vec<_>, Vec<_>) =
            self.siblings.drain(..).partition(|sibling| version.supersedes(sibling.dot));
        let added = !self.context.covers(version.dot);
        version.extend(&mut self.context);
        if added {
            let at = kept.partition_point(|sibling| sibling.dot < version.dot);
            // Nearly always the only one, and room for four is three too many.
            kept.reserve_exact(1);
            kept.insert(at, version);
        }
        self.siblings = kept;
        Merged { added, superseded }
    }

    /// Whether nothing stands here but deletes.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        !self.siblings.is_empty() && self.siblings.iter().all(Version::is_delete)
    }

    /// Rule 6: the sibling named `dot` goes, and what the record accounts for stays. False if there
    /// is none.
    pub fn drop_sibling(&mut self, dot: Dot) -> bool {
        let before = self.siblings.len();
        self.siblings.retain(|sibling| sibling.dot != dot);
        self.siblings.len() < before
    }

    /// Rule 6: takes back a version that was lost here. Not the context decides whether it comes
    /// late, for that covers what was lost; the siblings do.
    pub fn take_back(&mut self, version: Version) -> Merged {
        let late = self.siblings.iter().any(|sibling| sibling.supersedes(version.dot));
        let (superseded, mut kept): (Vec<_>, Vec<_>) =
            self.siblings.drain(..).partition(|sibling| version.supersedes(sibling.dot));
        version.extend(&mut self.context);
        if !late {
            let at = kept.partition_point(|sibling| sibling.dot < version.dot);
            kept.insert(at, version);
        }
        self.siblings = kept;
        Merged { added: !late, superseded }
    }

    /// The sibling named `dot`.
    #[must_use]
    pub fn get(&self, dot: Dot) -> Option<&Version> {
        self.siblings.iter().find(|sibling| sibling.dot == dot)
    }

    /// What a reader sees under `strategy` at `now`, in milliseconds since 1970: a version, or nothing.
    #[must_use]
    pub fn visible(&self, strategy: &Strategy, now: u64) -> Option<Visible<'_>> {
        strategy.visible(&self.siblings, now)
    }

    /// The name of the whole record, all its siblings: equal on replicas that hold the same.
    #[must_use]
    pub fn etag(&self) -> VersionHash {
        VersionHash::of_siblings(&self.siblings)
    }
}
