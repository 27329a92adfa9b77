//! One dot, two contents (rules 2 and 7): found whatever keys they are of, and what lost its name is
//! written again under a fresh one.

use bytes::Bytes;

use super::{Ledger, Received, StoreError, apply::Step, shared::SpaceState};
use crate::{
    causality::{Context, DeadSet, Dot},
    conflict::{Record, Version},
    replica::{Refused, plan_merge},
    types::{Key, Namespace},
};

impl Ledger {
    /// Whether the dot of `version` names another content here: one that is held, or one of another key
    /// that is dead.
    ///
    /// # Errors
    /// When the store cannot be read.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    pub fn collides(&mut self, namespace: &Namespace, version: &Version) -> Result<bool, StoreError> {
        let (space, dot) = (self.space(namespace), version.dot);
        if !self.has_seen(&space, dot) {
            return Ok(false);
        }
        match self.held_anywhere(&space, dot)? {
            Some(held) => Ok(held.hash() != version.hash()),
            None => Ok(self.is_dead(&space, dot) && !self.is_buried(&space, dot, &version.key)?),
        }
    }

    /// The version that `dot` names, whatever its key.
    pub(super) fn held_anywhere(
        &mut self,
        space: &SpaceState,
        dot: Dot,
    ) -> Result<Option<Version>, StoreError> {
        let Some(no) = self.shared.origins().number(&dot.origin) else { return Ok(None) };
        self.held(space.no, no, dot)
    }

    pub(super) fn is_dead(&self, space: &SpaceState, dot: Dot) -> bool {
        self.dead.get(&space.no).is_some_and(|dead| dead.contains(dot))
    }

    /// Whether `dot`, which is dead, died under `key`: then the record of that key accounts for it, or it
    /// was forgotten. Else it was another content that died, and nothing is known of this one.
    pub(super) fn is_buried(&mut self, space: &SpaceState, dot: Dot, key: &Key) -> Result<bool, StoreError> {
        let at = self.look(space.no, key)?;
        if self.draft.records.get(at).is_some_and(|record| record.context().covers(dot)) {
            return Ok(true);
        }
        let forgotten = |covered: &Context, deletes: &Context| covered.covers(dot) || deletes.covers(dot);
        let drafted = self.draft.spaces.get(&space.no).and_then(|grown| grown.floors.as_ref());
        if drafted.is_some_and(|floors| forgotten(&floors.covered, &floors.deletes)) {
            return Ok(true);
        }
        let floors = space.floors();
        Ok(forgotten(&floors.covered, &floors.deletes))
    }

    /// Plans that a version stands under a dot of which another content died: its key knows nothing of
    /// that death. The dot is dead no more, and so elsewhere: all who compare ranges judge alike.
    pub(super) fn revive(
        &mut self,
        namespace: &Namespace,
        version: Version,
        blob: Option<Bytes>,
    ) -> Result<Received, StoreError> {
        if version.is_large() && blob.is_none() {
            return Ok(Received::NeedsBlob);
        }
        let (space, dot) = (self.space(namespace), version.dot);
        let block = DeadSet::block_of(dot.seq);
        // Where a run of full blocks is broken both its halves are written anew.
        let blocks = [block.checked_sub(1), Some(block), block.checked_add(1)];
        let dead = self.dead.entry(space.no).or_default();
        dead.remove(dot);
        for block in blocks.into_iter().flatten() {
            if dead.block(&dot.origin, block) != 0 || block == DeadSet::block_of(dot.seq) {
                self.draft.dead_blocks.insert((space.no, dot.origin, block));
            }
        }
        let received = self.take_back(namespace, version, blob)?;
        Ok(match received {
            Received::Held => Received::Collision(None),
            other => other,
        })
    }

    /// Rule 7: plans `lost`, whose dot names another content now, once more under a fresh dot: beside
    /// whatever stands there, with the stamp it had, for it is no newer than it was. Nothing where a
    /// sibling holds the same already; [`Refused::TooManyBeside`] where this life has no origin left
    /// that wrote nothing else there: a new one has.
    ///
    /// # Errors
    /// The outer error when the store cannot be read.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    pub fn write_again(
        &mut self,
        namespace: &Namespace,
        lost: &Version,
        blob: Option<Bytes>,
    ) -> Result<Result<Option<Version>, Refused>, StoreError> {
        let space = self.space(namespace);
        let at = self.look(space.no, &lost.key)?;
        let record = self.draft.records.get(at);
        if record.is_some_and(|record| record.siblings().iter().any(|other| other.body == lost.body)) {
            return Ok(Ok(None));
        }
        let mut context = lost.context.clone();
        if lost.dot.seq > 1 {
            context.insert(Dot::new(lost.dot.origin, lost.dot.seq - 1));
        }
        let made_from = Record::from_parts(Vec::new(), context.clone());
        let me = match self.pen(&space, at, &made_from) {
            Ok(me) => me,
            Err(refused) => return Ok(Err(refused)),
        };
        let dot = Dot::new(me, self.last_seq(&space, &me) + 1);
        if let Some(base) = &lost.base {
            self.intern(base);
        }
        let Version { hlc, base, key, body, .. } = lost.clone();
        let version = Version { dot, hlc, base, context: context.without(&me), key, body };
        let plan = plan_merge(self.draft.records.get(at), version.clone());
        self.apply_and_keep(namespace, &space, Step { at, plan, dot, blob, local: false });
        Ok(Ok(Some(version)))
    }
}
