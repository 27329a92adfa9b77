//! The handle of a running node.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak, atomic::Ordering},
    time::Duration,
};

use prometheus_client::{encoding::text, registry::Registry};
use ractor::ActorRef;
use tokio::{
    sync::{Semaphore, broadcast, oneshot},
    time::{self, Instant},
};

use super::{
    BatchOp, Builder, ConflictPage, ConnectError, Digest, Entry, Explanation, Health, NodeEvent, PeerInfo,
    Precondition, Queue, ReadError, Scan, ScanPage, Space, Status, SyncReport, WriteError, Written, carried,
};
use crate::{
    actors::{
        sessions::SessionsMsg,
        society::{Ending, Society},
        supervisor::{Role, SupervisorMsg},
    },
    causality::NodeId,
    network::{Command, Multiaddr},
    storage::{Durability, Store, directory::DataDir},
    types::{Key, Limits, Namespace, Prefix, Value},
    wire::Way,
};

/// The most rounds of exchanges that users may have asked for at once; others wait for their turn.
const ROUNDS_MAX: usize = 8;
/// The store of a node that has stopped is let go of within this time, …
const STORE_FREED: Duration = Duration::from_secs(1);
/// … which is looked at so often.
const STORE_LOOK: Duration = Duration::from_millis(2);
/// The node has this long to close in good order.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// A peer that is to be blocked has this long to take note of it, and to part.
const FAREWELL_TIME_MAX: Duration = Duration::from_millis(500);

/// What a node is made of.
pub(super) struct Parts {
    pub(super) society: Arc<Society>,
    pub(super) supervisor: ActorRef<SupervisorMsg>,
    pub(super) registry: Registry,
    pub(super) network_registry: Arc<Mutex<Registry>>,
    pub(super) first_events: broadcast::Receiver<NodeEvent>,
    pub(super) directory: Option<DataDir>,
    pub(super) store: Weak<dyn Store>,
}

pub(super) struct Inner {
    pub(super) society: Arc<Society>,
    supervisor: ActorRef<SupervisorMsg>,
    registry: Registry,
    network_registry: Arc<Mutex<Registry>>,
    first_events: Mutex<Option<broadcast::Receiver<NodeEvent>>>,
    /// The directory is in use until the node has stopped.
    directory: Mutex<Option<DataDir>>,
    store: Weak<dyn Store>,
    /// Rounds of exchanges that were asked for wait for their turn.
    pub(super) rounds: Semaphore,
    started: Instant,
}

impl Inner {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            society: parts.society,
            supervisor: parts.supervisor,
            registry: parts.registry,
            network_registry: parts.network_registry,
            first_events: Mutex::new(Some(parts.first_events)),
            directory: Mutex::new(parts.directory),
            store: parts.store,
            rounds: Semaphore::new(ROUNDS_MAX),
            started: Instant::now(),
        }
    }
}

impl Drop for Inner {
    /// The last handle is gone: nobody can close the node in good order any more.
    fn drop(&mut self) {
        self.society.scope.close();
    }
}

/// A running node. Cloning shares it; it is `Send` and `Sync`, and any number of nodes live in one
/// process. When the last clone is dropped the node stops as if its process had died; what was
/// acknowledged is as durable as it was promised. [`Node::close`] stops it in good order.
///
/// Reads and writes without a namespace go to `default`; [`Node::space`] gives the others. Every
/// method is cancel-safe: a write whose future is dropped happens or does not, as a whole.
///
/// ```
/// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
/// let written = node.put("greeting", "hello").await?;
/// let entry = node.get("greeting").await?.expect("it was just stored");
/// assert_eq!((&entry.value.bytes[..], entry.dot), (&b"hello"[..], written.dot));
/// node.delete("greeting").await?;
/// assert!(node.get("greeting").await?.is_none());
/// # node.close().await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Node {
    pub(super) inner: Arc<Inner>,
}

impl Node {
    pub(super) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Settings for a new node.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The node's id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.inner.society.node
    }

    /// The node's name for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.society.settings.name
    }

    /// Where peers reach the node: multiaddrs, without the node's id at the end.
    #[must_use]
    pub fn listen(&self) -> Vec<String> {
        self.inner.society.listen()
    }

    /// The limits that the node keeps.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.inner.society.settings.limits
    }

    /// What happens to the node, from now on; the first caller is told everything since the start.
    /// A receiver that is slow is told how much it missed.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<NodeEvent> {
        let mut first = self.inner.first_events.lock().unwrap_or_else(PoisonError::into_inner);
        first.take().unwrap_or_else(|| self.inner.society.events.subscribe())
    }

    /// A namespace of the node.
    ///
    /// # Errors
    /// [`ReadError::NoNamespace`] when the node does not carry it.
    pub fn space(&self, namespace: &Namespace) -> Result<Space, ReadError> {
        let reader = self.inner.society.reader();
        // What is asked of a node that is closed is answered so.
        if reader.carries(namespace) || !self.inner.society.ready.load(Ordering::SeqCst) {
            Ok(Space { node: self.clone(), namespace: namespace.clone() })
        } else {
            Err(ReadError::NoNamespace(namespace.clone()))
        }
    }

    /// The time on the node's wall clock, in milliseconds since 1970.
    #[cfg(feature = "http")]
    pub(crate) fn wall_ms(&self) -> u64 {
        self.inner.society.clock.wall_ms()
    }

    /// Whether the host wants to be asked.
    #[cfg(feature = "http")]
    pub(crate) fn asks(&self) -> bool {
        self.inner.society.hooks.asks()
    }

    /// Asks the host whether `who` may.
    #[cfg(feature = "http")]
    pub(crate) fn authorize(&self, who: &super::Who, asked: &super::Asked) -> Result<(), super::Refusal> {
        self.inner.society.hooks.authorize(who, asked)
    }

    pub(super) fn default_space(&self) -> Space {
        Space { node: self.clone(), namespace: Namespace::default() }
    }

    /// Stores `value` under `key`; see [`Space::put`].
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn put<K>(&self, key: K, value: impl Into<Value>) -> Result<Written, WriteError>
    where
        K: TryInto<Key>,
        K::Error: Into<WriteError>,
    {
        self.default_space().put(key, value).await
    }

    /// Stores `value` under `key` if `precondition` holds here; see [`Space::put_if`].
    ///
    /// # Errors
    /// [`WriteError::Precondition`] if it does not hold; else see [`WriteError`].
    pub async fn put_if<K>(
        &self,
        key: K,
        value: impl Into<Value>,
        precondition: Precondition,
    ) -> Result<Written, WriteError>
    where
        K: TryInto<Key>,
        K::Error: Into<WriteError>,
    {
        self.default_space().put_if(key, value, precondition).await
    }

    /// Deletes `key`; see [`Space::delete`].
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn delete<K>(&self, key: K) -> Result<Written, WriteError>
    where
        K: TryInto<Key>,
        K::Error: Into<WriteError>,
    {
        self.default_space().delete(key).await
    }

    /// All operations or none, as one unit; see [`Space::batch`].
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn batch(&self, operations: Vec<BatchOp>) -> Result<Vec<Written>, WriteError> {
        self.default_space().batch(operations).await
    }

    /// What readers see under `key`; see [`Space::get`].
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn get<K>(&self, key: K) -> Result<Option<Entry>, ReadError>
    where
        K: TryInto<Key>,
        K::Error: Into<ReadError>,
    {
        self.default_space().get(key).await
    }

    /// Keys in order, a page at a time; see [`Space::scan`].
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn scan(&self, scan: Scan) -> Result<ScanPage, ReadError> {
        self.default_space().scan(scan).await
    }

    /// Keys with concurrent versions; see [`Space::conflicts`].
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn conflicts(
        &self,
        prefix: &Prefix,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<ConflictPage, ReadError> {
        self.default_space().conflicts(prefix, after, limit).await
    }

    /// All that is stored about `key`; see [`Space::explain`].
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn explain(&self, key: &Key) -> Result<Option<Explanation>, ReadError> {
        self.default_space().explain(key).await
    }

    /// What the node holds, in one hash; see [`Space::digest`].
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn digest(&self) -> Result<Digest, ReadError> {
        self.default_space().digest().await
    }

    /// What the node is and does.
    #[expect(clippy::unused_async, reason = "later numbers are asked of actors")]
    pub async fn status(&self) -> Status {
        let society = &self.inner.society;
        let reader = society.reader();
        let twins = society.peers.twins();
        Status {
            peer_id: self.id().to_string(),
            name: society.settings.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mesh: society.settings.mesh.clone(),
            epoch: format!("{:016x}", society.epoch.load(Ordering::Relaxed)),
            listen: society.listen(),
            namespaces: reader.namespaces(),
            local_only: carried::local_only(society),
            keys: reader.namespaces().iter().map(|namespace| reader.keys(namespace)).sum(),
            peers: society.peers.connected().len(),
            uptime: self.inner.started.elapsed().as_secs_f64(),
            disk_bytes: reader.size_bytes(),
            durability: match society.settings.durability {
                Durability::Fsync => "fsync".to_owned(),
                Durability::Buffer => "buffer".to_owned(),
            },
            queues: queues(society),
            warnings: twins.iter().map(|id| format!("two processes share the identity {id}")).collect(),
        }
    }

    /// Whether reads and writes are answered.
    #[must_use]
    pub fn health(&self) -> Health {
        let reason = match &*self.inner.society.ended.borrow() {
            Some(ending) => ending.failure().unwrap_or("the node is closed").to_owned(),
            None if self.inner.society.ready.load(Ordering::Relaxed) => {
                return Health { ready: true, reason: None };
            }
            None => "the node is closing".to_owned(),
        };
        Health { ready: false, reason: Some(reason) }
    }

    /// The peers that are connected or known.
    #[expect(clippy::unused_async, reason = "later numbers are asked of actors")]
    pub async fn peers(&self) -> Vec<PeerInfo> {
        let society = &self.inner.society;
        let ours = super::agreement::ours(society, &society.reader().namespaces());
        society.peers.infos(&ours)
    }

    async fn command(&self, command: Command) -> Result<(), ConnectError> {
        let network = self.inner.society.network().ok_or(ConnectError::Closed)?;
        network.commands.send(command).await.map_err(|_| ConnectError::Closed)
    }

    /// Dials a peer and keeps it, as `--peer` does. The peer shows in [`Node::peers`] when it is
    /// connected; a failed dial is told by [`Node::events`], and tried again.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(&self, address: &str) -> Result<(), ConnectError> {
        let parsed: Multiaddr = address.parse().map_err(|_| ConnectError::Address(address.to_owned()))?;
        if parsed.is_empty() {
            return Err(ConnectError::Address(address.to_owned()));
        }
        self.command(Command::Dial(parsed.clone())).await?;
        self.inner.society.keep(parsed);
        Ok(())
    }

    /// Cuts a peer off and refuses it from now on, also after a restart. If it is connected it is told that it is
    /// blocked, as a warning among its events. Dropping the future early may leave it told and not blocked.
    ///
    /// # Errors
    /// [`ConnectError::Closed`] when the node is closed.
    pub async fn block(&self, peer: NodeId) -> Result<(), ConnectError> {
        let (parted, has_parted) = oneshot::channel::<()>();
        self.inner.society.sessions.cast(SessionsMsg::Farewell { peer, parted });
        let _whether_it_heard_or_not = time::timeout(FAREWELL_TIME_MAX, has_parted).await;
        self.command(Command::Block(peer)).await?;
        self.inner.society.peers.set_blocked(peer, true);
        Ok(())
    }

    /// Lets a blocked peer in again, and dials it if its address is known.
    ///
    /// # Errors
    /// [`ConnectError::Closed`] when the node is closed.
    pub async fn unblock(&self, peer: NodeId) -> Result<(), ConnectError> {
        self.command(Command::Unblock(peer)).await?;
        self.inner.society.peers.set_blocked(peer, false);
        Ok(())
    }

    /// One round of exchanges with every neighbour, now. An exchange that failed says so in the
    /// report. Dropping the future ends the waiting, not the exchanges.
    ///
    /// # Errors
    /// [`ReadError::Closed`] when the node is closed.
    pub async fn sync(&self) -> Result<SyncReport, ReadError> {
        self.round(None, None, Way::Both).await.map_err(|_| ReadError::Closed)
    }

    /// The node's metrics in the `OpenMetrics` text format.
    #[must_use]
    pub fn metrics(&self) -> String {
        let mut out = String::new();
        let network = self.inner.network_registry.lock().unwrap_or_else(PoisonError::into_inner);
        let encoded = text::encode_registry(&mut out, &self.inner.registry)
            .and_then(|()| text::encode_registry(&mut out, &network))
            .and_then(|()| queue_metrics(&mut out, &self.inner.society))
            .and_then(|()| text::encode_eof(&mut out));
        encoded.expect("writing to a string cannot fail");
        out
    }

    /// Stops the node in good order: everything acknowledged is on disk when this returns. At the
    /// latest after 5 s it stops in any case. If the future is dropped the node closes all the same,
    /// but its data directory is in use until its last clone is dropped.
    pub async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.inner.supervisor.cast(SupervisorMsg::Close(reply)).is_ok() {
            let _closed_in_time = time::timeout(CLOSE_PATIENCE, closed).await;
        }
        let society = &self.inner.society;
        society.scope.close();
        let _nobody_waits = society.ended.send_if_modified(|ended| {
            let open = ended.is_none();
            if open {
                *ended = Some(Ending::Closed);
            }
            open
        });
        society.forget_store();
        let directory = self.inner.directory.lock().unwrap_or_else(PoisonError::into_inner).take();
        if directory.is_some() {
            // Whatever task still held the store lets go of it now; then the directory is free.
            let free = async {
                while self.inner.store.strong_count() > 0 {
                    time::sleep(STORE_LOOK).await;
                }
            };
            let _free_in_time = time::timeout(STORE_FREED, free).await;
        }
    }

    /// Stops the node as if its process had died: every task ends at what it awaits, nothing is
    /// flushed, peers see connections end. What was acknowledged is as durable as it was promised.
    pub fn kill(&self) {
        let society = &self.inner.society;
        society.scope.close();
        society.forget_store();
        society.ended.send_replace(Some(Ending::Closed));
    }

    /// Tasks of the node that have not ended: none, soon after it was closed or killed.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.inner.society.scope.alive()
    }

    /// Waits until the node has stopped, for whatever reason; the text says why if it was an error.
    pub async fn closed(&self) -> Option<String> {
        self.default_space().ending().await
    }

    /// Kills the actor that plays `role`, as a bug in it would (for tests).
    #[doc(hidden)]
    pub async fn kill_actor(&self, role: Role) -> bool {
        let (reply, cell) = oneshot::channel();
        if self.inner.supervisor.cast(SupervisorMsg::Who(role, reply)).is_err() {
            return false;
        }
        match cell.await {
            Ok(Some(cell)) => {
                cell.kill();
                true
            }
            _ => false,
        }
    }
}

fn queues(society: &Society) -> BTreeMap<String, Queue> {
    let admission = &society.admission;
    let edges = [
        ("writes", &admission.writes),
        ("gossip", &admission.gossip),
        ("pages", &admission.pages),
        ("blobs", &admission.blobs),
        ("served_blobs", &admission.served_blobs),
        ("exchanges", &admission.exchanges),
    ];
    edges.into_iter().map(|(name, edge)| (name.to_owned(), edge.queue())).collect()
}

fn queue_metrics(out: &mut String, society: &Society) -> std::fmt::Result {
    use std::fmt::Write;
    let queues = queues(society);
    writeln!(
        out,
        "# HELP tidings_queue_depth Work that waits or is under way.\n# TYPE tidings_queue_depth gauge"
    )?;
    for (name, queue) in &queues {
        writeln!(out, "tidings_queue_depth{{queue=\"{name}\"}} {}", queue.depth)?;
    }
    writeln!(out, "# HELP tidings_shed Work refused for lack of room.\n# TYPE tidings_shed counter")?;
    for (name, queue) in &queues {
        writeln!(out, "tidings_shed_total{{queue=\"{name}\"}} {}", queue.shed)?;
    }
    let subscribers = society.subscribers.load(Ordering::Relaxed);
    writeln!(out, "# HELP tidings_subscribers Followers of changes.\n# TYPE tidings_subscribers gauge")?;
    writeln!(out, "tidings_subscribers {subscribers}")?;
    Ok(())
}
