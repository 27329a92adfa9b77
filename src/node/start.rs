//! Puts the parts of a node together.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize},
    },
    time::Duration,
};

use prometheus_client::{metrics::counter::Counter, registry::Registry};
use ractor::Actor;
use rand::Rng;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, broadcast, oneshot, watch},
    time,
};

use super::{
    Builder, Membership, Node, NodeEvent, StartError,
    builder::Keep,
    handle::{Inner, Parts},
    local_only, resolving,
};
use crate::{
    actors::{
        admission::Admission,
        arrivals::Arrivals,
        carriers::{CARRIED_MAX, Schedules},
        clock::ClockHandle,
        fills::Fills,
        hooks::{Hooks, VALIDATORS_MAX},
        mailbox::Mailbox,
        mesh::StartNetwork,
        metrics::Metrics,
        peers::Peers,
        society::{Ending, Settings, Society},
        supervisor::{Supervisor, SupervisorArgs},
    },
    causality::{Hlc, NodeId, Origin},
    network::{Admit, Multiaddr, NetworkConfig, libp2p},
    ports::Scope,
    storage::{
        Ledger, OpenError, Store, StoreError,
        directory::DataDir,
        fjall::{Fjall, FjallOptions},
        issued::{Issued, Told},
        life::{self, Life, Surroundings},
        memory::Memory,
    },
    types::NAMESPACES_MAX,
    wire::LINK_HELLO_NAME_BYTES_MAX,
};

/// The most events that wait for a listener.
const EVENTS_MAX: usize = 1_024;
/// The network can be reached within this time, or something is wrong.
const LISTEN_PATIENCE: Duration = Duration::from_secs(10);

/// What was opened: the store, where it is, who the node is.
struct Opened {
    store: Arc<dyn Store>,
    surroundings: Surroundings,
    identity: [u8; 32],
    directory: Option<DataDir>,
}

pub(super) async fn start(builder: Builder) -> Result<Node, StartError> {
    check(&builder)?;
    let opened = open(builder.keep.clone(), builder.fjall).await?;
    let node = libp2p::node_id(&opened.identity);
    let (surroundings, directory) = (&opened.surroundings, opened.directory.as_ref().map(DataDir::path));
    let life =
        life::open_life(&*opened.store, surroundings, directory, &*builder.entropy, builder.durability)
            .map_err(StartError::Open)?;
    let (events, first_events) = broadcast::channel(EVENTS_MAX);
    let (life, issued) = past_is_whole(&builder, &opened, node, life)?;
    if life.began == Some(life::Reason::TailMissing) {
        let text = "the store has lost its last writes (a damaged or rolled-back disk?): a new epoch begins, and the peers \
                    send what they have of them";
        let _nobody_listens = events.send(NodeEvent::Warning(text.to_owned()));
    }
    if let Some(reason) = life.began {
        tracing::info!(?reason, epoch = %format_args!("{:016x}", life.epoch), "a new epoch begins");
    }
    let mut registry = Registry::with_prefix("tidings");
    let metrics = Metrics::new(&mut registry);
    let network_registry = Arc::new(Mutex::new(Registry::default()));
    let mut listening = events.subscribe();
    let society = Arc::new(society(&builder, node, life.epoch, &opened, metrics, events, issued)?);
    let store = Arc::downgrade(&opened.store);
    let args = SupervisorArgs {
        society: society.clone(),
        store: opened.store,
        namespaces: builder.namespaces.iter().cloned().collect(),
        runner: builder.runner(),
        network: network(&builder, &opened.identity, opened.directory.as_ref(), &society, &network_registry),
    };
    let (supervisor, task) = spawn_supervisor(args).await.inspect_err(|_| society.scope.close())?;
    society.scope.adopt(task);
    let inner = Inner::new(Parts {
        society: society.clone(),
        supervisor,
        registry,
        network_registry,
        first_events,
        directory: opened.directory,
        store,
    });
    let node = Node::new(inner);
    if !builder.listen.is_empty() {
        wait_until_listening(&mut listening, society.ended.subscribe()).await?;
    }
    Ok(node)
}

#[expect(clippy::disallowed_methods, reason = "the root of the tree has no supervisor to be linked to")]
async fn spawn_supervisor(
    args: SupervisorArgs,
) -> Result<(ractor::ActorRef<crate::actors::supervisor::SupervisorMsg>, tokio::task::AbortHandle), StartError>
{
    match Actor::spawn(None, Supervisor, args).await {
        Ok((supervisor, task)) => Ok((supervisor, task.abort_handle())),
        Err(error) => Err(why_not_started(error)),
    }
}

/// What kept an actor from starting, without who spawned whom.
fn why_not_started(error: ractor::SpawnErr) -> StartError {
    let ractor::SpawnErr::StartupFailed(inner) = error else {
        return StartError::Internal(error.to_string());
    };
    match inner.downcast::<ractor::SpawnErr>() {
        Ok(inner) => why_not_started(*inner),
        Err(inner) => match inner.downcast::<StoreError>() {
            Ok(error) => StartError::Open(OpenError::Store(*error)),
            Err(inner) => StartError::Internal(inner.to_string()),
        },
    }
}

fn check(builder: &Builder) -> Result<(), StartError> {
    let refuse = |text: String| Err(StartError::Config(text));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if builder.mesh.is_empty() || builder.mesh.len() > 64 || !builder.mesh.bytes().all(plain) {
        return refuse(format!(
            "{:?} is no name of a mesh: use 1 to 64 of a-z, A-Z, 0-9, `.`, `_`, `-`",
            builder.mesh
        ));
    }
    if builder.mesh.starts_with('.') {
        return refuse(format!("{:?} is no name of a mesh: it begins with a dot", builder.mesh));
    }
    if builder.name.as_ref().is_some_and(|name| name.len() > LINK_HELLO_NAME_BYTES_MAX) {
        return refuse(format!("the name of a node has at most {LINK_HELLO_NAME_BYTES_MAX} bytes"));
    }
    if builder.namespaces.len() > NAMESPACES_MAX {
        return refuse(format!("a node carries at most {NAMESPACES_MAX} namespaces"));
    }
    if builder.sync_interval < Duration::from_millis(10) {
        return refuse("the sync interval is at least 10ms".to_owned());
    }
    Ok(())
}

/// Opens the store. A large journal takes seconds, so it is done on a thread.
async fn open(keep: Keep, options: FjallOptions) -> Result<Opened, StartError> {
    let path = match keep {
        Keep::Memory => {
            return Ok(Opened {
                store: Arc::new(Memory::new()),
                surroundings: Surroundings::default(),
                identity: draw_secret(),
                directory: None,
            });
        }
        Keep::Store { store, surroundings, identity } => {
            return Ok(Opened { store, surroundings, identity, directory: None });
        }
        Keep::Directory(path) => path,
    };
    let (told, opened) = oneshot::channel();
    let open = move || {
        let open = || {
            let directory = DataDir::open(&path)?;
            let store = Arc::new(Fjall::open(directory.store_path(), options)?);
            let surroundings = Surroundings::of(directory.path());
            let identity = directory.identity();
            Ok(Opened { store, surroundings, identity, directory: Some(directory) })
        };
        drop(told.send(open().map_err(StartError::Open)));
    };
    std::thread::Builder::new()
        .name("tidings-open".into())
        .spawn(open)
        .map_err(|error| StartError::Internal(format!("no thread to open the store: {error}")))?;
    opened.await.map_err(|_| StartError::Internal("the store could not be opened: a panic".to_owned()))?
}

/// Rule 7: a store that knows of fewer names than were given in its life lost its end, and would give
/// them again; so a new life begins. With it, where the names that are given from now on are counted.
fn past_is_whole(
    builder: &Builder,
    opened: &Opened,
    node: NodeId,
    life: Life,
) -> Result<(Life, Option<Issued>), StartError> {
    let Some(directory) = &opened.directory else { return Ok((life, None)) };
    let failed = |error: StoreError| StartError::Open(error.into());
    let (_, _, known) =
        Ledger::peek(opened.store.clone(), Origin { node, epoch: life.epoch }).map_err(failed)?;
    let lost = match Issued::read(directory.path()) {
        Told::Nothing => false,
        Told::Unreadable => true,
        Told::Count(count) => count.epoch == life.epoch && count.writes > known,
    };
    let life = if lost && life.began.is_none() {
        life::renew_life(&*opened.store, &*builder.entropy, life::Reason::TailMissing).map_err(failed)?
    } else {
        life
    };
    let issued = Issued::open(directory.path()).map_err(|error| {
        StartError::Open(OpenError::Io { path: directory.path().into(), reason: error.to_string() })
    })?;
    Ok((life, Some(issued)))
}

fn society(
    builder: &Builder,
    node: NodeId,
    epoch: u64,
    opened: &Opened,
    metrics: Metrics,
    events: broadcast::Sender<NodeEvent>,
    issued: Option<Issued>,
) -> Result<Society, StartError> {
    // Storage opens the ledger: a checkpoint of the digests can be taken once only.
    let (reader, clock, _) = Ledger::peek(opened.store.clone(), Origin { node, epoch })
        .map_err(|error| StartError::Open(error.into()))?;
    let carried: BTreeSet<_> =
        reader.namespaces().into_iter().chain(builder.namespaces.iter().cloned()).collect();
    if carried.len() > NAMESPACES_MAX {
        return Err(StartError::Config(format!(
            "a node carries at most {NAMESPACES_MAX} namespaces, with those it joined before: {}",
            carried.len()
        )));
    }
    let clock_handle = ClockHandle::new(Hlc::default(), builder.wall.clone());
    clock_handle.observe(clock);
    let strategies = resolving::strategies(builder, &metrics, &events)?;
    reader.set_strategies(&strategies);
    let locals = local_only::locals(builder)?;
    local_only::nothing_in_the_way(&reader, &locals, builder.wall.now_ms())?;
    Ok(Society {
        node,
        settings: Settings {
            name: builder.name.clone().unwrap_or_else(host_name),
            mesh: builder.mesh.clone(),
            durability: builder.durability,
            sync_interval: builder.sync_interval,
            delete_retention: builder.delete_retention,
            history: builder.history,
            histories: builder.histories.clone(),
            scrub_interval: builder.scrub_interval,
            allow: builder.allow.clone(),
            peer_exchange: builder.peer_exchange,
            limits: builder.limits,
            strategies,
            locals,
        },
        scope: Scope::new(Handle::current()),
        observer: builder.observer.clone(),
        hooks: hooks(builder, &events, &metrics.hook_failures)?,
        entropy: builder.entropy.clone(),
        clock: clock_handle,
        metrics,
        issued,
        admission: Admission::default(),
        arrivals: Arrivals::default(),
        schedules: Schedules::default(),
        carried: Semaphore::new(CARRIED_MAX),
        peers: peers(opened)?,
        fills: Fills::default(),
        events,
        epoch: AtomicU64::new(epoch),
        instance: builder.entropy.bits(),
        ready: AtomicBool::new(true),
        ended: watch::Sender::new(None),
        committed: tokio::sync::Notify::new(),
        subscribers: AtomicUsize::new(0),
        next_subscriber: 0.into(),
        last_uuid: Mutex::default(),
        listen: Mutex::default(),
        kept: Mutex::default(),
        reader: RwLock::new(reader),
        network: RwLock::default(),
        clock_box: Mailbox::default(),
        storage: Mailbox::default(),
        mesh: Mailbox::default(),
        sessions: Mailbox::default(),
        anti_entropy: Mailbox::default(),
        watch: Mailbox::default(),
    })
}

/// Who was blocked stays so over restarts, also where no network is asked: over carriers.
fn peers(opened: &Opened) -> Result<Peers, StartError> {
    let peers = Peers::default();
    if let Some(directory) = &opened.directory {
        let blocked = libp2p::blocked(directory.path());
        for peer in
            blocked.map_err(|error| StartError::Network(format!("the list of blocked peers: {error}")))?
        {
            peers.set_blocked(peer, true);
        }
    }
    Ok(peers)
}

fn hooks(
    builder: &Builder,
    events: &broadcast::Sender<NodeEvent>,
    failures: &Counter,
) -> Result<Hooks, StartError> {
    let mut hooks = Hooks::new(builder.authorize.clone(), events.clone(), failures.clone());
    for (namespace, prefix, validator) in &builder.validators {
        if !builder.namespaces.contains(namespace) {
            let text =
                format!("there is a validator for the namespace {namespace}, which this node does not carry");
            return Err(StartError::Config(text));
        }
        if !hooks.add(namespace.clone(), prefix.clone(), validator.clone()) {
            let text = format!(
                "more than {VALIDATORS_MAX} prefixes have validators of their own: give one to a prefix above them"
            );
            return Err(StartError::Config(text));
        }
    }
    Ok(hooks)
}

/// The name of the host, for people.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().chars().take(64).collect()
}

/// Where nodes of one user on one machine meet: a directory that only this user can write to.
fn same_host_directory() -> Option<PathBuf> {
    let of = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(runtime) = of("XDG_RUNTIME_DIR") {
        return Some(runtime.join("tidings"));
    }
    let cache = of("XDG_CACHE_HOME").or_else(|| Some(of("HOME")?.join(".cache")))?;
    Some(cache.join("tidings").join("run"))
}

/// The secret of a node that keeps none.
fn draw_secret() -> [u8; 32] {
    let mut secret = [0; 32];
    rand::rng().fill_bytes(&mut secret);
    secret
}

fn network(
    builder: &Builder,
    identity: &[u8; 32],
    directory: Option<&DataDir>,
    society: &Arc<Society>,
    registry: &Arc<Mutex<Registry>>,
) -> StartNetwork {
    let discovery = &builder.discovery;
    let same_host =
        discovery.same_host.then(|| discovery.same_host_directory.clone().or_else(same_host_directory));
    let config = NetworkConfig {
        secret: *identity,
        mesh: builder.mesh.clone(),
        listen: builder.listen.clone(),
        peers: builder.peers.clone(),
        mdns: discovery.mdns,
        same_host: same_host.flatten(),
        peer_exchange: builder.peer_exchange,
        swarm_key: match builder.membership {
            Membership::SwarmKey(key) => Some(key),
            Membership::Open => None,
        },
        allow: builder.allow.clone(),
        admit: builder.authorize.as_ref().map(|_| admit(society)),
        namespaces: Vec::new(),
        directory: directory.map(|directory| directory.path().to_owned()),
        tuning: builder.tuning,
    };
    let transport = builder.transport.clone();
    let (entropy, wall) = (builder.entropy.clone(), builder.wall.clone());
    let (society, registry) = (Arc::downgrade(society), registry.clone());
    Arc::new(move |scope, listened, sink| {
        let mut fresh = Registry::with_prefix("tidings_network");
        let mut config = config.clone();
        // As they are now: Storage has opened the store, and some may have been joined or left since.
        let carried = society.upgrade().map(|society| society.reader().namespaces());
        config.namespaces = carried.unwrap_or_default();
        config.peers.extend(society.upgrade().map(|society| society.kept()).unwrap_or_default());
        config.listen = where_it_was(&config.listen, listened);
        let society = society.clone();
        let is_new = Arc::new(move |envelope: &crate::wire::Envelope| {
            society.upgrade().is_some_and(|society| is_new(&society, envelope))
        });
        let transport =
            transport.clone().map(|make| -> libp2p::TransportBuilder { Box::new(move |key| make(key)) });
        let (entropy, wall) = (entropy.clone(), wall.clone());
        let network =
            libp2p::start(config, transport, scope.clone(), entropy, wall, sink, is_new, &mut fresh)
                .map_err(|error| error.to_string())?;
        *registry.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(network)
    })
}

/// A node that is gone lets nobody in.
fn admit(society: &Arc<Society>) -> Admit {
    let society = Arc::downgrade(society);
    Arc::new(move |peer| match society.upgrade() {
        Some(society) => society.hooks.admits(peer),
        None => Err("the node has ended".to_owned()),
    })
}

/// Where to listen: where the network before listened, so that peers find this one there. Several
/// addresses cannot be told apart; they are tried as they were asked for.
fn where_it_was(asked: &[Multiaddr], listened: &BTreeSet<String>) -> Vec<Multiaddr> {
    let port_of = |address: &String| {
        let mut parts = address.split('/').skip_while(|part| *part != "tcp");
        parts.nth(1).map(str::to_owned)
    };
    if let ([asked], Some(port)) = (asked, listened.iter().find_map(port_of)) {
        let text = asked.to_string();
        let mut parts: Vec<&str> = text.split('/').collect();
        let at = parts.iter().position(|part| *part == "tcp").map(|at| at + 1);
        if let Some(part) = at.and_then(|at| parts.get_mut(at)) {
            *part = &port;
            return parts.join("/").parse().map_or_else(|_| vec![asked.clone()], |address| vec![address]);
        }
    }
    asked.to_vec()
}

/// Whether there is anything in an envelope that was not seen here.
fn is_new(society: &Society, envelope: &crate::wire::Envelope) -> bool {
    let seen = society.reader().with_seen(&envelope.namespace, |seen| {
        envelope.versions.iter().all(|version| seen.contains(version.dot))
    });
    seen == Some(false)
}

async fn wait_until_listening(
    events: &mut broadcast::Receiver<NodeEvent>,
    mut ended: watch::Receiver<Option<Ending>>,
) -> Result<(), StartError> {
    let listening = async {
        loop {
            tokio::select! {
                biased;
                end = ended.wait_for(Option::is_some) => {
                    let end = end.ok().and_then(|end| end.clone());
                    let reason = end.as_ref().and_then(Ending::failure).unwrap_or("it stopped");
                    return Err(StartError::Network(reason.to_owned()));
                }
                event = events.recv() => match event {
                    Ok(NodeEvent::Listening(_)) | Err(broadcast::error::RecvError::Lagged(_)) => return Ok(()),
                    Ok(_) => {}
                    Err(broadcast::error::RecvError::Closed) => {
                        return Err(StartError::Network("it stopped".to_owned()));
                    }
                },
            }
        }
    };
    match time::timeout(LISTEN_PATIENCE, listening).await {
        Ok(outcome) => outcome,
        Err(_) => Err(StartError::Network("it could not listen on any of the addresses given".to_owned())),
    }
}
