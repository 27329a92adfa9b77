//! A machine: what outlives the node that runs on it, and how the node is started and dies.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use tidings::{
    Namespace, Node, Prefix,
    causality::SeenSet,
    network::{TransportFactory, Tuning, libp2p::secure},
    node::{Builder, StartError},
    storage::{
        Durability, Store, StoreError, View,
        fjall::{Fjall, FjallOptions},
        life::Surroundings,
        memory::Memory,
    },
};

use super::recorder::Recorder;
use crate::{
    dice::Dice,
    history::Seen,
    net::{Net, PORT, address},
    plan::{self, NodeNo, Settings, StoreKind},
    ports::{Gate, SimClock, SimEntropy},
};

/// How long nodes remember deletes unless a plan tells.
const DELETE_RETENTION: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Memory of a real store, small so that it is flushed while a simulation runs.
const FJALL: (u64, u64) = (1 << 20, 256 << 10);

/// What a node runs on.
pub struct Machine {
    no: NodeNo,
    seed: u64,
    disk: Disk,
    /// How many disks there were here: a new one has a new identity.
    disks: u64,
    boots: u64,
    starts: u64,
    store: Option<Arc<dyn Store>>,
    /// Its wall clock.
    pub clock: Arc<SimClock>,
    /// Who runs its storage.
    pub gate: Gate,
    /// What runs on it, if anything does.
    pub node: Option<Node>,
    /// Faults that keep it down, while there are any.
    pub held_down: usize,
    /// A node is to be started as soon as the disk answers.
    waits: bool,
}

enum Disk {
    Memory(Memory),
    Fjall(TempDir),
}

/// What there is in a store.
pub struct Contents {
    /// The versions.
    pub records: Vec<Seen>,
    /// What it has seen.
    pub seen: SeenSet,
}

impl Machine {
    /// A new machine with an empty disk.
    ///
    /// # Errors
    /// When there is no place for a directory.
    pub fn new(no: NodeNo, seed: u64, kind: StoreKind) -> std::io::Result<Self> {
        Ok(Self {
            no,
            seed,
            disk: Disk::new(kind)?,
            disks: 0,
            boots: 0,
            starts: 0,
            store: None,
            clock: Arc::default(),
            gate: Gate::default(),
            node: None,
            held_down: 0,
            waits: false,
        })
    }

    /// The settings of the node that runs here next.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub fn builder(
        &mut self,
        net: &Net,
        peers: &[NodeNo],
        settings: &Settings,
        recorder: &Recorder,
    ) -> Result<Builder, StoreError> {
        let store = self.disk.open()?;
        self.store = Some(store.clone());
        self.starts += 1;
        let ip = address(self.no);
        let net = net.clone();
        let transport: TransportFactory = Arc::new(move |key| secure(net.transport(ip), key));
        let (no, recorder) = (self.no, recorder.clone());
        let listen = [multiaddr(self.no)];
        let dice = Dice::of(self.seed, &format!("node {no} start {}", self.starts));
        Ok(Node::builder()
            .store(store, self.surroundings(), self.identity())
            .name(format!("n{no}"))
            .mesh("sim")
            .listen(listen)
            .peers(peers.iter().copied().map(multiaddr))
            .peer_exchange(settings.peer_exchange)
            .durability(durability(settings.durability))
            .sync_interval(settings.sync_interval)
            .delete_retention(settings.delete_retention.unwrap_or(DELETE_RETENTION))
            .tuning(tuning(settings))
            .wall_clock(self.clock.clone())
            .entropy(Arc::new(SimEntropy::new(dice)))
            .storage_runner(Arc::new(self.gate.clone()))
            .transport(transport)
            .observer(Arc::new(move |changes| recorder.applied(no, changes))))
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings {
            machine: format!("machine {}", self.no),
            boot: format!("boot {}", self.boots),
            device: self.disks,
            ..Surroundings::default()
        }
    }

    /// The secret of its node.
    #[must_use]
    pub fn identity(&self) -> [u8; 32] {
        let text = format!("tidings simulation: seed {} node {} disk {}", self.seed, self.no, self.disks);
        *blake3::hash(text.as_bytes()).as_bytes()
    }

    /// What a node that started now would find.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn contents(&self) -> Result<Contents, StoreError> {
        match (&self.store, &self.disk) {
            (Some(store), _) => read(&**store),
            (None, Disk::Memory(disk)) => read(disk),
            (None, Disk::Fjall(_)) => Ok(Contents { records: Vec::new(), seen: SeenSet::new() }),
        }
    }

    /// Bytes of its store.
    #[must_use]
    pub fn store_bytes(&self) -> u64 {
        self.store.as_ref().map_or(0, |store| store.size_bytes())
    }

    /// The machine loses its power: what was not synced is gone. Real stores cannot be cut off from
    /// inside: theirs is the end of a process.
    pub fn lose_power(&mut self) {
        self.boots += 1;
        if let Disk::Memory(disk) = &self.disk {
            disk.crash();
        }
    }

    /// The disk is replaced by an empty one.
    ///
    /// # Errors
    /// When there is no place for a directory.
    pub fn wipe(&mut self) -> std::io::Result<()> {
        self.store = None;
        self.disks += 1;
        self.disk = match &self.disk {
            Disk::Memory(_) => Disk::new(StoreKind::Memory)?,
            Disk::Fjall(_) => Disk::new(StoreKind::Fjall)?,
        };
        Ok(())
    }

    /// Writes to the disk fail from now on, or work again.
    pub fn fail_disk(&self, fails: bool) {
        if let Disk::Memory(disk) = &self.disk {
            disk.fail_commits(fails.then(|| StoreError::Io("the disk is broken, says the simulator".into())));
        }
    }

    /// Whether a node that is to start now has to wait until the disk answers; it is remembered.
    pub fn waits_for_its_disk(&mut self) -> bool {
        self.waits = self.gate.is_stalled();
        self.waits
    }

    /// The disk answers again. Whether a node has been waiting for that.
    pub fn disk_answers(&mut self) -> bool {
        self.gate.set_stalled(false);
        std::mem::take(&mut self.waits) && self.held_down == 0
    }

    /// Kills what runs here and returns when nothing of it is left. Virtual time stands still.
    pub async fn kill(&mut self) {
        let Some(node) = self.node.take() else { return };
        node.kill();
        // In a runtime of one thread every other task is at an await; each ends at its next turn.
        while node.tasks() > 0 {
            tokio::task::yield_now().await;
        }
        self.store = None;
    }
}

impl Disk {
    fn new(kind: StoreKind) -> std::io::Result<Self> {
        Ok(match kind {
            StoreKind::Memory => Self::Memory(Memory::new()),
            StoreKind::Fjall => Self::Fjall(directory()?),
        })
    }

    fn open(&mut self) -> Result<Arc<dyn Store>, StoreError> {
        match self {
            Self::Memory(disk) => {
                *disk = disk.reopen();
                Ok(Arc::new(disk.clone()))
            }
            Self::Fjall(directory) => {
                let (cache_bytes, memtable_bytes) = FJALL;
                let options = FjallOptions { cache_bytes, memtable_bytes, ..FjallOptions::default() };
                let path: PathBuf = directory.path().join("store");
                match Fjall::open(&path, options) {
                    Ok(store) => Ok(Arc::new(store)),
                    Err(error) => Err(StoreError::Io(error.to_string())),
                }
            }
        }
    }
}

/// A directory whose name is not drawn: a name that is taken would be drawn again, and every throw of
/// the dice after that be another.
fn directory() -> std::io::Result<TempDir> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("tidings-sim-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir()
}

/// Where a node is reached.
fn multiaddr(node: NodeNo) -> tidings::network::Multiaddr {
    format!("/ip4/{}/tcp/{PORT}", address(node)).parse().expect("a lawful multiaddr")
}

fn durability(durability: plan::Durability) -> Durability {
    match durability {
        plan::Durability::Buffer => Durability::Buffer,
        plan::Durability::Fsync => Durability::Fsync,
    }
}

fn tuning(settings: &Settings) -> Tuning {
    let mut tuning = Tuning::default();
    tuning.gossip_degree = settings.gossip_degree.unwrap_or(tuning.gossip_degree);
    tuning.heartbeat = settings.heartbeat.unwrap_or(tuning.heartbeat);
    tuning
}

fn read(store: &dyn Store) -> Result<Contents, StoreError> {
    let view = View::open(store)?;
    let namespace = Namespace::default();
    let mut records = Vec::new();
    for record in view.records(&namespace, &Prefix::all(), None, false) {
        records.extend(record?.1.siblings().iter().map(Seen::of));
    }
    Ok(Contents { records, seen: view.seen(&namespace)? })
}

/// What readers of a node see.
///
/// # Errors
/// When the node cannot be read.
pub async fn reads(node: &Node) -> Result<BTreeMap<tidings::Key, (tidings::node::Dot, [u8; 32])>, String> {
    let mut reads = BTreeMap::new();
    let mut scan = tidings::node::Scan { limit: 1_000, keys_only: true, ..Default::default() };
    loop {
        let page = node.scan(scan.clone()).await.map_err(|error| error.to_string())?;
        for entry in page.entries {
            let found = node.get(entry.key.clone()).await.map_err(|error| error.to_string())?;
            if let Some(found) = found {
                reads.insert(entry.key, (found.dot, *blake3::hash(&found.value.bytes).as_bytes()));
            }
        }
        match page.next {
            Some(next) => scan.after = Some(next),
            None => return Ok(reads),
        }
    }
}

/// A node that does not start within this time of its clock does not start at all.
pub const START_PATIENCE: Duration = Duration::from_secs(60);

/// Starts a node, or says why not.
///
/// # Errors
/// As [`Builder::start`].
pub async fn start(builder: Builder) -> Result<Node, StartError> {
    let started = tokio::time::timeout(START_PATIENCE, builder.start()).await;
    started.unwrap_or_else(|_| Err(StartError::Internal("it did not start within a minute".to_owned())))
}
