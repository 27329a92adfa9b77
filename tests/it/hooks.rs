//! What a host has to say: which values are good, and who may.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tidings::{
    Key, Namespace, Node, Prefix, Value,
    node::{
        Asked, BatchOp, Builder, Extent, NodeEvent, NodeId, Operation, Refusal, StartError, Who, WriteError,
        WriteOptions,
    },
};

use crate::support::{address, event, link, mesh_name, metric, node, text, until, until_text};

fn short(_: &Namespace, key: &Key, value: &Value) -> Result<(), Refusal> {
    if value.bytes.len() <= 5 { Ok(()) } else { Err(format!("{key} takes 5 bytes").into()) }
}

fn names() -> Prefix {
    Prefix::new("names").unwrap()
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_refuses_at_the_local_door_whatever_the_way_in() {
    let ant = node(&mesh_name(), "ant").validate(names(), Arc::new(short)).start().await.unwrap();
    ant.put("names/a", "ant").await.unwrap();
    ant.put("names2/a", "a long one").await.unwrap();
    let refused = ant.put("names/b", "bombardier").await.unwrap_err();
    assert!(
        matches!(&refused, WriteError::Invalid { index: 0, reason } if reason == "names/b takes 5 bytes")
    );
    assert!(refused.to_string().contains("names/b takes 5 bytes"), "{refused}");
    let space = ant.space(&Namespace::default()).unwrap();
    let expiring = WriteOptions { ttl: Some(Duration::from_secs(60)), ..WriteOptions::default() };
    let refused = space.put_with(key("names/a"), "bombardier".into(), expiring).await;
    assert!(matches!(refused, Err(WriteError::Invalid { .. })));
    let refused = space.put_new(&names(), "bombardier").await;
    assert!(matches!(refused, Err(WriteError::Invalid { .. })));
    assert_eq!(text(&ant, "names/a").await.as_deref(), Some("ant"));
    ant.delete("names/a").await.expect("a delete has no value to look at");
    ant.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_batch_with_a_value_that_is_refused_nothing_is_written() {
    let ant = node(&mesh_name(), "ant").validate(names(), Arc::new(short)).start().await.unwrap();
    let batch = vec![
        BatchOp::Put(key("other"), "as long as it likes".into()),
        BatchOp::Put(key("names/a"), "ant".into()),
        BatchOp::Expiring(key("names/b"), "bombardier".into(), Duration::from_secs(60)),
    ];
    let refused = ant.batch(batch).await;
    assert!(matches!(refused, Err(WriteError::Invalid { index: 2, .. })), "{refused:?}");
    assert_eq!((text(&ant, "other").await, text(&ant, "names/a").await), (None, None));
    ant.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_from_peers_or_in_bundles_is_not_shown_to_a_validator() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let never = |_: &Namespace, _: &Key, _: &Value| Err(Refusal::from("nothing is written here"));
    let bat = node(&mesh, "bat").validate(Prefix::all(), Arc::new(never)).start().await.unwrap();
    let cat = node(&mesh, "cat").validate(Prefix::all(), Arc::new(never)).start().await.unwrap();
    ant.put("before", "by exchange").await.unwrap();
    link(&ant, &bat).await;
    until_text(&bat, "before", "by exchange").await;
    ant.put("after", "by gossip").await.unwrap();
    until_text(&bat, "after", "by gossip").await;
    let bundle = ant.space(&Namespace::default()).unwrap().export(&Default::default()).await.unwrap();
    cat.space(&Namespace::default()).unwrap().import(bundle).await.unwrap();
    assert_eq!(text(&cat, "after").await.as_deref(), Some("by gossip"));
    assert!(matches!(bat.put("k", "v").await, Err(WriteError::Invalid { .. })));
    for one in [ant, bat, cat] {
        one.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_panics_refuses_and_the_node_lives_on() {
    let panics = |_: &Namespace, _: &Key, _: &Value| -> Result<(), Refusal> { panic!("no good") };
    let ant = node(&mesh_name(), "ant").validate(names(), Arc::new(panics)).start().await.unwrap();
    let mut events = ant.events();
    for _ in 0..2 {
        assert!(matches!(ant.put("names/a", "ant").await, Err(WriteError::Invalid { .. })));
    }
    let told = event(&mut events, |event| match event {
        NodeEvent::Warning(text) if text.contains("panicked") => Some(text),
        _ => None,
    });
    assert!(told.await.contains("\"names\""));
    ant.put("other", "ant").await.expect("it is not asked about this");
    ant.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_of_a_namespace_that_is_not_carried_is_refused_at_the_start() {
    let birds = Namespace::new("birds").unwrap();
    let started = node(&mesh_name(), "ant").validate_in(birds, names(), Arc::new(short)).start().await;
    let Err(StartError::Config(text)) = started else { panic!("it started") };
    assert!(text.contains("does not carry"), "{text}");
}

type Log = Arc<Mutex<Vec<(Who, Asked)>>>;

/// A builder whose host is asked and notes what; `rule` says what it answers.
fn asked(builder: Builder, rule: impl Fn(&Who, &Asked) -> bool + Send + Sync + 'static) -> (Builder, Log) {
    let log = Log::default();
    let noted = log.clone();
    let authorize = move |who: &Who, asked: &Asked| {
        noted.lock().unwrap().push((who.clone(), asked.clone()));
        if rule(who, asked) { Ok(()) } else { Err(Refusal::from("the host says no")) }
    };
    (builder.authorize(Arc::new(authorize)), log)
}

fn of_peer(log: &Log, peer: NodeId) -> Vec<Operation> {
    let log = log.lock().unwrap();
    let of = log.iter().filter(|(who, _)| *who == Who::Peer(peer));
    of.map(|(_, asked)| asked.operation).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_may_is_asked_about_at_each_step() {
    let mesh = mesh_name();
    let (builder, log) = asked(node(&mesh, "ant"), |_, _| true);
    let (ant, bat) = (builder.start().await.unwrap(), node(&mesh, "bat").start().await.unwrap());
    link(&ant, &bat).await;
    bat.put("k", "v").await.unwrap();
    until_text(&ant, "k", "v").await;
    let operations = of_peer(&log, bat.id());
    assert_eq!(operations.first(), Some(&Operation::Connect), "{operations:?}");
    assert!(operations.contains(&Operation::Exchange), "{operations:?}");
    let all = Extent::Below(Prefix::all());
    for (_, asked) in log.lock().unwrap().iter().filter(|(_, asked)| asked.operation != Operation::Connect) {
        assert_eq!((asked.namespace.clone(), &asked.extent), (Some(Namespace::default()), &all));
    }
    for one in [ant, bat] {
        one.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_not_let_in_is_never_connected_whoever_dials() {
    let mesh = mesh_name();
    let bat = node(&mesh, "bat").start().await.unwrap();
    let (builder, log) = asked(node(&mesh, "ant"), |_, asked| asked.operation != Operation::Connect);
    let ant = builder.start().await.unwrap();
    let mut events = ant.events();
    ant.put("k", "v").await.unwrap();
    bat.connect(&address(&ant).to_string()).await.unwrap();
    let told = event(&mut events, |event| match event {
        NodeEvent::Warning(text) if text.contains("the host says no") => Some(text),
        _ => None,
    });
    assert!(told.await.contains(&bat.id().to_string()));
    ant.connect(&address(&bat).to_string()).await.unwrap();
    until("ant's own dial is refused too", async || (of_peer(&log, bat.id()).len() >= 2).then_some(())).await;
    assert!(of_peer(&log, bat.id()).iter().all(|operation| *operation == Operation::Connect));
    assert!(ant.peers().await.iter().all(|peer| !peer.connected));
    assert_eq!(text(&bat, "k").await, None);
    for one in [ant, bat] {
        one.close().await;
    }
}

/// Two nodes that carry `birds` beside `default`, and ant's host refuses bat `operation` of `birds`
/// while the flag is set.
async fn fenced(operation: Operation) -> (Node, Node, Namespace, Arc<AtomicBool>) {
    let (mesh, birds) = (mesh_name(), Namespace::new("birds").unwrap());
    let fence = Arc::new(AtomicBool::new(true));
    let (closed, fenced) = (fence.clone(), birds.clone());
    let rule = move |_: &Who, asked: &Asked| {
        asked.operation != operation
            || asked.namespace.as_ref() != Some(&fenced)
            || !closed.load(Ordering::SeqCst)
    };
    let (builder, _) = asked(node(&mesh, "ant").namespace(birds.clone()), rule);
    let ant = builder.start().await.unwrap();
    let bat = node(&mesh, "bat").namespace(birds.clone()).start().await.unwrap();
    (ant, bat, birds, fence)
}

async fn shows(node: &Node, namespace: &Namespace, key: &str) -> bool {
    node.space(namespace).unwrap().get(key).await.unwrap().is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_exchanged_only_with_peers_that_may_and_others_go_on() {
    let (ant, bat, birds, fence) = fenced(Operation::Exchange).await;
    ant.space(&birds).unwrap().put("of-ant", "v").await.unwrap();
    bat.space(&birds).unwrap().put("of-bat", "v").await.unwrap();
    ant.put("k", "v").await.unwrap();
    link(&ant, &bat).await;
    until_text(&bat, "k", "v").await;
    for (node, whose) in [(&ant, "ant's round"), (&bat, "bat's round")] {
        let report = node.sync().await.unwrap();
        let of_birds: Vec<_> = report.peers.iter().filter(|peer| peer.namespace == birds).collect();
        let refused = of_birds.iter().all(|report| report.error.is_some());
        assert!(refused && !of_birds.is_empty(), "{whose}: {of_birds:?}");
    }
    assert!(!shows(&bat, &birds, "of-ant").await && !shows(&ant, &birds, "of-bat").await);
    // The host may change its mind: the next beacon names the namespace again.
    fence.store(false, Ordering::SeqCst);
    until("bat has ant's bird, and ant bat's", async || {
        (shows(&bat, &birds, "of-ant").await && shows(&ant, &birds, "of-bat").await).then_some(())
    })
    .await;
    for one in [ant, bat] {
        one.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gossip_of_a_neighbour_that_may_not_is_counted_and_not_stored() {
    let (ant, bat, birds, _) = fenced(Operation::Gossip).await;
    link(&ant, &bat).await;
    let space = bat.space(&birds).unwrap();
    until("gossip reaches ant and is refused", async || {
        space.put("k", "v").await.unwrap();
        (metric(&ant, "tidings_gossip_refused_total") > 0).then_some(())
    })
    .await;
    // What gossip must not bring, an exchange still may.
    until("an exchange brings it", async || shows(&ant, &birds, "k").await.then_some(())).await;
    for one in [ant, bat] {
        one.close().await;
    }
}

#[cfg(feature = "http")]
mod over_http {
    use serde_json::json;
    use tidings::Limits;

    use super::*;
    use crate::http::{Api, with_nodes_that};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_value_that_is_refused_is_422_with_the_reason() {
        let are = |builder: Builder, _: &str| builder.validate(names(), Arc::new(short));
        with_nodes_that(Limits::default(), are, async |[ant]: [Api; 1]| {
            ant.put("/v1/kv/names/a", b"ant").await.expect(200);
            let refused = ant.put("/v1/kv/names/b", b"bombardier").await.refused(422, "invalid").json();
            assert!(refused["detail"].as_str().unwrap().contains("names/b takes 5 bytes"), "{refused}");
            let json_type = [("Content-Type", "application/json")];
            ant.ask("PUT", "/api/names/b", &json_type, b"{\"value\":\"bombardier\"}").await.expect(422);
            let batch = json!([{ "op": "put", "key": "x", "value": "y" },
                               { "op": "put", "key": "names/b", "value": "bombardier" }]);
            let refused = ant.post("/v1/batch", &batch).await.refused(422, "invalid").json();
            assert_eq!(refused["index"], 1, "{refused}");
            ant.get("/v1/kv/x").await.refused(404, "no_such_key");
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_that_may_not_is_403_and_nothing_happens() {
        let log = Log::default();
        let noted = log.clone();
        let only_ants = move |who: &Who, asked: &Asked| {
            noted.lock().unwrap().push((who.clone(), asked.clone()));
            let Who::Client(client) = who else { return Ok(()) };
            assert!(client.address.is_some_and(|address| address.ip().is_loopback()));
            match (&asked.extent, asked.operation) {
                (Extent::Key(key), Operation::Write) if client.header("x-user") != Some("ant") => {
                    Err(Refusal::from(format!("only the ant writes {key}")))
                }
                (_, Operation::Administer) => Err(Refusal::from("nobody does that")),
                _ => Ok(()),
            }
        };
        let only_ants = Arc::new(only_ants);
        let are = |builder: Builder, _: &str| builder.authorize(only_ants.clone());
        with_nodes_that(Limits::default(), are, async |[api]: [Api; 1]| {
            let refused = api.put("/v1/kv/k", b"v").await.refused(403, "forbidden").json();
            assert_eq!(refused["detail"], "only the ant writes k");
            api.ask("PUT", "/v1/kv/k", &[("X-User", "ant")], b"v").await.expect(200);
            api.get("/v1/kv/k").await.expect(200);
            api.delete("/v1/kv/k").await.refused(403, "forbidden");
            let batch = json!([{ "op": "put", "key": "x", "value": "y" }]);
            assert_eq!(api.post("/v1/batch", &batch).await.refused(403, "forbidden").json()["key"], "x");
            api.get("/v1/kv/x").await.refused(404, "no_such_key");
            api.post("/v1/sync", &json!({})).await.refused(403, "forbidden");
            let before = log.lock().unwrap().len();
            api.get("/healthz").await.expect(200);
            assert_eq!(log.lock().unwrap().len(), before, "whether it lives is no secret");
        })
        .await;
    }
}
