//! Nodes over real TCP on loopback.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{Multiaddr, multiaddr::Protocol as Part};
use prometheus_client::{encoding::text::encode as encode_metrics, registry::Registry};
use tokio::{runtime::Handle, sync::mpsc, time::timeout};

use super::{start, swarm_key};
use crate::{
    causality::{Context, Dot, Hlc, NodeId, Origin},
    conflict::{Body, Version},
    network::{Command, Event, Network, NetworkConfig, NetworkError, Protocol, Stream, StreamError, Tuning},
    ports::{Scope, SystemEntropy, SystemWall},
    types::{Key, Namespace},
    wire::{Envelope, encode},
};

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// So long that nothing in a test comes of what is done once in such a time.
const NEVER: Duration = Duration::from_secs(600);

/// An envelope with one version; `key` tells it from others.
pub(super) fn envelope(node: NodeId, seq: u64, key: &str) -> Envelope {
    let version = Version {
        dot: Dot::new(Origin { node, epoch: 1 }, seq),
        hlc: Hlc(seq),
        base: None,
        context: Context::default(),
        key: Key::new(key).unwrap(),
        body: Body::Delete,
    };
    Envelope { namespace: Namespace::default(), versions: vec![version] }
}

struct Peer {
    network: Network,
    events: mpsc::UnboundedReceiver<Event>,
    passed: Vec<Event>,
    registry: Registry,
    scope: Scope,
    is_new: Arc<AtomicBool>,
    id: NodeId,
    address: Multiaddr,
}

fn config() -> NetworkConfig {
    let mut secret = [0; 32];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut secret);
    NetworkConfig {
        secret,
        mesh: "test".into(),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        peers: Vec::new(),
        mdns: false,
        same_host: None,
        peer_exchange: false,
        swarm_key: None,
        allow: BTreeSet::new(),
        admit: None,
        namespaces: vec![Namespace::default()],
        directory: None,
        tuning: Tuning::default(),
    }
}

impl Peer {
    fn try_start(config: NetworkConfig) -> Result<Self, NetworkError> {
        let (sender, events) = mpsc::unbounded_channel();
        let scope = Scope::new(Handle::current());
        let is_new = Arc::new(AtomicBool::new(true));
        let asked = Arc::clone(&is_new);
        let mut registry = Registry::default();
        let network = start(
            config,
            None,
            scope.clone(),
            Arc::new(SystemEntropy),
            Arc::new(SystemWall),
            Arc::new(move |event| drop(sender.send(event))),
            Arc::new(move |_| asked.load(Ordering::Relaxed)),
            &mut registry,
        )?;
        let (id, address) = (network.signer.node(), Multiaddr::empty());
        Ok(Self { network, events, passed: Vec::new(), registry, scope, is_new, id, address })
    }

    async fn start(config: NetworkConfig) -> Self {
        let mut peer = Self::try_start(config).unwrap();
        peer.address = peer.listening().await;
        peer
    }

    async fn listening(&mut self) -> Multiaddr {
        self.until(|event| match event {
            Event::Listening(address) => Some(address.clone()),
            _ => None,
        })
        .await
    }

    /// The first event (also among those that came before) that `pick` takes.
    async fn until<T>(&mut self, pick: impl Fn(&Event) -> Option<T>) -> T {
        if let Some(index) = self.passed.iter().position(|event| pick(event).is_some()) {
            return pick(&self.passed.remove(index)).unwrap();
        }
        timeout(PATIENCE, async {
            loop {
                let event = self.events.recv().await.expect("the network runs");
                match pick(&event) {
                    Some(found) => return found,
                    None => self.passed.push(event),
                }
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{} waited in vain; it saw {}", self.id, self.story()))
    }

    fn story(&self) -> String {
        let word = |event: &Event| match event {
            Event::Listening(address) => format!("listening {address}"),
            Event::Connected { peer, .. } => format!("connected {peer}"),
            Event::Disconnected { peer, reason } => format!("disconnected {peer}: {reason}"),
            Event::DialFailed { reason, .. } => format!("dial failed: {reason}"),
            Event::Following { .. } => "following".into(),
            Event::Gossip { .. } => "gossip".into(),
            Event::Inbound { .. } => "inbound".into(),
            _ => "other".into(),
        };
        self.passed.iter().map(word).collect::<Vec<_>>().join(", ")
    }

    async fn connected(&mut self, to: NodeId) {
        self.until(|event| matches!(event, Event::Connected { peer, .. } if *peer == to).then_some(())).await;
    }

    async fn disconnected(&mut self, from: NodeId) -> String {
        self.until(|event| match event {
            Event::Disconnected { peer, reason } if *peer == from => Some(reason.clone()),
            _ => None,
        })
        .await
    }

    async fn following(&mut self, of: NodeId) {
        self.until(|event| matches!(event, Event::Following { peer, .. } if *peer == of).then_some(())).await;
    }

    async fn dial_failed(&mut self) -> String {
        self.until(|event| match event {
            Event::DialFailed { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .await
    }

    async fn gossip(&mut self) -> (NodeId, Envelope) {
        self.until(|event| match event {
            Event::Gossip { from, envelope, .. } => Some((*from, envelope.clone())),
            _ => None,
        })
        .await
    }

    async fn inbound(&mut self) -> (NodeId, Protocol, Stream) {
        timeout(PATIENCE, async {
            loop {
                let event = self.events.recv().await.expect("the network runs");
                if let Event::Inbound { peer, protocol, stream } = event {
                    return (peer, protocol, stream);
                }
                self.passed.push(event);
            }
        })
        .await
        .expect("a stream arrives")
    }

    async fn tell(&self, command: Command) {
        self.network.commands.send(command).await.unwrap();
    }

    async fn dial(&self, other: &Peer) {
        self.tell(Command::Dial(other.full_address())).await;
    }

    fn full_address(&self) -> Multiaddr {
        self.address.clone().with(Part::P2p(super::peer_of(self.id)))
    }

    async fn publish(&self, envelope: &Envelope) {
        let data = self.network.signer.sign(encode(envelope)).to_bytes();
        self.tell(Command::Publish { namespace: envelope.namespace.clone(), data }).await;
    }

    fn metric(&self, name: &str) -> u64 {
        let mut text = String::new();
        encode_metrics(&mut text, &self.registry).unwrap();
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0, |value| value.parse().unwrap())
    }

    /// Stops, and waits until all tasks are gone.
    async fn stop(mut self) {
        self.tell(Command::Stop).await;
        timeout(PATIENCE, async { while self.events.recv().await.is_some() {} }).await.unwrap();
    }

    /// Dies without a word.
    fn crash(self) {
        self.scope.close();
    }
}

async fn pair() -> (Peer, Peer) {
    pair_with(Tuning::default()).await
}

async fn pair_with(tuning: Tuning) -> (Peer, Peer) {
    let config = || NetworkConfig { tuning, ..config() };
    let (mut ant, mut bat) = (Peer::start(config()).await, Peer::start(config()).await);
    ant.dial(&bat).await;
    ant.connected(bat.id).await;
    bat.connected(ant.id).await;
    (ant, bat)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_right_after_connecting_arrives() {
    for wait_ms in [0, 50] {
        // There is no later heartbeat that could make up for it.
        let (ant, mut bat) = pair_with(Tuning { heartbeat: NEVER, ..Tuning::default() }).await;
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        let news = envelope(ant.id, 1, "news");
        ant.publish(&news).await;
        assert_eq!(bat.gossip().await, (ant.id, news));
        assert_eq!(bat.metric("gossip_received_total"), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gossip_goes_on_over_a_node_between() {
    let (mut ant, mut bat) = pair().await;
    let mut cat = Peer::start(config()).await;
    cat.dial(&bat).await;
    for (peer, of) in [(&mut ant, bat.id), (&mut cat, bat.id)] {
        peer.following(of).await;
    }
    bat.following(ant.id).await;
    bat.following(cat.id).await;
    let news = envelope(ant.id, 1, "news");
    ant.publish(&news).await;
    assert_eq!(cat.gossip().await, (bat.id, news));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forged_is_counted_and_not_delivered() {
    let (ant, mut bat) = pair().await;
    let mut forged = ant.network.signer.sign(encode(&envelope(ant.id, 1, "lies")));
    forged.signature.1[7] ^= 1;
    ant.tell(Command::Publish { namespace: Namespace::default(), data: forged.to_bytes() }).await;
    ant.tell(Command::Publish { namespace: Namespace::default(), data: Bytes::from_static(b"rubbish") })
        .await;
    ant.publish(&envelope(ant.id, 2, "truth")).await;
    assert_eq!(bat.gossip().await.1, envelope(ant.id, 2, "truth"));
    assert_eq!(bat.metric("gossip_rejected_total{reason=\"signature\"}"), 1);
    assert_eq!(bat.metric("gossip_rejected_total{reason=\"malformed\"}"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_seen_is_not_delivered_again() {
    let (ant, mut bat) = pair().await;
    bat.is_new.store(false, Ordering::Relaxed);
    ant.publish(&envelope(ant.id, 1, "olds")).await;
    let counted = async {
        while bat.metric("gossip_ignored_total") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, counted).await.unwrap();
    bat.is_new.store(true, Ordering::Relaxed);
    ant.publish(&envelope(ant.id, 2, "news")).await;
    assert_eq!(bat.gossip().await.1, envelope(ant.id, 2, "news"));
}

#[tokio::test(flavor = "multi_thread")]
async fn protected_peers_get_gossip_before_and_after_a_reconnect() {
    let (mut ant, mut bat) = pair().await;
    ant.tell(Command::Protect(BTreeSet::from([bat.id]))).await;
    bat.tell(Command::Protect(BTreeSet::from([ant.id]))).await;
    for seq in 1..=2 {
        ant.following(bat.id).await;
        let news = envelope(ant.id, seq, "news");
        ant.publish(&news).await;
        assert_eq!(bat.gossip().await.1, news);
        if seq == 1 {
            bat.tell(Command::Disconnect(ant.id)).await;
            ant.disconnected(bat.id).await;
            bat.disconnected(ant.id).await;
            ant.dial(&bat).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_swarm_key_is_a_dial_that_fails_and_says_why() {
    let mut ant = Peer::start(NetworkConfig { swarm_key: Some([1; 32]), ..config() }).await;
    let bat = Peer::start(NetworkConfig { swarm_key: Some([2; 32]), ..config() }).await;
    let cat = Peer::start(NetworkConfig { swarm_key: Some([1; 32]), ..config() }).await;
    let mut dog = Peer::start(config()).await;
    ant.dial(&bat).await;
    dog.dial(&bat).await;
    let reason = ant.dial_failed().await;
    assert!(reason.contains("another swarm key"), "{reason}");
    let reason = dog.dial_failed().await;
    assert!(reason.contains("swarm key"), "{reason}");
    ant.dial(&cat).await;
    ant.connected(cat.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_no_matter_of_keys() {
    let mut ant = Peer::start(NetworkConfig { swarm_key: Some([1; 32]), ..config() }).await;
    ant.tell(Command::Dial("/ip4/127.0.0.1/tcp/1".parse().unwrap())).await;
    let reason = ant.dial_failed().await;
    assert!(reason.contains("refused") && !reason.contains("key"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_mesh_is_left_with_a_reason() {
    let mut ant = Peer::start(config()).await;
    let bat = Peer::start(NetworkConfig { mesh: "other".into(), ..config() }).await;
    ant.dial(&bat).await;
    let reason = ant.disconnected(bat.id).await;
    // Whoever is told first hangs up; to the other the connection was closed, or broke.
    let lawful = ["another mesh", "closed", "broke"];
    assert!(lawful.iter().any(|word| reason.contains(word)), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_peer_is_cut_off_also_after_a_restart_until_it_is_let_in() {
    let directory = tempfile::tempdir().unwrap();
    let kept = NetworkConfig { directory: Some(directory.path().join("net")), ..config() };
    let mut ant = Peer::start(kept.clone()).await;
    let mut bat = Peer::start(config()).await;
    bat.dial(&ant).await;
    bat.connected(ant.id).await;
    ant.connected(bat.id).await;
    ant.tell(Command::Block(bat.id)).await;
    assert_eq!(ant.disconnected(bat.id).await, "blocked here");
    bat.disconnected(ant.id).await;
    ant.stop().await;

    let mut ant = Peer::start(kept).await;
    bat.dial(&ant).await;
    bat.disconnected(ant.id).await;
    ant.dial(&bat).await;
    ant.tell(Command::Unblock(bat.id)).await;
    ant.connected(bat.id).await;
    let never = |event: &Event| matches!(event, Event::Connected { .. }).then_some(());
    assert!(ant.passed.iter().all(|event| never(event).is_none()), "{}", ant.story());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_on_the_allow_list_get_in() {
    let (mut bat, mut cat) = (Peer::start(config()).await, Peer::start(config()).await);
    let mut ant = Peer::start(NetworkConfig { allow: BTreeSet::from([bat.id]), ..config() }).await;
    cat.dial(&ant).await;
    cat.disconnected(ant.id).await;
    ant.dial(&cat).await;
    let reason = ant.dial_failed().await;
    assert!(reason.contains("not among those allowed"), "{reason}");
    bat.dial(&ant).await;
    ant.connected(bat.id).await;
    bat.connected(ant.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_taken_gives_way_to_another_that_is_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let ant = Peer::start(config()).await;
    let second = NetworkConfig {
        listen: vec![ant.address.clone()],
        directory: Some(directory.path().into()),
        ..config()
    };
    let bat = Peer::start(second.clone()).await;
    assert_ne!(bat.address, ant.address);
    let got = bat.address.clone();
    bat.stop().await;
    ant.stop().await;
    assert_eq!(Peer::start(second).await.address, got);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_want_one_port_at_the_same_instant_get_different_ones() {
    // Another program may take the port between its choice and its use; not every time.
    for _ in 0..5 {
        if four_nodes_want_one_port().await {
            return;
        }
    }
    panic!("none of four nodes got the port that was free");
}

/// Whether one of them got it; all of them got one.
async fn four_nodes_want_one_port() -> bool {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let wanted: Multiaddr = format!("/ip4/127.0.0.1/tcp/{free}").parse().unwrap();
    let handle = Handle::current();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (handle, wanted) = (handle.clone(), wanted.clone());
            std::thread::spawn(move || {
                let _inside = handle.enter();
                Peer::try_start(NetworkConfig { listen: vec![wanted], ..config() }).unwrap()
            })
        })
        .collect();
    // All are kept until the last has started: what one gives up another may have.
    let mut peers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let mut addresses = BTreeSet::new();
    for peer in &mut peers {
        addresses.insert(peer.listening().await);
    }
    assert_eq!(addresses.len(), 4);
    addresses.contains(&wanted)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_listen_on_is_an_error() {
    let nowhere = vec!["/ip4/192.0.2.1/tcp/7701".parse().unwrap()];
    let failed = Peer::try_start(NetworkConfig { listen: nowhere, ..config() });
    let Err(NetworkError::Listen(why)) = failed else { panic!("it listens nowhere") };
    assert!(why.to_lowercase().contains("assign requested address"), "{why}");
    let strange = vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()];
    let failed = Peer::try_start(NetworkConfig { listen: strange, ..config() });
    let Err(NetworkError::Listen(why)) = failed else { panic!("it speaks no QUIC") };
    assert_eq!(why, "/ip4/127.0.0.1/udp/0/quic-v1: no transport for such an address");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_carry_bytes_both_ways() {
    let (ant, mut bat) = pair().await;
    for asked in [Protocol::Link, Protocol::Sync, Protocol::Blob] {
        let mut out = ant.network.streams.open(bat.id, asked).await.unwrap();
        out.write_all(b"question").await.unwrap();
        let (peer, protocol, mut stream) = bat.inbound().await;
        assert_eq!((peer, protocol), (ant.id, asked));
        let mut bytes = [0; 8];
        stream.read_exact(&mut bytes).await.unwrap();
        stream.write_all(b"answer").await.unwrap();
        stream.close().await.unwrap();
        let mut answer = Vec::new();
        out.read_to_end(&mut answer).await.unwrap();
        assert_eq!((&bytes, &answer[..]), (b"question", &b"answer"[..]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_streams_opened_at_once_all_arrive() {
    let (ant, mut bat) = pair().await;
    let opens = (0..50).map(|_| ant.network.streams.open(bat.id, Protocol::Sync));
    let out = futures::future::join_all(opens).await;
    assert!(out.iter().all(Result::is_ok));
    for _ in 0..50 {
        assert_eq!(bat.inbound().await.0, ant.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_holds_up_who_writes() {
    let (ant, mut bat) = pair().await;
    let mut out = ant.network.streams.open(bat.id, Protocol::Sync).await.unwrap();
    let chunk = vec![7; 64 * 1024];
    let mut written = 0;
    out.write_all(&chunk).await.unwrap();
    let (_, _, mut stream) = bat.inbound().await;
    while timeout(Duration::from_millis(300), out.write_all(&chunk)).await.is_ok() {
        written += chunk.len();
        assert!(written < 64 * 1024 * 1024, "nothing holds it up");
    }
    let mut buffer = vec![0; 1024 * 1024];
    let reading = async { while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {} };
    let writing = async { timeout(PATIENCE, out.write_all(&chunk)).await.unwrap().unwrap() };
    tokio::select! { () = writing => {} () = reading => panic!("the stream ended") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_to_nobody_is_refused_at_once_and_nobody_is_dialled() {
    let (ant, bat) = (Peer::start(config()).await, Peer::start(config()).await);
    let refused = ant.network.streams.open(bat.id, Protocol::Link).await;
    assert!(matches!(refused, Err(StreamError::Closed(_))));
    assert_eq!(ant.metric("dials_total"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_their_connection() {
    let (mut ant, mut bat) = pair().await;
    let mut out = ant.network.streams.open(bat.id, Protocol::Link).await.unwrap();
    out.write_all(b"x").await.unwrap();
    let (_, _, mut stream) = bat.inbound().await;
    stream.read_exact(&mut [0]).await.unwrap();
    ant.tell(Command::Disconnect(bat.id)).await;
    ant.disconnected(bat.id).await;
    bat.disconnected(ant.id).await;
    assert!(!matches!(timeout(PATIENCE, stream.read(&mut [0])).await, Ok(Ok(1))));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_disappears_and_returns_is_found_again() {
    let bat_config = config();
    let mut bat = Peer::start(bat_config.clone()).await;
    let (id, address) = (bat.id, bat.address.clone());
    let mut ant = Peer::start(NetworkConfig { peers: vec![address.clone()], ..config() }).await;
    bat.connected(ant.id).await;
    ant.connected(id).await;
    bat.crash();
    ant.disconnected(id).await;
    let mut bat = Peer::start(NetworkConfig { listen: vec![address], ..bat_config }).await;
    ant.connected(id).await;
    bat.connected(ant.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_is_seen_by_the_peers_before_any_ping_fails() {
    let (ant, mut bat) = pair_with(Tuning { ping_interval: NEVER, ..Tuning::default() }).await;
    let id = ant.id;
    ant.stop().await;
    bat.disconnected(id).await;
}

/// Ports that are free now, for nodes that must know each other before they start.
fn free_addresses() -> [Multiaddr; 2] {
    let sockets = [(); 2].map(|()| std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap());
    sockets
        .map(|socket| format!("/ip4/127.0.0.1/tcp/{}", socket.local_addr().unwrap().port()).parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_dial_each_other_at_the_same_instant_connect() {
    let rounds = std::env::var("TIDINGS_PAIRS").map_or(40, |rounds| rounds.parse().unwrap());
    let (mut round, mut taken) = (0, 0);
    while round < rounds {
        let addresses = free_addresses();
        let configs = [config(), config()];
        let ids = configs.each_ref().map(|config| {
            let key = libp2p::identity::Keypair::ed25519_from_bytes(config.secret).unwrap();
            key.public().to_peer_id()
        });
        let named = round % 2 == 0;
        let mut peers: Vec<_> = configs
            .into_iter()
            .enumerate()
            .map(|(own, config)| {
                let other = addresses[1 - own].clone();
                let other = if named { other.with(Part::P2p(ids[1 - own])) } else { other };
                let listen = vec![addresses[own].clone()];
                Peer::try_start(NetworkConfig { listen, peers: vec![other], ..config }).unwrap()
            })
            .collect();
        let mut got = Vec::new();
        for peer in &mut peers {
            got.push(peer.listening().await);
        }
        if got != addresses {
            // Another program took a port between its choice and its use.
            taken += 1;
            assert!(taken < 10, "no two ports stay free for a moment");
            continue;
        }
        let (ant, bat) = (peers[0].id, peers[1].id);
        peers[0].connected(bat).await;
        peers[1].connected(ant).await;
        round += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_one_machine_find_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let near = || NetworkConfig { same_host: Some(directory.path().into()), peer_exchange: true, ..config() };
    let mut peers: Vec<_> = (0..4).map(|_| Peer::try_start(near()).unwrap()).collect();
    let ids: Vec<_> = peers.iter().map(|peer| peer.id).collect();
    for peer in &mut peers {
        for id in ids.iter().filter(|id| **id != peer.id).copied().collect::<Vec<_>>() {
            peer.connected(id).await;
        }
    }
    let mut last = Peer::start(near()).await;
    last.connected(ids[0]).await;
    let folder = directory.path().join("test");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 5);
    for peer in peers {
        peer.stop().await;
    }
    last.crash();
    let empty = async {
        while std::fs::read_dir(&folder).unwrap().count() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, empty).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_book_brings_back_peers_of_earlier_lives() {
    let directory = tempfile::tempdir().unwrap();
    let kept: PathBuf = directory.path().into();
    let ant_config = NetworkConfig { directory: Some(kept), peer_exchange: true, ..config() };
    let ant = Peer::start(ant_config.clone()).await;
    let mut bat = Peer::start(config()).await;
    let id = ant.id;
    ant.dial(&bat).await;
    bat.connected(id).await;
    ant.stop().await;
    bat.disconnected(id).await;
    let mut ant = Peer::start(ant_config).await;
    ant.connected(bat.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_told_of_are_dialled() {
    let (mut ant, bat) =
        (Peer::start(NetworkConfig { peer_exchange: true, ..config() }).await, Peer::start(config()).await);
    ant.tell(Command::Learn(vec![(bat.id, vec![bat.address.clone()])])).await;
    ant.connected(bat.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn round_trips_are_measured() {
    let (mut ant, bat) = pair().await;
    let rtt = ant
        .until(|event| match event {
            Event::Rtt { peer, rtt } if *peer == bat.id => Some(*rtt),
            _ => None,
        })
        .await;
    assert!(rtt > Duration::ZERO && rtt < PATIENCE, "{rtt:?}");
}

#[test]
fn the_key_of_a_swarm_is_kubos() {
    let text = "/key/swarm/psk/1.0.0/\n/base16/\n".to_owned() + &"ab".repeat(32) + "\n";
    assert_eq!(swarm_key::parse(&text).unwrap(), [0xab; 32]);
    assert_eq!(swarm_key::format(&[0xab; 32]), text);
}
