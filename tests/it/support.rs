//! Nodes for tests: loopback, a mesh of their own, no discovery unless a test is about it.

use std::{
    collections::BTreeMap,
    future::Future,
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tidings::{
    Node,
    network::Multiaddr,
    node::{Builder, NodeEvent, SyncReport},
    ports::WallClock,
    storage::{Batch, Durability, Snapshot, Store, StoreError, life::Surroundings, memory::Memory},
};
use tokio::time::{self, Instant};

/// What is awaited in a test comes within this time, on a machine that is busy with others.
pub const PATIENCE: Duration = Duration::from_secs(60);

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

/// The same, with its data in `directory`.
pub fn node_on_disk(mesh: &str, name: &str, directory: &Path) -> Builder {
    node(mesh, name).data_dir(directory)
}

/// What outlives a node that keeps its data in memory: its disk and its identity.
#[derive(Clone)]
pub struct Machine {
    pub mesh: String,
    pub name: String,
    pub disk: Memory,
    identity: [u8; 32],
}

impl Machine {
    pub fn new(mesh: &str, name: &str) -> Self {
        let (mut identity, mut hasher) = ([0; 32], blake3::Hasher::new());
        hasher
            .update(mesh.as_bytes())
            .update(b"/")
            .update(name.as_bytes())
            .finalize_xof()
            .fill(&mut identity);
        Self { mesh: mesh.into(), name: name.into(), disk: Memory::new(), identity }
    }

    /// The node of this machine. Whatever ran on it before writes no more.
    pub fn builder(&mut self) -> Builder {
        self.disk = self.disk.reopen();
        self.on(Arc::new(self.disk.clone()))
    }

    /// The same with `disk` as its disk.
    pub fn on(&self, disk: Arc<dyn Store>) -> Builder {
        let same_boot = Surroundings { boot: "the only one".into(), ..Surroundings::default() };
        node(&self.mesh, &self.name).store(disk, same_boot, self.identity)
    }
}

/// A wall clock that is off by so much.
#[derive(Default)]
pub struct SkewedClock(AtomicI64);

impl SkewedClock {
    pub fn ahead(milliseconds: i64) -> Arc<Self> {
        Arc::new(Self(milliseconds.into()))
    }

    pub fn set(&self, milliseconds: i64) {
        self.0.store(milliseconds, Ordering::SeqCst);
    }
}

impl WallClock for SkewedClock {
    fn now_ms(&self) -> u64 {
        tidings::ports::SystemWall.now_ms().saturating_add_signed(self.0.load(Ordering::SeqCst))
    }
}

/// A wall clock that stands still until it is moved.
pub struct HandClock(AtomicU64);

impl HandClock {
    pub fn now() -> Arc<Self> {
        Arc::new(Self(tidings::ports::SystemWall.now_ms().into()))
    }

    pub fn advance(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl WallClock for HandClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A wall clock that stands still.
pub struct StoppedClock(pub u64);

impl WallClock for StoppedClock {
    fn now_ms(&self) -> u64 {
        self.0
    }
}

/// How a disk is getting on.
#[derive(Clone, Copy, Default, PartialEq)]
enum Pace {
    #[default]
    Runs,
    Crawls,
    Stands,
}

/// What a commit takes on a disk that crawls: an age, but nobody takes it for one that stands still.
const CRAWL: Duration = Duration::from_secs(1);

/// A disk that stalls while it is told to.
struct StallingDisk {
    disk: Arc<dyn Store>,
    pace: Arc<(Mutex<Pace>, Condvar)>,
}

/// Stalls a disk; when it is dropped the disk goes on, so that a test that failed leaves no thread
/// behind that waits.
pub struct Stall(Arc<(Mutex<Pace>, Condvar)>);

impl Stall {
    pub fn set(&self, stalled: bool) {
        self.go_at(if stalled { Pace::Stands } else { Pace::Runs });
    }

    /// It goes on, but so slowly that no test waits for the end of anything large.
    pub fn crawl(&self) {
        self.go_at(Pace::Crawls);
    }

    fn go_at(&self, pace: Pace) {
        *self.0.0.lock().unwrap() = pace;
        self.0.1.notify_all();
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.set(false);
    }
}

impl Store for StallingDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.disk.get(key)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        self.disk.snapshot()
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        let (pace, changed) = &*self.pace;
        let crawls = |pace: &mut Pace| *pace == Pace::Crawls;
        let (pace, _) = changed.wait_timeout_while(pace.lock().unwrap(), CRAWL, crawls).unwrap();
        drop(changed.wait_while(pace, |pace| *pace == Pace::Stands).unwrap());
        self.disk.commit(batch, durability)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.disk.sync()
    }

    fn size_bytes(&self) -> u64 {
        self.disk.size_bytes()
    }
}

/// A node whose disk may stall.
pub fn node_that_may_stall(mesh: &str, name: &str) -> (Builder, Stall) {
    node_on_what_may_stall(mesh, name, Arc::new(Memory::new()))
}

/// The same, over any disk.
pub fn node_on_what_may_stall(mesh: &str, name: &str, disk: Arc<dyn Store>) -> (Builder, Stall) {
    let stall = Stall(Arc::default());
    let disk = StallingDisk { disk, pace: stall.0.clone() };
    let identity = Machine::new(mesh, name).identity;
    (node(mesh, name).store(Arc::new(disk), Surroundings::default(), identity), stall)
}

/// Starts nodes that keep their data in memory, one for each name.
pub async fn nodes(mesh: &str, names: &[&str]) -> Vec<Node> {
    let mut nodes = Vec::new();
    for name in names {
        nodes.push(node(mesh, name).start().await.unwrap());
    }
    nodes
}

/// Closes a node and starts the next one in its place, once the place is free.
pub async fn restart(node: Node, builder: impl Fn() -> Builder) -> Node {
    node.close().await;
    drop(node);
    until("the node starts again", || async { builder().start().await.ok() }).await
}

/// The sum of what the metrics of `node` say under `name`, over all labels that contain `label`.
pub fn metric_of(node: &Node, name: &str, label: &str) -> u64 {
    let text = node.metrics();
    let lines = text.lines().filter_map(|line| {
        let (key, value) = line.rsplit_once(' ')?;
        let labels = key.strip_prefix(name)?;
        let whole = labels.is_empty() || labels.starts_with('{');
        (whole && labels.contains(label)).then(|| value.parse::<f64>().unwrap())
    });
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counters")]
    let sum = lines.sum::<f64>() as u64;
    sum
}

/// The sum of what the metrics of `node` say under `name`.
pub fn metric(node: &Node, name: &str) -> u64 {
    metric_of(node, name, "")
}

/// Has the link between `a` and `b` cut, and waits until both know.
pub async fn cut(a: &Node, b: &Node) {
    a.block(b.id()).await.unwrap();
    for (one, other) in [(a, b), (b, a)] {
        let id = other.id().to_string();
        until("a link is cut", || async {
            let peers = one.peers().await;
            peers.iter().all(|peer| peer.peer_id != id || !peer.connected).then_some(())
        })
        .await;
    }
}

/// Has a link that was cut come back, and waits until it stands.
pub async fn mend(a: &Node, b: &Node) {
    a.unblock(b.id()).await.unwrap();
    link(a, b).await;
}

/// One round of exchanges without a failure.
pub async fn synced(node: &Node) -> SyncReport {
    until("a round of exchanges comes to its end", || async {
        let report = node.sync().await.unwrap();
        report.peers.iter().all(|peer| peer.error.is_none()).then_some(report)
    })
    .await
}

/// How long `what` takes.
pub async fn timed<T>(what: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let done = what.await;
    (done, start.elapsed())
}

/// What a node holds: all keys with their values.
pub async fn contents(node: &Node) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut scan = tidings::node::Scan::default();
    loop {
        let page = node.scan(scan.clone()).await.unwrap();
        found.extend(page.entries.into_iter().map(|e| (e.key.to_string(), e.value.bytes.to_vec())));
        match page.next {
            Some(next) => scan.after = Some(next),
            None => return found,
        }
    }
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
