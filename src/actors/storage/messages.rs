//! What Storage is asked, and what it answers.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::{
    actors::{admission::Permit, membership::Membership, subscribers::Line},
    causality::{Dot, Floors, NodeId, Origin, SeenSet},
    conflict::Version,
    digest::Digests,
    replica::Refused,
    storage::{Judgement, StoreError, View, Write},
    types::{Key, Namespace, Prefix},
};

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
    /// Some of these writes, all seen, may be lost here, or were not found where they are said to be: those
    /// that are lost leave the seen set (rule 3).
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
