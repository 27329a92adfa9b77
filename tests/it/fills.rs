//! Newcomers with two neighbours that hold the same: one sends all, the other lends from the other end on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use tidings::{
    Key, Node, Value,
    node::{BatchOp, Builder, NodeEvent},
    storage::{Pairs, Snapshot, StoreError, life::Surroundings},
};
use tokio::sync::broadcast::Receiver;

use crate::{
    looked_at::LookedAt,
    newcomers::{KEYS, UNDER_WAY, fill, put, until_filling},
    support::{
        Stall, address, cut, event, link, mend, mesh_name, metric, node, node_that_may_stall, until,
        until_equal,
    },
};

/// Two nodes that hold the same, and no link between them.
async fn two_full(mesh: &str) -> [Node; 2] {
    two_full_of(mesh, node(mesh, "ant")).await
}

async fn two_full_of(mesh: &str, ant: Builder) -> [Node; 2] {
    let ant = ant.start().await.unwrap();
    let bat = node(mesh, "bat").start().await.unwrap();
    fill(&ant, KEYS).await;
    link(&ant, &bat).await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    cut(&ant, &bat).await;
    [ant, bat]
}

/// A newcomer that `ant` fills, and `bat` lends meanwhile, in the middle of it. Its disk crawls until both have begun:
/// where it stood still, the second would be taken for the better first one after a while.
async fn filled_by(mesh: &str, [ant, bat]: [&Node; 2]) -> (Node, Stall, Receiver<NodeEvent>) {
    let (builder, stall) = node_that_may_stall(mesh, "cat");
    let cat = builder.start().await.unwrap();
    let events = cat.events();
    cat.connect(&address(ant).to_string()).await.unwrap();
    until_filling(&cat, ant).await;
    stall.crawl();
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
    (cat, stall, events)
}

const SENT: &str = "tidings_exchange_out_bytes_total";

#[tokio::test(flavor = "multi_thread")]
async fn two_neighbours_fill_a_newcomer_together_with_little_more_than_one_copy() {
    let mesh = mesh_name();
    let both = two_full(&mesh).await;
    let [ant, bat] = &both;
    let before = both.each_ref().map(|one| metric(one, SENT));
    let (cat, _stall, mut events) = filled_by(&mesh, both.each_ref()).await;
    until_equal(&[ant.clone(), bat.clone(), cat.clone()]).await;
    let again = metric(&cat, "tidings_repeated_total");
    assert!(again <= KEYS / 5, "{again} of {KEYS} came twice");
    let [ants, bats] = [0, 1].map(|n| metric(&both[n], SENT) - before[n]);
    // A version of these is some 200 bytes. Who brings how much of them is up to the machine.
    let (one_copy, least) = (KEYS * 200, KEYS * 200 / 20);
    assert!(ants >= least && bats >= least, "{ants} bytes of the one, {bats} of the other");
    assert!(ants + bats <= one_copy * 13 / 10, "{ants} and {bats} bytes, and one copy has {one_copy}");
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
    let (cat, stall, _) = filled_by(&mesh, both.each_ref()).await;
    let (gone, stays) = (&both[place], &both[1 - place]);
    stall.crawl();
    cut(&cat, gone).await;
    let kept = cat.status().await.keys;
    assert!(kept < KEYS, "it was cut before the end");
    let sent_before = metric(stays, SENT);
    stall.set(false);
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
    let (cat, _stall, _) = filled_by(&mesh, both.each_ref()).await;
    let [main, second] = &both;
    cut(&cat, second).await;
    until_equal(&[main.clone(), cat.clone()]).await;
    mend(&cat, second).await;
    until_equal(&[main.clone(), second.clone(), cat.clone()]).await;
    assert_eq!(cat.status().await.keys, KEYS + 1_600);
}

/// A snapshot that takes its time to be read, while it is told to.
struct Slowly {
    snapshot: Box<dyn Snapshot>,
    slow: Arc<AtomicBool>,
}

/// For a page of some 350 versions.
const SLOW: Duration = Duration::from_millis(500);

impl Snapshot for Slowly {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.snapshot.get(key)
    }

    fn range<'a>(&'a self, from: &[u8], to: &[u8], reverse: bool) -> Pairs<'a> {
        if self.slow.load(Ordering::SeqCst) {
            thread::sleep(SLOW);
        }
        self.snapshot.range(from, to, reverse)
    }
}

/// It moves, so it keeps its place; and the newcomer does not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn where_the_first_neighbour_is_slow_the_second_one_brings_nearly_all() {
    let (mesh, slow) = (mesh_name(), Arc::new(AtomicBool::new(false)));
    let told = slow.clone();
    let disk = LookedAt::by(move |snapshot| Box::new(Slowly { snapshot, slow: told.clone() }));
    let ant = node(&mesh, "ant").scrub_interval(Duration::ZERO);
    let both = two_full_of(&mesh, ant.store(Arc::new(disk), Surroundings::default(), [9; 32])).await;
    let before = both.each_ref().map(|one| metric(one, SENT));
    slow.store(true, Ordering::SeqCst);
    let (cat, _stall, _) = filled_by(&mesh, both.each_ref()).await;
    until("the newcomer holds all", || async { (cat.status().await.keys == KEYS).then_some(()) }).await;
    slow.store(false, Ordering::SeqCst);
    until_equal(&[both[0].clone(), both[1].clone(), cat.clone()]).await;
    let [slowly, quickly] = [0, 1].map(|n| metric(&both[n], SENT) - before[n]);
    assert!(slowly * 2 <= quickly, "{slowly} bytes of the slow one, {quickly} of the other");
    let again = metric(&cat, "tidings_repeated_total");
    assert!(again <= UNDER_WAY, "{again} came twice, which is more than was under way");
}
