//! Two sides that wrote apart: equal after the heal, in what is stored and in what is read.

use std::time::Duration;

use tempfile::tempdir;
use tidings::{Key, Node, Value, node::BatchOp};
use tokio::{task::JoinSet, time::Instant};

use crate::support::{
    SkewedClock, contents, cut, link, mend, mesh_name, metric, node_on_disk, nodes, restart, text, timed,
    until, until_equal,
};

/// Whether all hold the same now: what was seen, and the root of what is held.
async fn are_equal(nodes: &[Node]) -> bool {
    let mut roots = Vec::new();
    for node in nodes {
        let digest = node.digest().await.unwrap();
        roots.push((digest.root, digest.frontier));
    }
    roots.windows(2).all(|pair| pair[0] == pair[1])
}

#[tokio::test(flavor = "multi_thread")]
async fn put_put_delete_on_one_side_and_a_put_on_the_other_end_equal_on_disk_and_in_reads() {
    let (mesh, homes) = (mesh_name(), tempdir().unwrap());
    // Within the clock's tolerance, and more than any two stamps of one millisecond.
    let clock = SkewedClock::ahead(0);
    let build = |name: &str| node_on_disk(&mesh, name, &homes.path().join(name));
    let mut ant = build("ant").start().await.unwrap();
    let mut bat = build("bat").wall_clock(clock.clone()).start().await.unwrap();
    link(&ant, &bat).await;
    ant.put("old", "known to both").await.unwrap();
    until_equal(&[ant.clone(), bat.clone()]).await;

    cut(&ant, &bat).await;
    // The delete is later than the put beside it, or the put than the delete.
    for (key, ahead) in [("new/a", -5_000), ("old", -5_000), ("new/b", 5_000)] {
        clock.set(ahead);
        ant.put(key, "one").await.unwrap();
        bat.put(key, "other side").await.unwrap();
        ant.put(key, "two").await.unwrap();
        ant.delete(key).await.unwrap();
    }
    assert_eq!(contents(&ant).await.len(), 0);
    assert_eq!(contents(&bat).await.len(), 3);
    mend(&ant, &bat).await;
    let healed = until_equal(&[ant.clone(), bat.clone()]).await;

    // The delete is last, and counts as a value; the put is last, and stands. Beside it is what lost.
    let shown = [("new/a", None), ("new/b", Some("other side")), ("old", None)];
    for round in 0..3 {
        for node in [&ant, &bat] {
            for (key, value) in shown {
                assert_eq!(text(node, key).await.as_deref(), value, "{key} at {}, {round}", node.name());
            }
            assert_eq!(node.status().await.keys, 1);
            assert_eq!(node.get("new/b").await.unwrap().unwrap().siblings, 2);
        }
        assert_eq!(contents(&ant).await, contents(&bat).await);
        assert_eq!(until_equal(&[ant.clone(), bat.clone()]).await, healed, "round {round}");
        (ant, bat) = (restart(ant, || build("ant")).await, restart(bat, || build("bat")).await);
        if round == 1 {
            link(&ant, &bat).await;
        }
    }
}

/// Ten nodes, two full meshes of five; every node of one side knows two of the other.
struct Ten {
    nodes: Vec<Node>,
    across: Vec<(usize, usize)>,
}

impl Ten {
    async fn start() -> Self {
        let names: Vec<String> = (0..10).map(|n| format!("node{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let nodes = nodes(&mesh_name(), &names).await;
        let across: Vec<_> = (0..5).flat_map(|n| [(n, 5 + n), (n, 5 + (n + 1) % 5)]).collect();
        let inside = (0..10).flat_map(|n| (n + 1..n / 5 * 5 + 5).map(move |other| (n, other)));
        for (n, other) in inside.chain(across.iter().copied()) {
            link(&nodes[n], &nodes[other]).await;
        }
        Self { nodes, across }
    }

    /// Parts the halves, has each write so often, and waits until each agrees with itself.
    async fn write_apart(&self, writes: usize) {
        for (n, other) in &self.across {
            cut(&self.nodes[*n], &self.nodes[*other]).await;
        }
        let mut writers = JoinSet::new();
        for (n, node) in self.nodes.iter().cloned().enumerate() {
            writers.spawn(async move {
                let put =
                    |k| BatchOp::Put(Key::new(format!("{n}/{k}")).unwrap(), Value::octets(vec![7; 100]));
                let all: Vec<usize> = (0..writes / 5).collect();
                for some in all.chunks(50) {
                    node.batch(some.iter().copied().map(put).collect()).await.unwrap();
                }
            });
        }
        while let Some(done) = writers.join_next().await {
            done.unwrap();
        }
        for half in self.nodes.chunks(5) {
            until_equal(half).await;
            assert_eq!(half[0].digest().await.unwrap().keys, writes as u64);
        }
        assert!(!are_equal(&self.nodes).await);
    }

    /// Lets the halves meet; how long it takes from then until all are equal.
    async fn heal(&self) -> Duration {
        let begun = Instant::now();
        for (n, other) in &self.across {
            self.nodes[*n].unblock(self.nodes[*other].id()).await.unwrap();
        }
        until("all ten hold the same", || async { are_equal(&self.nodes).await.then_some(()) }).await;
        begun.elapsed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_nodes_in_two_halves_that_wrote_apart_are_equal_after_the_heal() {
    let ten = Ten::start().await;
    ten.write_apart(200).await;
    ten.heal().await;
    for node in &ten.nodes {
        assert_eq!(node.digest().await.unwrap().keys, 400);
    }
}

/// The figure: within 5 s of the heal.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: cargo test --release --test it ten_nodes_in_two_halves_that_wrote_ten_thousand -- --ignored --nocapture"]
async fn ten_nodes_in_two_halves_that_wrote_ten_thousand_times_each_are_equal_within_five_seconds() {
    let ten = Ten::start().await;
    let ((), apart) = timed(ten.write_apart(10_000)).await;
    let healed = ten.heal().await;
    println!("10,000 writes a side in {apart:.2?}; equal {healed:.2?} after the heal");
    for node in &ten.nodes {
        let (ranges, again) = (metric(node, "tidings_ranges_total"), metric(node, "tidings_repeated_total"));
        println!("{}: {ranges} comparisons of ranges, {again} versions came twice", node.name());
        assert_eq!(node.digest().await.unwrap().keys, 20_000);
    }
    assert!(healed < Duration::from_secs(5), "{healed:?}");
}
