//! Rule 1: a local write.

use thiserror::Error;

use super::Plan;
use crate::{
    causality::{Context, Dot, Hlc},
    conflict::{
        Base, Body, CONTEXT_ENTRIES_MAX, Record, Stamp, Strategy, Version, VersionHash, fields_written,
        merge_fields,
    },
    types::Key,
};

/// What must hold of a record for a write to happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// The record is exactly the one that this names, siblings included.
    Matches(VersionHash),
    /// A reader sees a value, whichever.
    Exists,
    /// A reader sees no value.
    Absent,
}

/// The write does not happen; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refused {
    /// A delete where a reader sees nothing.
    #[error("there is nothing under this key to delete")]
    NothingThere,
    /// The precondition does not hold of the record as it is now.
    #[error("the precondition does not hold: the record is another by now; read it again")]
    Precondition,
    /// A put where a reader sees a value already and the first write wins.
    #[error(
        "a value stands under this key, and the first write wins: delete it first, or write to another key"
    )]
    AlreadySet,
    /// What the write says it was made from is not known here, or is of another key.
    #[error(
        "this node does not know the version that the write was made from, under this key: read the key again, and \
         write with the ETag of that answer"
    )]
    UnknownBase,
    /// Too many writes that were made from older versions stand beside each other.
    #[error(
        "too many writes that were made from older versions stand beside each other here: read the key, and write without a base"
    )]
    TooManyBeside,
    /// More different lives of nodes wrote this key than a version can name.
    #[error("more than {CONTEXT_ENTRIES_MAX} different origins wrote this key: write to another key")]
    TooManyWriters,
}

/// What a write is planned by, beside the record.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// How readers resolve the key.
    pub strategy: &'a Strategy,
    /// What the write was made from, where that is not the record as it stands: it supersedes this and what
    /// this accounts for, and nothing newer.
    pub made_from: Option<&'a Record>,
    /// What the wall clock shows, in milliseconds since 1970: what has expired by then is seen by nobody.
    pub now: u64,
}

impl Default for Rules<'_> {
    fn default() -> Self {
        Self { strategy: &Strategy::LastWriteWins, made_from: None, now: 0 }
    }
}

/// A planned write: the version, and what it does to the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WritePlan {
    /// The version, as it is stored and announced.
    pub version: Version,
    /// What becomes of the record.
    pub plan: Plan,
}

/// Plans a write of `body` to `key` under the name `dot`, by `rules`.
///
/// With [`Rules::made_from`] the caller sees to it that no write of the origin of `dot` stands there that the
/// new one is not to supersede: its own past is implied.
///
/// `base` is what was forgotten here (rule 1). `stamp` is given the siblings that the write
/// supersedes and answers with a new stamp: later than each of theirs that is not too far ahead.
///
/// # Errors
/// [`Refused`] when a delete finds nothing, the precondition does not hold, a value stands where the first
/// write wins, or more than [`CONTEXT_ENTRIES_MAX`] origins wrote the key.
#[expect(clippy::too_many_arguments, reason = "the parts of one version, and what it is planned by")]
pub fn plan_write(
    current: Option<&Record>,
    key: Key,
    dot: Dot,
    body: Body,
    precondition: Precondition,
    base: Option<Base>,
    rules: Rules<'_>,
    stamp: impl FnOnce(&[Version]) -> Hlc,
) -> Result<WritePlan, Refused> {
    let siblings = current.map_or(&[][..], Record::siblings);
    let visible = rules.strategy.shows(siblings, rules.now);
    let holds = match precondition {
        Precondition::None => true,
        Precondition::Matches(etag) => visible && current.is_some_and(|record| record.etag() == etag),
        Precondition::Exists => visible,
        Precondition::Absent => !visible,
    };
    if !holds {
        return Err(Refused::Precondition);
    }
    if body == Body::Delete && !current.is_some_and(|record| has_value(record, rules.now)) {
        return Err(Refused::NothingThere);
    }
    if body != Body::Delete && visible && *rules.strategy == Strategy::FirstWriteWins {
        return Err(Refused::AlreadySet);
    }
    let made_from = rules.made_from.or(current);
    let mut context =
        made_from.map_or_else(Context::new, |record| record.context().clone()).without(&dot.origin);
    // A base covers what was seen of all keys: where the write leaves something newer beside it, it must not.
    let base = base.filter(|_| rules.made_from.is_none() || siblings.is_empty());
    if let Some(covers) = base.as_ref().and_then(Base::covers) {
        context = context.beyond(covers);
    }
    if context.len() > CONTEXT_ENTRIES_MAX {
        return Err(Refused::TooManyWriters);
    }
    let hlc = match rules.made_from {
        None => stamp(siblings),
        Some(made_from) => stamp(&[siblings, made_from.siblings()].concat()),
    };
    let body = match body {
        Body::Put(put) if *rules.strategy == Strategy::MergeFields => {
            let claims = made_from.and_then(|record| merge_fields(record.siblings()));
            fields_written(claims.as_ref(), put, Stamp { hlc, dot })
        }
        body => body,
    };
    let version = Version { dot, hlc, base, context, key, body };
    let mut record = current.cloned().unwrap_or_default();
    let merged = record.merge(version.clone());
    debug_assert!(merged.added, "a fresh dot is covered by no context");
    let dead = merged.superseded.iter().map(|sibling| sibling.dot).collect();
    let plan = Plan { record, held: Some(version.clone()), superseded: merged.superseded, dead };
    Ok(WritePlan { version, plan })
}

/// A value stands somewhere in the record, if only as a sibling that readers do not see.
fn has_value(record: &Record, now: u64) -> bool {
    record.siblings().iter().any(|sibling| sibling.shows_value(now))
}
