//! Resolvers of a program's own, good and bad.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use tidings::{
    Key, Namespace, Node, Prefix, Value,
    node::{Builder, NodeEvent, Resolution, Resolver, StartError, Strategy, Version, WriteOptions},
};

use crate::support::{event, mesh_name, metric, node, text};

struct Of<F>(F);

impl<F: Fn(&[Version]) -> Resolution + Send + Sync + 'static> Resolver for Of<F> {
    fn resolve(&self, siblings: &[Version]) -> Resolution {
        (self.0)(siblings)
    }
}

fn with(resolve: impl Fn(&[Version]) -> Resolution + Send + Sync + 'static) -> Builder {
    node(&mesh_name(), "ant")
        .resolver("own", Arc::new(Of(resolve)))
        .strategy(Prefix::new("own").unwrap(), Strategy::custom("own"))
}

/// Two versions beside each other under `key`: `values`, in the order of their stamps.
async fn beside(node: &Node, key: &str, values: [&str; 2]) {
    let (key, space) = (Key::new(key).unwrap(), node.space(&Namespace::default()).unwrap());
    node.put(key.clone(), "base").await.unwrap();
    let read = node.get(key.clone()).await.unwrap().unwrap();
    for value in values {
        let options = WriteOptions { base: Some(read.etag.clone()), ..WriteOptions::default() };
        space.put_with(key.clone(), value.into(), options).await.unwrap();
    }
}

fn text_of(version: &Version) -> Vec<u8> {
    match version.put().map(|put| &put.payload) {
        Some(tidings::conflict::Payload::Inline(bytes)) => bytes.to_vec(),
        _ => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_what_a_resolver_makes_of_the_siblings() {
    let joined = |siblings: &[Version]| {
        let mut texts: Vec<_> = siblings.iter().map(text_of).collect();
        texts.sort();
        Resolution::Value(Value::octets(texts.join(&b'+')))
    };
    let ant = with(joined).start().await.unwrap();
    beside(&ant, "own/k", ["b", "a"]).await;
    assert_eq!(text(&ant, "own/k").await.as_deref(), Some("a+b"));
    beside(&ant, "other/k", ["b", "a"]).await;
    assert_eq!(text(&ant, "other/k").await.as_deref(), Some("a"), "its prefix only");
    let page = ant.conflicts(&Prefix::new("own").unwrap(), None, 10).await.unwrap();
    assert!(page.conflicts[0].merged);
    ant.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolver_that_goes_by_the_order_is_refused_at_the_start() {
    let refused = async |builder: Builder, part: &str| match builder.start().await {
        Err(StartError::Config(text)) => assert!(text.contains(part), "{text}"),
        other => panic!("{:?}", other.map(|node| node.id())),
    };
    let first = |siblings: &[Version]| Resolution::Version(siblings[0].dot);
    refused(with(first), "changed with their order").await;
    refused(with(|_: &[Version]| std::panic::resume_unwind(Box::new("no good"))), "panicked").await;
    let (_never, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let silent = move |_: &[Version]| {
        let _ = told.lock().unwrap().recv();
        Resolution::Nothing
    };
    refused(with(silent), "did not answer").await;
    let nobody = node(&mesh_name(), "ant").strategy(Prefix::all(), Strategy::custom("nobody"));
    refused(nobody, "there is no resolver \"nobody\"").await;
    let birds = Namespace::new("birds").unwrap();
    let not_carried = node(&mesh_name(), "ant").strategy_in(birds, Prefix::all(), Strategy::KeepAll);
    refused(not_carried, "does not carry").await;
    let many = (0..257).fold(node(&mesh_name(), "ant"), |builder, n| {
        builder.strategy(Prefix::new(&n.to_string()).unwrap(), Strategy::KeepAll)
    });
    refused(many, "256").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolver_that_panics_costs_its_record_nothing_but_its_word() {
    let touchy = |siblings: &[Version]| {
        if siblings.iter().any(|version| text_of(version) == b"boo") {
            // As slow as printing a backtrace may be on a busy machine: it is not taken for dawdling.
            std::thread::sleep(Duration::from_millis(101));
            // Without a backtrace, which takes seconds on a busy machine.
            std::panic::resume_unwind(Box::new("boo!"));
        }
        Resolution::Nothing
    };
    let ant = with(touchy).start().await.unwrap();
    let mut events = ant.events();
    beside(&ant, "own/k", ["a", "b"]).await;
    assert_eq!(text(&ant, "own/k").await, None, "so it says");
    beside(&ant, "own/l", ["a", "boo"]).await;
    assert_eq!(text(&ant, "own/l").await.as_deref(), Some("boo"), "as under keep-all");
    let warning = event(&mut events, |event| match event {
        NodeEvent::Warning(text) => Some(text),
        _ => None,
    })
    .await;
    assert!(warning.contains("own/l") && warning.contains("panicked"), "{warning}");
    assert!(metric(&ant, "tidings_resolver_failures_total") >= 1);
    assert_eq!(text(&ant, "own/k").await, None, "other records go on as they did");
    ant.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolver_that_is_slow_is_not_asked_for_a_while() {
    let slow = |siblings: &[Version]| {
        if siblings.iter().any(|version| text_of(version) == b"slow") {
            std::thread::sleep(Duration::from_millis(101));
        }
        Resolution::Nothing
    };
    let ant = with(slow).start().await.unwrap();
    let mut events = ant.events();
    beside(&ant, "own/k", ["a", "b"]).await;
    assert_eq!(text(&ant, "own/k").await, None);
    beside(&ant, "own/l", ["a", "slow"]).await;
    assert_eq!(text(&ant, "own/l").await.as_deref(), Some("slow"));
    let warning = event(&mut events, |event| match event {
        NodeEvent::Warning(text) => Some(text),
        _ => None,
    })
    .await;
    assert!(warning.contains("100 ms") && warning.contains("not asked for 60 s"), "{warning}");
    assert_eq!(text(&ant, "own/k").await.as_deref(), Some("b"), "it is not asked for others, either");
    ant.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolver_that_never_returns_keeps_nobody_from_reading_and_writing() {
    let (never, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let stuck = move |siblings: &[Version]| {
        if siblings.iter().any(|version| text_of(version) == b"stuck") {
            let _ = told.lock().unwrap().recv();
        }
        Resolution::Nothing
    };
    let ant = with(stuck).start().await.unwrap();
    let mut events = ant.events();
    beside(&ant, "own/k", ["a", "stuck"]).await;
    assert_eq!(text(&ant, "own/k").await.as_deref(), Some("stuck"), "as under keep-all");
    let warning = event(&mut events, |event| match event {
        NodeEvent::Warning(text) => Some(text),
        _ => None,
    })
    .await;
    assert!(warning.contains("own/k") && warning.contains("did not answer"), "{warning}");
    beside(&ant, "own/l", ["a", "b"]).await;
    assert_eq!(text(&ant, "own/l").await.as_deref(), Some("b"), "it is not asked meanwhile");
    beside(&ant, "other/k", ["a", "b"]).await;
    assert_eq!(text(&ant, "other/k").await.as_deref(), Some("b"));
    ant.close().await;
    drop(never);
}
