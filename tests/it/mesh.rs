//! What nodes of one mesh come to, whatever its shape.

use std::time::Duration;

use tidings::{
    Node,
    network::Tuning,
    node::{BatchOp, ExchangeKind, Membership, NodeEvent, Scan, WriteError},
};
use tokio::time::sleep;

use crate::support::{
    address, contents, cut, event, link, mend, mesh_name, metric, node, node_that_may_stall, nodes, synced,
    text, until, until_equal, until_text,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_write_reaches_a_neighbour_by_gossip_and_its_delete_too() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    ant.put("greeting", "hello").await.unwrap();
    until_text(&bat, "greeting", "hello").await;
    bat.delete("greeting").await.unwrap();
    until_equal(&[ant.clone(), bat.clone()]).await;
    assert_eq!(text(&ant, "greeting").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_before_the_link_comes_by_delta_both_ways() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    for n in 0..2_500 {
        ant.put(format!("ant/{n}"), "x".repeat(50)).await.unwrap();
        bat.put(format!("bat/{n}"), "y".repeat(50)).await.unwrap();
    }
    link(&ant, &bat).await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    assert_eq!(ant.digest().await.unwrap().keys, 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_value_is_announced_and_fetched() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    let early = vec![7_u8; 1_000_000];
    ant.put("early", early.clone()).await.unwrap();
    link(&ant, &bat).await;
    let late = vec![9_u8; 3_000_000];
    ant.put("late", late.clone()).await.unwrap();
    until_equal(&[ant.clone(), bat.clone()]).await;
    assert_eq!(bat.get("early").await.unwrap().unwrap().value.bytes, early);
    assert_eq!(bat.get("late").await.unwrap().unwrap().value.bytes, late);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_replicate_and_scans_select_whole_segments_without_tombstones() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    for key in ["users", "users/1", "users/2", "users2/1", "user"] {
        ant.put(key, key).await.unwrap();
    }
    until_text(&bat, "user", "user").await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    bat.delete("users/1").await.unwrap();
    until_equal(&[ant.clone(), bat.clone()]).await;
    for node in [&ant, &bat] {
        let scan = Scan { prefix: "users".parse().unwrap(), ..Scan::default() };
        let page = node.scan(scan).await.unwrap();
        let keys: Vec<_> = page.entries.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["users", "users/2"]);
        assert_eq!(contents(node).await.len(), 4);
        assert_eq!(node.status().await.keys, 4);
        assert!(matches!(node.delete("users/1").await, Err(WriteError::NothingThere { .. })));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_peer_brings_no_older_value_back() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    ant.put("k", "old").await.unwrap();
    ant.put("gone", "old").await.unwrap();
    until_equal(&[ant.clone(), bat.clone()]).await;
    cut(&ant, &bat).await;
    ant.put("k", "new").await.unwrap();
    ant.delete("gone").await.unwrap();
    mend(&ant, &bat).await;
    synced(&ant).await;
    synced(&bat).await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    for node in [&ant, &bat] {
        assert_eq!(text(node, "k").await.as_deref(), Some("new"));
        assert_eq!(text(node, "gone").await, None);
        assert_eq!(node.get("k").await.unwrap().unwrap().siblings, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_write_the_same_keys_at_once_over_links_that_come_and_go_end_equal() {
    const KEYS: usize = 40;
    let mesh = mesh_name();
    let names = ["ant", "bat", "cat", "dog", "elk", "fox", "gnu", "hen"];
    let nodes = nodes(&mesh, &names).await;
    for n in 0..names.len() {
        link(&nodes[n], &nodes[(n + 1) % names.len()]).await;
    }
    link(&nodes[0], &nodes[4]).await;
    let mut writers = tokio::task::JoinSet::new();
    for (n, node) in nodes.iter().cloned().enumerate() {
        writers.spawn(async move {
            for round in 0..150 {
                let key = format!("k/{}", (round * 7 + n * 3) % KEYS);
                if round % 9 == 8 {
                    // Somebody else may have deleted it first.
                    drop(node.delete(key).await);
                } else {
                    node.put(key, format!("{n}:{round}")).await.unwrap();
                }
            }
        });
    }
    for n in [1, 5, 2] {
        cut(&nodes[n], &nodes[n + 1]).await;
        nodes[n].put(format!("cut/{n}"), "x").await.unwrap();
        mend(&nodes[n], &nodes[n + 1]).await;
    }
    writers.join_all().await;
    until_equal(&nodes).await;
    let first = contents(&nodes[0]).await;
    assert!(first.len() > KEYS / 2, "{}", first.len());
    for node in &nodes {
        assert_eq!(contents(node).await, first);
        assert_eq!(metric(node, "tidings_collisions_total"), 0);
        assert_eq!(metric(node, "tidings_lost_total"), 0);
        assert_eq!(node.sync_status().await.missing, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn finding_that_two_thousand_keys_are_equal_costs_two_hundred_bytes_at_most() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    for half in 0..4 {
        let put = |n| BatchOp::Put(format!("k/{half}/{n}").parse().unwrap(), "value".into());
        ant.batch((0..500).map(put).collect()).await.unwrap();
    }
    link(&ant, &bat).await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    let report = until("an exchange finds both equal", || async {
        let report = synced(&ant).await;
        (report.peers[0].how == Some(ExchangeKind::Equal)).then_some(report)
    })
    .await;
    assert!(report.bytes_in + report.bytes_out <= 200, "{} + {}", report.bytes_in, report.bytes_out);
    assert_eq!((report.versions_in, report.versions_out, report.rounds), (0, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_written_on_two_nodes_at_once_is_there_for_a_third_that_joins() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    ant.put("same", "value").await.unwrap();
    bat.put("same", "value").await.unwrap();
    link(&ant, &bat).await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    let cat = node(&mesh, "cat").start().await.unwrap();
    link(&cat, &bat).await;
    until_text(&cat, "same", "value").await;
    until_equal(&[ant, bat, cat]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_arrives_as_one_unit() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    until_ready(&ant, &bat).await;
    for round in 0..40 {
        let value = format!("{round}");
        let put = |n| BatchOp::Put(format!("k/{n:02}").parse().unwrap(), value.as_str().into());
        ant.batch((0..20).map(put).collect()).await.unwrap();
        let seen = contents(&bat).await;
        let distinct: std::collections::BTreeSet<_> =
            seen.iter().filter(|(key, _)| key.starts_with("k/")).map(|(_, value)| value).collect();
        assert!(distinct.len() <= 1, "bat sees parts of several batches: {distinct:?}");
    }
    until_text(&bat, "k/19", "39").await;
}

/// Waits until gossip runs from `a` to `b`.
async fn until_ready(a: &Node, b: &Node) {
    a.put("ready", "x").await.unwrap();
    until_text(b, "ready", "x").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_in_the_first_second_after_a_connection_arrives_at_once() {
    for delay in [0, 50, 120, 250, 400, 600, 900] {
        let mesh = mesh_name();
        // Nothing here comes by a comparison that is due, or by what gossip says of itself at a heartbeat.
        let never = Duration::from_secs(600);
        let mut tuning = Tuning::default();
        tuning.heartbeat = never;
        let quiet = |name| node(&mesh, name).sync_interval(never).tuning(tuning);
        let ant = quiet("ant").start().await.unwrap();
        let bat = quiet("bat").start().await.unwrap();
        link(&ant, &bat).await;
        // How long after the connection is what this test is about.
        sleep(Duration::from_millis(delay)).await;
        for (from, to) in [(&ant, &bat), (&bat, &ant)] {
            let key = format!("from/{}", from.name());
            from.put(key.as_str(), "x").await.unwrap();
            until_text(to, &key, "x").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_any_lawful_size_arrives_and_a_larger_one_is_refused_to_its_writer() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    let cat = node(&mesh, "cat").start().await.unwrap();
    link(&ant, &bat).await;
    link(&bat, &cat).await;
    let limit = ant.limits().value_bytes_max;
    for size in [0, 1, 32 * 1024, 32 * 1024 + 1, 64 * 1024, 2 * 1024 * 1024, limit] {
        let value: Vec<u8> = (0..size).map(|n| u8::try_from(n * 31 % 251).unwrap()).collect();
        let key = format!("size/{size}");
        ant.put(key.as_str(), value.clone()).await.unwrap();
        let at_cat =
            until("it arrives at the far end", || async { cat.get(key.as_str()).await.unwrap() }).await;
        assert!(at_cat.value.bytes == value, "{size} bytes arrive as they were");
    }
    match ant.put("too-large", vec![0; limit + 1]).await {
        Err(WriteError::ValueTooLarge { size, limit: told }) => assert_eq!((size, told), (limit + 1, limit)),
        other => panic!("{other:?}"),
    }
    let many = (0..1_001).map(|n| BatchOp::Put(format!("b/{n}").parse().unwrap(), "x".into())).collect();
    assert!(matches!(ant.batch(many).await, Err(WriteError::BatchTooLarge { .. })));
    let wide = (0..3).map(|n| BatchOp::Put(format!("b/{n}").parse().unwrap(), vec![0; 400_000].into()));
    assert!(matches!(ant.batch(wide.collect()).await, Err(WriteError::BatchTooLarge { .. })));
    assert!(matches!(ant.put("a//b", "x").await, Err(WriteError::Key(_))));
    assert_eq!(text(&ant, "too-large").await, None);
    until_equal(&[ant, bat, cat]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_values_written_in_one_moment_all_arrive() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..60_u8 {
        let ant = ant.clone();
        writers.spawn(async move { ant.put(format!("large/{n}"), vec![n; 500_000]).await.unwrap() });
    }
    writers.join_all().await;
    let batch = (0..8).map(|n| BatchOp::Put(format!("batch/{n}").parse().unwrap(), vec![9; 100_000].into()));
    ant.batch(batch.collect()).await.unwrap();
    until_equal(&[ant.clone(), bat.clone()]).await;
    for n in 0..60_u8 {
        let entry = bat.get(format!("large/{n}")).await.unwrap().unwrap();
        assert!(entry.value.bytes.len() == 500_000 && entry.value.bytes.iter().all(|byte| *byte == n));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_by_a_node_that_was_alone_counts_when_it_returns() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    ant.put("both", "before").await.unwrap();
    until_text(&bat, "both", "before").await;
    cut(&ant, &bat).await;
    // Bat writes little and early, ant much and late.
    bat.put("only/bat", "early").await.unwrap();
    bat.put("both", "bat, early").await.unwrap();
    for n in 0..500 {
        ant.put("busy", format!("{n}")).await.unwrap();
    }
    ant.put("both", "ant, late").await.unwrap();
    mend(&ant, &bat).await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    for node in [&ant, &bat] {
        assert_eq!(text(node, "only/bat").await.as_deref(), Some("early"));
        assert_eq!(text(node, "busy").await.as_deref(), Some("499"));
        let both = node.get("both").await.unwrap().unwrap();
        assert_eq!(&both.value.bytes[..], b"ant, late");
        assert_eq!(both.siblings, 2, "the concurrent write stands beside it, however early it was");
    }
    // Who has seen both supersedes both.
    bat.put("both", "after").await.unwrap();
    until_text(&ant, "both", "after").await;
    assert_eq!(ant.get("both").await.unwrap().unwrap().siblings, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_two_agree_is_told_truthfully() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    ant.put("k", "1").await.unwrap();
    let agree = |node: Node| async move { node.sync_status().await.peers[0].in_sync };
    for node in [&ant, &bat] {
        until("both know that they agree", || async {
            (agree(node.clone()).await == Some(true)).then_some(())
        })
        .await;
    }
    let told = ant.sync_status().await;
    assert_eq!((told.lacks, told.peers[0].behind, told.peers[0].ahead), (Some(false), Some(0), Some(0)));
    cut(&ant, &bat).await;
    assert_eq!(agree(ant.clone()).await, None, "who is not there cannot be known");
    ant.put("m", "4").await.unwrap();
    assert_eq!(ant.sync_status().await.peers[0].ahead, Some(1), "as far as the peer has told");
    bat.put("k", "2").await.unwrap();
    bat.put("l", "3").await.unwrap();
    assert_ne!(agree(ant.clone()).await, Some(true));
    mend(&ant, &bat).await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    until("both agree again", || async { (agree(ant.clone()).await == Some(true)).then_some(()) }).await;
    assert!(ant.sync_status().await.peers[0].matched_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_meshes_keys_and_strangers_are_refused_with_a_reason() {
    let mesh = mesh_name();
    let key = Membership::SwarmKey([7; 32]);
    let ant = node(&mesh, "ant").membership(key.clone()).start().await.unwrap();
    let bat = node(&mesh, "bat").membership(key.clone()).start().await.unwrap();
    link(&ant, &bat).await;

    let told = async |stranger: Node, words: &[&str]| {
        let mut events = stranger.events();
        stranger.put("secret", "of a stranger").await.unwrap();
        stranger.connect(&address(&ant).to_string()).await.unwrap();
        event(&mut events, |event| {
            let text = match event {
                NodeEvent::DialFailed { reason, .. } | NodeEvent::PeerLost { reason, .. } => reason,
                NodeEvent::Warning(text) => text,
                _ => return None,
            };
            words.iter().any(|word| text.contains(word)).then_some(())
        })
        .await;
    };
    told(node(&mesh, "cat").membership(Membership::SwarmKey([8; 32])).start().await.unwrap(), &["swarm key"])
        .await;
    told(node(&mesh, "dog").start().await.unwrap(), &["swarm key"]).await;
    told(node(&mesh_name(), "elk").membership(key).start().await.unwrap(), &["mesh"]).await;
    until_ready(&ant, &bat).await;
    for node in [&ant, &bat] {
        assert_eq!(text(node, "secret").await, None);
        assert_eq!(node.peers().await.iter().filter(|peer| peer.connected).count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_fills_up_while_live_writes_keep_flowing() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    for page in 0..5 {
        let put = |n| BatchOp::Put(format!("bulk/{page}/{n}").parse().unwrap(), vec![1; 500].into());
        ant.batch((0..1_000).map(put).collect()).await.unwrap();
    }
    until_equal(&[ant.clone(), bat.clone()]).await;
    let (builder, stall) = node_that_may_stall(&mesh, "newcomer");
    let newcomer = builder.start().await.unwrap();
    newcomer.connect(&address(&bat).to_string()).await.unwrap();
    until("it fills", || async { newcomer.filling().first().map(drop) }).await;
    stall.crawl();
    for live in 0..20 {
        let key = format!("live/{live}");
        ant.put(key.as_str(), "x").await.unwrap();
        until_text(&bat, &key, "x").await;
        if live == 4 {
            // Had they come when the fill had ended, it would have ended by now.
            assert!(newcomer.status().await.keys < 5_000, "it fills up meanwhile");
            stall.set(false);
        }
    }
    until_equal(&[ant, bat, newcomer]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_blocked_is_told() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    let mut events = bat.events();
    link(&ant, &bat).await;
    cut(&ant, &bat).await;
    let warning = event(&mut events, |event| match event {
        NodeEvent::Warning(text) => Some(text),
        _ => None,
    })
    .await;
    assert_eq!(warning, "ant has blocked this node");
    // Nobody is there to be told: it is blocked all the same.
    ant.block(bat.id()).await.unwrap();
    mend(&ant, &bat).await;
}
