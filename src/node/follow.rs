//! Going on from a cursor: what of a view was not told yet, and how the cursor grows with what is.
//!
//! Invariant: a cursor accounts for a write only if it was told, lies outside the prefix, is not what
//! readers see beside something that was told, or is superseded by something that is accounted for.

use std::collections::VecDeque;

use super::ReadError;
use crate::{
    causality::{Dot, Hlc, Origin, SeenSet},
    conflict::{Payload, Put},
    report::Cursor,
    storage::{New, PageLimit, Reader, Sight, StoreError, View},
    types::{Key, Locals, Namespace, Prefix, Value},
};

/// A change of what readers see under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changed {
    /// The key.
    pub key: Key,
    /// What readers see there now; nothing where it was deleted.
    pub value: Option<Value>,
    /// The write that made the change, here or elsewhere.
    pub dot: Dot,
    /// Its stamp.
    pub hlc: Hlc,
}

/// What a page of a view brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// There is nothing that was not told before.
    Nothing,
    /// The last of what was not told before.
    Last,
    /// A part of it.
    Part,
    /// Deletes may have been missed: the cursor begins anew at this view.
    Reset,
}

/// What the cursor that a follower came with says of what it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    /// All that there is to say.
    Told,
    /// Nothing, and yet the follower may have been told of it, by this node or with a scan.
    Untold,
    /// What was told lies elsewhere by now.
    Outdated,
}

/// Somebody who follows changes.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) namespace: Namespace,
    pub(super) prefix: Prefix,
    pub(super) cursor: Cursor,
    /// What the cursor accounts for and was not seen here yet.
    ahead: SeenSet,
    /// The view that it began with, if it began with nothing: deletes in it take nothing back.
    began: Option<SeenSet>,
    items: VecDeque<New>,
    end: Option<End>,
    past: Past,
    /// What of the namespace is not shown here, for these keys are local-only: it counts as told.
    hidden: Option<Locals>,
}

/// What a cursor accounts for beside what was told when a page was told to its end.
#[derive(Debug)]
enum End {
    /// Nothing is left.
    All { seen: SeenSet, frontier: SeenSet },
    /// There is more, and the cursor has too many fragments to be good elsewhere.
    Kept { passed: SeenSet, me: Origin },
}

impl Follower {
    pub(super) fn new(namespace: Namespace, prefix: Prefix, cursor: Cursor) -> Self {
        let (ahead, items) = (SeenSet::new(), VecDeque::new());
        let (began, end, past, hidden) = (None, None, Past::Told, None);
        Self { namespace, prefix, cursor, ahead, began, items, end, past, hidden }
    }

    /// The same, of what nodes exchange: but for the keys that are local-only here.
    pub(super) fn hiding(mut self, locals: &Locals) -> Self {
        self.hidden = Some(locals.clone());
        self
    }

    /// What it follows may have been told before, and its cursor does not say how much of it: all of it is told,
    /// deletes included, and if some of these are forgotten it begins anew.
    pub(super) fn untold(mut self) -> Self {
        (self.past, self.began) = (Past::Untold, Some(SeenSet::new()));
        self
    }

    /// What was told lies elsewhere by now: it begins anew.
    pub(super) fn outdated(mut self) -> Self {
        self.past = Past::Outdated;
        self
    }

    /// Whether its cursor tells all that there is to say.
    pub(super) fn is_told(&self) -> bool {
        self.past == Past::Told
    }

    /// What it does not show.
    pub(super) fn hidden(&self) -> Option<&Locals> {
        self.hidden.as_ref()
    }

    fn hides(&self, key: &Key) -> bool {
        self.hidden.as_ref().is_some_and(|hidden| hidden.holds(key))
    }

    /// Whether nothing is to be told of `item`, for its key is local-only: all but a delete of what was told before
    /// that became so, unless something stands there since.
    fn passes(&self, reader: &Reader, item: &New) -> Result<bool, StoreError> {
        let Some(locals) = self.hidden.as_ref().filter(|locals| locals.holds(&item.key)) else {
            return Ok(false);
        };
        if item.shown.is_some() {
            return Ok(true);
        }
        let stands = reader.record(locals.companion(), &item.key)?;
        Ok(stands.is_some_and(|record| record.siblings().iter().any(|sibling| sibling.put().is_some())))
    }

    /// Begins at `view`, as if all of it had been told.
    pub(super) fn begin_at(&mut self, view: &View) -> Result<(), StoreError> {
        self.cursor.begin_at(view.seen(&self.namespace)?, view.floors(&self.namespace)?);
        (self.ahead, self.past) = (SeenSet::new(), Past::Told);
        Ok(())
    }

    /// Takes a page of what `view` holds and was not told, as readers see it at `now`. All that was taken before
    /// must be told.
    pub(super) fn page(
        &mut self,
        view: &View,
        me: Origin,
        now: u64,
        limit: PageLimit,
    ) -> Result<Page, StoreError> {
        let (frontier, floors) = (view.seen(&self.namespace)?, view.floors(&self.namespace)?);
        let knows = match self.past {
            Past::Told => self.cursor.reaches(&floors, me),
            Past::Untold => floors.deletes.is_empty(),
            Past::Outdated => false,
        };
        if !knows {
            self.begin_at(view)?;
            return Ok(Page::Reset);
        }
        self.past = Past::Told;
        if self.cursor.is_beginning() && self.began.is_none() {
            self.began = Some(frontier.clone());
        }
        // Nothing in this view was deleted by what was forgotten before it was taken.
        self.cursor.set_floors(floors);
        let wanted = frontier.difference(self.cursor.seen());
        let news = view.news(&self.namespace, &self.prefix, &wanted, self.cursor.seen(), now, limit)?;
        self.cursor.union(&news.passed);
        self.items = news.items.into();
        match news.next {
            Some(last) => {
                if self.cursor.is_kept() || self.cursor.is_fragmented() {
                    let passed = up_to(&wanted, last);
                    let lost = view.unaccounted(&self.namespace, &passed)?;
                    self.end = Some(End::Kept { passed: passed.difference(&lost), me });
                }
                Ok(Page::Part)
            }
            None => {
                // What was lost is nobody's word that it is superseded (rule 3).
                let lost = view.unaccounted(&self.namespace, &wanted)?;
                let nothing = self.items.is_empty();
                self.end = Some(End::All { seen: frontier.difference(&lost), frontier });
                Ok(if nothing { Page::Nothing } else { Page::Last })
            }
        }
    }

    /// The next change of the pages taken; nothing when they are told to their end.
    pub(super) fn next(&mut self, reader: &Reader) -> Result<Option<Changed>, ReadError> {
        while let Some(item) = self.items.pop_front() {
            let fresh = |began: &SeenSet| !item.dots.iter().all(|dot| began.contains(*dot));
            let takes_back = self.began.as_ref().is_none_or(fresh);
            if (item.shown.is_none() && !takes_back) || self.passes(reader, &item)? {
                self.cursor.insert(item.dots);
                continue;
            }
            // A large value may be gone: then what superseded it comes with a later page.
            let Some(value) = value(reader, &self.namespace, item.shown)? else { continue };
            self.cursor.insert(item.dots);
            return Ok(Some(Changed { key: item.key, value, dot: item.dot, hlc: item.hlc }));
        }
        match self.end.take() {
            Some(End::All { seen, frontier }) => {
                self.cursor.union(&seen);
                self.cursor.complete();
                self.ahead = self.cursor.seen().difference(&frontier);
            }
            Some(End::Kept { passed, me }) => self.cursor.keep_to(me, &passed),
            None => {}
        }
        Ok(None)
    }

    /// What a committed change means to this follower, if anything.
    pub(super) fn hear(&mut self, reader: &Reader, sight: &Sight) -> Result<Option<Changed>, ReadError> {
        let told = self.cursor.seen().contains(sight.dot);
        // Whoever was told more than is seen here may have to be told what is no news here.
        let matters = sight.news || !self.ahead.is_empty();
        if self.hides(&sight.key) || if sight.again { !sight.news } else { told || !matters } {
            self.cursor.insert([sight.dot]);
            return Ok(None);
        }
        let value = value(reader, &self.namespace, sight.shown.clone())?;
        self.cursor.insert([sight.dot]);
        let changed = |value| Changed { key: sight.key.clone(), value, dot: sight.dot, hlc: sight.hlc };
        Ok(value.map(changed))
    }

    /// All of `seen` was told, or concerns nobody here.
    pub(super) fn heard(&mut self, seen: std::sync::Arc<SeenSet>) {
        if self.ahead.is_empty() {
            self.cursor.replace(seen);
        } else {
            self.cursor.union(&seen);
            self.ahead = self.ahead.difference(&seen);
        }
    }
}

/// What stands behind `shown`; nothing if it is a large value that is not held any more.
#[expect(clippy::option_option, reason = "no value is one thing, and not to be had another")]
fn value(
    reader: &Reader,
    namespace: &Namespace,
    shown: Option<(Dot, Put)>,
) -> Result<Option<Option<Value>>, ReadError> {
    let Some((dot, put)) = shown else { return Ok(Some(None)) };
    let bytes = match put.payload {
        Payload::Inline(bytes) => Some(bytes),
        Payload::Blob { .. } => reader.blob(namespace, dot)?,
    };
    Ok(bytes.map(|bytes| Some(Value::new(put.content_type, bytes))))
}

/// The part of `dots` up to `last`, in dot order.
fn up_to(dots: &SeenSet, last: Dot) -> SeenSet {
    let mut part = SeenSet::new();
    for (origin, seqs) in dots.iter().take_while(|(origin, _)| **origin <= last.origin) {
        let end = if *origin == last.origin { last.seq } else { u64::MAX };
        seqs.within(1, end).for_each(|(first, last)| part.insert_range(*origin, first, last));
    }
    part
}
