//! How much a node takes on at once.

use tidings::node::WriteError;
use tokio::task::JoinSet;

use crate::support::{
    contents, link, mesh_name, metric, metric_of, node, node_that_may_stall, text, until, until_equal,
};

#[tokio::test(flavor = "multi_thread")]
async fn gossip_that_a_stalled_disk_cannot_take_is_shed_counted_and_repaired() {
    let mesh = mesh_name();
    let (builder, stall) = node_that_may_stall(&mesh, "ant");
    let ant = builder.start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    let cat = node(&mesh, "cat").start().await.unwrap();
    link(&ant, &bat).await;
    link(&ant, &cat).await;
    bat.put("first", "x").await.unwrap();
    until_equal(&[ant.clone(), bat.clone(), cat.clone()]).await;

    stall.set(true);
    let mut deepest = 0;
    let mut written = 0_u64;
    let value = vec![7_u8; 30_000];
    while ant.status().await.queues["gossip"].shed == 0 {
        assert!(written < 5_000, "nothing is shed");
        bat.put(format!("flood/{written}"), value.clone()).await.unwrap();
        written += 1;
        let queue = ant.status().await.queues["gossip"];
        assert!(queue.depth <= queue.max);
        deepest = deepest.max(queue.depth);
    }
    assert!(deepest > 100, "{deepest} waited before one was shed");
    // What is not stored here is forwarded all the same.
    until("cat, behind ant, has more than ant", || async {
        let (ant, cat) = (ant.digest().await.unwrap().keys, cat.digest().await.unwrap().keys);
        (cat > ant + 100).then_some(())
    })
    .await;
    assert!(metric(&ant, "tidings_gossip_shed_total") > 0);
    assert!(metric_of(&ant, "tidings_shed_total", "gossip") > 0);
    // Reads go on.
    assert_eq!(text(&ant, "first").await.as_deref(), Some("x"));

    stall.set(false);
    until_equal(&[ant.clone(), bat.clone(), cat.clone()]).await;
    assert_eq!(ant.digest().await.unwrap().keys, written + 1);
    assert_eq!(ant.sync_status().await.missing, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_writers_waits_at_the_door_and_each_is_answered_truthfully() {
    const WRITERS: usize = 10_000;
    let mesh = mesh_name();
    let (builder, stall) = node_that_may_stall(&mesh, "ant");
    let ant = builder.start().await.unwrap();
    stall.set(true);
    let mut writers = JoinSet::new();
    for n in 0..WRITERS {
        let ant = ant.clone();
        writers.spawn(async move { (n, ant.put(format!("flood/{n}"), "x").await) });
    }
    until("the door is shut", || async {
        let queue = ant.status().await.queues["writes"];
        assert!(queue.depth <= queue.max);
        (queue.depth == queue.max).then_some(())
    })
    .await;
    stall.set(false);
    let mut stored = 0;
    let mut busy = Vec::new();
    while let Some(done) = writers.join_next().await {
        match done.unwrap() {
            (_, Ok(_)) => stored += 1,
            (n, Err(WriteError::Busy { .. })) => busy.push(n),
            (n, Err(error)) => panic!("{n}: {error}"),
        }
    }
    let held = contents(&ant).await;
    assert_eq!(held.len(), stored);
    assert!(busy.iter().all(|n| !held.contains_key(&format!("flood/{n}"))));
    assert!(stored > WRITERS / 2, "{stored}");
    until("the queue is empty again", || async {
        (ant.status().await.queues["writes"].depth == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_are_given_up_leave_no_room_taken() {
    let mesh = mesh_name();
    let (builder, stall) = node_that_may_stall(&mesh, "ant");
    let ant = builder.start().await.unwrap();
    stall.set(true);
    let mut writers = JoinSet::new();
    for n in 0..6_000 {
        let ant = ant.clone();
        writers.spawn(async move { ant.put(format!("given-up/{n}"), "x").await });
    }
    until("the door is shut", || async {
        let queue = ant.status().await.queues["writes"];
        (queue.depth == queue.max).then_some(())
    })
    .await;
    writers.shutdown().await;
    stall.set(false);
    until("the room is free again", || async {
        (ant.status().await.queues["writes"].depth == 0).then_some(())
    })
    .await;
    ant.put("after", "x").await.unwrap();
    // Each happened as a whole or not at all, and the numbering has no hole.
    let digest = ant.digest().await.unwrap();
    let seqs = digest.frontier.0;
    assert!(seqs.iter().all(|(_, seqs)| seqs.base() == seqs.max() && seqs.max() == digest.keys));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_whose_disk_stalls_holds_nobody_up() {
    let mesh = mesh_name();
    let (builder, stall) = node_that_may_stall(&mesh, "ant");
    let ant = builder.start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    let cat = node(&mesh, "cat").start().await.unwrap();
    for n in 0..300 {
        bat.put(format!("early/{n}"), vec![1_u8; 10_000]).await.unwrap();
    }
    stall.set(true);
    link(&ant, &bat).await;
    link(&cat, &bat).await;
    // The exchange with ant hangs at its disk; the one with cat does not.
    until_equal(&[bat.clone(), cat.clone()]).await;
    bat.put("live", "x").await.unwrap();
    crate::support::until_text(&cat, "live", "x").await;
    assert_eq!(ant.digest().await.unwrap().keys, 0);
    stall.set(false);
    until_equal(&[ant, bat, cat]).await;
}
