//! How a node is made.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{Node, StartError, start};
use crate::{
    actors::{Inline, Observer, OwnThread, StorageRunner},
    causality::NodeId,
    conflict::{Resolver, Strategy},
    network::{
        Multiaddr, TransportFactory, Tuning,
        libp2p::swarm_key::{self, SwarmKeyError},
    },
    ports::{Authorize, Entropy, SystemEntropy, SystemWall, Validator, WallClock},
    storage::{Durability, Store, fjall::FjallOptions, life::Surroundings},
    types::{Limits, Namespace, Prefix},
};

/// How nodes find each other beside [`Builder::peers`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// By mDNS on the local network.
    pub mdns: bool,
    /// By a directory that the nodes of one user on one machine share.
    pub same_host: bool,
    /// Where that directory is; the usual place if absent.
    pub same_host_directory: Option<PathBuf>,
}

impl Discovery {
    /// Neither: only peers that are named, or that dial in.
    #[must_use]
    pub const fn none() -> Self {
        Self { mdns: false, same_host: false, same_host_directory: None }
    }

    /// Both.
    #[must_use]
    pub const fn all() -> Self {
        Self { mdns: true, same_host: true, same_host_directory: None }
    }
}

/// Who may join the mesh.
#[derive(Clone, PartialEq, Eq)]
pub enum Membership {
    /// Whoever has the same 32-byte key.
    SwarmKey([u8; 32]),
    /// Whoever reaches the port.
    Open,
}

impl Membership {
    /// The members are whoever has the key in this file, which has the format of kubo's
    /// `swarm.key`.
    ///
    /// # Errors
    /// When the file cannot be read or is no swarm key.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, SwarmKeyError> {
        swarm_key::load(path.as_ref()).map(Self::SwarmKey)
    }

    /// The same, and a key is made, readable for its owner only, where there is no file. Tells
    /// whether one was made.
    ///
    /// # Errors
    /// When the file cannot be read or made, or is no swarm key; a damaged one is left alone.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<(Self, bool), SwarmKeyError> {
        let loaded = swarm_key::load_or_create(path.as_ref())?;
        Ok((Self::SwarmKey(loaded.key), loaded.created))
    }
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SwarmKey(_) => "SwarmKey(…)",
            Self::Open => "Open",
        })
    }
}

/// Where a node keeps what it stores.
#[derive(Clone)]
pub(super) enum Keep {
    Directory(PathBuf),
    Memory,
    Store { store: Arc<dyn Store>, surroundings: Surroundings, identity: [u8; 32] },
}

/// How long a delete is remembered one by one, unless told otherwise.
const DELETE_RETENTION: Duration = Duration::from_secs(7 * 24 * 3_600);

/// So many earlier versions of a key are kept, unless told otherwise.
const HISTORY: usize = 10;

/// The pause between two pages of the scrub, unless told otherwise.
const SCRUB_INTERVAL: Duration = Duration::from_secs(1);

/// Settings of a node; each has the default of the command line, but for discovery and membership,
/// which a program states: a node that is embedded finds nobody unless told to.
///
/// ```
/// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
/// node.put("greeting", "hello").await?;
/// let entry = node.get("greeting").await?.expect("it was just stored");
/// assert_eq!(&entry.value.bytes[..], b"hello");
/// node.close().await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    pub(super) keep: Keep,
    pub(super) name: Option<String>,
    pub(super) mesh: String,
    pub(super) listen: Vec<Multiaddr>,
    pub(super) peers: Vec<Multiaddr>,
    pub(super) discovery: Discovery,
    pub(super) peer_exchange: bool,
    pub(super) membership: Membership,
    pub(super) allow: BTreeSet<NodeId>,
    pub(super) durability: Durability,
    pub(super) sync_interval: Duration,
    pub(super) delete_retention: Duration,
    pub(super) history: usize,
    pub(super) histories: BTreeMap<Namespace, usize>,
    pub(super) scrub_interval: Duration,
    pub(super) namespaces: BTreeSet<Namespace>,
    pub(super) strategies: Vec<(Namespace, Prefix, Strategy)>,
    pub(super) locals: Vec<(Namespace, Prefix)>,
    pub(super) resolvers: BTreeMap<String, Arc<dyn Resolver>>,
    pub(super) validators: Vec<(Namespace, Prefix, Arc<dyn Validator>)>,
    pub(super) authorize: Option<Arc<dyn Authorize>>,
    pub(super) limits: Limits,
    pub(super) tuning: Tuning,
    pub(super) fjall: FjallOptions,
    pub(super) wall: Arc<dyn WallClock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) runner: Option<Arc<dyn StorageRunner>>,
    pub(super) transport: Option<TransportFactory>,
    pub(super) observer: Option<Observer>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            keep: Keep::Directory("./tidings-data".into()),
            name: None,
            mesh: "default".to_owned(),
            listen: vec!["/ip4/0.0.0.0/tcp/7701".parse().expect("a lawful multiaddr")],
            peers: Vec::new(),
            discovery: Discovery::none(),
            peer_exchange: true,
            membership: Membership::Open,
            allow: BTreeSet::new(),
            durability: Durability::default(),
            sync_interval: Duration::from_secs(10),
            delete_retention: DELETE_RETENTION,
            history: HISTORY,
            histories: BTreeMap::new(),
            scrub_interval: SCRUB_INTERVAL,
            namespaces: BTreeSet::from([Namespace::default()]),
            strategies: Vec::new(),
            locals: Vec::new(),
            resolvers: BTreeMap::new(),
            validators: Vec::new(),
            authorize: None,
            limits: Limits::default(),
            tuning: Tuning::default(),
            fjall: FjallOptions::default(),
            wall: Arc::new(SystemWall),
            entropy: Arc::new(SystemEntropy),
            runner: None,
            transport: None,
            observer: None,
        }
    }
}

impl Builder {
    /// Keeps everything in this directory, which is made if it is not there.
    pub fn data_dir(mut self, path: impl AsRef<Path>) -> Self {
        self.keep = Keep::Directory(path.as_ref().to_owned());
        self
    }

    /// Keeps everything in memory: what the node stored is gone when it ends, and it has a new
    /// identity every time.
    pub fn in_memory(mut self) -> Self {
        self.keep = Keep::Memory;
        self
    }

    /// Keeps everything in a store of the caller's, with an identity (32 secret bytes of an ed25519
    /// key) of the caller's. `surroundings` tell whether the store is where it was last opened.
    pub fn store(mut self, store: Arc<dyn Store>, surroundings: Surroundings, identity: [u8; 32]) -> Self {
        self.keep = Keep::Store { store, surroundings, identity };
        self
    }

    /// A person's name for the node, at most 128 bytes; the host's name if not given.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The name of the mesh: nodes of another one are refused.
    pub fn mesh(mut self, mesh: impl Into<String>) -> Self {
        self.mesh = mesh.into();
        self
    }

    /// Where peers reach the node. A TCP port that is taken gives way to any free one.
    pub fn listen(mut self, addresses: impl IntoIterator<Item = Multiaddr>) -> Self {
        self.listen = addresses.into_iter().collect();
        self
    }

    /// Peers to dial and keep, by address; with `/p2p/ID` at its end only that node is accepted there.
    pub fn peers(mut self, addresses: impl IntoIterator<Item = Multiaddr>) -> Self {
        self.peers = addresses.into_iter().collect();
        self
    }

    /// How other nodes are found.
    pub fn discovery(mut self, discovery: Discovery) -> Self {
        self.discovery = discovery;
        self
    }

    /// Whether the node connects to peers that its peers tell of, and tells of its own.
    pub fn peer_exchange(mut self, on: bool) -> Self {
        self.peer_exchange = on;
        self
    }

    /// Who may join the mesh.
    pub fn membership(mut self, membership: Membership) -> Self {
        self.membership = membership;
        self
    }

    /// Only these peers, if there are any.
    pub fn allow(mut self, peers: impl IntoIterator<Item = NodeId>) -> Self {
        self.allow = peers.into_iter().collect();
        self
    }

    /// What an acknowledged write has survived.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How often a neighbour is asked whether both still agree: 10 s unless set. Shorter finds sooner
    /// what gossip missed, and costs a message to each neighbour every time.
    pub fn sync_interval(mut self, interval: Duration) -> Self {
        self.sync_interval = interval;
        self
    }

    /// How long a delete is remembered one by one; 7 days, unless told otherwise. Then it is forgotten,
    /// with its record, and costs nothing. That never brings back what was deleted: a replica that was
    /// away for longer is compared as a whole. Shorter than a partition lasts, it makes that comparison
    /// dearer, and a write that was concurrent to the delete wins when it arrives later.
    pub fn delete_retention(mut self, retention: Duration) -> Self {
        self.delete_retention = retention;
        self
    }

    /// How many earlier versions of each key are kept, [`HISTORY_MAX`](crate::storage::HISTORY_MAX) at most:
    /// 10 unless set, 0 for none. They are read with [`Space::history`](super::Space::history), and an
    /// exchange brings them to a newcomer, too. Of large values only hash and size are kept. Where it is fewer
    /// than before, the others of a key go when that is written next.
    pub fn history(mut self, versions: usize) -> Self {
        self.history = versions;
        self
    }

    /// The same for one namespace, in the place of what holds for all; also where it is joined only later.
    pub fn history_in(mut self, namespace: Namespace, versions: usize) -> Self {
        self.histories.insert(namespace, versions);
        self
    }

    /// What is stored is looked at in the background, 256 entries at a time, with this pause in between:
    /// 1 s unless set, and a thousand pauses between two passes. What cannot be read or does not match
    /// its hash leaves the seen set, is told of as [`NodeEvent::Warning`](super::NodeEvent::Warning), and
    /// is fetched from the peers. Zero for never.
    pub fn scrub_interval(mut self, pause: Duration) -> Self {
        self.scrub_interval = pause;
        self
    }

    /// Carries this namespace beside `default`, and beside those that the node has joined before
    /// ([`Node::join`]) and not left; at most 64 in all.
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespaces.insert(namespace);
        self
    }

    /// How readers of this node resolve concurrent versions of the keys below `prefix` in the namespace
    /// `default`: by whole segments, the longest prefix decides; [`Strategy::LastWriteWins`] where none is
    /// given. At most 256 in all. What is stored does not depend on it, so it may be changed from start to
    /// start; nodes that are to show the same must be told the same.
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tidings::{Prefix, Value, node::{Strategy, WriteError}};
    ///
    /// let node = tidings::Node::builder()
    ///     .in_memory()
    ///     .listen(["/ip4/127.0.0.1/tcp/0".parse()?])
    ///     .strategy(Prefix::new("profiles")?, Strategy::MergeFields)
    ///     .strategy(Prefix::new("names")?, Strategy::FirstWriteWins)
    ///     .start()
    ///     .await?;
    /// node.put("profiles/ant", Value::json(r#"{"eggs":3}"#)).await?;
    /// node.put("names/a", "ant").await?;
    /// assert!(matches!(node.put("names/a", "bat").await, Err(WriteError::AlreadySet { .. })));
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    pub fn strategy(self, prefix: Prefix, strategy: Strategy) -> Self {
        self.strategy_in(Namespace::default(), prefix, strategy)
    }

    /// The same for a namespace, which the node must carry.
    pub fn strategy_in(mut self, namespace: Namespace, prefix: Prefix, strategy: Strategy) -> Self {
        self.strategies.push((namespace, prefix, strategy));
        self
    }

    /// Registers a resolver for [`Strategy::custom`] of that name. When the node starts it is tried on a few
    /// hundred sets of siblings in random order, and refused if its answer depends on the order or if it
    /// panics. Should it panic later, readers see that record as under [`Strategy::KeepAll`]; should it take
    /// longer than 100 ms, its answer stands, and it is not asked for a minute. It has a thread of its own: one that
    /// never returns is waited for for five seconds, and not asked again before it does. All of this is told of as
    /// [`NodeEvent::Warning`](super::NodeEvent::Warning), once, and counted.
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::sync::Arc;
    /// use tidings::{Prefix, node::{Resolution, Resolver, Strategy, Version}};
    ///
    /// /// The largest value.
    /// struct Largest;
    ///
    /// impl Resolver for Largest {
    ///     fn resolve(&self, siblings: &[Version]) -> Resolution {
    ///         let size = |version: &Version| version.put().map(|put| put.payload.size());
    ///         let largest = siblings.iter().max_by_key(|version| (size(version), version.rank()));
    ///         largest.map_or(Resolution::Nothing, |version| Resolution::Version(version.dot))
    ///     }
    /// }
    ///
    /// let node = tidings::Node::builder()
    ///     .in_memory()
    ///     .listen(["/ip4/127.0.0.1/tcp/0".parse()?])
    ///     .resolver("largest", Arc::new(Largest))
    ///     .strategy(Prefix::new("texts")?, Strategy::custom("largest"))
    ///     .start()
    ///     .await?;
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    pub fn resolver(mut self, name: impl Into<String>, resolver: Arc<dyn Resolver>) -> Self {
        self.resolvers.insert(name.into(), resolver);
        self
    }

    /// Asks `validator` about each value that is to be written here below `prefix` of the namespace `default`,
    /// by whole segments; of several prefixes the longest one decides, alone. At most 256 in all. Its reason
    /// is the writer's [`WriteError::Invalid`](super::WriteError::Invalid), over HTTP 422 `invalid`. Of a
    /// batch nothing is written then. Deletes are not asked about, nor what comes from peers or in bundles.
    /// A validator that panics refuses the write, and is told of as
    /// [`NodeEvent::Warning`](super::NodeEvent::Warning), once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::sync::Arc;
    /// use tidings::{Key, Namespace, Prefix, Value, node::{Refusal, WriteError}};
    ///
    /// let short = |_: &Namespace, _: &Key, value: &Value| match value.bytes.len() {
    ///     0..=10 => Ok(()),
    ///     long => Err(Refusal::from(format!("{long} bytes, a name has 10 at most"))),
    /// };
    /// let node = tidings::Node::builder()
    ///     .in_memory()
    ///     .listen(["/ip4/127.0.0.1/tcp/0".parse()?])
    ///     .validate(Prefix::new("names")?, Arc::new(short))
    ///     .start()
    ///     .await?;
    /// node.put("names/a", "ant").await?;
    /// let refused = node.put("names/b", "bombardier beetle").await;
    /// assert!(matches!(refused, Err(WriteError::Invalid { .. })));
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    pub fn validate(self, prefix: Prefix, validator: Arc<dyn Validator>) -> Self {
        self.validate_in(Namespace::default(), prefix, validator)
    }

    /// The same for a namespace, which the node must carry. Of two for one prefix the later one holds.
    pub fn validate_in(
        mut self,
        namespace: Namespace,
        prefix: Prefix,
        validator: Arc<dyn Validator>,
    ) -> Self {
        self.validators.push((namespace, prefix, validator));
        self
    }

    /// Asks before every operation that comes from outside, of clients over HTTP and of peers: what is asked
    /// when, [`Authorize`] says. Where there is none, whoever has a token (if there are tokens) or belongs to
    /// the mesh may. An authorizer that panics refuses, and is told of as
    /// [`NodeEvent::Warning`](super::NodeEvent::Warning), once. What came of it, [`Builder::observer`] sees.
    pub fn authorize(mut self, authorize: Arc<dyn Authorize>) -> Self {
        self.authorize = Some(authorize);
        self
    }

    /// The limits that can be set.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How the network behaves.
    pub fn tuning(mut self, tuning: Tuning) -> Self {
        self.tuning = tuning;
        self
    }

    /// How much memory and disk the store takes.
    pub fn store_options(mut self, options: FjallOptions) -> Self {
        self.fjall = options;
        self
    }

    /// The wall clock to go by.
    pub fn wall_clock(mut self, wall: Arc<dyn WallClock>) -> Self {
        self.wall = wall;
        self
    }

    /// The dice to roll.
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Who runs the Storage actor, whose handlers may block; a thread of its own if not given, but for
    /// nodes that keep everything in memory: they wait for no disk, and storage is a task among others.
    pub fn storage_runner(mut self, runner: Arc<dyn StorageRunner>) -> Self {
        self.runner = Some(runner);
        self
    }

    pub(super) fn runner(&self) -> Arc<dyn StorageRunner> {
        match (&self.runner, &self.keep) {
            (Some(runner), _) => runner.clone(),
            // To wake another thread and be woken by it costs more than what it does in between.
            (None, Keep::Memory) => Arc::new(Inline),
            (None, Keep::Directory(_) | Keep::Store { .. }) => Arc::new(OwnThread),
        }
    }

    /// A transport in the place of TCP.
    pub fn transport(mut self, transport: TransportFactory) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Is told of every change, local or remote, when it is committed and before its writer is told,
    /// in the order of commits: after [`Builder::authorize`] and [`Builder::validate`] had nothing against it.
    /// What they refused it is not told of. It is called where Storage runs: it must not block, and a panic in it
    /// is one of Storage.
    pub fn observer(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Starts the node; when this returns it can be reached at [`Node::listen`]. Must be called
    /// within a tokio runtime, which then runs the node.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub async fn start(self) -> Result<Node, StartError> {
        start::start(self).await
    }
}
