//! The network over libp2p: gossipsub for what is new, streams for everything else.
//!
//! One task owns the swarm. It never awaits a consumer; what it decides (whom to dial, whether a
//! message is lawful, when a connection is dead) is decided by small state machines without sockets
//! (`dialer`, `gossip`, `liveness`), which keep no order that depends on hashing.

mod behaviour;
mod blocks;
mod book;
mod dialer;
mod door;
mod gossip;
mod identity;
mod impatient;
mod known;
mod listen;
mod liveness;
mod metrics;
mod peer;
mod reason;
mod same_host;
mod signer;
mod small_file;
mod streams;
pub mod swarm_key;
mod task;
#[cfg(test)]
mod tests;
mod transport;

use std::{collections::BTreeSet, fs, io, path::Path, sync::Arc, time::Duration};

use libp2p::{Multiaddr, Swarm, core::transport::ListenerId, identity::Keypair};
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;

pub use identity::node_id;
pub use transport::{TransportBuilder, secure};

use self::{
    behaviour::Behaviour,
    blocks::Blocks,
    book::Book,
    dialer::{Dialer, Input, Rules},
    gossip::Gossip,
    known::Source,
    listen::{Ports, Turn},
    metrics::Metrics,
    peer::peer_of,
    same_host::SameHost,
    signer::KeySigner,
    task::{Parts, Task},
};
use crate::{
    causality::NodeId,
    network::{IsNew, Network, NetworkConfig, NetworkError, Signer, Sink},
    ports::{Entropy, Scope, WallClock},
};

/// The most commands that wait for the swarm.
pub const COMMANDS_MAX: usize = 1024;
/// A connection is closed for good reasons only; that nobody used it for some time is none.
const IDLE_MAX: Duration = Duration::from_secs(60 * 60 * 24 * 30);

/// Who is blocked, as a network that keeps its list in `directory` will find it when it starts.
///
/// # Errors
/// When the list cannot be read.
pub fn blocked(directory: &Path) -> io::Result<BTreeSet<NodeId>> {
    Ok(Blocks::open(Some(&directory.to_owned()))?.nodes().clone())
}

/// Starts a network: listens, dials, and runs in tasks of `scope` until [`Command::Stop`], until the
/// last sender of commands is gone, or until the scope is closed. To be called within a runtime.
///
/// `transport` replaces TCP, DNS and the swarm key; it is given the node's key and has to authenticate
/// with it (see [`secure`]).
///
/// # Errors
/// When the secret is no key, when none of the addresses can be listened on, when what the network
/// keeps cannot be read, or when the tuning contradicts itself. Nothing runs then.
///
/// [`Command::Stop`]: crate::network::Command::Stop
#[expect(clippy::too_many_arguments, reason = "they are the ports, all of them, each given by the builder")]
#[expect(clippy::needless_pass_by_value, reason = "the network of a node is its scope's, not a borrower's")]
pub fn start(
    config: NetworkConfig,
    transport: Option<TransportBuilder>,
    scope: Scope,
    entropy: Arc<dyn Entropy>,
    wall: Arc<dyn WallClock>,
    sink: Sink,
    is_new: IsNew,
    registry: &mut Registry,
) -> Result<Network, NetworkError> {
    let keypair = Keypair::ed25519_from_bytes(config.secret)
        .map_err(|error| NetworkError::Secret(error.to_string()))?;
    let signing = keypair.clone().try_into_ed25519().expect("made as an ed25519 key, in the line above");
    let signer = Arc::new(KeySigner::new(signing));
    let own = signer.node();

    let blocks = open_directory(&config)?;
    let metrics = Metrics::register(registry);
    let gossip = Gossip::new(&config.mesh, &config.namespaces, is_new);
    let gossipsub = gossip.behaviour(&config.tuning, registry).map_err(NetworkError::Gossip)?;
    let (opener, streams) = streams::channel();
    let behaviour = Behaviour::new(&config, &keypair, gossipsub, streams, blocks.nodes());

    let own_sockets = transport.is_none();
    let transport = match transport {
        Some(build) => build(&keypair),
        None => transport::tcp(&keypair, config.swarm_key),
    };
    let swarm_config =
        libp2p::swarm::Config::with_executor(scope.executor()).with_idle_connection_timeout(IDLE_MAX);
    let mut swarm = Swarm::new(transport, behaviour, peer_of(own), swarm_config);
    let ports = Ports::open(config.directory.as_ref());
    let listeners = listen(&mut swarm, &config, &ports, own_sockets)?;

    let same_host = config.same_host.as_deref().and_then(|directory| {
        let opened = SameHost::open(directory, &config.mesh, own);
        opened.inspect_err(|error| tracing::warn!(%error, "no discovery on this machine")).ok()
    });
    let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
    let parts = Parts {
        dialer: Dialer::new(own, rules(&config)),
        book: Book::open(config.directory.as_ref()),
        swarm,
        commands: receiver,
        sink,
        entropy,
        wall,
        metrics,
        gossip,
        blocks,
        same_host,
        ports,
        listeners,
    };
    let mut task = Task::new(&config, parts);
    task.begin(config.peers);
    scope.spawn(task.run());
    Ok(Network { commands, streams: Arc::new(opener), signer })
}

fn rules(config: &NetworkConfig) -> Rules {
    Rules {
        degree_low: config.tuning.degree_low,
        degree_high: config.tuning.degree_high,
        dials_max: config.tuning.dials_max.max(1),
        backoff_max: config.tuning.backoff_max,
        backoff_kept_max: config.tuning.backoff_kept_max,
        exchange: config.peer_exchange,
    }
}

fn open_directory(config: &NetworkConfig) -> Result<Blocks, NetworkError> {
    let made = config.directory.as_ref().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| Blocks::open(config.directory.as_ref())).map_err(|error| {
        let path = config.directory.clone().unwrap_or_default();
        NetworkError::Directory { path, error }
    })
}

/// Listens on every address asked for, or on what comes nearest to it.
fn listen(
    swarm: &mut Swarm<Behaviour>,
    config: &NetworkConfig,
    ports: &Ports,
    own_sockets: bool,
) -> Result<Vec<(ListenerId, Multiaddr)>, NetworkError> {
    // Whoever asks for any free port takes nobody's, and needs no turn.
    let asks_for_a_port = config.listen.iter().any(|asked| ports.candidates(asked).len() > 1);
    let turn = (own_sockets && asks_for_a_port).then(Turn::take);
    let mut listeners = Vec::new();
    let mut failures = Vec::new();
    for asked in &config.listen {
        match listen_near(swarm, &ports.candidates(asked), turn.as_ref()) {
            Ok(listener) => listeners.push((listener, asked.clone())),
            Err(failure) => failures.push(format!("{asked}: {failure}")),
        }
    }
    if listeners.is_empty() && !failures.is_empty() {
        return Err(NetworkError::Listen(failures.join("; ")));
    }
    for failure in failures {
        tracing::warn!("not listening on {failure}");
    }
    Ok(listeners)
}

fn listen_near(
    swarm: &mut Swarm<Behaviour>,
    candidates: &[Multiaddr],
    turn: Option<&Turn>,
) -> Result<ListenerId, String> {
    let mut failure = "no such address".to_owned();
    for candidate in candidates {
        match turn.map_or(Ok(()), |turn| turn.probe(candidate)) {
            Ok(()) => match swarm.listen_on(candidate.clone()) {
                Ok(listener) => return Ok(listener),
                Err(error) => failure = reason::of_listen(&error),
            },
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => failure = error.to_string(),
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(failure)
}
