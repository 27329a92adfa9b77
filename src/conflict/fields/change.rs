//! What a put becomes where fields are merged.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use super::{
    Claims, Stamp, Stamps,
    leaves::{Path, leaves},
};
use crate::conflict::{Body, Payload, Put};

/// The most removals that a version remembers, the latest. A removal that is forgotten stays one for
/// all writes that it had in front of it; only a change that is concurrent to it wins over it then.
pub const GONE_MAX: usize = 16;

/// The body of a put of `put`, stamped `own`, by somebody who had `base` in front of them: what is as it was
/// keeps the stamp it had.
pub(crate) fn written(base: Option<&Claims<'_>>, put: Put, own: Stamp) -> Body {
    match base.and_then(|base| stamps(base, &put, own)) {
        Some(stamps) => Body::Fields(put, Arc::new(stamps)),
        None => Body::Put(put),
    }
}

/// Nothing if all of it was changed, or is to count as changed.
fn stamps(base: &Claims<'_>, put: &Put, own: Stamp) -> Option<Stamps> {
    let Put { content_type, payload: Payload::Inline(bytes) } = put else { return None };
    if !content_type.is_json() {
        return None;
    }
    let new = leaves(bytes)?;
    let kept: Vec<(&Path<'_>, Option<Stamp>)> = new
        .iter()
        .map(|(path, text)| {
            let same = base.leaves.get(path).filter(|claim| claim.text == *text);
            (path, same.map(|claim| claim.stamp))
        })
        .collect();
    let gone = gone(base, &kept, own);
    if gone.is_empty() && kept.iter().all(|(_, stamp)| stamp.is_none()) {
        return None;
    }
    Stamps::of(&kept, &gone)
}

/// What is remembered as removed: what was there and is not any more, and what the base remembered, unless
/// that very field was written anew, or one below it under a stamp that would be taken for an earlier one.
fn gone<'a>(
    base: &Claims<'a>,
    kept: &[(&Path<'a>, Option<Stamp>)],
    own: Stamp,
) -> BTreeMap<Path<'a>, Option<Stamp>> {
    // What is new is ascending: what lies at and below a path stands together.
    let from = |path: &[Cow<'a, str>]| &kept[kept.partition_point(|(other, _)| other.as_slice() < path)..];
    let stands = |path: &Path<'a>| from(path).first().filter(|(next, _)| *next == path);
    let stands_below =
        |path: &[Cow<'a, str>]| from(path).first().is_some_and(|(next, _)| next.starts_with(path));
    let mut gone = BTreeMap::new();
    for path in base.leaves.keys().filter(|path| stands(path).is_none()) {
        let cut = (1..=path.len()).find(|length| !stands_below(&path[..*length]));
        // An empty object that was filled is a path on which something stands.
        gone.extend(cut.map(|length| (path[..length].to_vec(), None)));
    }
    let changed = |mark: &Path<'a>| {
        from(mark).iter().take_while(|(path, _)| path.starts_with(mark)).any(|(_, stamp)| stamp.is_none())
    };
    let holds = |mark: &Path<'a>, stamp: Stamp| {
        let again = stands(mark).is_some_and(|(_, stamp)| stamp.is_none());
        let taken_for_earlier = stamp >= own && changed(mark);
        let below_another = gone.keys().any(|cut: &Path<'a>| mark.starts_with(cut));
        !(again || taken_for_earlier || below_another)
    };
    let mut earlier: Vec<(&Path<'a>, Stamp)> = base.gone.iter().map(|(mark, stamp)| (mark, *stamp)).collect();
    earlier.retain(|(mark, stamp)| holds(mark, *stamp));
    earlier.sort_by_key(|(_, stamp)| std::cmp::Reverse(*stamp));
    for (mark, stamp) in earlier {
        if gone.len() < GONE_MAX {
            gone.entry(mark.clone()).or_insert(Some(stamp));
        }
    }
    while gone.len() > GONE_MAX {
        gone.pop_last();
    }
    gone
}
