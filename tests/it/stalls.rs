//! A disk that does not answer, and a peer that is silent without being gone. Ten minutes of it are in
//! the simulator: `cargo sim run stalled-ten-minutes`.

use std::time::Duration;

use rustix::process::Signal;
use tidings::{Node, network::Tuning, node::WriteError};
use tokio::task::JoinSet;

use crate::{
    program::{Program, Site},
    support::{
        contents, link, metric, metric_of, node, node_that_may_stall, text, until, until_equal, until_text,
    },
};

/// Who waits at the door of the node whose disk stalls: more than it lets in.
const WRITERS: usize = 5_000;
/// So many keys are written again and again.
const FLOODED: usize = 50;
/// The tasks of a node, however long its neighbours or its disk stall.
const TASKS_MAX: usize = 200;
/// Messages that gossip keeps for a neighbour that takes none.
const GOSSIP_QUEUE_MAX: usize = 64;

/// Some ten seconds of silence, not half a minute, until a neighbour is taken for gone: no less, so that what gossip
/// keeps for it overflows before that.
fn impatient() -> Tuning {
    let mut tuning = Tuning::default();
    (tuning.ping_interval, tuning.ping_timeout) = (Duration::from_secs(3), Duration::from_secs(3));
    tuning.gossip_queue_max = GOSSIP_QUEUE_MAX;
    tuning
}

/// Every queue is within its bound, and so are the tasks.
async fn all_is_bounded(nodes: &[Node]) {
    for node in nodes {
        for (name, queue) in node.status().await.queues {
            assert!(queue.depth <= queue.max, "{name} of {}: {queue:?}", node.name());
        }
        assert!(node.tasks() <= TASKS_MAX, "{} has {} tasks", node.name(), node.tasks());
    }
}

/// Whether `node` takes `peer` for connected.
async fn is_linked(node: &Node, peer: &Program) -> bool {
    node.peers().await.iter().any(|one| one.peer_id == peer.id && one.connected)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_disk_and_a_frozen_peer_keep_memory_bounded_and_everything_recovers() {
    let site = Site::new();
    let (builder, stall) = node_that_may_stall(&site.mesh, "ant");
    let ant = builder.start().await.unwrap();
    let bat = node(&site.mesh, "bat").tuning(impatient()).start().await.unwrap();
    let cat = node(&site.mesh, "cat").start().await.unwrap();
    let all = [ant.clone(), bat.clone(), cat.clone()];
    link(&ant, &bat).await;
    link(&cat, &bat).await;
    let mut dog = site.start("dog", &[]);
    bat.connect(&dog.address()).await.unwrap();
    until("the process is linked", || async { is_linked(&bat, &dog).await.then_some(()) }).await;
    dog.put("dog", b"from a process");
    until_equal(&all).await;
    until_text(&ant, "dog", "from a process").await;

    stall.set(true);
    // It is there, its sockets stand and can be dialled; nobody reads.
    dog.signal(Signal::STOP);
    let mut writers = JoinSet::new();
    for n in 0..WRITERS {
        let ant = ant.clone();
        writers.spawn(async move { (n, ant.put(format!("ant/{n}"), "x").await) });
    }
    let value = vec![7_u8; 30_000];
    let mut written = 0_usize;
    let (mut shed, mut dropped) = (0, 0);
    while shed == 0 || dropped == 0 {
        assert!(written < 20_000, "{shed} shed by who cannot store, {dropped} dropped for who takes nothing");
        bat.put(format!("flood/{}", written % FLOODED), value.clone()).await.unwrap();
        written += 1;
        if !written.is_multiple_of(20) {
            continue;
        }
        all_is_bounded(&all).await;
        shed = metric_of(&ant, "tidings_shed_total", "gossip");
        dropped = metric(&bat, "tidings_network_gossip_slow_peer_drops_total");
    }
    until("the writers fill the room there is for them", || async {
        let queue = ant.status().await.queues["writes"];
        (queue.depth == queue.max).then_some(())
    })
    .await;
    // Silence is found out, and new dials of the silent one change nothing.
    until("the silent peer is taken for gone", || async {
        bat.put("meanwhile", "x").await.unwrap();
        (!is_linked(&bat, &dog).await).then_some(())
    })
    .await;
    let dials = metric(&bat, "tidings_network_dials_total");
    until("it is dialled again", || async {
        (metric(&bat, "tidings_network_dials_total") > dials).then_some(())
    })
    .await;
    bat.put("live", "x").await.unwrap();
    until_text(&cat, "live", "x").await;
    all_is_bounded(&all).await;
    assert!(!is_linked(&bat, &dog).await, "a dial that nobody answers is no link");
    assert_eq!(text(&ant, "dog").await.as_deref(), Some("from a process"), "reads go on");
    assert_eq!(ant.digest().await.unwrap().keys, 1, "nothing is stored");

    stall.set(false);
    dog.signal(Signal::CONT);
    let mut acknowledged = Vec::new();
    while let Some(done) = writers.join_next().await {
        match done.unwrap() {
            (n, Ok(_)) => acknowledged.push(format!("ant/{n}")),
            (_, Err(WriteError::Busy { .. })) => {}
            (n, Err(error)) => panic!("{n}: {error}"),
        }
    }
    let root = until_equal(&all).await;
    let held = contents(&cat).await;
    assert!(acknowledged.iter().all(|key| held.contains_key(key)), "what was acknowledged is everywhere");
    assert_eq!(held.len(), acknowledged.len() + written.min(FLOODED) + 3);
    until("the process has all that it missed", || async { (dog.digest().0 == root).then_some(()) }).await;
    until("nothing is left in any queue", || async {
        for node in &all {
            let queues = node.status().await.queues;
            if ["writes", "gossip", "pages", "blobs"].iter().any(|name| queues[*name].depth > 0) {
                return None;
            }
        }
        Some(())
    })
    .await;
    all_is_bounded(&all).await;
}
