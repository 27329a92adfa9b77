//! Writes of this node, and versions from elsewhere, are planned.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    MergeRequest, Merged, PEER_KNOWS_MORE, Source, StorageState, TWIN, WriteFailure, WriteRequest,
    commit::Waiting,
};
use crate::{
    actors::sessions::SessionsMsg,
    causality::{Dot, NodeId},
    conflict::{Body, Version},
    replica::Refused,
    report::{Came, NodeEvent},
    storage::{Received, StoreError, Write},
    types::{Key, Namespace},
};

impl StorageState {
    pub(super) fn on_write(&mut self, request: WriteRequest) -> Result<(), StoreError> {
        let WriteRequest { namespace, writes, permit, reply } = request;
        match self.plan_writes(&namespace, writes) {
            Ok(Ok(versions)) => {
                self.operations += versions.len();
                let locals = &self.society.settings.locals;
                let home = |version: &Version| locals.home(&namespace, &version.key).clone();
                let came = versions.iter().map(|version| (home(version), version.dot, Came::Written, None));
                self.arriving.extend(came);
                self.durability = self.society.settings.durability;
                self.waiting.push(Waiting::Write { namespace, versions, reply, _permit: permit });
                Ok(())
            }
            Ok(Err(failure)) => {
                let _writer_is_gone = reply.send(Err(failure));
                Ok(())
            }
            Err(error) => {
                let _writer_is_gone = reply.send(Err(WriteFailure::Store(error.clone())));
                Self::fail(error)
            }
        }
    }

    pub(super) fn plan_writes(
        &mut self,
        namespace: &Namespace,
        writes: Vec<Write>,
    ) -> Result<Result<Vec<Version>, WriteFailure>, StoreError> {
        self.ledger.tell_time(self.society.clock.wall_ms());
        if writes.len() > 1
            && let Some((index, refused)) = self.first_refused(namespace, &writes)?
        {
            return Ok(Err(WriteFailure::Refused { index, refused }));
        }
        let mut versions = Vec::with_capacity(writes.len());
        for (index, write) in writes.into_iter().enumerate() {
            let clock = self.society.clock.clone();
            let home = self.society.settings.locals.home(namespace, &write.key);
            match self
                .ledger
                .write(home, write, |superseded| clock.tick(superseded.iter().map(|version| version.hlc)))?
            {
                Ok(version) => versions.push(version),
                // Only a single write may carry a precondition, so nothing is half done.
                Err(refused) => return Ok(Err(WriteFailure::Refused { index, refused })),
            }
        }
        Ok(Ok(versions))
    }

    /// All or none: the first operation of a batch that would be refused, given what those before
    /// it leave.
    pub(super) fn first_refused(
        &mut self,
        namespace: &Namespace,
        writes: &[Write],
    ) -> Result<Option<(usize, Refused)>, StoreError> {
        let mut left: BTreeMap<&Key, bool> = BTreeMap::new();
        for (index, write) in writes.iter().enumerate() {
            let namespace = self.society.settings.locals.home(namespace, &write.key);
            if self.ledger.is_crowded(namespace, &write.key)? {
                return Ok(Some((index, Refused::TooManyWriters)));
            }
            let delete = write.body == Body::Delete;
            if delete || self.ledger.keeps_first(namespace, &write.key) {
                let there = match left.get(&write.key) {
                    Some(there) => *there,
                    None => self.ledger.has_value(namespace, &write.key)?,
                };
                match (delete, there) {
                    (true, false) => return Ok(Some((index, Refused::NothingThere))),
                    (false, true) => return Ok(Some((index, Refused::AlreadySet))),
                    _ => {}
                }
            }
            left.insert(&write.key, !delete);
        }
        Ok(None)
    }

    pub(super) fn on_merge(&mut self, request: MergeRequest) -> Result<(), StoreError> {
        let MergeRequest { namespace, versions, mut blobs, from, source, permit, reply } = request;
        let merged = match self.plan_merge(&namespace, versions, &mut blobs, from, source) {
            Ok(merged) => merged,
            Err(error) => {
                if let Some(reply) = reply {
                    let _asker_is_gone = reply.send(Err(error.clone()));
                }
                return Self::fail(error);
            }
        };
        if merged.needs_blobs.is_empty() {
            self.waiting.push(Waiting::Merge { merged, reply, _permit: permit });
        } else if let Some(reply) = reply {
            let _asker_is_gone = reply.send(Ok(merged));
        } else {
            let versions = merged.needs_blobs;
            self.society.peers.doubt(&namespace);
            self.society.sessions.cast(SessionsMsg::FetchBlobs { from, namespace, versions });
        }
        Ok(())
    }

    pub(super) fn plan_merge(
        &mut self,
        namespace: &Namespace,
        versions: Vec<Version>,
        blobs: &mut BTreeMap<Dot, Bytes>,
        from: NodeId,
        source: Source,
    ) -> Result<Merged, StoreError> {
        let mut merged = Merged::default();
        let mut wanted = false;
        for version in &versions {
            wanted |= !blobs.contains_key(&version.dot) && self.ledger.wants_blob(namespace, version)?;
        }
        if wanted {
            // The unit is fetched, and then stored, as a whole.
            merged.needs_blobs = versions;
            return Ok(merged);
        }
        self.look_for_shadowed(namespace, &versions);
        let mut collides = false;
        for version in &versions {
            collides |=
                self.ledger.writes_as(&version.dot.origin) || self.ledger.collides(namespace, version)?;
        }
        if collides {
            // What loses its dot leaves in the batch in which it is written again, and is looked at as committed,
            // with its large value: so first the rest. The unit stays whole.
            self.flush()?;
        }
        for version in versions {
            let (dot, hlc) = (version.dot, version.hlc);
            if self.ledger.writes_as(&dot.origin) && !self.ledger.is_seen(namespace, dot) {
                self.begin_epoch(dot.origin, PEER_KNOWS_MORE)?;
            } else if self.ledger.collides(namespace, &version)? {
                self.begin_epoch(dot.origin, TWIN)?;
            }
            let metrics = &self.society.metrics;
            let blob = blobs.remove(&dot);
            let received = match source {
                Source::Ranges => self.ledger.settle(namespace, version, blob)?,
                Source::Gossip | Source::Exchange => self.ledger.receive(namespace, version, blob)?,
            };
            match received {
                Received::Held => {
                    metrics.received.inc();
                    merged.fresh += 1;
                    let (by, from) = self.way_of(source, from);
                    self.arriving.push((namespace.clone(), dot, by, from));
                }
                Received::Superseded => {
                    metrics.superseded.inc();
                    merged.fresh += 1;
                }
                Received::Seen => {
                    metrics.repeated.inc();
                }
                Received::Collision(lost) => {
                    metrics.collisions.inc();
                    tracing::warn!(%dot, %from, "one write has two contents: a node was cloned, or lies");
                    if let Some(lost) = lost {
                        self.write_again(namespace, &lost)?;
                    }
                }
                Received::NeedsBase => {
                    // An exchange always tells the bases; the next one brings it.
                    self.society.peers.doubt(namespace);
                    tracing::debug!(%dot, %from, "a version whose base nobody has told yet is left for a comparison");
                }
                Received::NeedsBlob => unreachable!("asked for above"),
            }
            self.society.clock.observe(hlc);
            self.operations += 1;
            if source == Source::Gossip {
                self.gaps.insert((from, namespace.clone(), dot.origin));
            }
        }
        // A fill tells in the end: each page would have all neighbours compare.
        let fills = source == Source::Exchange && self.society.fills.is_filling(namespace);
        self.learned |= source != Source::Gossip && !fills && merged.fresh > 0;
        Ok(merged)
    }

    /// By which way versions come that a request names so, and who hands them on.
    fn way_of(&self, source: Source, from: NodeId) -> (Came, Option<NodeId>) {
        match source {
            Source::Gossip => (Came::Gossip, Some(from)),
            Source::Ranges => (Came::Ranges, Some(from)),
            // What a host imports, the node hands to itself.
            Source::Exchange if from == self.society.node => (Came::Bundle, None),
            Source::Exchange => (Came::Delta, Some(from)),
        }
    }

    /// What peers wrote below a prefix that is local-only here is carried for the others, and nobody reads it here.
    fn look_for_shadowed(&mut self, namespace: &Namespace, versions: &[Version]) {
        let Some(locals) = self.society.settings.locals.of(namespace) else { return };
        let shadowed =
            |version: &&Version| locals.holds(&version.key) && !self.ledger.is_seen(namespace, version.dot);
        let mut shadowed = versions.iter().filter(shadowed);
        let Some(first) = shadowed.next() else { return };
        self.society.metrics.shadowed.inc_by(1 + shadowed.count() as u64);
        if !std::mem::replace(&mut self.told_of_shadowed, true) {
            let text = format!(
                "other nodes write below what is local-only here, first {} in {namespace}: that is carried for them and \
                 not shown here; declare the prefix on them too, or rename it here",
                first.key
            );
            self.society.tell(NodeEvent::Warning(text));
        }
    }

    /// Rule 7: a write whose dot names another content now is written again, by whoever held it: what
    /// was acknowledged is kept, also where its author does not have it any more.
    pub(super) fn write_again(&mut self, namespace: &Namespace, lost: &Version) -> Result<(), StoreError> {
        let blob = if lost.is_large() { self.ledger.reader().blob(namespace, lost.dot)? } else { None };
        let again = match self.ledger.write_again(namespace, lost, blob.clone())? {
            Ok(again) => again,
            Err(_) => {
                self.begin_epoch(self.ledger.origin(), TWIN)?;
                let again = self.ledger.write_again(namespace, lost, blob)?;
                again.expect("a new life has written nothing yet")
            }
        };
        if let Some(version) = again {
            self.durability = self.society.settings.durability;
            self.rewritten.push((namespace.clone(), version));
        }
        Ok(())
    }
}
