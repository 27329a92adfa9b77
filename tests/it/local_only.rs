//! Keys that never leave their node, and are in all else keys like any others.

use std::time::Duration;

use futures::StreamExt;
use tidings::{
    Key, Namespace, Node, Prefix,
    node::{BatchOp, Builder, Frontier, NodeEvent, Scan, Space, StartError, WriteOptions},
};

use crate::{
    support::*,
    tap::{Tap, holds},
};

pub const RETENTION: Duration = Duration::from_millis(50);

pub fn space(node: &Node) -> Space {
    node.space(&Namespace::default()).unwrap()
}

fn prefix(text: &str) -> Prefix {
    Prefix::new(text).unwrap()
}

pub fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

pub fn local(builder: Builder, prefixes: &[&str]) -> Builder {
    prefixes.iter().fold(builder, |builder, text| builder.local_only(Namespace::default(), prefix(text)))
}

pub async fn keys(node: &Node, prefix_text: &str, reverse: bool, limit: usize) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let scan = Scan { prefix: prefix(prefix_text), after, limit, reverse, keys_only: true };
        let page = node.scan(scan).await.unwrap();
        assert!(page.entries.len() <= limit);
        found.extend(page.entries.into_iter().map(|entry| entry.key.to_string()));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

async fn bundle(node: &Node) -> Vec<u8> {
    let mut export = space(node).export(&Frontier::default()).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(part) = export.next().await {
        bytes.extend_from_slice(&part.unwrap());
    }
    bytes
}

/// Has `node` know things that nobody else may ever hear of, and some that all hear of.
async fn write_both(node: &Node, round: &str) {
    let secret = |n: usize| format!("drafts/SECRET-KEY-{round}-{n}");
    let shared = |n: usize| format!("users/SHARED-KEY-{round}-{n}");
    node.put(shared(0), format!("SHARED-VALUE-{round}")).await.unwrap();
    for n in 0..3 {
        node.put(secret(n), "SECRET-VALUE").await.unwrap();
        node.put(secret(n), "SECRET-VALUE, written again").await.unwrap();
    }
    node.delete(secret(0)).await.unwrap();
    node.put(secret(3), "SECRET-VALUE ".repeat(8_192)).await.unwrap();
    let expiring = WriteOptions { ttl: Some(Duration::from_millis(300)), ..WriteOptions::default() };
    space(node).put_with(key(&secret(4)), "SECRET-VALUE".into(), expiring).await.unwrap();
    space(node).put_new(&prefix("drafts"), "SECRET-VALUE").await.unwrap();
    let batch = vec![
        BatchOp::Put(key(&secret(5)), "SECRET-VALUE".into()),
        BatchOp::Put(key(&shared(1)), "SHARED-VALUE".into()),
        BatchOp::Put(key(&secret(6)), "SECRET-VALUE".into()),
        BatchOp::Put(key(&shared(2)), "SHARED-VALUE".into()),
    ];
    node.batch(batch).await.unwrap();
}

/// What was written is there, and what nodes compare is equal although they hold different things.
async fn until_equal_but_for_secrets(nodes: &[Node], round: &str) {
    until_equal(nodes).await;
    let (ant, others) = nodes.split_first().unwrap();
    assert_eq!(text(ant, &format!("drafts/SECRET-KEY-{round}-5")).await.as_deref(), Some("SECRET-VALUE"));
    assert!(text(ant, &format!("drafts/SECRET-KEY-{round}-3")).await.is_some());
    for other in others {
        assert_eq!(
            text(other, &format!("users/SHARED-KEY-{round}-2")).await.as_deref(),
            Some("SHARED-VALUE")
        );
        assert_eq!(keys(other, "drafts", false, 100).await, Vec::<String>::new());
        assert_eq!(space(ant).frontier().unwrap(), space(other).frontier().unwrap());
        assert_eq!(ant.digest().await.unwrap().keys, other.digest().await.unwrap().keys);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_local_only_never_leaves_the_node_by_gossip_delta_ranges_newcomers_restarts_or_bundles() {
    let (mesh, tap) = (mesh_name(), Tap::default());
    let mut machine = Machine::new(&mesh, "ant");
    let mut forgetful = || {
        let ant = machine.builder().transport(tap.transport()).delete_retention(RETENTION);
        local(ant, &["drafts"])
    };
    let other = |name| node(&mesh, name).transport(tap.transport()).delete_retention(RETENTION);
    let ant = forgetful().start().await.unwrap();
    let bat = other("bat").start().await.unwrap();
    link(&ant, &bat).await;
    // Gossip.
    write_both(&ant, "gossip").await;
    until_text(&bat, "users/SHARED-KEY-gossip-2", "SHARED-VALUE").await;
    until_equal_but_for_secrets(&[ant.clone(), bat.clone()], "gossip").await;
    // Deltas.
    cut(&ant, &bat).await;
    write_both(&ant, "delta").await;
    bat.put("users/bat", "meanwhile").await.unwrap();
    mend(&ant, &bat).await;
    until_equal_but_for_secrets(&[ant.clone(), bat.clone()], "delta").await;
    // Ranges: a delete was forgotten meanwhile.
    cut(&ant, &bat).await;
    let forgotten = metric(&ant, "tidings_forgotten_total");
    write_both(&ant, "ranges").await;
    ant.delete("users/bat").await.unwrap();
    until("deletes are forgotten", || async {
        (metric(&ant, "tidings_forgotten_total") > forgotten + 1).then_some(())
    })
    .await;
    mend(&ant, &bat).await;
    until_equal_but_for_secrets(&[ant.clone(), bat.clone()], "ranges").await;
    assert!(metric(&bat, "tidings_ranges_total") > 0);
    // A restart, and a newcomer that is filled by it.
    ant.close().await;
    drop(ant);
    let ant = forgetful().start().await.unwrap();
    let cat = other("cat").start().await.unwrap();
    link(&ant, &cat).await;
    link(&ant, &bat).await;
    write_both(&ant, "restart").await;
    let nodes = [ant.clone(), bat.clone(), cat.clone()];
    until_equal_but_for_secrets(&nodes, "restart").await;
    assert!(text(&ant, "drafts/SECRET-KEY-gossip-1").await.is_some(), "as durable as all else");
    for node in &nodes {
        synced(node).await;
    }
    let exported = bundle(&ant).await;
    assert!(holds(&exported, "SHARED-VALUE") && tap.carried("SHARED-KEY-delta-2"), "the tap is a tap");
    for what in ["SECRET", "drafts", "local-only"] {
        assert!(!tap.carried(what), "{what}");
        assert!(!holds(&exported, what), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_stay_here_are_told_to_nobody_as_a_count_or_a_hash() {
    let mesh = mesh_name();
    let ant = local(node(&mesh, "ant"), &["drafts"]).start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    ant.put("users/1", "x").await.unwrap();
    until_equal(&[ant.clone(), bat.clone()]).await;
    let digest = ant.digest().await.unwrap();
    let announced = metric(&ant, "tidings_announced_total");
    let written = ant.put("drafts/1", "x").await.unwrap();
    // A wait for it is over at once, wherever.
    for node in [&ant, &bat] {
        node.wait_for(&written.frontier, Duration::ZERO).await.unwrap();
    }
    let entry = ant.get("drafts/1").await.unwrap().unwrap();
    assert!(entry.local_only && entry.frontier() == Frontier::default());
    let now = ant.digest().await.unwrap();
    assert_eq!((now.root, now.keys, now.frontier), (digest.root, digest.keys, digest.frontier));
    let report = synced(&ant).await;
    assert_eq!((report.versions_in, report.versions_out), (0, 0));
    assert_eq!(metric(&ant, "tidings_announced_total"), announced);
    for peers in [ant.sync_status().await.peers, bat.sync_status().await.peers] {
        assert!(peers.iter().all(|peer| peer.in_sync == Some(true)), "{peers:?}");
    }
    let status = ant.status().await;
    assert_eq!((status.keys, digest.keys), (2, 1));
    assert_eq!(status.namespaces, [Namespace::default()]);
    assert_eq!(status.local_only[&Namespace::default()], ["drafts"]);
    let carried = ant.namespaces();
    assert_eq!(
        (carried.len(), carried[0].keys, carried[0].local_only.join(" ")),
        (1, 2, "drafts".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_below_a_local_prefix_is_carried_for_them_told_once_and_not_shown() {
    let mesh = mesh_name();
    let mut machine = Machine::new(&mesh, "ant");
    let ant = local(machine.builder(), &["drafts"]).start().await.unwrap();
    let (bat, cat) = (node(&mesh, "bat").start().await.unwrap(), node(&mesh, "cat").start().await.unwrap());
    let mut events = ant.events();
    link(&ant, &bat).await;
    link(&ant, &cat).await;
    ant.put("drafts/1", "ant's own").await.unwrap();
    bat.put("drafts/1", "bat's").await.unwrap();
    bat.put("drafts/2", "bat's").await.unwrap();
    // By way of ant, who is between them.
    until_text(&cat, "drafts/2", "bat's").await;
    let all = [ant.clone(), bat.clone(), cat.clone()];
    until_equal(&all).await;
    assert_eq!(text(&ant, "drafts/1").await.as_deref(), Some("ant's own"));
    assert_eq!(keys(&ant, "", false, 10).await, ["drafts/1"]);
    let changes = space(&ant).changes(Prefix::all(), None, 100).await.unwrap();
    assert_eq!(changes.changes.iter().map(|change| change.key.as_str()).collect::<Vec<_>>(), ["drafts/1"]);
    event(&mut events, |event| match event {
        NodeEvent::Warning(text) => text.contains("drafts/1 in default").then_some(()),
        _ => None,
    })
    .await;
    assert_eq!(metric(&ant, "tidings_local_only_shadowed_total"), 2);
    bat.put("drafts/3", "bat's").await.unwrap();
    until_equal(&all).await;
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, NodeEvent::Warning(_)), "once is enough: {event:?}");
    }
    // It stands in nobody's way.
    ant.close().await;
    drop((ant, all));
    let ant = local(machine.builder(), &["drafts"]).start().await.unwrap();
    assert_eq!(keys(&ant, "", false, 10).await, ["drafts/1"]);
}

/// Why a node does not start.
async fn refused(builder: Builder) -> String {
    match builder.start().await {
        Err(error @ StartError::InTheWay(_)) => error.to_string(),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it started"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_does_not_start_where_it_would_hide_keys_or_tell_others_of_local_ones() {
    let mesh = mesh_name();
    let mut machine = Machine::new(&mesh, "ant");
    let ant = machine.builder().start().await.unwrap();
    for name in ["drafts/1", "drafts/2", "users/1"] {
        ant.put(name, "x").await.unwrap();
    }
    ant.close().await;
    drop(ant);
    let why = refused(local(machine.builder(), &["drafts"])).await;
    for part in [
        "\"drafts\" of the namespace default cannot become",
        "2 replicated keys",
        "\"drafts/1\"",
        "start without it",
    ] {
        assert!(why.contains(part), "{why}");
    }
    // Nothing was changed; once they are gone, it does.
    let ant = machine.builder().start().await.unwrap();
    assert_eq!(contents(&ant).await.len(), 3);
    ant.delete("drafts/1").await.unwrap();
    ant.delete("drafts/2").await.unwrap();
    ant.close().await;
    drop(ant);
    let ant = local(machine.builder(), &["drafts"]).start().await.unwrap();
    ant.put("drafts/1", "y").await.unwrap();
    ant.close().await;
    drop(ant);
    for prefixes in [&[][..], &["drafts/2"][..]] {
        let why = refused(local(machine.builder(), prefixes)).await;
        for part in [
            "\"drafts\" of the namespace default is not local-only any more",
            "1 local keys",
            "with it as before",
        ] {
            assert!(why.contains(part), "{why}");
        }
    }
    let ant = local(machine.builder(), &["drafts"]).start().await.unwrap();
    assert_eq!(text(&ant, "drafts/1").await.as_deref(), Some("y"));
    ant.delete("drafts/1").await.unwrap();
    ant.close().await;
    drop(ant);
    let ant = machine.builder().start().await.unwrap();
    assert_eq!(keys(&ant, "", false, 10).await, ["users/1"]);
    ant.close().await;
    drop(ant);

    let birds: Namespace = "birds".parse().unwrap();
    let stranger = machine.builder().local_only(birds, prefix("x")).start().await;
    assert!(matches!(stranger, Err(StartError::Config(text)) if text.contains("birds")));
    let many: Vec<_> = (0..257).map(|n| format!("p/{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let full = local(machine.builder(), &many).start().await;
    assert!(matches!(full, Err(StartError::Config(text)) if text.contains("256")));
}
