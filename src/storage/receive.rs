//! Versions and frontiers from elsewhere are planned (rules 2 and 4).

use std::sync::Arc;

use bytes::Bytes;

use super::{Ledger, StoreError, apply::Step, layout, ledger::Received, shared::SpaceState};
use crate::{
    causality::{Dot, Floors, SeenSet},
    conflict::Version,
    replica::{plan_collision, plan_merge},
    types::Namespace,
};

impl Ledger {
    /// Whether `dot` has been seen, committed or planned.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    #[must_use]
    pub fn is_seen(&self, namespace: &Namespace, dot: Dot) -> bool {
        self.has_seen(&self.space(namespace), dot)
    }

    /// Whether `version` would be held and its large value is needed for that.
    ///
    /// # Errors
    /// When the store cannot be read.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    pub fn wants_blob(&mut self, namespace: &Namespace, version: &Version) -> Result<bool, StoreError> {
        if !version.is_large() {
            return Ok(false);
        }
        let space = self.space(namespace);
        if self.has_seen(&space, version.dot) {
            let Some(no) = self.shared.origins().number(&version.dot.origin) else { return Ok(false) };
            let held = self.held(space.no, no, version.dot)?;
            return Ok(held.is_some_and(|held| held.hash() < version.hash()));
        }
        let at = self.look(space.no, &version.key)?;
        Ok(!self.draft.records.get(at).is_some_and(|record| record.context().covers(version.dot)))
    }

    /// Rule 2: plans the merge of a version from elsewhere. `blob` is its large value, verified by
    /// the caller.
    ///
    /// # Errors
    /// When the store cannot be read.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    pub fn receive(
        &mut self,
        namespace: &Namespace,
        version: Version,
        blob: Option<Bytes>,
    ) -> Result<Received, StoreError> {
        let space = self.space(namespace);
        let dot = version.dot;
        let mut version = version;
        if !self.resolve(&mut version) {
            return Ok(Received::NeedsBase);
        }
        if self.has_seen(&space, dot) {
            return self.receive_again(namespace, &space, version, blob.as_ref());
        }
        if self.lost.get(&space.no).is_some_and(|lost| lost.contains(dot)) {
            return self.take_back(namespace, version, blob);
        }
        let at = self.look(space.no, &version.key)?;
        let before = self.draft.records.get(at);
        if blob.is_none() && version.is_large() && !before.is_some_and(|r| r.context().covers(dot)) {
            return Ok(Received::NeedsBlob);
        }
        let late = before.is_some_and(|record| record.context().covers(dot)) && self.keeps_history(space.no);
        let late = late.then(|| version.clone());
        let plan = plan_merge(before, version);
        let received = if plan.held.is_some() { Received::Held } else { Received::Superseded };
        self.apply_and_keep(namespace, &space, Step { at, plan, dot, blob, local: false });
        self.keep(&space, at, late.into_iter().collect());
        Ok(received)
    }

    /// Rule 2, last paragraph: a dot that was seen arrives again, perhaps with another content.
    pub(super) fn receive_again(
        &mut self,
        namespace: &Namespace,
        space: &Arc<SpaceState>,
        version: Version,
        blob: Option<&Bytes>,
    ) -> Result<Received, StoreError> {
        let dot = version.dot;
        let Some(no) = self.shared.origins().number(&dot.origin) else { return Ok(Received::Seen) };
        let Some(held) = self.held(space.no, no, dot)? else { return Ok(Received::Seen) };
        let Some(record) = self.record(space.no, &held.key)? else { return Ok(Received::Seen) };
        let others = if version.key == held.key { None } else { self.record(space.no, &version.key)? };
        let needs_blob = version.is_large() && blob.is_none();
        let Some(collision) = plan_collision(&record, others.as_ref(), &held, version) else {
            return Ok(Received::Seen);
        };
        if needs_blob && collision.plans.iter().any(|(_, plan)| plan.held.is_some()) {
            return Ok(Received::NeedsBlob);
        }
        if held.is_large() && collision.kept != held.hash() {
            self.draft.batch.remove(layout::blob(space.no, no, dot.seq));
        }
        for (key, plan) in collision.plans {
            let at = self.look(space.no, &key)?;
            let blob = blob.filter(|_| plan.held.is_some()).cloned();
            self.apply_and_keep(namespace, space, Step { at, plan, dot, blob, local: false });
        }
        let lost = (collision.kept != held.hash()).then_some(held);
        Ok(Received::Collision(lost.map(Box::new)))
    }

    /// Rule 4: merges the frontier that ended a delta. What it names and was neither seen before
    /// nor sent is dead there, and so here.
    ///
    /// The floors that came with it are taken over in the same batch as its last part.
    pub fn absorb(&mut self, namespace: &Namespace, frontier: &SeenSet, floors: &Floors) {
        let space = self.space(namespace);
        self.join_floors(&space, floors);
        let mut missing = frontier.difference(&space.seen());
        if let Some(fresh) = self.draft.fresh(space.no) {
            missing = missing.difference(fresh);
        }
        if missing.is_empty() {
            return;
        }
        for (origin, seqs) in missing.iter() {
            self.number(*origin);
            let dead = self.dead.entry(space.no).or_default();
            for (first, last) in seqs.iter() {
                dead.insert_range(*origin, first, last, |block, _| {
                    self.draft.dead_blocks.insert((space.no, *origin, block));
                });
            }
        }
        self.draft.space(&space).fresh.union(&missing);
    }

    pub(super) fn join_floors(&mut self, space: &Arc<SpaceState>, more: &Floors) {
        let grown = self.draft.space(space);
        let known = |floors: &Floors| floors.includes(more);
        if grown.floors.as_ref().map_or_else(|| known(&space.floors()), known) {
            return;
        }
        grown.floors.get_or_insert_with(|| space.floors().clone()).join(more);
    }
}
