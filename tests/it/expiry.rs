//! Rule 10: values that expire.

use std::{sync::Arc, time::Duration};

use tidings::{
    Key, Namespace, Node, Prefix,
    node::{BatchOp, WatchEvent, WriteError, WriteOptions},
};

use crate::support::{
    HandClock, Machine, PATIENCE, SkewedClock, link, mesh_name, node, node_on_disk, restart, synced, text,
    until, until_equal, until_text,
};

const HOUR: i64 = 3_600_000;

async fn put_for(node: &Node, key: &str, value: &str, ttl: Duration) -> Result<(), WriteError> {
    let options = WriteOptions { ttl: Some(ttl), ..WriteOptions::default() };
    let space = node.space(&Namespace::default()).unwrap();
    space.put_with(Key::new(key).unwrap(), value.into(), options).await.map(drop)
}

fn clock() -> Arc<SkewedClock> {
    SkewedClock::ahead(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn from_its_deadline_on_a_value_is_gone_for_readers_scans_and_counts_on_every_node_and_after_restarts()
{
    let (mesh, directory, clock) = (mesh_name(), tempfile::tempdir().unwrap(), clock());
    let durable = || node_on_disk(&mesh, "ant", directory.path()).wall_clock(clock.clone());
    let ant = durable().start().await.unwrap();
    let bat = node(&mesh, "bat").wall_clock(clock.clone()).start().await.unwrap();
    link(&ant, &bat).await;
    ant.put("stays", "1").await.unwrap();
    put_for(&ant, "goes", "2", Duration::from_secs(600)).await.unwrap();
    put_for(&ant, "goes/later", "3", Duration::from_secs(7_200)).await.unwrap();
    for key in ["goes", "goes/later"] {
        let value = if key == "goes" { "2" } else { "3" };
        until_text(&bat, key, value).await;
    }
    let ant = restart(ant, durable).await;
    assert_eq!(text(&ant, "goes").await.as_deref(), Some("2"));
    assert_eq!(ant.digest().await.unwrap().keys, 3);

    clock.set(HOUR);
    let ant = restart(ant, durable).await;
    for node in [&ant, &bat] {
        assert_eq!(text(node, "goes").await, None, "{}", node.name());
        assert_eq!(text(node, "goes/later").await.as_deref(), Some("3"));
        let keys: Vec<String> = node
            .scan(tidings::node::Scan::default())
            .await
            .unwrap()
            .entries
            .into_iter()
            .map(|entry| entry.key.to_string())
            .collect();
        assert_eq!(keys, ["goes/later", "stays"]);
        assert_eq!(node.digest().await.unwrap().keys, 2);
        assert!(matches!(node.delete("goes").await, Err(WriteError::NothingThere { .. })));
    }
    // At an opening what has expired is counted out at once.
    until("the count is right", || async { (ant.status().await.keys == 2).then_some(()) }).await;
    // It can be written again, by whoever.
    link(&ant, &bat).await;
    bat.put("goes", "back").await.unwrap();
    until_text(&ant, "goes", "back").await;
    until_equal(&[ant, bat]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_follow_deadlines_without_anybody_looking() {
    let clock = HandClock::now();
    let ant = node(&mesh_name(), "ant").wall_clock(clock.clone()).start().await.unwrap();
    put_for(&ant, "late", "1", Duration::from_secs(3_600)).await.unwrap();
    let write = |n: usize| {
        BatchOp::Expiring(format!("k/{n}").parse().unwrap(), "x".into(), Duration::from_millis(300))
    };
    ant.batch((0..700).map(write).collect()).await.unwrap();
    assert_eq!(ant.status().await.keys, 701);
    clock.advance(Duration::from_secs(1));
    until("all but one are counted out", || async { (ant.status().await.keys == 1).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_is_told_when_a_value_expires_here_or_elsewhere_and_once() {
    let (mesh, ttl, clock) = (mesh_name(), Duration::from_secs(2), HandClock::now());
    let timed = |name| node(&mesh, name).wall_clock(clock.clone());
    let (ant, bat) = (timed("ant").start().await.unwrap(), timed("bat").start().await.unwrap());
    link(&ant, &bat).await;
    let mut watches = Vec::new();
    for node in [&ant, &bat] {
        watches.push((node, node.watch(Prefix::new("goes").unwrap()).await.unwrap()));
    }
    put_for(&ant, "goes", "soon", ttl).await.unwrap();
    put_for(&ant, "goes/written/again", "soon", ttl).await.unwrap();
    // A delta would bring the later one alone.
    until_text(&bat, "goes/written/again", "soon").await;
    ant.put("goes/written/again", "stays").await.unwrap();
    until_text(&bat, "goes/written/again", "stays").await;
    until_text(&bat, "goes", "soon").await;
    clock.advance(ttl);
    for (node, watch) in &mut watches {
        let mut told = Vec::new();
        while told.len() < 4 {
            let event = tokio::time::timeout(PATIENCE, watch.next()).await.expect("it is told").unwrap();
            let WatchEvent::Change(change) = event.unwrap() else { panic!("nobody is slow") };
            let value = change.value.map(|value| String::from_utf8(value.bytes.to_vec()).unwrap());
            told.push((change.key.to_string(), value));
        }
        told.sort();
        let is = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
        let expected = [
            is("goes", None),
            is("goes", Some("soon")),
            is("goes/written/again", Some("soon")),
            is("goes/written/again", Some("stays")),
        ];
        assert_eq!(told, expected, "{}", node.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expired_is_forgotten_as_a_delete_and_does_not_come_back() {
    let (mesh, clock) = (mesh_name(), clock());
    let forgetful =
        |name| node(&mesh, name).wall_clock(clock.clone()).delete_retention(Duration::from_millis(100));
    let ant = forgetful("ant").start().await.unwrap();
    let mut machine = Machine::new(&mesh, "cat");
    let away = machine.builder().wall_clock(clock.clone()).start().await.unwrap();
    link(&ant, &away).await;
    put_for(&ant, "goes", "soon", Duration::from_secs(600)).await.unwrap();
    until_text(&away, "goes", "soon").await;
    away.close().await;
    clock.set(HOUR);
    until("it is forgotten", || async {
        (crate::support::metric(&ant, "tidings_forgotten_total") > 0).then_some(())
    })
    .await;
    let back = machine.builder().wall_clock(clock.clone()).start().await.unwrap();
    link(&ant, &back).await;
    synced(&back).await;
    until_equal(&[ant.clone(), back.clone()]).await;
    for node in [&ant, &back] {
        assert_eq!(text(node, "goes").await, None);
    }
    // Even to a clock that runs an hour behind it does not come back where it was forgotten.
    clock.set(0);
    synced(&back).await;
    assert_eq!(text(&ant, "goes").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ttl_of_nothing_or_of_more_than_a_century_is_refused_and_changes_nothing() {
    let ant = node(&mesh_name(), "ant").start().await.unwrap();
    for ttl in [Duration::ZERO, tidings::node::TTL_MAX + Duration::from_secs(1), Duration::MAX] {
        let refused = put_for(&ant, "k", "x", ttl).await.unwrap_err();
        assert!(matches!(refused, WriteError::Ttl { .. }), "{refused}");
        assert!(refused.to_string().contains("at most a century"), "{refused}");
    }
    assert_eq!(ant.digest().await.unwrap().frontier, tidings::node::Frontier::default());
    put_for(&ant, "k", "x", tidings::node::TTL_MAX).await.unwrap();
    assert_eq!(text(&ant, "k").await.as_deref(), Some("x"));
}

#[cfg(feature = "http")]
#[tokio::test(flavor = "multi_thread")]
async fn a_ttl_over_http() {
    use serde_json::json;
    use tidings::{Limits, node::Builder};
    let clock = clock();
    let with_clock = |builder: Builder, _: &str| builder.wall_clock(clock.clone());
    crate::http::with_nodes_that(Limits::default(), with_clock, async |[ant]: [crate::http::Api; 1]| {
        for ttl in ["0", "0s", "-1s", "soon", "36526d", ""] {
            let problem = ant.put(&format!("/v1/kv/k?ttl={ttl}"), b"x").await.refused(400, "bad_ttl").json();
            assert!(problem["detail"].as_str().expect("a text").contains("`30s`"), "{problem}");
        }
        ant.get("/v1/kv/k").await.refused(404, "no_such_key");
        ant.put("/v1/kv/k?ttl=30s", b"x").await.expect(200);
        let batch = json!([{"op": "put", "key": "b", "value": 1, "ttl": "30s"}]);
        ant.post("/v1/batch", &batch).await.expect(200);
        ant.post("/v1/kv/made/?ttl=0s", &json!(1)).await.refused(400, "bad_ttl");
        let made = ant.post("/v1/kv/made/?ttl=30s", &json!(1)).await.expect(201).json();
        let made = made["key"].as_str().expect("a key").to_owned();
        ant.get(&format!("/v1/kv/{made}")).await.expect(200);
        let meta = ant.get("/v1/kv/k?meta=true").await.expect(200).json();
        assert!(meta["expires_at"].is_u64(), "{meta}");
        clock.set(31_000);
        for key in ["k", "b", &made] {
            ant.get(&format!("/v1/kv/{key}")).await.refused(404, "no_such_key");
        }
        let story = ant.get("/v1/explain/k").await.expect(200).json();
        assert!(story["why"].as_str().expect("a text").contains("expired"), "{story}");
        assert_eq!(story["versions"][0]["expires_at"], meta["expires_at"]);
        let absent = [("If-None-Match", "*")];
        ant.ask("PUT", "/v1/kv/k", &absent, b"y").await.expect(200);
        let history = ant.get("/v1/history/k").await.expect(200).json();
        assert_eq!(history["versions"][0]["value"], json!(null), "{history}");
        assert_eq!(history["versions"][0]["deleted"], json!(true));
    })
    .await;
}
