//! Strategies on real nodes: acceptance 13 and 19.

use std::time::Duration;

use tidings::{
    Key, Node, Prefix, Value,
    node::{BatchOp, Strategy, WriteError, WriteOptions},
};

use crate::support::{cut, link, mend, mesh_name, node, synced, text, until, until_equal, until_text};

/// What a node does to a key while it reaches nobody.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Nothing,
    Put,
    Delete,
    /// A delete, and then a put.
    Recreate,
}

const ALL: [Does; 4] = [Does::Nothing, Does::Put, Does::Delete, Does::Recreate];

/// Nodes under whose prefixes each strategy has its name.
async fn nodes(count: usize) -> Vec<Node> {
    let mesh = mesh_name();
    let mut nodes = Vec::new();
    for name in ["ant", "bat", "cat"].into_iter().take(count) {
        let set = |builder: tidings::node::Builder, strategy: Strategy| {
            builder.strategy(Prefix::new(&strategy.to_string()).unwrap(), strategy)
        };
        nodes.push(Strategy::NAMED.into_iter().fold(node(&mesh, name), set).start().await.unwrap());
    }
    nodes
}

/// What readers are to see of these writes, which stand in the order of their stamps: the table, told anew.
fn table(strategy: &Strategy, writes: &[Option<String>]) -> Option<String> {
    let puts = || writes.iter().flatten().cloned();
    match strategy {
        Strategy::FirstWriteWins => puts().next(),
        Strategy::KeepAll | Strategy::UpdateWins => puts().next_back(),
        Strategy::DeleteWins if writes.contains(&None) => None,
        _ => writes.last().cloned().flatten(),
    }
}

/// Does it, and says what became of it: nothing where it was refused.
async fn act(node: &Node, key: &str, does: Does, value: &str) -> Option<Option<String>> {
    let put = async || match node.put(key, value).await {
        Ok(_) => Some(Some(value.to_owned())),
        Err(WriteError::AlreadySet { .. }) => None,
        Err(error) => panic!("{key}: {error}"),
    };
    let delete = async || match node.delete(key).await {
        Ok(_) => Some(None),
        Err(WriteError::NothingThere { .. }) => None,
        Err(error) => panic!("{key}: {error}"),
    };
    match does {
        Does::Nothing => None,
        Does::Put => put().await,
        Does::Delete => delete().await,
        Does::Recreate => {
            let deleted = delete().await;
            put().await.or(deleted)
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_changes_and_creations_are_seen_alike_everywhere_in_every_order_and_concurrency() {
    let nodes = nodes(3).await;
    let pairs = [(0, 1), (1, 2), (0, 2)];
    for (a, b) in pairs {
        link(&nodes[a], &nodes[b]).await;
    }
    let mut keys = Vec::new();
    for strategy in Strategy::NAMED {
        for there in [true, false] {
            for one in ALL {
                for two in ALL {
                    for three in ALL {
                        let name = format!("{strategy}/{there}-{one:?}-{two:?}-{three:?}");
                        keys.push((strategy.clone(), there, [one, two, three], name));
                    }
                }
            }
        }
    }
    let put = |key: &String| BatchOp::Put(Key::new(key.clone()).unwrap(), "base".into());
    let there = keys.iter().filter(|(_, there, ..)| *there).map(|(.., key)| put(key));
    nodes[0].batch(there.collect()).await.unwrap();
    until_equal(&nodes).await;
    for (a, b) in pairs {
        cut(&nodes[a], &nodes[b]).await;
    }
    let mut left: Vec<Vec<Option<String>>> = vec![Vec::new(); keys.len()];
    for (at, node) in nodes.iter().enumerate() {
        for (index, (_, _, does, key)) in keys.iter().enumerate() {
            left[index].extend(act(node, key, does[at], &format!("{key} {at}")).await);
        }
        // So that the stamps of the next are later; clocks are what this is about.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (a, b) in pairs {
        mend(&nodes[a], &nodes[b]).await;
    }
    until_equal(&nodes).await;
    for (index, (strategy, there, _, key)) in keys.iter().enumerate() {
        let writes = if left[index].is_empty() && *there {
            vec![Some("base".to_owned())]
        } else {
            left[index].clone()
        };
        let expected = table(strategy, &writes);
        for node in &nodes {
            assert_eq!(text(node, key).await, expected, "{key} at {}: {writes:?}", node.name());
        }
    }
    // What is counted is what is seen.
    for node in &nodes {
        assert_eq!(node.status().await.keys, node.digest().await.unwrap().keys, "{}", node.name());
    }
    for node in nodes {
        node.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fourteen_nodes_that_change_fourteen_fields_at_once_lose_none() {
    const NODES: usize = 14;
    let mesh = mesh_name();
    let mut nodes = Vec::new();
    for at in 0..NODES {
        let builder = node(&mesh, &format!("n{at}")).strategy(Prefix::all(), Strategy::MergeFields);
        nodes.push(builder.start().await.unwrap());
    }
    // A ring with chords: four neighbours each.
    for at in 0..NODES {
        link(&nodes[at], &nodes[(at + 1) % NODES]).await;
        link(&nodes[at], &nodes[(at + 5) % NODES]).await;
    }
    let object = |changed: Option<usize>, gone: bool| {
        let mut fields: Vec<String> =
            (0..NODES).map(|at| format!("\"f{at}\":{}", i32::from(changed == Some(at)))).collect();
        if !gone {
            fields.push("\"gone\":true".to_owned());
        }
        Value::json(format!("{{{}}}", fields.join(",")))
    };
    nodes[0].put("profile", object(None, false)).await.unwrap();
    let mut read = Vec::new();
    for node in &nodes {
        read.push(until("all have it", || async { node.get("profile").await.unwrap() }).await);
    }
    // All at once, made from what they have read; the first also removes a field that the others do not touch.
    let puts = nodes.iter().zip(&read).enumerate().map(async |(at, (node, read))| {
        let space = node.space(&tidings::Namespace::default()).unwrap();
        let options = WriteOptions { base: Some(read.etag.clone()), ..WriteOptions::default() };
        space.put_with(Key::new("profile").unwrap(), object(Some(at), at == 0), options).await
    });
    let puts = futures::future::join_all(puts).await;
    assert!(puts.iter().all(Result::is_ok));
    let all: serde_json::Value =
        (0..NODES).map(|at| (format!("f{at}"), 1.into())).collect::<serde_json::Map<_, _>>().into();
    for node in &nodes {
        until(&format!("{} shows 14 of 14", node.name()), || async {
            let entry = node.get("profile").await.unwrap()?;
            let shown: serde_json::Value = serde_json::from_slice(&entry.value.bytes).unwrap();
            (shown == all).then_some(())
        })
        .await;
    }
    until_equal(&nodes).await;
    // Whoever writes next has it all in front of them, and one version is left.
    let merged = nodes[3].get("profile").await.unwrap().unwrap();
    nodes[3].put("profile", merged.value.clone()).await.unwrap();
    assert_eq!(nodes[3].get("profile").await.unwrap().unwrap().siblings, 1);
    for node in nodes {
        node.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_write_wins_until_it_is_deleted() {
    let nodes = nodes(1).await;
    let ant = &nodes[0];
    let key = "first-write-wins/leader";
    ant.put(key, "ant").await.unwrap();
    assert!(matches!(ant.put(key, "bat").await, Err(WriteError::AlreadySet { index: 0 })));
    let batch = vec![
        BatchOp::Put(Key::new("elsewhere").unwrap(), "1".into()),
        BatchOp::Put(Key::new(key).unwrap(), "2".into()),
    ];
    assert!(matches!(ant.batch(batch).await, Err(WriteError::AlreadySet { index: 1 })));
    let twice = |key: &str| BatchOp::Put(Key::new(key).unwrap(), "3".into());
    let batch = vec![twice("first-write-wins/new"), twice("first-write-wins/new")];
    assert!(matches!(ant.batch(batch).await, Err(WriteError::AlreadySet { index: 1 })));
    assert_eq!(text(ant, "elsewhere").await, None, "all or none");
    assert_eq!(text(ant, key).await.as_deref(), Some("ant"));
    let batch =
        vec![BatchOp::Delete(Key::new(key).unwrap()), BatchOp::Put(Key::new(key).unwrap(), "bat".into())];
    ant.batch(batch).await.unwrap();
    assert_eq!(text(ant, key).await.as_deref(), Some("bat"));
    nodes[0].close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_read_the_same_object_at_one_node_both_keep_what_they_changed() {
    let nodes = nodes(2).await;
    let (ant, bat) = (&nodes[0], &nodes[1]);
    link(ant, bat).await;
    let key = Key::new("merge-fields/profile").unwrap();
    ant.put(key.clone(), Value::json(r#"{"name":"a","eggs":1,"old":0}"#)).await.unwrap();
    let read = ant.get(key.clone()).await.unwrap().unwrap();
    let space = ant.space(&tidings::Namespace::default()).unwrap();
    for text in [r#"{"name":"b","eggs":1,"old":0}"#, r#"{"name":"a","eggs":2}"#] {
        let options = WriteOptions { base: Some(read.etag.clone()), ..WriteOptions::default() };
        space.put_with(key.clone(), Value::json(text), options).await.unwrap();
    }
    let both = r#"{"eggs":2,"name":"b"}"#;
    until_text(ant, key.as_str(), both).await;
    until_text(bat, key.as_str(), both).await;
    until_equal(&nodes).await;
    for node in nodes {
        node.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_says_what_it_was_made_from_leaves_what_is_newer_beside_it() {
    let nodes = nodes(2).await;
    let (ant, bat) = (&nodes[0], &nodes[1]);
    link(ant, bat).await;
    let key = Key::new("keep-all/notes").unwrap();
    let space = ant.space(&tidings::Namespace::default()).unwrap();
    ant.put(key.clone(), "first").await.unwrap();
    let first = ant.get(key.clone()).await.unwrap().unwrap();
    let from = |entry: &tidings::node::Entry| WriteOptions {
        base: Some(entry.etag.clone()),
        ..WriteOptions::default()
    };
    // All written at one node; each stands, but what they were made from.
    for at in 0..8 {
        space.put_with(key.clone(), format!("note {at}").into(), from(&first)).await.unwrap();
    }
    let all = ant.get(key.clone()).await.unwrap().unwrap();
    assert_eq!((all.siblings, all.versions().len()), (8, 8));
    // The ninth finds no place beside them, and says so.
    let ninth = space.put_with(key.clone(), "note 8".into(), from(&first)).await;
    assert!(matches!(ninth, Err(WriteError::TooManyBeside)), "{ninth:?}");
    // The other node holds the same.
    until("bat has all of them", || async {
        bat.get(key.clone()).await.unwrap().filter(|entry| entry.siblings == 8)
    })
    .await;
    until_equal(&nodes).await;
    // A base of another key is none, nor is one that nobody knows.
    ant.put("keep-all/other", "x").await.unwrap();
    let other = ant.get("keep-all/other").await.unwrap().unwrap();
    let wrong = space.put_with(key.clone(), "y".into(), from(&other)).await;
    assert!(matches!(wrong, Err(WriteError::UnknownBase)), "{wrong:?}");
    let nobody =
        WriteOptions { base: Some(tidings::node::VersionHash([7; 32]).into()), ..WriteOptions::default() };
    let wrong = space.delete_with(key.clone(), nobody).await;
    assert!(matches!(wrong, Err(WriteError::UnknownBase)), "{wrong:?}");
    // Nor one that this node has not seen.
    cut(ant, bat).await;
    bat.put(key.clone(), "of bat").await.unwrap();
    let unseen = bat.get(key.clone()).await.unwrap().unwrap();
    let wrong = space.put_with(key.clone(), "y".into(), from(&unseen)).await;
    assert!(matches!(wrong, Err(WriteError::UnknownBase)), "{wrong:?}");
    // Who has read all supersedes all, and nothing that came since.
    space.put_with(key.clone(), "all of them".into(), from(&all)).await.unwrap();
    mend(ant, bat).await;
    synced(ant).await;
    until_equal(&nodes).await;
    let (a, b) = (ant.get(key.clone()).await.unwrap().unwrap(), bat.get(key.clone()).await.unwrap().unwrap());
    assert_eq!((a.siblings, a.etag), (2, b.etag));
    for node in nodes {
        node.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strategies_may_change_from_start_to_start_and_keys_are_counted_anew() {
    let mesh = mesh_name();
    let mut machine = crate::support::Machine::new(&mesh, "ant");
    let ant = machine.builder().start().await.unwrap();
    ant.put("k", "base").await.unwrap();
    let space = ant.space(&tidings::Namespace::default()).unwrap();
    let read = ant.get("k").await.unwrap().unwrap();
    ant.put("k", "newer").await.unwrap();
    let options = WriteOptions { base: Some(read.etag), ..WriteOptions::default() };
    space.delete_with(Key::new("k").unwrap(), options).await.unwrap();
    assert_eq!((text(&ant, "k").await, ant.status().await.keys), (None, 0));
    let root = ant.digest().await.unwrap().root;
    ant.close().await;
    for (strategy, shown) in [
        (Strategy::UpdateWins, Some("newer")),
        (Strategy::DeleteWins, None),
        (Strategy::KeepAll, Some("newer")),
        (Strategy::LastWriteWins, None),
    ] {
        let ant = machine.builder().strategy(Prefix::all(), strategy.clone()).start().await.unwrap();
        assert_eq!(text(&ant, "k").await.as_deref(), shown, "{strategy}");
        assert_eq!(ant.status().await.keys, u64::from(shown.is_some()), "{strategy}");
        assert_eq!(ant.digest().await.unwrap().root, root, "nothing stored depends on it");
        ant.close().await;
    }
}
