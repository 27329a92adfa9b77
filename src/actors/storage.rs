//! Storage: the single writer. It reads, plans, commits one batch for all who wait, replies, and
//! has the changes announced.
//!
//! Group commit: ractor cannot drain a mailbox, so the first operation that waits casts `Flush` to
//! the actor itself. The mailbox is first in, first out: all that waited is planned before `Flush`
//! commits it in one batch, with one sync for all. The actor runs on a thread of its own, for its
//! handlers block on the disk; where there is none, it is a task.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{sync::oneshot, time::Instant};

use super::{
    admission::Permit, anti_entropy::AntiEntropyMsg, expire::Deadlines, linger::stir, membership::Membership,
    mesh::MeshMsg, sessions::SessionsMsg, society::Society, subscribers::Line, watch::WatchMsg,
};
use crate::{
    causality::{Dot, Floors, Hlc, NodeId, Origin, SeenSet},
    conflict::{Body, Version},
    digest::Digests,
    replica::Refused,
    report::NodeEvent,
    storage::{
        Change, Durability, Judgement, Ledger, Received, Sights, Store, StoreError, View, Write,
        issued::Count, life,
    },
    types::{Key, Namespace, Prefix},
};

/// A batch is committed when it has so many operations …
const COMMIT_OPERATIONS_MAX: usize = 1_000;
/// … or so many bytes, without waiting for the mailbox to run dry.
const COMMIT_BYTES_MAX: usize = 1024 * 1024;
/// More is learned of an old store after commits that at least so many share.
const LEARN_SHARED_MIN: usize = 8;

/// So many old deletes are looked at in one batch.
const SWEEP_RECORDS: usize = 512;
/// Old deletes are looked for a hundred times in the time that they are remembered …
const SWEEPS_PER_RETENTION: u32 = 100;
/// … but not more often …
const SWEEP_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// … nor less.
const SWEEP_INTERVAL_MAX: Duration = Duration::from_secs(600);

fn upkeep_interval(retention: Duration) -> Duration {
    (retention / SWEEPS_PER_RETENTION).clamp(SWEEP_INTERVAL_MIN, SWEEP_INTERVAL_MAX)
}

/// Why a new epoch begins.
const PEER_KNOWS_MORE: &str = "a peer has seen more writes of this node than are stored here (a restored or cloned data \
                               directory?): a new epoch begins, the rest is fetched from the peers";
const TWIN: &str = "another process runs under this node's identity (a cloned machine or a copied `identity` file?): a new \
                    epoch begins; stop one of the two, or remove its `identity` file and start it again";

/// What Storage is asked.
#[derive(Debug)]
pub enum StorageMsg {
    /// Local writes, all or none.
    Write(WriteRequest),
    /// Versions from elsewhere.
    Merge(MergeRequest),
    /// The frontier that ended a delta.
    Absorb {
        /// The namespace compared.
        namespace: Namespace,
        /// What the peer had seen when it began to send.
        frontier: SeenSet,
        /// The floors that came with it, with its last part.
        floors: Floors,
        /// After a comparison of ranges: its watch, and what the peer holds or was asked about.
        settled: Option<(u64, SeenSet)>,
        /// Of which [incarnation](View::incarnation) of the namespace all this is: of another one it would have
        /// writes counted as seen that never came.
        incarnation: Option<u16>,
        /// Versions that are dead to the peer, dropped in the same batch, as far as they are held (rule 6).
        drop: Vec<(Dot, Key)>,
        /// Told when it is committed; or what must be settled first.
        reply: oneshot::Sender<Result<Absorbed, StoreError>>,
    },
    /// A snapshot, and what is known of it as a whole.
    Snapshot {
        /// Of what.
        namespace: Namespace,
        /// Whether what becomes live from then on is watched, until [`StorageMsg::CloseRanges`].
        watch: bool,
        /// Told at once.
        reply: oneshot::Sender<Result<Whole, StoreError>>,
    },
    /// Somebody wants to be told of changes, from a snapshot on.
    Watch {
        /// In which namespace.
        namespace: Namespace,
        /// Below which prefix.
        prefix: Prefix,
        /// Where to.
        line: Line,
        /// Told at once: the snapshot, after which everything is told.
        reply: oneshot::Sender<Result<View, StoreError>>,
    },
    /// A comparison of ranges is over.
    CloseRanges(u64),
    /// Versions that only a peer holds are judged by what is held here now (rule 6).
    Judge {
        /// The namespace compared.
        namespace: Namespace,
        /// Their names and keys.
        claims: Vec<(Dot, Key)>,
        /// Told at once, in their order, with the floors of that moment.
        reply: oneshot::Sender<Result<(Vec<Judgement>, Floors), StoreError>>,
    },
    /// Some of these writes, all seen, may be lost here: those that are leave the seen set (rule 3).
    Lost {
        /// Where they belong.
        namespace: Namespace,
        /// The writes.
        suspects: SeenSet,
    },
    /// A namespace is to be carried, or no more.
    Membership(Membership),
    /// More of what namespaces held that were left is removed.
    ClearLeft,
    /// Old deletes are forgotten (rule 5), and the digests are gone on with.
    Upkeep,
    /// Deadlines have passed: what expired is counted as a key no more (rule 10). With the number of the timer:
    /// only the last one that was set counts.
    Expire(u64),
    /// The next page of what is stored is looked at.
    Scrub,
    /// Digests that have to be made anew are gone on with.
    Tally,
    /// A peer has seen more of our writes than we have: our past is missing.
    PeerKnowsMore {
        /// The origin it has seen more of; an older one than ours is no news.
        origin: Origin,
        /// Told when the new epoch has begun.
        reply: oneshot::Sender<()>,
    },
    /// A peer is connected to another process with our identity.
    Twin,
    /// Commit what is planned.
    Flush,
    /// Commit and sync everything, mark the stop as clean, and end.
    Close(oneshot::Sender<()>),
}

/// What became of a frontier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absorbed {
    /// It is part of what was seen.
    Done,
    /// Nothing was done: these became live here meanwhile, and the peer was not asked about them.
    Late(SeenSet),
    /// Nothing was done: something that was seen here below the floors is lost, or is not counted yet.
    DoesNotAddUp,
}

/// A snapshot, and what is known of it as a whole.
pub struct Whole {
    /// The snapshot.
    pub view: View,
    /// What had been seen.
    pub seen: SeenSet,
    /// What is left of forgotten deletes.
    pub floors: Floors,
    /// The digests; nothing while they are still being made.
    pub digests: Option<Digests>,
    /// The watch, if one was asked for.
    pub watch: u64,
}

impl std::fmt::Debug for Whole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Whole").field("floors", &self.floors).finish_non_exhaustive()
    }
}

/// Local writes, all or none, acknowledged when they are as durable as promised.
#[derive(Debug)]
pub struct WriteRequest {
    /// Where to.
    pub namespace: Namespace,
    /// What.
    pub writes: Vec<Write>,
    /// The room they take.
    pub permit: Permit,
    /// The versions they became.
    pub reply: oneshot::Sender<Result<Vec<Version>, WriteFailure>>,
}

/// Why local writes did not happen.
#[derive(Debug)]
pub enum WriteFailure {
    /// The namespace is not carried any more.
    NotCarried(Namespace),
    /// One of them was refused.
    Refused {
        /// Which one.
        index: usize,
        /// Why.
        refused: Refused,
    },
    /// The store failed.
    Store(StoreError),
}

/// How versions came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// By gossip, or as the answer to a gap: gaps are asked for.
    Gossip,
    /// By an exchange: neighbours are told, for gossip will not tell them.
    Exchange,
    /// By a comparison of ranges: also what was lost here is taken back.
    Ranges,
}

/// Versions from elsewhere: all are stored, or none and the large values missing are named.
#[derive(Debug)]
pub struct MergeRequest {
    /// Where they belong.
    pub namespace: Namespace,
    /// The versions.
    pub versions: Vec<Version>,
    /// Their large values, verified.
    pub blobs: BTreeMap<Dot, Bytes>,
    /// Who gave them.
    pub from: NodeId,
    /// How.
    pub source: Source,
    /// The room they take.
    pub permit: Permit,
    /// Told when they are committed.
    pub reply: Option<oneshot::Sender<Result<Merged, StoreError>>>,
}

/// What became of versions from elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// How many were new.
    pub fresh: u64,
    /// The versions whose large values are needed first; if there are any, nothing was stored.
    pub needs_blobs: Vec<Version>,
}

/// What Storage needs to start.
pub struct StorageArgs {
    /// What all actors share.
    pub society: Arc<Society>,
    /// The store; it outlives the actor.
    pub store: Arc<dyn Store>,
    /// The namespaces carried.
    pub namespaces: Vec<Namespace>,
}

/// The Storage actor.
pub struct Storage;

/// What it keeps.
pub struct StorageState {
    pub(super) society: Arc<Society>,
    store: Arc<dyn Store>,
    pub(super) ledger: Ledger,
    /// How many names were given, as last noted.
    issued: Option<Count>,
    /// Where the scrub goes on.
    pub(super) scrub_at: Option<Bytes>,
    waiting: Vec<Waiting>,
    operations: usize,
    /// How many there were when `Flush` was last cast.
    operations_at_flush: usize,
    durability: Durability,
    pub(super) gaps: BTreeSet<(NodeId, Namespace, Origin)>,
    learned: bool,
    has_twin: bool,
    /// Writes whose dots turned out to name other contents, made again.
    rewritten: Vec<(Namespace, Version)>,
    /// Where sweeps go on that were not finished.
    pub(super) sweeps: BTreeMap<Namespace, Bytes>,
    pub(super) deadlines: Deadlines,
}

/// Who is told when the draft is committed.
enum Waiting {
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

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Storage {
    type Msg = StorageMsg;
    type State = StorageState;
    type Arguments = StorageArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<StorageMsg>,
        args: StorageArgs,
    ) -> Result<StorageState, ActorProcessingErr> {
        let StorageArgs { society, store, namespaces } = args;
        let me = Origin { node: society.node, epoch: society.epoch.load(Ordering::Relaxed) };
        let (mut ledger, clock) =
            Ledger::open_with(store.clone(), me, &namespaces, &society.settings.strategies)?;
        ledger.keep_history(society.settings.history);
        society.clock.observe(clock);
        myself.cast(StorageMsg::Upkeep)?;
        society.watch.cast(WatchMsg::WriterRestarted);
        myself.cast(StorageMsg::Expire(0))?;
        *society.reader.write().unwrap_or_else(PoisonError::into_inner) = ledger.reader();
        let mut state = StorageState {
            durability: Durability::Buffer,
            society,
            store,
            ledger,
            issued: None,
            scrub_at: None,
            waiting: Vec::new(),
            operations: 0,
            operations_at_flush: 0,
            gaps: BTreeSet::new(),
            learned: false,
            has_twin: false,
            rewritten: Vec::new(),
            sweeps: BTreeMap::new(),
            deadlines: Deadlines::default(),
        };
        state.note_issued();
        state.tell_found();
        state.scrub_later(&myself, 1);
        myself.cast(StorageMsg::ClearLeft)?;
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<StorageMsg>,
        message: StorageMsg,
        state: &mut StorageState,
    ) -> Result<(), ActorProcessingErr> {
        stir();
        let Some(message) = super::membership::of_what_is_carried(message, &state.ledger) else {
            return Ok(());
        };
        state.ledger.set_watched(state.society.subscribers.load(Ordering::Relaxed) > 0);
        let idle = state.waiting.is_empty();
        match message {
            StorageMsg::Write(request) => state.on_write(request)?,
            StorageMsg::Merge(request) => state.on_merge(request)?,
            StorageMsg::Absorb { namespace, frontier, floors, settled, drop, reply, .. } => {
                let late = settled
                    .map(|(watch, settled)| state.ledger.late(watch, &frontier, &settled))
                    .unwrap_or_default();
                if !late.is_empty() {
                    let _asker_is_gone = reply.send(Ok(Absorbed::Late(late)));
                } else if !state.adds_up(&namespace, &floors)? {
                    let _asker_is_gone = reply.send(Ok(Absorbed::DoesNotAddUp));
                } else {
                    state.drop_dead(&namespace, &drop)?;
                    state.ledger.absorb(&namespace, &frontier, &floors);
                    state.waiting.push(Waiting::Absorb(reply));
                }
            }
            StorageMsg::Snapshot { namespace, watch, reply } => {
                let _asker_is_gone = reply.send(state.snapshot(&namespace, watch));
            }
            StorageMsg::Watch { namespace, prefix, line, reply } => {
                let _asker_is_gone = reply.send(state.watch(namespace, prefix, line));
            }
            StorageMsg::CloseRanges(watch) => state.ledger.close_ranges(watch),
            StorageMsg::Judge { namespace, claims, reply } => {
                let judged = claims.iter().map(|(dot, key)| state.ledger.judge(&namespace, *dot, key));
                let judged: Result<Vec<_>, _> = judged.collect();
                let floors = state.ledger.floors(&namespace);
                let _asker_is_gone = reply.send(judged.map(|judged| (judged, floors)));
            }
            StorageMsg::Lost { namespace, suspects } => state.unsee(&namespace, &suspects)?,
            StorageMsg::Membership(change) => state.on_membership(&myself, change)?,
            StorageMsg::ClearLeft => state.clear_left(&myself)?,
            StorageMsg::Upkeep => state.upkeep(&myself)?,
            StorageMsg::Expire(timer) => state.expire(&myself, timer)?,
            StorageMsg::Scrub => state.scrub(&myself)?,
            StorageMsg::Tally => state.tally(&myself)?,
            StorageMsg::PeerKnowsMore { origin, reply } => {
                state.begin_epoch(origin, PEER_KNOWS_MORE)?;
                let _asker_is_gone = reply.send(());
            }
            // While more comes in, more shares the commit; who waits pays with the time of planning.
            StorageMsg::Flush if state.operations > state.operations_at_flush => {
                state.operations_at_flush = state.operations;
                myself.cast(StorageMsg::Flush)?;
            }
            StorageMsg::Twin => {
                // Once is enough: the lives of twins differ from then on.
                if !std::mem::replace(&mut state.has_twin, true) {
                    state.begin_epoch(state.ledger.origin(), TWIN)?;
                }
            }
            StorageMsg::Flush => {
                state.flush()?;
                state.expire_later(&myself);
            }
            StorageMsg::Close(reply) => {
                state.close()?;
                let _asker_is_gone = reply.send(());
                myself.stop(None);
            }
        }
        let full =
            state.operations >= COMMIT_OPERATIONS_MAX || state.ledger.draft_bytes() >= COMMIT_BYTES_MAX;
        if full {
            state.flush()?;
            state.expire_later(&myself);
        } else if idle && !state.waiting.is_empty() {
            state.operations_at_flush = state.operations;
            myself.cast(StorageMsg::Flush)?;
        }
        Ok(())
    }
}

impl StorageState {
    fn on_write(&mut self, request: WriteRequest) -> Result<(), StoreError> {
        let WriteRequest { namespace, writes, permit, reply } = request;
        match self.plan_writes(&namespace, writes) {
            Ok(Ok(versions)) => {
                self.operations += versions.len();
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

    fn plan_writes(
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
            match self.ledger.write(namespace, write, |superseded| {
                clock.tick(superseded.iter().map(|version| version.hlc))
            })? {
                Ok(version) => versions.push(version),
                // Only a single write may carry a precondition, so nothing is half done.
                Err(refused) => return Ok(Err(WriteFailure::Refused { index, refused })),
            }
        }
        Ok(Ok(versions))
    }

    /// All or none: the first operation of a batch that would be refused, given what those before
    /// it leave.
    fn first_refused(
        &mut self,
        namespace: &Namespace,
        writes: &[Write],
    ) -> Result<Option<(usize, Refused)>, StoreError> {
        let mut left: BTreeMap<&Key, bool> = BTreeMap::new();
        for (index, write) in writes.iter().enumerate() {
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

    fn on_merge(&mut self, request: MergeRequest) -> Result<(), StoreError> {
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

    fn plan_merge(
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
        for version in versions {
            let (dot, hlc) = (version.dot, version.hlc);
            if self.ledger.writes_as(&dot.origin) && !self.ledger.is_seen(namespace, dot) {
                self.begin_epoch(dot.origin, PEER_KNOWS_MORE)?;
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
                        self.write_again(namespace, *lost)?;
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

    /// Rule 7: a write of this node whose dot names the content of a twin now is written again
    /// under a new epoch: what was acknowledged is kept.
    fn write_again(&mut self, namespace: &Namespace, lost: Version) -> Result<(), StoreError> {
        if lost.dot.origin.node != self.society.node {
            return Ok(());
        }
        let blob = if lost.is_large() { self.ledger.reader().blob(namespace, lost.dot)? } else { None };
        self.begin_epoch(lost.dot.origin, TWIN)?;
        let stamp = self.society.clock.tick([lost.hlc]);
        let version = self.ledger.write_again(namespace, lost, blob, stamp)?;
        self.durability = self.society.settings.durability;
        self.rewritten.push((namespace.clone(), version));
        Ok(())
    }

    /// Rule 7: reusing a dot would make replicas diverge, so a new epoch begins, unless one has
    /// since `origin`. What the old life wrote comes back from the peers like anybody's.
    pub(super) fn begin_epoch(&mut self, origin: Origin, why: &str) -> Result<(), StoreError> {
        if !self.ledger.writes_as(&origin) {
            return Ok(());
        }
        self.flush()?;
        let epoch =
            life::renew_life(&*self.store, &*self.society.entropy, life::Reason::PeerKnowsMore)?.epoch;
        self.ledger.set_origin(Origin { node: origin.node, epoch });
        self.society.epoch.store(epoch, Ordering::Relaxed);
        self.society.metrics.epochs.inc();
        self.society.tell(NodeEvent::Warning(why.to_owned()));
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        let waiting = std::mem::take(&mut self.waiting);
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
    fn note_issued(&mut self) {
        let Some(issued) = &self.society.issued else { return };
        let count = self.ledger.issued();
        if self.issued != Some(count) {
            self.issued = Some(count);
            if let Err(error) = issued.note(count) {
                tracing::warn!(%error, "the count of names given cannot be kept: a store that loses its end may not notice");
            }
        }
    }

    fn count_commit(&self, elapsed: Duration) {
        self.society.metrics.commits.inc();
        self.society.metrics.commit_seconds.observe(elapsed.as_secs_f64());
    }

    /// Has others told, then replies: a cast takes a microsecond, and to wake who waits, often on
    /// another thread, takes ten or more, which every hop of the news would come after.
    fn tell(&mut self, waiting: Vec<Waiting>, changes: Vec<Change>, sights: Sights) {
        self.deadlines.note(&changes);
        if let Some(observer) = &self.society.observer {
            observer(&changes);
        }
        let unit = |waiter: &Waiting| match waiter {
            Waiting::Write { namespace, versions, .. } => Some((namespace.clone(), versions.len())),
            Waiting::Merge { .. } | Waiting::Absorb(_) => None,
        };
        let units: Vec<_> = waiting.iter().filter_map(unit).collect();
        let writes: usize = units.iter().map(|(_, count)| count).sum();
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

    /// Has the local ones among `changes` announced: in order, they are the versions of the units.
    fn announce(&mut self, units: Vec<(Namespace, usize)>, changes: Vec<Change>) {
        let mut local = changes.into_iter().filter(|change| change.local).map(|change| change.version);
        let mut announced: BTreeMap<Namespace, Vec<Vec<Version>>> = BTreeMap::new();
        for (namespace, count) in units {
            announced.entry(namespace).or_default().push(local.by_ref().take(count).collect());
        }
        for (namespace, version) in std::mem::take(&mut self.rewritten) {
            announced.entry(namespace).or_default().push(vec![version]);
        }
        for (namespace, groups) in announced {
            self.society.mesh.cast(MeshMsg::Announce { namespace, groups });
        }
    }

    fn tell_of_gaps(&mut self) {
        for (from, namespace, origin) in std::mem::take(&mut self.gaps) {
            let reader = self.ledger.reader();
            let gap = reader
                .with_seen(&namespace, |seen| seen.get(&origin).is_some_and(|seqs| seqs.base() < seqs.max()));
            if gap == Some(true) {
                self.society.sessions.cast(SessionsMsg::Gap { from, namespace, origin });
            }
        }
    }

    fn snapshot(&mut self, namespace: &Namespace, watch: bool) -> Result<Whole, StoreError> {
        // Of one moment, all of it: with what is drafted neither in one part nor in another.
        self.flush()?;
        let view = self.ledger.reader().view();
        Ok(Whole {
            seen: view.seen(namespace)?,
            view,
            floors: self.ledger.floors(namespace),
            digests: self.ledger.digests(namespace),
            watch: if watch { self.ledger.open_ranges(namespace) } else { 0 },
        })
    }

    /// Between two commits, so that the snapshot and what is told after it leave no gap.
    fn watch(&mut self, namespace: Namespace, prefix: Prefix, line: Line) -> Result<View, StoreError> {
        self.flush()?;
        let view = self.ledger.reader().view();
        let seen = view.seen(&namespace)?;
        self.society.subscribers.fetch_add(1, Ordering::Relaxed);
        if !self.society.watch.cast(WatchMsg::Subscribe { namespace, prefix, seen, line }) {
            // The line is dropped, and so the asker sees that nobody tells it anything.
            self.society.subscribers.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(view)
    }

    /// Whether floors can be merged over what is here; if something was lost, it leaves the seen set.
    fn adds_up(&mut self, namespace: &Namespace, floors: &Floors) -> Result<bool, StoreError> {
        if floors.is_empty() {
            return Ok(true);
        }
        self.flush()?;
        if self.ledger.digests(namespace).is_none() {
            return Ok(false);
        }
        let adds_up = self.ledger.adds_up(namespace, floors);
        if !adds_up {
            let seen = self.ledger.reader().view().seen(namespace)?;
            self.unsee(namespace, &seen)?;
        }
        Ok(adds_up)
    }

    fn drop_dead(&mut self, namespace: &Namespace, claims: &[(Dot, Key)]) -> Result<(), StoreError> {
        let now = Hlc::from_millis(self.society.clock.wall_ms());
        let mut dropped = 0;
        for (dot, key) in claims {
            if self.ledger.drop_dead(namespace, *dot, key, now)? {
                dropped += 1;
                tracing::info!(%dot, %key, "dropped: a peer has forgotten the delete of it");
            }
        }
        self.society.metrics.dropped.inc_by(dropped);
        self.operations += claims.len();
        Ok(())
    }

    fn unsee(&mut self, namespace: &Namespace, suspects: &SeenSet) -> Result<(), StoreError> {
        self.flush()?;
        let lost = self.ledger.unsee(namespace, suspects)?;
        self.tell_lost(namespace, &lost);
        Ok(())
    }

    /// What is done when there is time: the digests of an old store are made, a page at a time, and
    /// deletes that are old enough are forgotten, some at a time.
    fn upkeep(&mut self, myself: &ActorRef<StorageMsg>) -> Result<(), StoreError> {
        self.flush()?;
        let mut again = self.ledger.tally_on()?;
        self.tell_found();
        let retention = u64::try_from(self.society.settings.delete_retention.as_millis()).unwrap_or(u64::MAX);
        let until = Hlc::from_millis(self.society.clock.wall_ms().saturating_sub(retention));
        for namespace in self.ledger.reader().namespaces() {
            let from = self.sweeps.remove(&namespace);
            let swept = self.ledger.forget(&namespace, until, from, SWEEP_RECORDS)?;
            self.society.metrics.forgotten.inc_by(swept.forgotten);
            again |= self.ledger.sweep_dropped(&namespace, until, SWEEP_RECORDS)? == SWEEP_RECORDS;
            if let Some(next) = swept.next {
                self.sweeps.insert(namespace, next);
                again = true;
            }
        }
        self.flush()?;
        again |= self.ledger.collect_bases(SWEEP_RECORDS)?;
        if again {
            // Behind what waits in the mailbox.
            let _stopping = myself.cast(StorageMsg::Upkeep);
        } else {
            let (society, myself) = (&self.society, myself.clone());
            let wait = society.entropy.jittered(upkeep_interval(society.settings.delete_retention), 20);
            society.scope.spawn(async move {
                tokio::time::sleep(wait).await;
                let _stopped_meanwhile = myself.cast(StorageMsg::Upkeep);
            });
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.flush()?;
        self.ledger.checkpoint()?;
        self.ledger.sync()?;
        life::close_life(&*self.store)
    }

    /// A store that failed is not to be trusted: the actor ends, and the node with it.
    fn fail(error: StoreError) -> Result<(), StoreError> {
        tracing::error!(%error, "the store failed");
        Err(error)
    }
}

impl Waiting {
    /// Nobody may be waiting any more.
    fn succeed(self) {
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

    fn fail(self, error: &StoreError) {
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
