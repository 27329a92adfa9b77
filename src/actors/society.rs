//! What all actors of one node share: addresses of each other, the ports, and the numbers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, Semaphore, broadcast, watch};

use super::{
    admission::Admission,
    anti_entropy::AntiEntropyMsg,
    arrivals::Arrivals,
    carriers::Schedules,
    clock::{ClockHandle, ClockMsg},
    fills::Fills,
    hooks::Hooks,
    mailbox::Mailbox,
    mesh::MeshMsg,
    metrics::Metrics,
    peers::Peers,
    sessions::SessionsMsg,
    storage::StorageMsg,
    watch::WatchMsg,
};
use crate::{
    causality::NodeId,
    conflict::Strategies,
    network::{Multiaddr, Network},
    ports::{Entropy, Scope},
    report::NodeEvent,
    storage::{Change, Durability, Reader, issued::Issued},
    types::{Limits, LocalPrefixes, Namespace, Uuid},
};

/// Is told what a commit changed.
pub type Observer = Arc<dyn Fn(&[Change]) + Send + Sync>;

/// Settings that actors read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A person's name for the node.
    pub name: String,
    /// The name of the mesh.
    pub mesh: String,
    /// What an acknowledged write has survived.
    pub durability: Durability,
    /// How often a neighbour is asked whether both still agree.
    pub sync_interval: Duration,
    /// How long a delete is remembered one by one.
    pub delete_retention: Duration,
    /// How many earlier versions of each key are kept.
    pub history: usize,
    /// The same where a namespace has its own number.
    pub histories: BTreeMap<Namespace, usize>,
    /// How long the scrub waits between two pages; zero for no scrub.
    pub scrub_interval: Duration,
    /// Only these peers, if there are any.
    pub allow: BTreeSet<NodeId>,
    /// Whether peers are told of each other.
    pub peer_exchange: bool,
    /// The limits that can be set.
    pub limits: Limits,
    /// How readers resolve siblings.
    pub strategies: Strategies,
    /// Which keys never leave the node.
    pub locals: LocalPrefixes,
}

/// The most addresses kept that were asked for while the node ran.
const KEPT_MAX: usize = 1_024;

/// Something a person wants to know of.
pub(crate) type Events = broadcast::Sender<NodeEvent>;

/// How a node ended.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    /// It was closed.
    Closed,
    /// It could not go on; why.
    Failed(String),
}

impl Ending {
    /// Why it could not go on, if that is how it ended.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::Closed => None,
            Self::Failed(reason) => Some(reason),
        }
    }
}

/// What all actors of one node share.
pub struct Society {
    pub(crate) node: NodeId,
    pub(crate) settings: Settings,
    pub(crate) scope: Scope,
    pub(crate) observer: Option<Observer>,
    pub(crate) hooks: Hooks,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) clock: ClockHandle,
    pub(crate) metrics: Metrics,
    /// Keeps how many names were given to writes, where the store lies in a directory.
    pub(crate) issued: Option<Issued>,
    pub(crate) admission: Admission,
    /// How the latest versions came here.
    pub(crate) arrivals: Arrivals,
    pub(crate) peers: Peers,
    /// Who is compared with at times of the host's.
    pub(crate) schedules: Schedules,
    /// Places for carriers' streams that are answered.
    pub(crate) carried: Semaphore,
    /// The namespaces that are being filled.
    pub(crate) fills: Fills,
    pub(crate) events: Events,
    pub(crate) epoch: AtomicU64,
    /// Random bits of this process: another one with the same identity has others.
    pub(crate) instance: u64,
    /// Whether reads and writes are answered.
    pub(crate) ready: AtomicBool,
    /// Set when the node has stopped.
    pub(crate) ended: watch::Sender<Option<Ending>>,
    /// Something was committed: told to whoever waits for a frontier.
    pub(crate) committed: Notify,
    pub(crate) subscribers: AtomicUsize,
    pub(crate) next_subscriber: AtomicU64,
    /// The last key that was made here.
    pub(crate) last_uuid: Mutex<Uuid>,
    pub(crate) listen: Mutex<BTreeSet<String>>,
    /// Who was asked for while the node ran: a network that is started again dials them, too.
    pub(crate) kept: Mutex<BTreeSet<Multiaddr>>,
    pub(crate) reader: RwLock<Reader>,
    pub(crate) network: RwLock<Option<Network>>,
    pub(crate) clock_box: Mailbox<ClockMsg>,
    pub(crate) storage: Mailbox<StorageMsg>,
    pub(crate) mesh: Mailbox<MeshMsg>,
    pub(crate) sessions: Mailbox<SessionsMsg>,
    pub(crate) anti_entropy: Mailbox<AntiEntropyMsg>,
    pub(crate) watch: Mailbox<WatchMsg>,
}

impl Society {
    /// A reader of the store as the Storage actor that runs now keeps it.
    pub fn reader(&self) -> Reader {
        self.reader.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads nothing any more: the store is to be free when its node has closed. Whoever asks is told
    /// so from now on, rather than that nothing is there.
    pub fn forget_store(&self) {
        self.ready.store(false, Ordering::SeqCst);
        *self.reader.write().unwrap_or_else(PoisonError::into_inner) = Reader::of_nothing();
    }

    /// The network as it runs now, if it does.
    pub fn network(&self) -> Option<Network> {
        self.network.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells whoever listens; nobody has to.
    pub fn tell(&self, event: NodeEvent) {
        let _nobody_listens = self.events.send(event);
    }

    /// Forgets where peers reached this node: the network that listened there is gone.
    pub fn take_listen(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.listen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps an address that the user asked for, for the case that the network is started again.
    pub fn keep(&self, address: Multiaddr) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.insert(address);
        }
    }

    /// The addresses that the user asked for.
    pub fn kept(&self) -> Vec<Multiaddr> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Where peers reach this node.
    pub fn listen(&self) -> Vec<String> {
        self.listen.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
