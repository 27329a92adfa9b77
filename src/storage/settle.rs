//! Rule 6: what becomes of a version that only one side of a comparison holds, judged against what
//! the other side holds at that moment; and rule 3: what was lost.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Durability, Ledger, Received, StoreError, apply::Step, chunks, draft::Place, layout, layout::NsNo,
    ledger::lost_fact, shared::SpaceState,
};
use crate::{
    causality::{Dot, Floors, Hlc, Intervals, SeenSet},
    conflict::Version,
    replica::{Plan, plan_burial, plan_take_back},
    types::{Key, Namespace},
    wire,
};

/// What is said of a version that only the asker holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is not known here, or was lost here: send it.
    Want,
    /// It is held here by now.
    Held,
    /// This one, held here, supersedes it. Boxed, for most judgements have none.
    Superseded(Box<Version>),
    /// It is superseded or forgotten: drop it.
    Dead,
    /// Its dot names this one here, which is of another key, or may be another of the same: send it, and
    /// take this one. Not all that is held is claimed, so that it would come by itself.
    Collides(Box<Version>),
}

/// What became live in a namespace since the snapshot that a comparison of ranges was made on.
#[derive(Debug)]
pub(super) struct RangeWatch {
    pub(super) ns: NsNo,
    pub(super) live: SeenSet,
}

impl Ledger {
    /// From now on, remembers which versions become live in `namespace`; until
    /// [`Self::close_ranges`]. The draft must be committed.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    pub fn open_ranges(&mut self, namespace: &Namespace) -> u64 {
        let watch = RangeWatch { ns: self.space(namespace).no, live: SeenSet::new() };
        self.next_watch += 1;
        self.watches.insert(self.next_watch, watch);
        self.next_watch
    }

    /// Ends what [`Self::open_ranges`] began.
    pub fn close_ranges(&mut self, watch: u64) {
        self.watches.remove(&watch);
    }

    /// What became live since the snapshot of `watch` and is in `frontier`, beside what is in `known`:
    /// the frontier must not be merged before the peer was asked about these, too.
    #[must_use]
    pub fn late(&self, watch: u64, frontier: &SeenSet, known: &SeenSet) -> SeenSet {
        let Some(watch) = self.watches.get(&watch) else { return SeenSet::new() };
        let outside = watch.live.difference(frontier);
        watch.live.difference(&outside).difference(known)
    }

    /// Whether everything up to `floors` that was seen here is held or dead (rule 3): floors must not be
    /// merged over what was lost, or it would count as forgotten.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    #[must_use]
    pub fn adds_up(&self, namespace: &Namespace, floors: &Floors) -> bool {
        let space = self.space(namespace);
        let seen = space.seen();
        floors.covered.iter().chain(floors.deletes.iter()).all(|(origin, seq)| {
            let up_to = seq.min(seen.get(&origin).map_or(0, Intervals::base));
            self.count_up_to(space.no, &origin, up_to) >= up_to
        })
    }

    /// Judges a version of `key` that a peer holds.
    ///
    /// # Errors
    /// When the store cannot be read.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    pub fn judge(&mut self, namespace: &Namespace, dot: Dot, key: &Key) -> Result<Judgement, StoreError> {
        let space = self.space(namespace);
        let at = self.look(space.no, key)?;
        if let Some(record) = self.draft.records.get(at) {
            if let Some(held) = record.get(dot) {
                // A delete alone is not compared: what the peer holds there may be something else.
                let held = record.is_deleted().then(|| Box::new(held.clone()));
                return Ok(held.map_or(Judgement::Held, Judgement::Collides));
            }
            if let Some(by) = record.siblings().iter().find(|sibling| sibling.supersedes(dot)) {
                return Ok(Judgement::Superseded(Box::new(by.clone())));
            }
        }
        if let Some(held) = self.held_anywhere(&space, dot)? {
            return Ok(Judgement::Collides(Box::new(held)));
        }
        let dead = self.has_seen(&space, dot) && self.is_dead(&space, dot);
        // Where it died under another key it is this content that is not known.
        Ok(if dead && self.is_buried(&space, dot, key)? { Judgement::Dead } else { Judgement::Want })
    }

    /// Plans the merge of a version that a peer holds and this store does not: by rule 2, and if it
    /// was lost here, it is taken back.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn settle(
        &mut self,
        namespace: &Namespace,
        version: Version,
        blob: Option<Bytes>,
    ) -> Result<Received, StoreError> {
        let (space, dot) = (self.space(namespace), version.dot);
        if !self.has_seen(&space, dot) {
            return self.receive(namespace, version, blob);
        }
        let dead = self.is_dead(&space, dot);
        if dead && self.is_buried(&space, dot, &version.key)? {
            return self.bury(namespace, &space, version);
        }
        let at = self.look(space.no, &version.key)?;
        let stands = self.draft.records.get(at).is_some_and(|record| record.get(dot).is_some());
        if stands || self.held_anywhere(&space, dot)?.is_some() {
            // The same again, or another content of that dot.
            return self.receive(namespace, version, blob);
        }
        let mut version = version;
        if !self.resolve(&mut version) {
            return Ok(Received::NeedsBase);
        }
        if dead { self.revive(namespace, version, blob) } else { self.take_back(namespace, version, blob) }
    }

    /// A version that is dead here supersedes all the same: what superseded it, and covered all that it
    /// covers, may have been lost since.
    fn bury(
        &mut self,
        namespace: &Namespace,
        space: &Arc<SpaceState>,
        mut version: Version,
    ) -> Result<Received, StoreError> {
        if !self.resolve(&mut version) {
            return Ok(Received::NeedsBase);
        }
        let at = self.look(space.no, &version.key)?;
        let Some(record) = self.draft.records.get(at) else { return Ok(Received::Seen) };
        let plan = plan_burial(record, &version);
        self.keep(space, at, vec![version.clone()]);
        let Some(plan) = plan else { return Ok(Received::Seen) };
        let (dot, empty) = (version.dot, plan.record.siblings().is_empty());
        self.apply_and_keep(namespace, space, Step { at, plan, dot, blob: None, local: false });
        if empty {
            self.forget_later(space.no, dot, &version.key, version.hlc);
        }
        Ok(Received::Superseded)
    }

    /// A record without siblings is forgotten like one of deletes.
    fn forget_later(&mut self, ns: NsNo, dot: Dot, key: &Key, since: Hlc) {
        let (no, key) = (self.number(dot.origin), Bytes::copy_from_slice(key.as_bytes()));
        self.draft.batch.insert(layout::forgettable(ns, since.0, no, dot.seq), key);
    }

    /// Takes back what was lost, whatever a context says.
    pub(super) fn take_back(
        &mut self,
        namespace: &Namespace,
        version: Version,
        blob: Option<Bytes>,
    ) -> Result<Received, StoreError> {
        let (space, dot) = (self.space(namespace), version.dot);
        if version.is_large() && blob.is_none() {
            return Ok(Received::NeedsBlob);
        }
        let at = self.look(space.no, &version.key)?;
        self.drop_stray(&space, at, dot);
        let late = self.keeps_history(space.no).then(|| version.clone());
        let plan = plan_take_back(self.draft.records.get(at), version);
        let received = if plan.held.is_some() { Received::Held } else { Received::Superseded };
        let late = late.filter(|_| plan.held.is_none());
        self.apply_and_keep(namespace, &space, Step { at, plan, dot, blob, local: false });
        if let Some(sight) = self.draft.sights.last_mut().filter(|sight| sight.dot == dot) {
            // Whoever follows accounts for it already, and sees it come back.
            sight.again = true;
        }
        self.keep(&space, at, late.into_iter().collect());
        if let Some(lost) = self.lost.get_mut(&space.no)
            && lost.remove(dot)
        {
            self.draft.batch.insert(lost_fact(space.no), wire::encode(&*lost));
        }
        Ok(received)
    }

    /// What was lost from the dot index alone stands in its record yet: it goes, and comes back as a whole.
    fn drop_stray(&mut self, space: &Arc<SpaceState>, at: Place, dot: Dot) {
        let Some(record) = self.draft.records.get(at).filter(|record| record.get(dot).is_some()) else {
            return;
        };
        let mut rest = record.clone();
        rest.drop_sibling(dot);
        let less = self.counts(space, &rest) - self.counts(space, record);
        let record = record.clone();
        self.reindex(space.no, Some(&record), &rest, None);
        self.draft.records.set(at, Some(rest));
        self.draft.space(space).keys += less;
    }

    /// Rule 6: plans the drop of a version that is dead to a peer: it is dead here, too, and what its
    /// record accounts for stays until that may be forgotten. False if it is not held (any more).
    /// It can be restored for a while: see [`layout::dropped`].
    ///
    /// # Errors
    /// When the store cannot be read.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    pub fn drop_dead(
        &mut self,
        namespace: &Namespace,
        dot: Dot,
        key: &Key,
        now: Hlc,
    ) -> Result<bool, StoreError> {
        let space = self.space(namespace);
        let at = self.look(space.no, key)?;
        let Some(mut record) = self.draft.records.get(at).cloned() else { return Ok(false) };
        let Some(version) = record.get(dot).cloned() else { return Ok(false) };
        record.drop_sibling(dot);
        let empty = record.siblings().is_empty();
        let no = self.number(dot.origin);
        let kept = wire::encode(&(now.0, &version));
        let plan = Plan { record, held: None, superseded: vec![version], dead: vec![dot] };
        self.apply(namespace, &space, Step { at, plan, dot, blob: None, local: false });
        self.draft.batch.insert(layout::dropped(space.no, now.0, no, dot.seq), kept);
        if empty {
            self.forget_later(space.no, dot, key, now);
        }
        Ok(true)
    }

    /// Rule 3: of `suspects`, all seen, those that are neither held nor dead leave the seen set, in a
    /// batch of their own. They are fetched again like anything unseen, and taken back whatever a
    /// context says. The draft must be committed.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    ///
    /// # Panics
    /// When the namespace is not carried, or the draft is not empty: callers see to it.
    pub fn unsee(&mut self, namespace: &Namespace, suspects: &SeenSet) -> Result<SeenSet, StoreError> {
        assert!(self.draft.is_empty(), "what is drafted was planned against what was seen");
        let space = self.space(namespace);
        let lost = self.reader().view().unaccounted(namespace, suspects)?;
        if lost.is_empty() {
            return Ok(lost);
        }
        let mut batch = super::Batch::new();
        let mut changed = Vec::new();
        for (origin, seqs) in lost.iter() {
            let before = space.seen().get(origin).cloned().unwrap_or_default();
            let after = before.difference(seqs);
            let no = self.number_of(origin);
            chunks::rewrite(&mut batch, &before, &after, |chunk| layout::seen(space.no, no, chunk));
            changed.push((*origin, after));
        }
        let all = self.lost.entry(space.no).or_default();
        all.union(&lost);
        batch.insert(lost_fact(space.no), wire::encode(&*all));
        self.store.commit(batch, Durability::Buffer)?;
        let mut seen = space.seen_mut();
        changed.into_iter().for_each(|(origin, after): (_, Intervals)| seen.set(origin, after));
        drop(seen);
        self.distrust_digests(space.no, &lost);
        Ok(lost)
    }

    /// What is left of forgotten deletes, as committed.
    ///
    /// # Panics
    /// When the namespace is not carried: callers check.
    #[must_use]
    pub fn floors(&self, namespace: &Namespace) -> Floors {
        self.space(namespace).floors().clone()
    }
}
