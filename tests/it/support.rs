//! Nodes for tests: loopback, a mesh of their own, no discovery unless a test is about it.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tidings::{
    Node,
    network::Multiaddr,
    node::{Builder, NodeEvent},
};
use tokio::time;

/// What is awaited in a test comes within this time, on a machine that is busy with others.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The name of a mesh that no other test has.
pub fn mesh_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A node in memory on a free port of the loopback address, with exactly the links it is given.
pub fn node(mesh: &str, name: &str) -> Builder {
    Node::builder()
        .in_memory()
        .mesh(mesh)
        .name(name)
        .listen(["/ip4/127.0.0.1/tcp/0".parse().unwrap()])
        .peer_exchange(false)
        .sync_interval(Duration::from_millis(500))
}

/// Where `node` can be dialled, with its id.
pub fn address(node: &Node) -> Multiaddr {
    format!("{}/p2p/{}", node.listen()[0], node.id()).parse().unwrap()
}

/// Waits until `check` gives something.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut check: impl FnMut() -> F) -> T {
    let poll = async {
        loop {
            if let Some(found) = check().await {
                return found;
            }
            time::sleep(Duration::from_millis(10)).await;
        }
    };
    let found = time::timeout(PATIENCE, poll).await;
    found.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain until {what}"))
}

/// Waits until `a` and `b` are connected and have said who they are.
pub async fn until_linked(a: &Node, b: &Node) {
    for (one, other) in [(a, b), (b, a)] {
        let id = other.id().to_string();
        until("two nodes are linked", || async {
            let peers = one.peers().await;
            peers.iter().any(|peer| peer.peer_id == id && peer.connected && peer.name.is_some()).then_some(())
        })
        .await;
    }
}

/// Has `a` dial `b` and waits for the link.
pub async fn link(a: &Node, b: &Node) {
    a.connect(&address(b).to_string()).await.unwrap();
    until_linked(a, b).await;
}

/// The text under `key`, if there is one.
pub async fn text(node: &Node, key: &str) -> Option<String> {
    let entry = node.get(key).await.unwrap()?;
    Some(String::from_utf8(entry.value.bytes.to_vec()).unwrap())
}

/// Waits until `node` shows `value` under `key`.
pub async fn until_text(node: &Node, key: &str, value: &str) {
    until(&format!("{} shows {value:?} under {key:?}", node.name()), || async {
        (text(node, key).await.as_deref() == Some(value)).then_some(())
    })
    .await;
}

/// Waits until all nodes hold the same, and answers with the root.
pub async fn until_equal(nodes: &[Node]) -> String {
    until("all nodes hold the same", || async {
        let mut roots = Vec::new();
        for node in nodes {
            let digest = node.digest().await.unwrap();
            roots.push((digest.root, digest.frontier));
        }
        roots.windows(2).all(|pair| pair[0] == pair[1]).then(|| roots[0].0.clone())
    })
    .await
}

/// Waits for an event that `wanted` picks.
pub async fn event<T>(
    events: &mut tokio::sync::broadcast::Receiver<NodeEvent>,
    mut wanted: impl FnMut(NodeEvent) -> Option<T>,
) -> T {
    let next = async {
        loop {
            if let Some(found) = wanted(events.recv().await.unwrap()) {
                return found;
            }
        }
    };
    time::timeout(PATIENCE, next).await.expect("the event comes in time")
}
