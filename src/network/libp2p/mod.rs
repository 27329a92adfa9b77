//! stub, replaced by the adapter
use super::*;
use crate::ports::{Entropy, Scope, WallClock};
use crate::wire::SignedEnvelope;
use ::libp2p::futures::StreamExt;
use ::libp2p::{
    Swarm, Transport,
    core::upgrade,
    gossipsub, identify, identity, noise, ping,
    swarm::{NetworkBehaviour, SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
pub type TransportFactory = Arc<
    dyn Fn(
            &identity::Keypair,
        ) -> ::libp2p::core::transport::Boxed<(PeerId, ::libp2p::core::muxing::StreamMuxerBox)>
        + Send
        + Sync,
>;
pub struct Ports {
    pub entropy: Arc<dyn Entropy>,
    pub wall: Arc<dyn WallClock>,
    pub sink: Sink,
    pub is_new: IsNew,
}
fn kp(secret: &[u8; 32]) -> identity::Keypair {
    let mut s = *secret;
    identity::Keypair::ed25519_from_bytes(&mut s).unwrap()
}
fn nid(p: &PeerId) -> Option<NodeId> {
    p.to_string().parse().ok()
}
fn pid(n: &NodeId) -> PeerId {
    n.to_string().parse().unwrap()
}
pub fn node_id(secret: &[u8; 32]) -> NodeId {
    nid(&kp(secret).public().to_peer_id()).unwrap()
}
pub fn draw_secret() -> [u8; 32] {
    let mut s = [0; 32];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut s);
    s
}
pub fn same_host_directory() -> Option<PathBuf> {
    None
}
#[derive(NetworkBehaviour)]
#[behaviour(prelude = "::libp2p::swarm::derive_prelude")]
struct B {
    gs: gossipsub::Behaviour,
    ping: ping::Behaviour,
    id: identify::Behaviour,
    st: libp2p_stream::Behaviour,
}
struct Sg(identity::Keypair, NodeId);
impl Signer for Sg {
    fn node(&self) -> NodeId {
        self.1
    }
    fn sign(&self, payload: Bytes) -> SignedEnvelope {
        let s = self.0.sign(&SignedEnvelope::signed_bytes(&payload)).unwrap();
        SignedEnvelope::new(self.1, s.try_into().unwrap(), payload)
    }
}
struct St(libp2p_stream::Control);
impl Streams for St {
    fn open(&self, peer: NodeId, protocol: Protocol) -> BoxFuture<'static, Result<Stream, StreamError>> {
        let mut c = self.0.clone();
        Box::pin(async move {
            match c.open_stream(pid(&peer), ::libp2p::StreamProtocol::new(protocol.name())).await {
                Ok(s) => Ok(Box::new(s) as Stream),
                Err(e) => Err(StreamError::Closed(e.to_string())),
            }
        })
    }
}
pub fn start(
    c: NetworkConfig,
    _: Option<TransportFactory>,
    scope: &Scope,
    ports: Ports,
    _: &mut prometheus_client::registry::Registry,
) -> Result<Network, String> {
    let k = kp(&c.secret);
    let me = node_id(&c.secret);
    let t = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(upgrade::Version::V1Lazy)
        .authenticate(noise::Config::new(&k).unwrap())
        .multiplex(yamux::Config::default())
        .boxed();
    let gcfg = gossipsub::ConfigBuilder::default()
        .validation_mode(gossipsub::ValidationMode::Anonymous)
        .validate_messages()
        .max_transmit_size(1 << 21)
        .mesh_n_low(4)
        .mesh_n(5)
        .mesh_n_high(8)
        .mesh_outbound_min(1)
        .heartbeat_interval(Duration::from_millis(500))
        .heartbeat_initial_delay(Duration::from_millis(200))
        .message_id_fn(|m| gossipsub::MessageId::from(blake3::hash(&m.data).as_bytes()[..20].to_vec()))
        .build()
        .unwrap();
    let st = libp2p_stream::Behaviour::new();
    let mut ctl = st.new_control();
    let mut sw = Swarm::new(
        t,
        B {
            gs: gossipsub::Behaviour::new(gossipsub::MessageAuthenticity::Anonymous, gcfg).unwrap(),
            ping: ping::Behaviour::default(),
            id: identify::Behaviour::new(identify::Config::new("/t/1".into(), k.public())),
            st,
        },
        k.public().to_peer_id(),
        ::libp2p::swarm::Config::with_executor(scope.executor())
            .with_idle_connection_timeout(Duration::from_secs(86400)),
    );
    let topics: BTreeMap<_, _> = c
        .namespaces
        .iter()
        .map(|n| (n.clone(), gossipsub::IdentTopic::new(format!("tidings/1/{}/{n}", c.mesh))))
        .collect();
    for t in topics.values() {
        sw.behaviour_mut().gs.subscribe(t).unwrap();
    }
    for a in &c.listen {
        let mut a = a.clone();
        if sw.listen_on(a.clone()).is_err() {
            a = "/ip4/127.0.0.1/tcp/0".parse().unwrap();
            sw.listen_on(a).unwrap();
        }
    }
    for a in &c.peers {
        let _ = sw.dial(DialOpts::unknown_peer_id().address(a.clone()).allocate_new_port().build());
    }
    let (tx, mut rx) = tokio::sync::mpsc::channel(1024);
    let net = Network { commands: tx, streams: Arc::new(St(ctl.clone())), signer: Arc::new(Sg(k, me)) };
    for p in [Protocol::Link, Protocol::Sync, Protocol::Blob] {
        let mut inc = ctl.accept(::libp2p::StreamProtocol::new(p.name())).unwrap();
        let sink = ports.sink.clone();
        scope.spawn(async move {
            while let Some((peer, s)) = inc.next().await {
                sink(Event::Inbound { peer: nid(&peer).unwrap(), protocol: p, stream: Box::new(s) });
            }
        });
    }
    scope.spawn(async move {
        loop {
            tokio::select! { biased;
                cmd = rx.recv() => match cmd {
                    None | Some(Command::Stop) => break,
                    Some(Command::Publish { namespace, data }) => { let _ = sw.behaviour_mut().gs.publish(topics[&namespace].clone(), data.to_vec()); }
                    Some(Command::Dial(a)) => { let _ = sw.dial(DialOpts::unknown_peer_id().address(a).allocate_new_port().build()); }
                    Some(Command::Disconnect(p)) => { let _ = sw.disconnect_peer_id(pid(&p)); }
                    Some(Command::Protect(set)) => { for p in set { sw.behaviour_mut().gs.add_explicit_peer(&pid(&p)); } }
                    Some(_) => {}
                },
                ev = sw.select_next_some() => match ev {
                    SwarmEvent::NewListenAddr { address, .. } => (ports.sink)(Event::Listening(address)),
                    SwarmEvent::ConnectionEstablished { peer_id, num_established, endpoint, .. } if num_established.get() == 1 => (ports.sink)(Event::Connected { peer: nid(&peer_id).unwrap(), address: endpoint.get_remote_address().clone(), direction: if endpoint.is_dialer() { Direction::Outbound } else { Direction::Inbound } }),
                    SwarmEvent::ConnectionClosed { peer_id, num_established: 0, cause, .. } => (ports.sink)(Event::Disconnected { peer: nid(&peer_id).unwrap(), reason: format!("{cause:?}") }),
                    SwarmEvent::Behaviour(BEvent::Gs(gossipsub::Event::Message { propagation_source, message, message_id })) => {
                        let env = SignedEnvelope::from_bytes(&message.data).and_then(|s| s.open());
                        let acc = match &env { Ok(e) if (ports.is_new)(e) => gossipsub::MessageAcceptance::Accept, Ok(_) => gossipsub::MessageAcceptance::Ignore, Err(_) => gossipsub::MessageAcceptance::Reject };
                        let ok = acc == gossipsub::MessageAcceptance::Accept;
                        sw.behaviour_mut().gs.report_message_validation_result(&message_id, &propagation_source, acc);
                        if ok { (ports.sink)(Event::Gossip { from: nid(&propagation_source).unwrap(), envelope: env.unwrap(), bytes: message.data.len() }); }
                    }
                    _ => {}
                }
            }
        }
    });
    Ok(net)
}
