//! What happened in a simulation, as an observer outside of all nodes saw it: in order, in virtual time.

use std::{collections::BTreeMap, time::Duration};

use tidings::{
    causality::{Context, Dot, Hlc, SeenSet},
    conflict::{Base, Payload, Version},
    types::Key,
};

use super::plan::{FaultKind, NodeNo};

/// Everything that happened, in order.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The events.
    pub events: Vec<Event>,
    /// What the nodes held at the end, by node; those that were down are absent.
    pub finals: BTreeMap<NodeNo, Final>,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// When, since the beginning.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// A version as the observer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub dot: Dot,
    /// The key.
    pub key: Key,
    /// Its stamp.
    pub hlc: Hlc,
    /// What its writer had seen of the key: whatever was written to it with one of these names, or an
    /// earlier one of the same origin. The past of its own origin is not named.
    pub context: Vec<Dot>,
    /// What its writer had forgotten, of any key: written to the key with one of these names, or an
    /// earlier one of the same origin, it is superseded, too.
    pub base: Vec<Dot>,
    /// The hash of the value, or nothing for a delete.
    pub value: Option<[u8; 32]>,
    /// Bytes of it in a message.
    pub bytes: usize,
}

impl Seen {
    /// What an observer sees of a version.
    #[must_use]
    pub fn of(version: &Version) -> Self {
        let dots = |context: &Context| context.iter().map(|(origin, seq)| Dot::new(origin, seq)).collect();
        let context = dots(&version.context);
        let base =
            version.base.as_ref().and_then(Base::covers).map(|covers| dots(covers)).unwrap_or_default();
        let value = version.put().map(|put| match &put.payload {
            Payload::Inline(bytes) => *blake3::hash(bytes).as_bytes(),
            Payload::Blob { hash, .. } => *hash,
        });
        let bytes = tidings::wire::encode(version).len();
        Self { dot: version.dot, key: version.key.clone(), hlc: version.hlc, context, base, value, bytes }
    }

    /// Whether a write to the same key is superseded by this one.
    #[must_use]
    pub fn supersedes(&self, dot: Dot) -> bool {
        let own_past = dot.origin == self.dot.origin && dot.seq < self.dot.seq;
        own_past
            || self
                .context
                .iter()
                .chain(&self.base)
                .any(|seen| seen.origin == dot.origin && dot.seq <= seen.seq)
    }
}

/// What happened.
#[derive(Clone, Debug)]
pub enum What {
    /// A node is up, with this much in its store.
    Started {
        /// Who.
        node: NodeNo,
        /// What it held of each key when it started.
        records: Vec<Seen>,
        /// What it had seen when it started.
        seen: SeenSet,
    },
    /// A node is down: in good order or not.
    Stopped {
        /// Who.
        node: NodeNo,
        /// Whether it could close in good order.
        orderly: bool,
    },
    /// A user asked for operation number `operation` of the plan.
    Asked {
        /// Which.
        operation: usize,
    },
    /// It was acknowledged: these versions were made.
    Acknowledged {
        /// Which.
        operation: usize,
        /// The dots of the writes, in order.
        dots: Vec<Dot>,
    },
    /// It failed, or nobody was there to be asked.
    Refused {
        /// Which.
        operation: usize,
        /// Why.
        reason: String,
    },
    /// A read was answered.
    Read {
        /// Which.
        operation: usize,
        /// The version that readers see there, and the hash of its value.
        found: Option<(Dot, [u8; 32])>,
    },
    /// A node committed a version, its own or another's.
    Applied {
        /// Who.
        node: NodeNo,
        /// Whether it is its own.
        local: bool,
        /// What.
        version: Seen,
    },
    /// A fault began.
    Broke {
        /// Its number in the plan.
        fault: usize,
        /// What it is.
        kind: FaultKind,
    },
    /// A fault was put right.
    Mended {
        /// Its number in the plan.
        fault: usize,
    },
    /// Two nodes are connected, as the first sees it.
    Connected {
        /// Who says so.
        node: NodeNo,
        /// To whom.
        to: NodeNo,
    },
    /// They are not any more.
    Parted {
        /// Who says so.
        node: NodeNo,
        /// From whom.
        from: NodeNo,
    },
    /// All nodes that are up held the same, for the first time since they did not.
    Agreed,
    /// They do not any more.
    Disagreed,
    /// A node said something that a person should look into.
    Warned {
        /// Who.
        node: NodeNo,
        /// What.
        text: String,
    },
    /// A measurement of every node, taken at regular times.
    Sample(Vec<Sample>),
}

/// How a node is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Whether it is up.
    pub up: bool,
    /// Keys of which it holds all that exists anywhere.
    pub agreed: usize,
    /// Keys that exist anywhere.
    pub keys: usize,
    /// Bytes it sent since the simulation began, by kind.
    pub sent: Traffic,
    /// The depth of each of its queues, and the most it may be.
    pub queues: BTreeMap<String, (usize, usize)>,
    /// Exchanges under way.
    pub exchanges: usize,
    /// Bytes of its store.
    pub store_bytes: u64,
    /// The peers that it says it is in sync with.
    pub in_sync: Vec<InSync>,
}

/// A node says that it is in sync with a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InSync {
    /// With whom.
    pub peer: NodeNo,
    /// When it said so.
    pub at: Duration,
    /// When it says that both were compared, by its own clock as that is wrong now.
    pub matched: Duration,
}

/// Bytes by kind; `wire` is all of it, encrypted, as the links carried it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes on the links.
    pub wire: u64,
    /// Of gossiped messages.
    pub gossip: u64,
    /// Gossiped messages.
    pub gossip_messages: u64,
    /// Of exchanges.
    pub exchange: u64,
}

/// What a node held at the end.
#[derive(Clone, Debug)]
pub struct Final {
    /// The root of its digest.
    pub root: String,
    /// What a reader sees: the winning version and the hash of its value, by key.
    pub reads: BTreeMap<Key, (Dot, [u8; 32])>,
    /// All versions it holds.
    pub records: Vec<Seen>,
    /// What it says it has seen.
    pub seen: SeenSet,
}
