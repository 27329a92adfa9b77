//! Local-only keys are keys like any others: scans, batches, history, conflicts, expiry.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tempfile::tempdir;
use tidings::{
    Namespace, Prefix, Value,
    node::{BatchOp, Frontier, WriteError, WriteOptions},
};
use tokio::task::JoinSet;

use crate::{
    local_only::{RETENTION, key, keys, local, space},
    support::*,
};

#[tokio::test(flavor = "multi_thread")]
async fn scans_go_through_both_sides_in_the_order_of_keys_both_ways_and_in_pages() {
    let mesh = mesh_name();
    let ant = local(node(&mesh, "ant"), &["a", "c/d"]).start().await.unwrap();
    let all = ["a", "a-b", "a/x", "a/x/y", "a0", "b", "c", "c/d", "c/d-e", "c/d/e", "c/e"];
    for name in all {
        ant.put(name, name).await.unwrap();
    }
    let mut sorted: Vec<String> = all.map(ToOwned::to_owned).to_vec();
    sorted.sort();
    for limit in [1, 2, 3, 100] {
        assert_eq!(keys(&ant, "", false, limit).await, sorted);
        let mut reversed = keys(&ant, "", true, limit).await;
        reversed.reverse();
        assert_eq!(reversed, sorted);
        assert_eq!(keys(&ant, "c", false, limit).await, ["c", "c/d", "c/d-e", "c/d/e", "c/e"]);
        assert_eq!(keys(&ant, "a", false, limit).await, ["a", "a/x", "a/x/y"]);
        assert_eq!(keys(&ant, "c/d/e", true, limit).await, ["c/d/e"]);
        assert_eq!(keys(&ant, "b", false, limit).await, ["b"]);
    }
    let held = contents(&ant).await;
    assert!(all.iter().all(|name| held[*name] == name.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_key_has_history_bases_conflicts_explanations_and_preconditions_as_all_others() {
    let ant = local(node(&mesh_name(), "ant"), &["drafts"]).start().await.unwrap();
    let space = space(&ant);
    for name in ["drafts/nest", "shared/nest"] {
        space.put(name, "empty").await.unwrap();
        let read = space.get(name).await.unwrap().unwrap();
        let written = space.put(name, "three eggs").await.unwrap();
        let options = WriteOptions { base: Some(read.etag), ..WriteOptions::default() };
        space.put_with(key(name), Value::text("for rent"), options).await.unwrap();
        let explained = space.explain(&key(name)).await.unwrap().unwrap();
        assert_eq!(explained.record.siblings.len(), 2, "{name}");
        assert!(explained.accounted.contains(&written.dot));
        let absent =
            WriteOptions { precondition: tidings::node::Precondition::Absent, ..WriteOptions::default() };
        let refused = space.put_with(key(name), "x".into(), absent).await;
        assert!(matches!(refused, Err(WriteError::Precondition)));
        assert_eq!(space.history(name).await.unwrap().len(), 1, "{name}");
    }
    let conflicts = |page: tidings::node::ConflictPage| -> Vec<_> {
        page.conflicts.into_iter().map(|one| (one.key.to_string(), one.siblings.len())).collect()
    };
    let (drafts, shared) = (("drafts/nest".to_owned(), 2), ("shared/nest".to_owned(), 2));
    let all = space.conflicts(&Prefix::all(), None, 10).await.unwrap();
    assert_eq!(conflicts(all), [drafts.clone(), shared.clone()]);
    let first = space.conflicts(&Prefix::all(), None, 1).await.unwrap();
    let rest = space.conflicts(&Prefix::all(), first.next.as_ref(), 10).await.unwrap();
    assert_eq!((conflicts(first), conflicts(rest)), (vec![drafts], vec![shared]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_on_both_sides_is_refused_as_a_whole_or_done_as_a_whole() {
    let mesh = mesh_name();
    let ant = local(node(&mesh, "ant"), &["drafts"]).start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    let put = |name: &str| BatchOp::Put(key(name), "x".into());
    for missing in ["drafts/none", "users/none"] {
        let batch = vec![put("users/1"), put("drafts/1"), BatchOp::Delete(key(missing))];
        let refused = ant.batch(batch).await;
        assert!(matches!(refused, Err(WriteError::NothingThere { index: 2 })), "{refused:?}");
        assert_eq!(contents(&ant).await, BTreeMap::new());
    }
    let batch = vec![
        put("drafts/1"),
        put("users/1"),
        BatchOp::Delete(key("drafts/1")),
        put("drafts/2"),
        put("users/2"),
    ];
    let written = ant.batch(batch).await.unwrap();
    let waits: Vec<_> = written.iter().map(|one| one.frontier != Frontier::default()).collect();
    assert_eq!(waits, [false, true, false, false, true]);
    for one in &written {
        bat.wait_for(&one.frontier, PATIENCE).await.unwrap();
    }
    let of = |names: &[&str]| {
        names.iter().map(|name| ((*name).to_owned(), b"x".to_vec())).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(contents(&bat).await, of(&["users/1", "users/2"]));
    assert_eq!(contents(&ant).await, of(&["drafts/2", "users/1", "users/2"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_a_batch_on_both_sides_is_there_as_a_whole_or_not_at_all() {
    let (mesh, directory) = (mesh_name(), tempdir().unwrap());
    let build = || local(node_on_disk(&mesh, "ant", directory.path()), &["drafts"]);
    let mut acknowledged = 0;
    for round in 0..5 {
        let ant = until("the node starts", || async { build().start().await.ok() }).await;
        let held = contents(&ant).await;
        let of = |side: &str| -> Vec<String> {
            let names = held.keys().filter_map(|name| name.strip_prefix(side));
            names.map(ToOwned::to_owned).collect()
        };
        assert_eq!(of("drafts/"), of("users/"));
        assert!(of("users/").len() >= acknowledged, "{acknowledged} were acknowledged");
        let (writer, done) = (ant.clone(), Arc::new(AtomicUsize::new(0)));
        let count = done.clone();
        let mut writing = JoinSet::new();
        writing.spawn(async move {
            for n in 0.. {
                let put = |side: &str| BatchOp::Put(key(&format!("{side}/{round}-{n}")), "x".into());
                if writer.batch(vec![put("users"), put("drafts")]).await.is_err() {
                    break;
                }
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        // The moment is one of the writer's: in the middle of whatever it has begun.
        until("some are acknowledged", || async { (done.load(Ordering::SeqCst) > 3 * round).then_some(()) })
            .await;
        ant.kill();
        writing.join_next().await.unwrap().unwrap();
        acknowledged += done.load(Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn local_values_expire_and_local_deletes_are_forgotten() {
    let clock = HandClock::now();
    let builder = node(&mesh_name(), "ant").delete_retention(RETENTION).wall_clock(clock.clone());
    let ant = local(builder, &["drafts"]).start().await.unwrap();
    let soon = WriteOptions { ttl: Some(Duration::from_millis(200)), ..WriteOptions::default() };
    space(&ant).put_with(key("drafts/1"), "x".into(), soon).await.unwrap();
    let names = ["drafts/2", "users/2"].map(key);
    ant.batch(names.iter().map(|name| BatchOp::Put(name.clone(), "x".into())).collect()).await.unwrap();
    ant.batch(names.into_iter().map(BatchOp::Delete).collect()).await.unwrap();
    assert_eq!(ant.status().await.keys, 1);
    clock.advance(Duration::from_secs(10));
    until("it expires", || async { (ant.status().await.keys == 0).then_some(()) }).await;
    // Of both sides in one go.
    until("the deletes are forgotten", || async {
        (metric(&ant, "tidings_forgotten_total") >= 2).then_some(())
    })
    .await;
    assert!(text(&ant, "drafts/1").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_left_and_joined_with_what_is_local_in_it() {
    let birds: Namespace = "birds".parse().unwrap();
    let build = node(&mesh_name(), "ant")
        .namespace(birds.clone())
        .local_only(birds.clone(), "drafts".parse().unwrap());
    let ant = build.start().await.unwrap();
    let put = async || ant.space(&birds).unwrap().put("drafts/1", "x").await;
    put().await.unwrap();
    assert!(ant.get("drafts/1").await.unwrap().is_none(), "it is of another namespace");
    ant.leave(&birds).await.unwrap();
    assert!(ant.join(&birds).await.unwrap());
    assert!(ant.space(&birds).unwrap().get("drafts/1").await.unwrap().is_none());
    let written = put().await.unwrap();
    assert_eq!((written.frontier, ant.status().await.keys), (Frontier::default(), 1));
}
