//! Plans become part of a draft: record, dot index, dead set, what readers see of it.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Ledger,
    draft::{Change, Item, Place},
    layout::{self, NsNo, OriginNo},
    shared::SpaceState,
    sight::{Seeing, sight},
    stored,
};
use crate::{
    causality::{DeadSet, Dot, Origin},
    conflict::{Payload, Record, Version},
    replica::Plan,
    types::Namespace,
    wire,
};

/// A plan, and what belongs to it.
pub(super) struct Step {
    /// The record it is of.
    pub(super) at: Place,
    pub(super) plan: Plan,
    /// The write that it comes from.
    pub(super) dot: Dot,
    /// The bytes of its large value.
    pub(super) blob: Option<Bytes>,
    /// Whether it was written here.
    pub(super) local: bool,
}

impl Ledger {
    /// Carries out a plan, and keeps what it supersedes. What left a record alive, for its dot names another
    /// content now, is not kept: that dot may be kept yet.
    pub(super) fn apply_and_keep(&mut self, namespace: &Namespace, space: &Arc<SpaceState>, step: Step) {
        let at = step.at;
        let gone = self.apply(namespace, space, step);
        self.keep(space, at, gone);
    }

    /// Carries out a plan. Returns what it supersedes and is dead now.
    pub(super) fn apply(
        &mut self,
        namespace: &Namespace,
        space: &Arc<SpaceState>,
        step: Step,
    ) -> Vec<Version> {
        let Step { at, plan, dot, blob, local } = step;
        let no = self.number(dot.origin);
        for (origin, _) in plan.record.context().iter() {
            self.number(origin);
        }
        let before = self.draft.records.take(at);
        self.reindex(space.no, before.as_ref(), &plan.record, plan.held.as_ref());
        for dead in &plan.dead {
            self.number(dead.origin);
            self.dead.entry(space.no).or_default().insert(*dead);
            self.draft.dead_blocks.insert((space.no, dead.origin, DeadSet::block_of(dead.seq)));
        }
        let counted = before.as_ref().map_or(0, |record| self.counts(space, record));
        let more = self.counts(space, &plan.record) - counted;
        if self.watched {
            let seeing = Seeing { space, now: self.now };
            let (held, gone) = (plan.held.as_ref(), plan.superseded.first());
            let was = before.as_ref().and_then(|before| self.told(space, before));
            let was = was.as_ref().map(|was| &*was.put);
            let sight = sight(&seeing, namespace, was, &plan.record, dot, held, gone);
            self.draft.sights.extend(sight);
            if held.or(gone).is_some() {
                self.note_gone(space, &plan.record);
            }
        }
        match before {
            None => self.known.add(self.draft.records.key(at)),
            Some(before) if !plan.superseded.is_empty() => {
                self.earlier.keep(self.draft.records.key(at), before);
            }
            Some(_) => {}
        }
        self.draft.records.set(at, Some(plan.record));
        if let Some(version) = plan.held {
            for watch in self.watches.values_mut().filter(|watch| watch.ns == space.no) {
                watch.live.insert(dot);
            }
            if let Some(bytes) = blob {
                self.draft.batch.insert(layout::blob(space.no, no, dot.seq), bytes);
            }
            self.draft.record_bytes += inline_bytes(&version);
            let (namespace, local_only) = (namespace.clone(), space.never_leaves);
            self.draft.changes.push(Change { namespace, version, local, local_only });
        }
        let grown = self.draft.space(space);
        grown.fresh.insert(dot);
        grown.keys += more;
        let mut gone = plan.superseded;
        gone.retain(|version| plan.dead.contains(&version.dot));
        gone
    }

    /// Makes the dot index say of one record what it will hold: `after`, where `held` is new.
    pub(super) fn reindex(
        &mut self,
        ns: NsNo,
        before: Option<&Record>,
        after: &Record,
        held: Option<&Version>,
    ) {
        let (was_deleted, deleted) = (before.is_some_and(Record::is_deleted), after.is_deleted());
        let before = before.map_or(&[][..], Record::siblings);
        for gone in before {
            if self.is_lost(ns, gone.dot) {
                if gone.is_large() && after.get(gone.dot).is_none() {
                    let no = self.number_of(&gone.dot.origin);
                    self.draft.batch.remove(layout::blob(ns, no, gone.dot.seq));
                }
                continue;
            }
            match after.get(gone.dot) {
                // Nearly all that stay stay as they are.
                Some(stays) if was_deleted == deleted && stays == gone => {}
                Some(stays) => self.reindex_one(ns, Some((gone, was_deleted)), Some((stays, deleted))),
                None => self.reindex_one(ns, Some((gone, was_deleted)), None),
            }
        }
        if let Some(held) = held
            && !before.iter().any(|sibling| sibling.dot == held.dot)
        {
            self.reindex_one(ns, None, Some((held, deleted)));
        }
    }

    /// Whether the dot index lost it. Where it stands in a record yet, it counts for nothing.
    fn is_lost(&self, ns: NsNo, dot: Dot) -> bool {
        self.lost.get(&ns).is_some_and(|lost| lost.contains(dot))
    }

    /// Each side: a version, and whether its record has nothing but deletes.
    pub(super) fn reindex_one(
        &mut self,
        ns: NsNo,
        before: Option<(&Version, bool)>,
        after: Option<(&Version, bool)>,
    ) {
        if let Some((version, deleted)) = before {
            let no = self.number_of(&version.dot.origin);
            let dot = version.dot;
            if !self.tally.is_off() {
                let item = Item { dot, hash: version.hash(), before: Some(!deleted), after: None };
                self.draft.items.push((ns, item));
            }
            if deleted {
                self.draft.batch.remove(layout::forgettable(ns, version.remembered_from().0, no, dot.seq));
            }
            if let Some(deadline) = version.expires_at() {
                self.draft.batch.remove(layout::deadline(ns, deadline, no, dot.seq));
            }
            if after.is_none() {
                self.draft.batch.remove(layout::dot(ns, no, dot.seq));
                if version.is_large() {
                    self.draft.batch.remove(layout::blob(ns, no, dot.seq));
                }
            }
        }
        if let Some((version, deleted)) = after {
            let no = self.number_of(&version.dot.origin);
            let (dot, hash) = (version.dot, version.hash());
            let entry = stored::encode_dot(hash, &version.key, !deleted);
            self.draft.batch.insert(layout::dot(ns, no, dot.seq), entry);
            if !self.tally.is_off() {
                self.draft.items.push((ns, Item { dot, hash, before: None, after: Some(!deleted) }));
            }
            let key = || Bytes::copy_from_slice(version.key.as_bytes());
            if deleted {
                let at = layout::forgettable(ns, version.remembered_from().0, no, dot.seq);
                self.draft.batch.insert(at, key());
            }
            // What was counted out already is so without a list.
            let counted = self.counted_until.get(&ns).copied().unwrap_or(0);
            if let Some(deadline) = version.expires_at().filter(|deadline| *deadline > counted) {
                self.draft.batch.insert(layout::deadline(ns, deadline, no, dot.seq), key());
            }
        }
    }

    pub(super) fn number_of(&self, origin: &Origin) -> OriginNo {
        self.shared.origins().number(origin).expect("numbered when its first dot was planned")
    }

    /// The number of `origin`; a new one is part of the draft.
    pub(super) fn number(&mut self, origin: Origin) -> OriginNo {
        if let Some(no) = self.shared.origins().number(&origin) {
            return no;
        }
        let (no, _) = self.shared.origins_mut().intern(origin);
        self.draft.batch.insert(layout::origin(no), wire::encode(&origin));
        no
    }
}

fn inline_bytes(version: &Version) -> usize {
    match version.put().map(|put| &put.payload) {
        Some(Payload::Inline(bytes)) => bytes.len() + version.key.as_bytes().len(),
        _ => version.key.as_bytes().len(),
    }
}
