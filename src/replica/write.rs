//! Rule 1: a local write.

use thiserror::Error;

use super::Plan;
use crate::{
    causality::{Context, Dot, Hlc},
    conflict::{Base, Body, CONTEXT_ENTRIES_MAX, Record, Strategy, Version, VersionHash},
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
    /// More different lives of nodes wrote this key than a version can name.
    #[error("more than {CONTEXT_ENTRIES_MAX} different origins wrote this key: write to another key")]
    TooManyWriters,
}

/// A planned write: the version, and what it does to the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WritePlan {
    /// The version, as it is stored and announced.
    pub version: Version,
    /// What becomes of the record.
    pub plan: Plan,
}

/// Plans a write of `body` to `key` under the name `dot`.
///
/// `base` is what was forgotten here (rule 1). `stamp` is given the greatest stamp that the write supersedes and answers with a new one. `now` is
/// what the wall clock shows, in milliseconds since 1970: what has expired by then is seen by nobody.
///
/// # Errors
/// [`Refused`] when a delete finds nothing, the precondition does not hold, or more than
/// [`CONTEXT_ENTRIES_MAX`] origins wrote the key.
#[expect(clippy::too_many_arguments, reason = "all that a write depends on")]
pub fn plan_write(
    current: Option<&Record>,
    key: Key,
    dot: Dot,
    body: Body,
    precondition: Precondition,
    base: Option<Base>,
    stamp: impl FnOnce(Hlc) -> Hlc,
    now: u64,
) -> Result<WritePlan, Refused> {
    let visible = current.and_then(|record| record.visible(Strategy::default()));
    let visible = visible.is_some_and(|(version, _)| version.shows_value(now));
    let holds = match precondition {
        Precondition::None => true,
        Precondition::Matches(etag) => visible && current.is_some_and(|record| record.etag() == etag),
        Precondition::Exists => visible,
        Precondition::Absent => !visible,
    };
    if !holds {
        return Err(Refused::Precondition);
    }
    if body == Body::Delete && !current.is_some_and(|record| has_value(record, now)) {
        return Err(Refused::NothingThere);
    }
    let mut context =
        current.map_or_else(Context::new, |record| record.context().clone()).without(&dot.origin);
    if let Some(covers) = base.as_ref().and_then(Base::covers) {
        context = context.beyond(covers);
    }
    if context.len() > CONTEXT_ENTRIES_MAX {
        return Err(Refused::TooManyWriters);
    }
    let siblings = current.map_or(&[][..], Record::siblings);
    let latest = siblings.iter().map(|sibling| sibling.hlc).max().unwrap_or_default();
    let version = Version { dot, hlc: stamp(latest), base, context, key, body };
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
