//! Shapes of meshes: who may not reach whom, and when.

use std::time::Duration;

use tidings::{
    Key, Namespace, Node,
    node::{Came, ExchangeKind},
};
use tokio::task::JoinSet;

use crate::support::{
    Machine, address, cut, link, mend, mesh_name, metric_of, node, nodes, text, timed, until, until_equal,
    until_linked, until_text,
};

/// So long that nothing in a test comes by a comparison that is due.
const NEVER: Duration = Duration::from_secs(600);

async fn quiet(mesh: &str, names: &[&str]) -> Vec<Node> {
    let mut nodes = Vec::new();
    for name in names {
        nodes.push(node(mesh, name).sync_interval(NEVER).start().await.unwrap());
    }
    nodes
}

#[tokio::test(flavor = "multi_thread")]
async fn along_a_line_of_five_a_write_reaches_the_far_end_by_gossip_alone() {
    let nodes = quiet(&mesh_name(), &["ant", "bat", "cat", "dog", "elk"]).await;
    for pair in nodes.windows(2) {
        link(&pair[0], &pair[1]).await;
    }
    nodes[0].put("first", "x").await.unwrap();
    until_text(&nodes[4], "first", "x").await;
    // The comparisons of those that have just met are over, and so is what they make their neighbours compare.
    for node in &nodes {
        until("nothing is left to compare", || async {
            let round = node.sync().await;
            round.unwrap().peers.iter().all(|one| one.how == Some(ExchangeKind::Equal)).then_some(())
        })
        .await;
    }
    let mut by_gossip = 0;
    for n in 0..41 {
        let (from, to) = if n % 2 == 0 { (&nodes[0], &nodes[4]) } else { (&nodes[4], &nodes[0]) };
        let key = Key::new(format!("k/{n}")).unwrap();
        from.put(key.clone(), "x").await.unwrap();
        until_text(to, key.as_str(), "x").await;
        let story = to.space(&Namespace::default()).unwrap().explain(&key).await.unwrap().unwrap();
        by_gossip += usize::from(story.record.siblings[0].arrived.unwrap().by == Came::Gossip);
    }
    // Where the machine stood still for a second, neighbours may have compared in the place of it.
    assert!(by_gossip >= 36, "{by_gossip} of 41 came by gossip");
    until_equal(&nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_that_breaks_once_stays_whole_and_heals_when_it_breaks_twice() {
    let nodes = nodes(&mesh_name(), &["ant", "bat", "cat", "dog", "elk", "fox"]).await;
    for n in 0..6 {
        link(&nodes[n], &nodes[(n + 1) % 6]).await;
    }
    cut(&nodes[0], &nodes[1]).await;
    nodes[0].put("once", "x").await.unwrap();
    until_text(&nodes[1], "once", "x").await;
    cut(&nodes[3], &nodes[4]).await;
    nodes[2].put("west", "x").await.unwrap();
    nodes[5].put("east", "x").await.unwrap();
    until_text(&nodes[3], "west", "x").await;
    until_text(&nodes[4], "east", "x").await;
    assert_eq!(text(&nodes[4], "west").await, None);
    mend(&nodes[3], &nodes[4]).await;
    until_equal(&nodes).await;
    mend(&nodes[0], &nodes[1]).await;
    nodes[1].put("after", "x").await.unwrap();
    until_equal(&nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn islands_agree_by_a_ferry_that_is_never_at_two_of_them_at_once() {
    let mesh = mesh_name();
    let islands = nodes(&mesh, &["ant", "bat", "cat"]).await;
    let ferry = node(&mesh, "ferry").start().await.unwrap();
    for (n, island) in islands.iter().enumerate() {
        for k in 0..20 {
            island.put(format!("island/{n}/{k}"), "x").await.unwrap();
        }
        island.put("shared", format!("from {n}")).await.unwrap();
    }
    for round in 0..2 {
        for island in &islands {
            if round == 0 {
                link(&ferry, island).await;
            } else {
                mend(&ferry, island).await;
            }
            until("ferry and island agree", || async {
                let (a, b) = (ferry.digest().await.unwrap(), island.digest().await.unwrap());
                (a.root == b.root).then_some(())
            })
            .await;
            cut(&ferry, island).await;
        }
    }
    until_equal(&[&islands[..], &[ferry]].concat()).await;
    assert_eq!(islands[0].digest().await.unwrap().keys, 61);
    assert_eq!(islands[0].get("shared").await.unwrap().unwrap().siblings, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_end_with_the_last_after_three_rounds_in_which_three_of_fourteen_are_down() {
    const NODES: usize = 14;
    let mesh = mesh_name();
    let mut machines: Vec<_> = (0..NODES).map(|n| Machine::new(&mesh, &format!("node{n}"))).collect();
    let mut running: Vec<Option<Node>> = Vec::new();
    for machine in &mut machines {
        running.push(Some(machine.builder().start().await.unwrap()));
    }
    // A ring with chords: every node has four neighbours.
    let neighbours = |n: usize| [1, 3].map(|step| (n + step) % NODES);
    for n in 0..NODES {
        for other in neighbours(n) {
            link(running[n].as_ref().unwrap(), running[other].as_ref().unwrap()).await;
        }
    }
    for round in 0..3 {
        let down = [round, round + 5, round + 10];
        for n in down {
            running[n].take().unwrap().close().await;
        }
        let writer = running[(round + 2) % NODES].as_ref().unwrap();
        writer.put("k", format!("round {round}")).await.unwrap();
        writer.put(format!("round/{round}"), "x").await.unwrap();
        for n in down {
            let node = machines[n].builder().start().await.unwrap();
            running[n] = Some(node);
        }
        for n in down {
            let node = running[n].as_ref().unwrap();
            for other in neighbours(n).into_iter().chain([1, 3].map(|step| (n + NODES - step) % NODES)) {
                node.connect(&address(running[other].as_ref().unwrap()).to_string()).await.unwrap();
            }
        }
    }
    let nodes: Vec<Node> = running.into_iter().flatten().collect();
    until_equal(&nodes).await;
    for node in &nodes {
        assert_eq!(text(node, "k").await.as_deref(), Some("round 2"));
        assert_eq!(node.digest().await.unwrap().keys, 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_joiner_that_only_dials_out_gets_all_earlier_data_by_itself() {
    let mesh = mesh_name();
    let earlier = nodes(&mesh, &["ant", "bat", "cat"]).await;
    link(&earlier[0], &earlier[1]).await;
    link(&earlier[1], &earlier[2]).await;
    for (n, node) in earlier.iter().enumerate() {
        for k in 0..200 {
            node.put(format!("k/{n}/{k}"), "x").await.unwrap();
        }
    }
    let late = node(&mesh, "late").listen([]).peers([address(&earlier[2])]).start().await.unwrap();
    until_linked(&late, &earlier[2]).await;
    until("it has all of it", || async { (late.digest().await.unwrap().keys == 600).then_some(()) }).await;
    assert!(late.listen().is_empty());
    late.put("from/late", "x").await.unwrap();
    until_text(&earlier[0], "from/late", "x").await;
    until_equal(&[&earlier[..], &[late]].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_full_mesh_of_eight_a_put_is_received_a_bounded_number_of_times() {
    const PUTS: u64 = 20;
    let names = ["ant", "bat", "cat", "dog", "elk", "fox", "gnu", "hen"];
    let nodes = quiet(&mesh_name(), &names).await;
    for (n, node) in nodes.iter().enumerate() {
        for other in &nodes[..n] {
            link(node, other).await;
        }
    }
    nodes[0].put("first", "x").await.unwrap();
    for node in &nodes {
        until_text(node, "first", "x").await;
    }
    // Meshes of gossipsub are full when every node has grafted some.
    let copies =
        |node: &Node| metric_of(node, "tidings_network_gossipsub_topic_msg_recv_counts_unfiltered_total", "");
    let grafted = |node: &Node| metric_of(node, "tidings_network_gossipsub_mesh_peer_counts", "");
    until("the mesh is grafted", || async { nodes.iter().all(|node| grafted(node) >= 4).then_some(()) })
        .await;
    let before: Vec<u64> = nodes.iter().map(copies).collect();
    for n in 0..PUTS {
        nodes[0].put(format!("k/{n}"), vec![1_u8; 2_000]).await.unwrap();
        for node in &nodes {
            until("it is everywhere", || async { node.get(format!("k/{n}")).await.unwrap() }).await;
        }
    }
    let copies: Vec<u64> = nodes.iter().zip(before).map(|(node, before)| copies(node) - before).collect();
    let all: u64 = copies.iter().sum();
    assert!(all >= 7 * PUTS, "the metric counts: {copies:?}");
    assert!(copies.iter().all(|copies| *copies <= 8 * PUTS), "{copies:?}");
    assert!(all <= 8 * 6 * PUTS, "{all} copies of {PUTS} puts");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_cliques_whose_bridge_dies_agree_within_two_sync_intervals_of_its_return() {
    // So long that what twice of it leaves is enough for a slow machine.
    const INTERVAL: Duration = Duration::from_secs(10);
    let mesh = mesh_name();
    let mut bridge = Machine::new(&mesh, "bridge");
    let mut sides = Vec::new();
    for side in ["west", "east"] {
        let mut clique: Vec<Node> = Vec::new();
        for n in 0..5 {
            let started = node(&mesh, &format!("{side}{n}")).sync_interval(INTERVAL).start().await.unwrap();
            for other in &clique {
                link(&started, other).await;
            }
            clique.push(started);
        }
        sides.push(clique);
    }
    let ends = [address(&sides[0][0]), address(&sides[1][0])];
    let start = bridge.builder().sync_interval(INTERVAL).peers(ends.clone()).start().await.unwrap();
    sides[0][4].put("before", "x").await.unwrap();
    for node in sides.iter().flatten() {
        until_text(node, "before", "x").await;
    }
    drop(start);
    for (side, clique) in ["west", "east"].into_iter().zip(&sides) {
        for (n, node) in clique.iter().enumerate() {
            for k in 0..10 {
                node.put(format!("{side}/{n}/{k}"), "x").await.unwrap();
            }
            node.put("shared", format!("{side} {n}")).await.unwrap();
        }
        until_equal(clique).await;
    }
    let back = bridge.builder().sync_interval(INTERVAL).peers(ends).start().await.unwrap();
    until_linked(&back, &sides[0][0]).await;
    until_linked(&back, &sides[1][0]).await;
    let all: Vec<Node> = sides.into_iter().flatten().chain([back]).collect();
    let (_, took) = timed(until_equal(&all)).await;
    assert!(took <= INTERVAL * 2, "{took:?}");
    assert_eq!(all[0].digest().await.unwrap().keys, 102);
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_of_nodes_that_dial_each_other_at_the_same_moment_connect_and_agree() {
    for _ in 0..10 {
        let mesh = mesh_name();
        let ant = node(&mesh, "ant").start().await.unwrap();
        let bat = node(&mesh, "bat").start().await.unwrap();
        ant.put("ant", "x").await.unwrap();
        bat.put("bat", "x").await.unwrap();
        let (a, b) = (address(&ant).to_string(), address(&bat).to_string());
        let (one, other) = tokio::join!(ant.connect(&b), bat.connect(&a));
        one.and(other).unwrap();
        until_equal(&[ant, bat]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_are_learned_from_peers_and_a_mesh_grows_from_one_address() {
    let mesh = mesh_name();
    let seed = node(&mesh, "seed").peer_exchange(true).start().await.unwrap();
    let mut starting = JoinSet::new();
    for n in 0..5 {
        let builder = node(&mesh, &format!("node{n}")).peer_exchange(true).peers([address(&seed)]);
        starting.spawn(async move { builder.start().await.unwrap() });
    }
    let nodes = starting.join_all().await;
    until("each knows all others", || async {
        for node in &nodes {
            if node.status().await.peers < 5 {
                return None;
            }
        }
        Some(())
    })
    .await;
    drop(seed);
    nodes[0].put("k", "x").await.unwrap();
    until_equal(&nodes).await;
}
