//! One batch for all who wait, and who is told of it.

use std::{collections::BTreeMap, time::Duration};

use tokio::{sync::oneshot, time::Instant};

use super::{Absorbed, LEARN_SHARED_MIN, Merged, StorageState, WriteFailure};
use crate::{
    actors::{
        admission::Permit, anti_entropy::AntiEntropyMsg, mesh::MeshMsg, sessions::SessionsMsg,
        watch::WatchMsg,
    },
    causality::{Dot, NodeId},
    conflict::Version,
    report::{Arrival, Came},
    storage::{Change, Durability, Sights, StoreError},
    types::Namespace,
};

/// Who is told when the draft is committed.
pub(super) enum Waiting {
    Write {
        namespace: Namespace,
        versions: Vec<Version>,
        reply: oneshot::Sender<Result<Vec<Version>, WriteFailure>>,
        _permit: Permit,
    },
    Merge {
        merged: Merged,
        reply: Option<oneshot::Sender<Result<Merged, StoreError>>>,
        _permit: Permit,
    },
    Absorb(oneshot::Sender<Result<Absorbed, StoreError>>),
}

impl StorageState {
    pub(in crate::actors) fn flush(&mut self) -> Result<(), StoreError> {
        let (waiting, arriving) = (std::mem::take(&mut self.waiting), std::mem::take(&mut self.arriving));
        self.operations = 0;
        let durability = std::mem::replace(&mut self.durability, Durability::Buffer);
        if waiting.is_empty() && !self.ledger.has_draft() {
            return Ok(());
        }
        let started = Instant::now();
        match self.ledger.commit(durability, self.society.clock.last()) {
            Ok(committed) => {
                let shared = waiting.len();
                self.society.committed.notify_waiters();
                self.count_commit(started.elapsed());
                self.note_issued();
                self.note_arrivals(arriving);
                self.tell(waiting, committed.changes, committed.sights);
                // A lone writer gains little from it, and would wait for it every time.
                if shared >= LEARN_SHARED_MIN { self.ledger.learn() } else { Ok(()) }
            }
            Err(error) => {
                for waiter in waiting {
                    waiter.fail(&error);
                }
                Self::fail(error)
            }
        }
    }

    /// Keeps, beside the store, how many names were given: see [`crate::storage::issued`].
    pub(super) fn note_issued(&mut self) {
        let Some(issued) = &self.society.issued else { return };
        let count = self.ledger.issued();
        if self.issued != Some(count) {
            self.issued = Some(count);
            if let Err(error) = issued.note(count) {
                tracing::warn!(%error, "the count of names given cannot be kept: a store that loses its end may not notice");
            }
        }
    }

    fn note_arrivals(&self, arriving: Vec<(Namespace, Dot, Came, Option<NodeId>)>) {
        let at = self.society.clock.wall_ms();
        let arrival = |(home, dot, by, from)| (home, dot, Arrival { at, by, from });
        self.society.arrivals.note(arriving.into_iter().map(arrival));
    }

    pub(super) fn count_commit(&self, elapsed: Duration) {
        self.society.metrics.commits.inc();
        self.society.metrics.commit_seconds.observe(elapsed.as_secs_f64());
    }

    /// Has others told, then replies: a cast takes a microsecond, and to wake who waits, often on
    /// another thread, takes ten or more, which every hop of the news would come after.
    pub(super) fn tell(&mut self, waiting: Vec<Waiting>, changes: Vec<Change>, sights: Sights) {
        self.deadlines.note(&changes);
        self.show(&changes);
        let locals = &self.society.settings.locals;
        let (mut units, mut writes) = (Vec::new(), 0);
        for waiter in &waiting {
            let Waiting::Write { namespace, versions, .. } = waiter else { continue };
            writes += versions.len();
            let leaves = |version: &&Version| locals.home(namespace, &version.key) == namespace;
            units.push((namespace.clone(), versions.iter().filter(leaves).count()));
        }
        self.society.metrics.writes.inc_by(writes as u64);
        if self.society.peers.any_connected() {
            self.announce(units, changes);
        }
        if !sights.fresh.is_empty() || !sights.keys.is_empty() {
            self.society.watch.cast(WatchMsg::Committed(sights));
        }
        waiting.into_iter().for_each(Waiting::succeed);
        if std::mem::take(&mut self.learned) {
            self.society.anti_entropy.cast(AntiEntropyMsg::Learned);
        }
        self.tell_of_gaps();
    }

    /// Shows the observer what was committed, by the names that users know.
    fn show(&self, changes: &[Change]) {
        let Some(observer) = &self.society.observer else { return };
        if changes.iter().all(|change| !change.local_only) {
            return observer(changes);
        }
        let named = |change: &Change| Change { namespace: change.namespace.home(), ..change.clone() };
        observer(&changes.iter().map(named).collect::<Vec<_>>());
    }

    /// Has the local ones among `changes` announced: in order, they are the versions of the units. What lies in a
    /// companion is of no unit, and nobody is told of it.
    pub(super) fn announce(&mut self, units: Vec<(Namespace, usize)>, changes: Vec<Change>) {
        let leaves = |change: &Change| change.local && !change.local_only;
        let mut local = changes.into_iter().filter(leaves).map(|change| change.version);
        let mut announced: BTreeMap<Namespace, Vec<Vec<Version>>> = BTreeMap::new();
        for (namespace, count) in units {
            announced.entry(namespace).or_default().push(local.by_ref().take(count).collect());
        }
        for (namespace, version) in std::mem::take(&mut self.rewritten) {
            announced.entry(namespace).or_default().push(vec![version]);
        }
        for (namespace, mut groups) in announced {
            groups.retain(|group| !group.is_empty());
            if groups.is_empty() {
                continue;
            }
            self.society.mesh.cast(MeshMsg::Announce { namespace, groups });
        }
    }

    pub(super) fn tell_of_gaps(&mut self) {
        for (from, namespace, origin) in std::mem::take(&mut self.gaps) {
            let reader = self.ledger.reader();
            let gap = reader
                .with_seen(&namespace, |seen| seen.get(&origin).is_some_and(|seqs| seqs.base() < seqs.max()));
            if gap == Some(true) {
                self.society.sessions.cast(SessionsMsg::Gap { from, namespace, origin });
            }
        }
    }
}

impl Waiting {
    /// Nobody may be waiting any more.
    pub(super) fn succeed(self) {
        match self {
            Self::Write { versions, reply, .. } => drop(reply.send(Ok(versions))),
            Self::Merge { merged, reply, .. } => {
                if let Some(reply) = reply {
                    let _asker_is_gone = reply.send(Ok(merged));
                }
            }
            Self::Absorb(reply) => drop(reply.send(Ok(Absorbed::Done))),
        }
    }

    pub(super) fn fail(self, error: &StoreError) {
        match self {
            Self::Write { reply, .. } => drop(reply.send(Err(WriteFailure::Store(error.clone())))),
            Self::Merge { reply, .. } => {
                if let Some(reply) = reply {
                    let _asker_is_gone = reply.send(Err(error.clone()));
                }
            }
            Self::Absorb(reply) => drop(reply.send(Err(error.clone()))),
        }
    }
}
