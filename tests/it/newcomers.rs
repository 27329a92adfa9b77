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
    storage::{
        Pairs, Snapshot, StoreError,
        fjall::{Fjall, FjallOptions},
        life::Surroundings,
    },
};
use tokio::task::JoinSet;

use crate::{
    looked_at::LookedAt,
    support::{
        Stall, address, cut, event, link, mend, mesh_name, metric, node, node_on_what_may_stall,
        node_that_may_stall, until, until_equal,
    },
};

pub const KEYS: u64 = 30_000;
/// What may be under way when an exchange breaks off, in versions.
pub const UNDER_WAY: u64 = 5_000;

pub fn put(n: u64) -> BatchOp {
    BatchOp::Put(Key::new(format!("k/{n:06}")).unwrap(), Value::octets(vec![b'x'; 100]))
}

pub async fn fill(node: &Node, keys: u64) {
    for n in (0..keys).step_by(1_000) {
        node.batch((n..keys.min(n + 1_000)).map(put).collect()).await.unwrap();
    }
}

/// Waits until `node` is being filled by `from`, and has stored something of it.
pub async fn until_filling(node: &Node, from: &Node) {
    let from = from.id().to_string();
    until("a newcomer takes in what there is", || async {
        node.filling().iter().any(|one| one.versions > 0 && one.from == from).then_some(())
    })
    .await;
}

/// Lets a disk that was stalled before a cut go on, and waits until all that had come by then is stored.
async fn until_stored(node: &Node, stall: &Stall) {
    stall.set(false);
    until("all that came is stored", || async {
        let queues = node.status().await.queues;
        ["writes", "gossip", "pages"].iter().all(|name| queues[*name].depth == 0).then_some(())
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
    let disk = Fjall::open(directory.path(), FjallOptions::default()).unwrap();
    let (builder, stall) = node_on_what_may_stall(&mesh, "bat", Arc::new(disk));
    let bat = builder.start().await.unwrap();
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
    stall.set(true);
    for queue in bat.status().await.queues.values().chain(ant.status().await.queues.values()) {
        assert!(queue.depth <= queue.max, "{queue:?}");
    }
    let told = bat.sync_status().await;
    assert!(told.lacks == Some(true) && told.filling.iter().all(|one| one.expected >= KEYS), "{told:?}");
    cut(&ant, &bat).await;
    until_stored(&bat, &stall).await;
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
    let (builder, stall) = node_that_may_stall(&mesh, "cat");
    let cat = builder.start().await.unwrap();
    cat.connect(&address(&ant).to_string()).await.unwrap();
    until_filling(&cat, &ant).await;
    stall.set(true);
    cut(&ant, &cat).await;
    until_stored(&cat, &stall).await;
    let (kept, sent_by_bat) = (cat.status().await.keys, metric(&bat, "tidings_exchange_out_bytes_total"));
    link(&cat, &bat).await;
    until_equal(&[ant.clone(), bat.clone(), cat.clone()]).await;
    assert!(kept < KEYS, "it was cut before the end");
    assert_eq!(metric(&cat, "tidings_repeated_total"), 0, "nothing that was stored came again");
    // A version of these is some 200 bytes.
    let bytes = metric(&bat, "tidings_exchange_out_bytes_total") - sent_by_bat;
    // A round in which both are found equal is some of it, and on a slow machine there are many until all are.
    assert!(bytes <= (KEYS - kept) * 220 + 100_000, "{bytes} bytes for {} keys", KEYS - kept);
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

/// A snapshot that is counted as long as it is kept.
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

/// A snapshot keeps in memory all that the store writes from then on.
#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_keeps_no_snapshot_while_it_fills() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    fill(&ant, KEYS).await;
    let kept = Arc::new(AtomicI64::new(0));
    let count = kept.clone();
    let disk = LookedAt::by(move |snapshot| {
        count.fetch_add(1, Ordering::SeqCst);
        Box::new(Counted { snapshot, kept: count.clone() })
    });
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
