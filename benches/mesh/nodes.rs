//! A mesh of whole nodes, that keep their data in memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tidings::{
    Key, Node, Prefix, Value,
    causality::{Context, Dot, Hlc, NodeId, Origin},
    conflict::{Body, Payload, Put, Version},
    node::{BatchOp, WatchEvent},
    wire::{self, Envelope, SignedEnvelope},
};
use tokio::{sync::mpsc, task::JoinSet, time};

use super::{Arrival, Mesh, Topology, VALUE_BYTES, counted};

#[expect(clippy::struct_field_names, reason = "that is what they are")]
pub struct Nodes {
    nodes: Vec<Node>,
    listeners: JoinSet<()>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    written: Arc<AtomicU64>,
}

/// Gossipsub's meshes settle within so many heartbeats.
pub const SETTLING: Duration = Duration::from_secs(3);

fn key(n: usize) -> String {
    format!("bench/{n:08}")
}

fn value() -> Vec<u8> {
    vec![0xa5; VALUE_BYTES]
}

/// What gossip carries for a unit of `count` values.
pub fn encoded_bytes(count: usize) -> usize {
    let origin = Origin { node: NodeId([7; 32]), epoch: u64::MAX };
    let version = |n: usize| Version {
        dot: Dot::new(origin, n as u64 + 1),
        hlc: Hlc(u64::MAX),
        base: None,
        context: Context::new(),
        key: Key::new(key(n)).unwrap(),
        body: Body::Put(Put {
            content_type: tidings::ContentType::octets(),
            payload: Payload::Inline(value().into()),
        }),
    };
    let envelope = Envelope { namespace: Default::default(), versions: (0..count).map(version).collect() };
    SignedEnvelope::new(origin.node, [0; 64], wire::encode(&envelope)).to_bytes().len()
}

impl Mesh for Nodes {
    async fn start(topology: &Topology) -> Self {
        let written = Arc::new(AtomicU64::new(0));
        let mut nodes = Vec::new();
        for _ in 0..topology.members {
            let counter = written.clone();
            let node = Node::builder()
                .in_memory()
                .mesh(format!("bench-{}", std::process::id()))
                .listen(["/ip4/127.0.0.1/tcp/0".parse().unwrap()])
                .peer_exchange(false)
                .transport(Arc::new(move |keypair| counted::transport(keypair, counter.clone())));
            nodes.push(node.start().await.unwrap());
        }
        for (a, b) in &topology.links {
            let address = format!("{}/p2p/{}", nodes[*b].listen()[0], nodes[*b].id());
            nodes[*a].connect(&address).await.unwrap();
        }
        for (n, node) in nodes.iter().enumerate() {
            let links = topology.links.iter().filter(|(a, b)| *a == n || *b == n).count();
            while node.peers().await.iter().filter(|peer| peer.connected).count() < links {
                time::sleep(Duration::from_millis(20)).await;
            }
        }
        let (told, arrivals) = mpsc::unbounded_channel();
        let mut listeners = JoinSet::new();
        for (n, node) in nodes.iter().enumerate() {
            let mut changes = node.watch(Prefix::all()).await.unwrap();
            let me = node.id();
            let told = told.clone();
            listeners.spawn(async move {
                while let Some(event) = changes.next().await {
                    let at = Instant::now();
                    let Ok(WatchEvent::Change(change)) = event else { panic!("a subscriber was slow") };
                    let message = change.key.as_str()["bench/".len()..].parse().unwrap();
                    if change.dot.origin.node != me && told.send((message, n, at)).is_err() {
                        return;
                    }
                }
            });
        }
        time::sleep(SETTLING).await;
        Self { nodes, listeners, arrivals, written }
    }

    fn arrivals(&mut self) -> &mut mpsc::UnboundedReceiver<Arrival> {
        &mut self.arrivals
    }

    async fn send(&self, from: usize, first: usize, count: usize) {
        let put = |n| BatchOp::Put(Key::new(key(n)).unwrap(), Value::octets(value()));
        self.nodes[from].batch((first..first + count).map(put).collect()).await.unwrap();
    }

    fn wire_bytes(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    async fn stop(mut self) {
        for node in &self.nodes {
            node.close().await;
        }
        self.listeners.abort_all();
    }
}
