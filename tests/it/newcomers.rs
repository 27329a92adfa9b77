//! Newcomers to a mesh that holds much.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tidings::{
    Key, Node, Value,
    node::{BatchOp, NodeEvent},
    storage::{Batch, Durability, Pairs, Snapshot, Store, StoreError, life::Surroundings, memory::Memory},
};
use tokio::{sync::broadcast::Receiver, task::JoinSet};

use crate::support::{
    address, cut, event, link, mend, mesh_name, metric, node, node_on_disk, node_that_may_stall, until,
    until_equal,
};

const KEYS: u64 = 30_000;
/// What may be under way when an exchange breaks off, in versions.
const UNDER_WAY: u64 = 5_000;

fn put(n: u64) -> BatchOp {
    BatchOp::Put(Key::new(format!("k/{n:06}")).unwrap(), Value::octets(vec![b'x'; 100]))
}

async fn fill(node: &Node, keys: u64) {
    for n in (0..keys).step_by(1_000) {
        node.batch((n..keys.min(n + 1_000)).map(put).collect()).await.unwrap();
    }
}

/// Waits until `node` is being filled by `from`, and has stored something of it.
async fn until_filling(node: &Node, from: &Node) {
    let from = from.id().to_string();
    until("a newcomer takes in what there is", || async {
        node.filling().iter().any(|one| one.versions > 0 && one.from == from).then_some(())
    })
    .await;
}

/// Writes the same hundred keys again and again, and counts what was acknowledged.
fn write_on(node: &Node, enough: Arc<AtomicBool>) -> (Arc<AtomicU64>, JoinSet<()>) {
    let (node, acknowledged) = (node.clone(), Arc::new(AtomicU64::new(0)));
    let count = acknowledged.clone();
    let mut writes = JoinSet::new();
    writes.spawn(async move {
        while !enough.load(Ordering::SeqCst) {
            let n = count.load(Ordering::SeqCst);
            node.put(format!("live/{}", n % 100), format!("{n}")).await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    (acknowledged, writes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_fills_while_live_writes_flow_goes_on_after_a_cut_and_ends_equal() {
    let (mesh, directory) = (mesh_name(), tempfile::tempdir().unwrap());
    let ant = node(&mesh, "ant").start().await.unwrap();
    fill(&ant, KEYS).await;
    let bat = node_on_disk(&mesh, "bat", directory.path()).start().await.unwrap();
    let enough = Arc::new(AtomicBool::new(false));
    let (acknowledged, mut writes) = write_on(&ant, enough.clone());
    until("live writes flow", || async { (acknowledged.load(Ordering::SeqCst) > 0).then_some(()) }).await;
    bat.connect(&address(&ant).to_string()).await.unwrap();
    until_filling(&bat, &ant).await;
    let before = acknowledged.load(Ordering::SeqCst);
    until("live writes flow while it fills", || async {
        let more = acknowledged.load(Ordering::SeqCst) > before;
        (more && bat.filling().iter().any(|one| one.versions > KEYS / 4)).then_some(())
    })
    .await;
    for queue in bat.status().await.queues.values().chain(ant.status().await.queues.values()) {
        assert!(queue.depth <= queue.max, "{queue:?}");
    }
    let told = bat.sync_status().await;
    assert!(told.lacks == Some(true) && told.filling.iter().all(|one| one.expected >= KEYS), "{told:?}");
    cut(&ant, &bat).await;
    let kept = bat.status().await.keys;
    assert!((KEYS / 4..KEYS).contains(&kept), "{kept} of {KEYS} when it was cut");
    assert!(bat.filling().is_empty());
    mend(&ant, &bat).await;
    until("the newcomer holds all", || async { (bat.status().await.keys >= KEYS).then_some(()) }).await;
    enough.store(true, Ordering::SeqCst);
    writes.join_next().await.unwrap().unwrap();
    until_equal(&[ant.clone(), bat.clone()]).await;
    let again = metric(&bat, "tidings_repeated_total");
    let live = acknowledged.load(Ordering::SeqCst);
    assert!(again <= UNDER_WAY + live, "{again} came twice, {live} of which were live writes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cut_leaves_missing_is_all_that_comes_after_it_from_another_neighbour() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    fill(&ant, KEYS).await;
    link(&ant, &bat).await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    let cat = node(&mesh, "cat").start().await.unwrap();
    cat.connect(&address(&ant).to_string()).await.unwrap();
    until_filling(&cat, &ant).await;
    cut(&ant, &cat).await;
    let (kept, sent_by_bat) = (cat.status().await.keys, metric(&bat, "tidings_exchange_out_bytes_total"));
    link(&cat, &bat).await;
    until_equal(&[ant.clone(), bat.clone(), cat.clone()]).await;
    assert!(kept < KEYS, "it was cut before the end");
    assert_eq!(metric(&cat, "tidings_repeated_total"), 0, "nothing that was stored came again");
    // A version of these is some 200 bytes.
    let bytes = metric(&bat, "tidings_exchange_out_bytes_total") - sent_by_bat;
    assert!(bytes <= (KEYS - kept) * 220 + 10_000, "{bytes} bytes for {} keys", KEYS - kept);
}

/// Two nodes that hold the same, and no link between them.
async fn two_full(mesh: &str) -> [Node; 2] {
    let ant = node(mesh, "ant").start().await.unwrap();
    let bat = node(mesh, "bat").start().await.unwrap();
    fill(&ant, KEYS).await;
    link(&ant, &bat).await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    cut(&ant, &bat).await;
    [ant, bat]
}

/// A newcomer that `ant` fills, and `bat` lends meanwhile, in the middle of it. Its disk waits until both have begun.
async fn filled_by(mesh: &str, [ant, bat]: [&Node; 2]) -> (Node, Receiver<NodeEvent>) {
    let (builder, stall) = node_that_may_stall(mesh, "cat");
    let cat = builder.start().await.unwrap();
    let events = cat.events();
    cat.connect(&address(ant).to_string()).await.unwrap();
    until_filling(&cat, ant).await;
    stall.set(true);
    cat.connect(&address(bat).to_string()).await.unwrap();
    let lends = Some(bat.id().to_string());
    let lent = |least: u64| {
        let (cat, lends) = (&cat, &lends);
        move || async move {
            cat.filling().iter().any(|one| one.also_from == *lends && one.versions >= least).then_some(())
        }
    };
    until("a second neighbour lends", lent(0)).await;
    stall.set(false);
    until("some of it is stored", lent(KEYS / 10)).await;
    (cat, events)
}

const SENT: &str = "tidings_exchange_out_bytes_total";

#[tokio::test(flavor = "multi_thread")]
async fn two_neighbours_fill_a_newcomer_together_with_little_more_than_one_copy() {
    let mesh = mesh_name();
    let both = two_full(&mesh).await;
    let [ant, bat] = &both;
    let before = both.each_ref().map(|one| metric(one, SENT));
    let (cat, mut events) = filled_by(&mesh, both.each_ref()).await;
    until_equal(&[ant.clone(), bat.clone(), cat.clone()]).await;
    let again = metric(&cat, "tidings_repeated_total");
    assert!(again <= KEYS / 10, "{again} of {KEYS} came twice");
    let [ants, bats] = [0, 1].map(|n| metric(&both[n], SENT) - before[n]);
    // A version of these is some 200 bytes.
    let (one_copy, least) = (KEYS * 200, KEYS * 200 / 5);
    assert!(ants >= least && bats >= least, "{ants} bytes of the one, {bats} of the other");
    assert!(ants + bats <= one_copy * 11 / 10, "{ants} and {bats} bytes, and one copy has {one_copy}");
    let ended = event(&mut events, |event| match event {
        NodeEvent::FillEnded { complete: true, versions, .. } => Some(versions),
        _ => None,
    });
    assert_eq!(ended.await, KEYS);
    assert!(cat.filling().is_empty());
    until("both neighbours are known to agree", || async {
        let peers = cat.sync_status().await.peers;
        (peers.len() == 2 && peers.iter().all(|peer| peer.in_sync == Some(true))).then_some(())
    })
    .await;
}

/// Both fill a newcomer, and one of them is gone in the middle: the first or the second, 0 or 1.
async fn one_of_two_goes(place: usize) {
    let mesh = mesh_name();
    let both = two_full(&mesh).await;
    let (cat, _) = filled_by(&mesh, both.each_ref()).await;
    let (gone, stays) = (&both[place], &both[1 - place]);
    cut(&cat, gone).await;
    let kept = cat.status().await.keys;
    assert!(kept < KEYS, "it was cut before the end");
    let sent_before = metric(stays, SENT);
    until("the newcomer holds all", || async { (cat.status().await.keys == KEYS).then_some(()) }).await;
    until_equal(&[stays.clone(), cat.clone()]).await;
    let again = metric(&cat, "tidings_repeated_total");
    assert!(again <= KEYS / 10, "{again} of {KEYS} came twice");
    let bytes = metric(stays, SENT) - sent_before;
    assert!(bytes <= (KEYS - kept) * 220 + KEYS * 20, "{bytes} bytes for {} keys", KEYS - kept);
    mend(&cat, gone).await;
    until_equal(&[gone.clone(), cat.clone()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_goes_on_with_the_second_neighbour_when_the_first_one_is_gone() {
    one_of_two_goes(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_goes_on_with_the_first_neighbour_when_the_second_one_is_gone() {
    one_of_two_goes(1).await;
}

/// The second neighbour lacks some of what the first has, and has written over some: it goes past them, and
/// the first one brings what was not brought.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_second_neighbour_lacks_or_has_superseded_is_not_left_out() {
    let mesh = mesh_name();
    let both = two_full(&mesh).await;
    for (one, name) in both.iter().zip(["ant", "bat"]) {
        one.batch((0..50).map(|n| put(n * 600)).collect()).await.unwrap();
        let own = |n| BatchOp::Put(Key::new(format!("{name}/{n}")).unwrap(), Value::octets(vec![b'y'; 100]));
        one.batch((0..800).map(own).collect()).await.unwrap();
    }
    let (cat, _) = filled_by(&mesh, both.each_ref()).await;
    let [main, second] = &both;
    cut(&cat, second).await;
    until_equal(&[main.clone(), cat.clone()]).await;
    mend(&cat, second).await;
    until_equal(&[main.clone(), second.clone(), cat.clone()]).await;
    assert_eq!(cat.status().await.keys, KEYS + 1_600);
}

/// Ranges are compared after all pages, which takes nothing away from these.
#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_to_a_neighbour_that_has_forgotten_deletes_is_filled_in_one_go() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").delete_retention(Duration::from_millis(50)).start().await.unwrap();
    fill(&ant, KEYS / 3).await;
    ant.delete("k/000007").await.unwrap();
    until("a delete is forgotten", || async { (metric(&ant, "tidings_forgotten_total") > 0).then_some(()) })
        .await;
    let bat = node(&mesh, "bat").start().await.unwrap();
    let mut events = bat.events();
    link(&bat, &ant).await;
    let first = event(&mut events, |event| match event {
        NodeEvent::FillEnded { complete, versions, .. } => Some((complete, versions)),
        _ => None,
    });
    assert_eq!(first.await, (true, KEYS / 3 - 1));
    until_equal(&[ant, bat.clone()]).await;
}

/// A disk in memory that counts the snapshots of it that are kept.
struct CountingDisk {
    disk: Memory,
    kept: Arc<AtomicI64>,
}

struct Counted {
    snapshot: Box<dyn Snapshot>,
    kept: Arc<AtomicI64>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.kept.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Snapshot for Counted {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.snapshot.get(key)
    }

    fn range<'a>(&'a self, from: &[u8], to: &[u8], reverse: bool) -> Pairs<'a> {
        self.snapshot.range(from, to, reverse)
    }
}

impl Store for CountingDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.disk.get(key)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        self.kept.fetch_add(1, Ordering::SeqCst);
        Box::new(Counted { snapshot: self.disk.snapshot(), kept: self.kept.clone() })
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        self.disk.commit(batch, durability)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.disk.sync()
    }

    fn size_bytes(&self) -> u64 {
        self.disk.size_bytes()
    }
}

/// A snapshot keeps in memory all that the store writes from then on.
#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_keeps_no_snapshot_while_it_fills() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    fill(&ant, KEYS).await;
    let kept = Arc::new(AtomicI64::new(0));
    let disk = CountingDisk { disk: Memory::new(), kept: kept.clone() };
    let builder = node(&mesh, "bat").scrub_interval(Duration::ZERO);
    let bat = builder.store(Arc::new(disk), Surroundings::default(), [7; 32]).start().await.unwrap();
    bat.connect(&address(&ant).to_string()).await.unwrap();
    // Reads take one for a moment, so one look in which there is none tells.
    until("there is no snapshot while it fills", || async {
        assert!(bat.status().await.keys < KEYS, "a snapshot was there all the time");
        let filling = bat.filling().iter().any(|one| one.versions > 0);
        (filling && kept.load(Ordering::SeqCst) == 0).then_some(())
    })
    .await;
    until_equal(&[ant, bat]).await;
}
