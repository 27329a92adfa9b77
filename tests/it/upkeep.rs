//! What a store keeps depends on what is live, not on what was ever written.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tidings::{
    Key, Namespace, Node, Value,
    node::BatchOp,
    storage::{Durability, Store, layout, life::Surroundings, memory::Memory},
};

use crate::{
    looked_at::LookedAt,
    support::{Machine, contents, link, mesh_name, metric, node, node_on_disk, restart, until, until_equal},
};

const KEYS: u64 = 1_000;
/// Deletes are forgotten a second after this.
const RETENTION: Duration = Duration::from_millis(50);
/// Fewer bases than this are not looked through.
const BASES_FEW: usize = 64;

/// Number `n` of many writes: each key in turn, a quarter of them deletes, other keys each time.
fn operation(n: u64) -> BatchOp {
    let key = Key::new(format!("k/{:03}", n % KEYS)).unwrap();
    // A delete of nothing is refused: each comes right after a put.
    if n / KEYS % 2 == 1 && (n % KEYS + n / KEYS / 2).is_multiple_of(2) {
        return BatchOp::Delete(key);
    }
    BatchOp::Put(key, Value::octets(vec![b'x'; 100]))
}

/// Writes number `from` to `to`, a thousand in each batch.
async fn write(node: &Node, from: u64, to: u64) {
    for start in (from..to).step_by(1_000) {
        node.batch((start..to.min(start + 1_000)).map(operation).collect()).await.unwrap();
    }
}

/// So many entries of each kind are in a store.
fn entries(disk: &Memory) -> BTreeMap<char, usize> {
    let snapshot = disk.snapshot();
    let mut counts = BTreeMap::new();
    for tag in b'a'..=b'z' {
        let (from, to) = layout::all(tag);
        counts.insert(char::from(tag), snapshot.range(&from, &to, false).count());
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_holds_no_more_after_fifty_thousand_overwrites_and_deletes_of_a_thousand_keys() {
    const ROUNDS: u64 = 50;
    let mesh = mesh_name();
    let mut machines = [Machine::new(&mesh, "ant"), Machine::new(&mesh, "bat")];
    let mut nodes = Vec::new();
    for machine in &mut machines {
        nodes.push(machine.builder().delete_retention(RETENTION).history(0).start().await.unwrap());
    }
    link(&nodes[0], &nodes[1]).await;
    // By turns, so that each forgets what the other wrote, and has bases for it.
    for round in 0..ROUNDS {
        let writer = &nodes[usize::from(round % 4 > 1)];
        write(writer, round * KEYS, (round + 1) * KEYS).await;
        until_equal(&nodes).await;
    }
    for machine in &machines {
        until("all deletes are forgotten", || async { (entries(&machine.disk)[&'g'] == 0).then_some(()) })
            .await;
    }
    until_equal(&nodes).await;
    let live = contents(&nodes[0]).await.len();
    assert!((400..600).contains(&live), "{live} of 1,000 keys are left");
    for machine in &machines {
        let found = entries(&machine.disk);
        assert_eq!((found[&'r'], found[&'d']), (live, live), "records, dot index: {found:?}");
        // A block around each run of what is held, and the runs of dead blocks in between.
        assert!(found[&'x'] <= live / 8, "dead dots: {found:?}");
        assert!(found[&'h'] <= BASES_FEW + 2, "bases: {found:?}");
        assert!(found[&'s'] <= 2, "seen sets: {found:?}");
        let [blobs, dropped, forgettable] = [found[&'b'], found[&'y'], found[&'g']];
        assert_eq!((blobs, dropped, forgettable), (0, 0, 0), "{found:?}");
        let rest: usize =
            found.iter().filter(|(tag, _)| !"rdxhs".contains(**tag)).map(|(_, count)| count).sum();
        assert!(rest <= 16, "facts, names, numbers: {found:?}");
    }
}

fn bytes_below(path: &Path) -> u64 {
    let entries = fs::read_dir(path).unwrap().map(Result::unwrap);
    let sizes = entries.map(|entry| match entry.metadata().unwrap() {
        meta if meta.is_dir() => bytes_below(&entry.path()),
        meta => std::os::unix::fs::MetadataExt::blocks(&meta) * 512,
    });
    sizes.sum()
}

/// The figure: at most 4 × what is live, and the journal.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: cargo test --release --test it a_million_overwrites -- --ignored --nocapture"]
async fn a_million_overwrites_and_deletes_of_a_thousand_keys_leave_a_small_directory() {
    const JOURNAL_BYTES_MAX: u64 = 64 << 20;
    let (mesh, home) = (mesh_name(), tempfile::tempdir().unwrap());
    let build = || {
        let builder = node_on_disk(&mesh, "ant", home.path()).history(0);
        builder.delete_retention(RETENTION).durability(Durability::Buffer)
    };
    let ant = build().start().await.unwrap();
    write(&ant, 0, 999_000).await;
    // No delete stands there now; in the last thousand are half a thousand.
    let forgotten = metric(&ant, "tidings_forgotten_total");
    write(&ant, 999_000, 1_000_000).await;
    println!("{} bytes after the last write", bytes_below(home.path()));
    until("the last deletes are forgotten", || async {
        (metric(&ant, "tidings_forgotten_total") >= forgotten + KEYS / 2).then_some(())
    })
    .await;
    let (held, keys) = (contents(&ant).await, ant.status().await.keys);
    let ant = restart(ant, build).await;
    assert_eq!(contents(&ant).await, held);
    let live: u64 = held.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
    let open = bytes_below(home.path());
    ant.close().await;
    let closed = bytes_below(home.path());
    println!("{keys} keys, {live} bytes live; {open} bytes on disk after a restart, {closed} closed again");
    let most = 4 * live + JOURNAL_BYTES_MAX;
    assert!(open <= most && closed <= most, "{open} and {closed} of {most}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_digest_is_that_of_all_that_is_stored_and_reads_nothing_of_it() {
    let looks = Arc::new(AtomicUsize::new(0));
    let count = looks.clone();
    let disk = LookedAt::by(move |snapshot| {
        count.fetch_add(1, Ordering::SeqCst);
        snapshot
    });
    let ant = node(&mesh_name(), "ant").store(Arc::new(disk), Surroundings::default(), [7; 32]);
    let ant = ant.start().await.unwrap();
    write(&ant, 0, 3 * KEYS).await;
    let space = ant.space(&Namespace::default()).unwrap();
    let read = ant.digest().await.unwrap();
    assert!(looks.load(Ordering::SeqCst) > 0);
    // The node's own upkeep may look just then, but not each time.
    until("it is answered without a look", || async {
        let before = looks.load(Ordering::SeqCst);
        let kept = space.kept_digest().await.unwrap();
        assert_eq!((&kept.root, kept.keys, &kept.frontier), (&read.root, read.keys, &read.frontier));
        (looks.load(Ordering::SeqCst) == before).then_some(())
    })
    .await;
    ant.close().await;
}
