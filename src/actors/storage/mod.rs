//! Storage: the single writer. It reads, plans, commits one batch for all who wait, replies, and
//! has the changes announced.
//!
//! Group commit: ractor cannot drain a mailbox, so the first operation that waits casts `Flush` to
//! the actor itself. The mailbox is first in, first out: all that waited is planned before `Flush`
//! commits it in one batch, with one sync for all. The actor runs on a thread of its own, for its
//! handlers block on the disk; where there is none, it is a task.

mod commit;
mod messages;
mod upkeep;
mod writes;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, atomic::Ordering},
};

use bytes::Bytes;
use ractor::{Actor, ActorProcessingErr, ActorRef};

pub use messages::{Absorbed, MergeRequest, Merged, Source, StorageMsg, Whole, WriteFailure, WriteRequest};

use self::commit::Waiting;
use super::{expire::Deadlines, linger::stir, society::Society, subscribers::Line, watch::WatchMsg};
use crate::{
    causality::{Dot, NodeId, Origin},
    conflict::Version,
    report::{Came, NodeEvent},
    storage::{Durability, Ledger, Store, StoreError, View, issued::Count, life},
    types::{Namespace, Prefix},
};

/// A batch is committed when it has so many operations …
const COMMIT_OPERATIONS_MAX: usize = 1_000;
/// … or so many bytes, without waiting for the mailbox to run dry.
const COMMIT_BYTES_MAX: usize = 1024 * 1024;
/// More is learned of an old store after commits that at least so many share.
const LEARN_SHARED_MIN: usize = 8;

/// Why a new epoch begins.
const PEER_KNOWS_MORE: &str = "a peer has seen more writes of this node than are stored here (a restored or cloned data \
                               directory?): a new epoch begins, the rest is fetched from the peers";
const TWIN: &str = "another process runs under this node's identity (a cloned machine or a copied `identity` file?): a new \
                    epoch begins; stop one of the two, or remove its `identity` file and start it again";

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
    pub(in crate::actors) society: Arc<Society>,
    store: Arc<dyn Store>,
    pub(in crate::actors) ledger: Ledger,
    /// How many names were given, as last noted.
    issued: Option<Count>,
    /// Where the scrub goes on.
    pub(in crate::actors) scrub_at: Option<Bytes>,
    waiting: Vec<Waiting>,
    /// What is drafted came like this.
    arriving: Vec<(Namespace, Dot, Came, Option<NodeId>)>,
    operations: usize,
    /// How many there were when `Flush` was last cast.
    operations_at_flush: usize,
    durability: Durability,
    pub(super) gaps: BTreeSet<(NodeId, Namespace, Origin)>,
    learned: bool,
    /// Whether somebody was told that peers write below what is local-only here.
    told_of_shadowed: bool,
    has_twin: bool,
    /// Writes whose dots turned out to name other contents, made again.
    rewritten: Vec<(Namespace, Version)>,
    /// Where sweeps go on that were not finished.
    pub(super) sweeps: BTreeMap<Namespace, Bytes>,
    pub(in crate::actors) deadlines: Deadlines,
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
        for (namespace, versions) in &society.settings.histories {
            ledger.keep_history_in(namespace, *versions);
        }
        // Before anything is asked of it, and before a peer is told anything.
        ledger.keep_local(&society.settings.locals, &society.settings.strategies)?;
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
            arriving: Vec::new(),
            operations: 0,
            operations_at_flush: 0,
            gaps: BTreeSet::new(),
            learned: false,
            told_of_shadowed: false,
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
                // Rule 7: what supersedes a claim is announced to the peer, so it must not be a draft.
                state.flush()?;
                state.expire_later(&myself);
                let judged = claims.iter().map(|(dot, key)| state.ledger.judge(&namespace, *dot, key));
                let judged: Result<Vec<_>, _> = judged.collect();
                let floors = state.ledger.floors(&namespace);
                let _asker_is_gone = reply.send(judged.map(|judged| (judged, floors)));
            }
            StorageMsg::Lost { namespace, suspects } => state.look_again(&namespace, &suspects)?,
            StorageMsg::Membership(change) => state.on_membership(&myself, change)?,
            StorageMsg::ClearLeft => state.clear_left(&myself)?,
            StorageMsg::Upkeep => state.upkeep(&myself)?,
            StorageMsg::Expire(timer) => state.expire(&myself, timer)?,
            StorageMsg::Scrub => state.scrub(&myself)?,
            StorageMsg::Tally => state.tally(&myself)?,
            StorageMsg::PeerKnowsMore { origin, reply } => {
                state.flush()?;
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
                    state.flush()?;
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
    /// Rule 7: reusing a dot would make replicas diverge, so a new epoch begins, unless one has
    /// since `origin`. What the old life wrote comes back from the peers like anybody's. What is drafted stays
    /// drafted: part of a unit, or what takes a write of the old epoch away that is about to be written again.
    pub(in crate::actors) fn begin_epoch(&mut self, origin: Origin, why: &str) -> Result<(), StoreError> {
        if !self.ledger.writes_as(&origin) {
            return Ok(());
        }
        let epoch =
            life::renew_life(&*self.store, &*self.society.entropy, life::Reason::PeerKnowsMore)?.epoch;
        self.ledger.set_origin(Origin { node: origin.node, epoch });
        self.society.epoch.store(epoch, Ordering::Relaxed);
        self.society.metrics.epochs.inc();
        self.society.tell(NodeEvent::Warning(why.to_owned()));
        Ok(())
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
