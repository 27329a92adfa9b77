//! Namespaces that are joined and left while nodes run. (Those of the network are in `namespaces.rs`.)

use std::time::Duration;

use serde_json::json;
use tidings::{
    Limits, Namespace, Node,
    node::{CarryError, Imported, ReadError, WatchOptions, WriteError},
    types::{NAMESPACES_MAX, Prefix},
};

use crate::{
    http::{Api, with_nodes},
    support::{PATIENCE, link, mesh_name, node, node_on_disk, restart, until},
};

fn birds() -> Namespace {
    "birds".parse().unwrap()
}

fn names(node: &Node) -> Vec<String> {
    node.namespaces().into_iter().map(|one| one.name.to_string()).collect()
}

async fn put(node: &Node, key: &str, value: &str) {
    node.space(&birds()).unwrap().put(key, value).await.unwrap();
}

async fn until_bird(node: &Node, key: &str, value: &str) {
    until(&format!("{} shows {value:?} under {key:?}", node.name()), || async {
        let entry = node.space(&birds()).ok()?.get(key).await.unwrap()?;
        (entry.value.bytes == value.as_bytes()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_joined_is_filled_at_once_and_then_gossiped_both_ways() {
    let mesh = mesh_name();
    // Nobody compares because it is time to.
    let slow = |name| node(&mesh, name).sync_interval(Duration::from_secs(3_600));
    let ant = slow("ant").namespace(birds()).start().await.unwrap();
    let bat = slow("bat").start().await.unwrap();
    link(&ant, &bat).await;
    put(&ant, "wren", "small").await;
    assert!(matches!(bat.space(&birds()), Err(ReadError::NoNamespace(_))));
    assert!(bat.join(&birds()).await.unwrap());
    assert!(!bat.join(&birds()).await.unwrap(), "it was carried already");
    assert_eq!(names(&bat), ["birds", "default"]);
    until_bird(&bat, "wren", "small").await;
    let gossip = [(&ant, &bat, "robin"), (&bat, &ant, "tit")];
    for (from, to, key) in gossip {
        put(from, key, "new").await;
        until_bird(to, key, "new").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_joined_is_carried_after_a_restart_and_what_was_left_is_not() {
    let (mesh, directory) = (mesh_name(), tempfile::tempdir().unwrap());
    let durable = || node_on_disk(&mesh, "ant", directory.path());
    let ant = durable().start().await.unwrap();
    let fish: Namespace = "fish".parse().unwrap();
    ant.join(&birds()).await.unwrap();
    ant.join(&fish).await.unwrap();
    put(&ant, "wren", "small").await;
    ant.space(&fish).unwrap().put("eel", "long").await.unwrap();
    ant.leave(&fish).await.unwrap();
    let ant = restart(ant, durable).await;
    assert_eq!(names(&ant), ["birds", "default"]);
    until_bird(&ant, "wren", "small").await;
    // It comes back empty: nobody else had it.
    ant.join(&fish).await.unwrap();
    assert!(ant.space(&fish).unwrap().get("eel").await.unwrap().is_none());
    assert_eq!(ant.status().await.keys, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_left_here_only_and_whoever_asks_for_it_is_told() {
    let mesh = mesh_name();
    let with = |name| node(&mesh, name).namespace(birds());
    let (ant, bat) = (with("ant").start().await.unwrap(), with("bat").start().await.unwrap());
    link(&ant, &bat).await;
    put(&bat, "wren", "small").await;
    until_bird(&ant, "wren", "small").await;
    let space = ant.space(&birds()).unwrap();
    let mut watch = space.watch(Prefix::all(), WatchOptions::default()).await.unwrap();
    ant.leave(&birds()).await.unwrap();
    assert!(matches!(space.get("wren").await, Err(ReadError::NoNamespace(_))));
    assert!(matches!(space.put("wren", "large").await, Err(WriteError::NoNamespace(_))));
    let end = tokio::time::timeout(PATIENCE, watch.next()).await.unwrap();
    assert!(matches!(end, Some(Err(ReadError::NoNamespace(_)))), "{end:?}");
    assert!(matches!(ant.leave(&birds()).await, Err(CarryError::NoNamespace(_))));
    assert_eq!(names(&ant), ["default"]);
    // What comes by gossip or is compared from now on finds nobody here, and does no harm.
    put(&bat, "robin", "red").await;
    bat.sync().await.unwrap();
    ant.put("still", "here").await.unwrap();
    until_bird(&bat, "wren", "small").await;
    until("the two agree on what both carry", || async {
        let peers = bat.sync_status().await.peers;
        (peers[0].in_sync == Some(true) && peers[0].namespaces.len() == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_left_and_joined_again_has_all_that_others_hold_and_no_name_is_given_twice() {
    let mesh = mesh_name();
    let with = |name| node(&mesh, name).namespace(birds());
    let (ant, bat) = (with("ant").start().await.unwrap(), with("bat").start().await.unwrap());
    link(&ant, &bat).await;
    for round in 0..5 {
        let before = format!("before/{round}");
        put(&ant, &before, "1").await;
        until_bird(&bat, &before, "1").await;
        let epoch = ant.status().await.epoch;
        ant.leave(&birds()).await.unwrap();
        assert_ne!(ant.status().await.epoch, epoch);
        ant.join(&birds()).await.unwrap();
        let after = format!("after/{round}");
        put(&ant, &after, "2").await;
        until_bird(&bat, &after, "2").await;
    }
    for node in [&ant, &bat] {
        for round in 0..5 {
            until_bird(node, &format!("before/{round}"), "1").await;
            until_bird(node, &format!("after/{round}"), "2").await;
        }
    }
    let spaces = [ant.space(&birds()).unwrap(), bat.space(&birds()).unwrap()];
    until("both hold the same", || async {
        let digests = [spaces[0].digest().await.unwrap(), spaces[1].digest().await.unwrap()];
        (digests[0].root == digests[1].root && digests[0].keys == 10).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_into_a_namespace_that_is_left_ends_with_an_error() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").namespace(birds()).start().await.unwrap();
    put(&ant, "wren", "small").await;
    let space = ant.space(&birds()).unwrap();
    let bundle = space.export(&tidings::node::Frontier::default()).await.unwrap();
    ant.leave(&birds()).await.unwrap();
    let imported: Result<Imported, _> = space.import(bundle).await;
    assert!(imported.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_joins_lists_and_leaves() {
    with_nodes(Limits::default(), async |[ant]: [Api; 1]| {
        let listed = ant.get("/v1/namespaces").await.expect(200).json();
        assert_eq!(
            listed,
            json!({ "namespaces": [{ "name": "default", "keys": 0, "local_only": [] }], "limit": NAMESPACES_MAX })
        );
        let joined = ant.post("/v1/namespaces", &json!({ "name": "birds" })).await.expect(201).json();
        assert_eq!(joined, json!({ "name": "birds", "joined": true }));
        ant.post("/v1/namespaces", &json!({ "name": "birds" })).await.expect(200);
        ant.put("/v1/kv/wren?ns=birds", b"small").await.expect(200);
        ant.get("/v1/kv/wren").await.refused(404, "no_such_key");
        let listed = ant.get("/v1/namespaces").await.expect(200).json();
        assert_eq!(listed["namespaces"][0], json!({ "name": "birds", "keys": 1, "local_only": [] }));
        ant.delete("/v1/namespaces/birds").await.expect(200);
        ant.get("/v1/kv/wren?ns=birds").await.refused(404, "no_such_namespace");
        ant.delete("/v1/namespaces/birds").await.refused(404, "no_such_namespace");
        ant.delete("/v1/namespaces/default").await.refused(409, "always_carried");
        ant.delete("/v1/namespaces/Birds").await.refused(400, "bad_namespace");
        ant.post("/v1/namespaces", &json!({ "name": "-" })).await.refused(400, "bad_namespace");
        ant.post("/v1/namespaces", &json!({ "names": "a" })).await.refused(400, "bad_json");
        for n in 1..NAMESPACES_MAX {
            ant.post("/v1/namespaces", &json!({ "name": format!("n{n}") })).await.expect(201);
        }
        let full = ant.post("/v1/namespaces", &json!({ "name": "birds" })).await;
        assert_eq!(full.refused(409, "too_many_namespaces").json()["limit"], NAMESPACES_MAX);
        ant.node.close().await;
        ant.post("/v1/namespaces", &json!({ "name": "birds" })).await.refused(503, "closed");
    })
    .await;
}

#[cfg(feature = "cli")]
#[test]
fn the_program_carries_what_the_file_names_and_joins_and_leaves() {
    use crate::cli::{Running, home, run};

    let home = home();
    let at = home.path();
    let file =
        "[namespaces.birds]\nhistory = 1\n[namespaces.birds.strategies]\nnests = \"first-write-wins\"\n";
    std::fs::write(at.join("t.toml"), file).unwrap();
    let node = Running::start(at, "ant", &["--config", "t.toml"]);
    let ask = |arguments: &[&str], status| run(&mut node.ask(at, arguments), status);
    for value in ["1", "2", "3"] {
        ask(&["put", "wren", value, "--ns", "birds"], 0);
        ask(&["put", "wren", value], 0);
    }
    let earlier = |arguments: &[&str]| {
        let shown: serde_json::Value = serde_json::from_str(&ask(arguments, 0).0).unwrap();
        shown["versions"].as_array().unwrap().len()
    };
    assert_eq!(earlier(&["history", "wren", "--ns", "birds", "--json"]), 1);
    assert_eq!(earlier(&["history", "wren", "--json"]), 2);
    ask(&["put", "nests/1", "ours", "--ns", "birds"], 0);
    ask(&["put", "nests/1", "theirs", "--ns", "birds"], 1);
    ask(&["namespaces", "join", "fish"], 0);
    let listed = ask(&["namespaces"], 0).0;
    let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows, [["NAMESPACE", "KEYS"], ["birds", "2"], ["default", "1"], ["fish", "0"]]);
    ask(&["namespaces", "leave", "fish"], 0);
    ask(&["get", "eel", "--ns", "fish"], 1);
    ask(&["namespaces", "leave", "default"], 1);
    ask(&["namespaces", "join", "Fish"], 2);
    let shown = ask(&["config", "show", "--config", "t.toml"], 0).0;
    assert!(shown.contains("[namespaces.\"birds\"]\nhistory = 1\n"), "{shown}");
    std::fs::write(at.join("again.toml"), &shown).unwrap();
    assert_eq!(ask(&["config", "show", "--config", "again.toml"], 0).0, shown);
}
