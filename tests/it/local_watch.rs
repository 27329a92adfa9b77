//! Following changes where some keys never leave the node.

use std::{collections::BTreeMap, time::Duration};

use tidings::{
    Namespace, Node, Prefix,
    node::{BatchOp, Cursor, Space, Watch, WatchEvent, WatchOptions},
};
use tokio::time;

use crate::support::*;

fn space(node: &Node) -> Space {
    node.space(&Namespace::default()).unwrap()
}

fn local(mesh: &str, name: &str) -> tidings::node::Builder {
    node(mesh, name).local_only(Namespace::default(), Prefix::new("drafts").unwrap())
}

/// What a follower knows.
#[derive(Default)]
struct Copy {
    values: BTreeMap<String, String>,
    told: usize,
    resets: usize,
}

impl Copy {
    fn hear(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Change(change) => {
                let (key, text) = (change.key.to_string(), change.value.map(|value| value.bytes));
                match text {
                    Some(text) => self.values.insert(key, String::from_utf8(text.to_vec()).unwrap()),
                    None => self.values.remove(&key),
                };
                self.told += 1;
            }
            WatchEvent::Reset => self.resets += 1,
            other => panic!("{other:?}"),
        }
    }

    /// Follows until all that it is to know is known.
    async fn follow(&mut self, watch: &mut Watch, node: &Node) {
        loop {
            let shown = contents(node).await;
            let shown: BTreeMap<_, _> =
                shown.into_iter().map(|(key, value)| (key, String::from_utf8(value).unwrap())).collect();
            if self.values == shown {
                return;
            }
            let event = time::timeout(PATIENCE, watch.next()).await.expect("an event comes in time");
            self.hear(event.unwrap().unwrap());
        }
    }
}

async fn watch(node: &Node, since: Option<&Cursor>) -> Watch {
    let options = WatchOptions { snapshot: true, since: since.cloned() };
    space(node).watch(Prefix::all(), options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_of_both_sides_first_what_stands_there_then_what_happens_and_resumes() {
    let mesh = mesh_name();
    let ant = local(&mesh, "ant").start().await.unwrap();
    ant.put("drafts/1", "a").await.unwrap();
    ant.put("users/1", "a").await.unwrap();
    let mut copy = Copy::default();
    let mut follower = watch(&ant, None).await;
    copy.follow(&mut follower, &ant).await;
    ant.put("drafts/2", "b").await.unwrap();
    ant.put("users/2", "b").await.unwrap();
    ant.delete("drafts/1").await.unwrap();
    let both = ["drafts/3", "users/3"].map(|name| BatchOp::Put(name.parse().unwrap(), "c".into()));
    ant.batch(both.to_vec()).await.unwrap();
    copy.follow(&mut follower, &ant).await;
    assert_eq!(copy.told, 7, "each change once");
    // From a cursor, as text, after more has happened on both sides.
    let cursor: Cursor = follower.cursor().to_string().parse().unwrap();
    drop(follower);
    ant.put("drafts/2", "d").await.unwrap();
    ant.delete("drafts/3").await.unwrap();
    ant.delete("users/3").await.unwrap();
    let mut follower = watch(&ant, Some(&cursor)).await;
    copy.follow(&mut follower, &ant).await;
    assert_eq!((copy.told, copy.resets), (10, 0), "nothing twice");
    // A watch from now on misses nothing of either side, and one that touches no local prefix hears of none.
    let mut now = ant.watch(Prefix::all()).await.unwrap();
    let mut users = ant.watch("users".parse().unwrap()).await.unwrap();
    for name in ["drafts/9", "users/9"] {
        ant.put(name, "e").await.unwrap();
    }
    for (follower, expected) in [(&mut now, &["drafts/9", "users/9"][..]), (&mut users, &["users/9"][..])] {
        let mut heard = Vec::new();
        while heard.len() < expected.len() {
            let event = time::timeout(PATIENCE, follower.next()).await.unwrap();
            let Some(Ok(WatchEvent::Change(change))) = event else { panic!("{event:?}") };
            heard.push(change.key.to_string());
        }
        heard.sort();
        assert_eq!(heard, expected);
        assert_eq!(follower.cursor().to_string().starts_with("c2."), expected.len() == 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_goes_to_another_node_and_comes_back_misses_nothing_there_or_here() {
    let mesh = mesh_name();
    let ant = local(&mesh, "ant").start().await.unwrap();
    let bat = local(&mesh, "bat").start().await.unwrap();
    let cat = node(&mesh, "cat").start().await.unwrap();
    link(&ant, &bat).await;
    link(&ant, &cat).await;
    ant.put("users/1", "a").await.unwrap();
    ant.put("drafts/ant", "a").await.unwrap();
    ant.put("drafts/stays", "a").await.unwrap();
    bat.put("drafts/bat", "b").await.unwrap();
    let nodes = [ant.clone(), bat.clone(), cat.clone()];
    until_equal(&nodes).await;
    let (mut copy, mut follower) = (Copy::default(), watch(&ant, None).await);
    copy.follow(&mut follower, &ant).await;
    let at_ant = follower.cursor().clone();
    // Cat has no local keys, and hands on what the cursor says of ant's.
    ant.put("users/2", "a").await.unwrap();
    until_equal(&nodes).await;
    let mut follower = watch(&cat, Some(&at_ant)).await;
    let told = copy.told;
    while copy.told < told + 1 {
        copy.hear(follower.next().await.unwrap().unwrap());
    }
    assert_eq!(copy.values["users/2"], "a");
    let at_cat: Cursor = follower.cursor().to_string().parse().unwrap();
    ant.delete("drafts/ant").await.unwrap();
    ant.put("drafts/ant2", "a").await.unwrap();
    let mut follower = watch(&ant, Some(&at_cat)).await;
    let told = copy.told;
    copy.follow(&mut follower, &ant).await;
    assert_eq!(copy.told, told + 2, "a delete and a put, and nothing again");
    // Bat has others, all of which are news.
    let mut follower = watch(&bat, Some(follower.cursor())).await;
    copy.values.retain(|name, _| !name.starts_with("drafts/"));
    let told = copy.told;
    copy.follow(&mut follower, &bat).await;
    assert_eq!((copy.told, copy.resets), (told + 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_may_have_missed_a_local_delete_is_told_to_begin_anew() {
    let mesh = mesh_name();
    let ant = local(&mesh, "ant").delete_retention(Duration::from_millis(50)).start().await.unwrap();
    ant.put("users/1", "a").await.unwrap();
    ant.put("drafts/1", "a").await.unwrap();
    ant.put("drafts/2", "a").await.unwrap();
    // A scan says how far it saw, but for local keys.
    let scanned: Cursor = space(&ant).frontier().unwrap().into();
    let (mut copy, mut follower) = (Copy::default(), watch(&ant, None).await);
    copy.follow(&mut follower, &ant).await;
    let cursor = follower.cursor().clone();
    ant.delete("drafts/1").await.unwrap();
    until("the delete is forgotten", || async {
        (metric(&ant, "tidings_forgotten_total") > 0).then_some(())
    })
    .await;
    for since in [&cursor, &scanned] {
        let mut follower = watch(&ant, Some(since)).await;
        assert_eq!(follower.next().await.unwrap().unwrap(), WatchEvent::Reset);
        let page = space(&ant).changes(Prefix::all(), Some(since.clone()), 10).await.unwrap();
        assert!(page.reset && !page.more);
        // From there on all is told.
        ant.put("drafts/3", "b").await.unwrap();
        let Some(Ok(WatchEvent::Change(change))) = follower.next().await else { panic!("no change") };
        assert_eq!(change.key.as_str(), "drafts/3");
        let page = space(&ant).changes(Prefix::all(), Some(page.cursor), 10).await.unwrap();
        assert!(page.changes.iter().any(|change| change.key.as_str() == "drafts/3") && !page.reset);
        ant.put("drafts/3", "c").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_changes_go_through_both_sides_and_lose_nothing() {
    let ant = local(&mesh_name(), "ant").start().await.unwrap();
    for n in 0..25 {
        ant.put(format!("drafts/{n}"), "x").await.unwrap();
        ant.put(format!("users/{n}"), "x").await.unwrap();
    }
    for limit in [1, 7, 25, 100] {
        let (mut cursor, mut found) = (None, Vec::new());
        loop {
            let page = space(&ant).changes(Prefix::all(), cursor, limit).await.unwrap();
            assert!(page.changes.len() <= limit);
            found.extend(page.changes.into_iter().map(|change| change.key.to_string()));
            cursor = Some(page.cursor.to_string().parse().unwrap());
            if !page.more {
                break;
            }
        }
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 50, "in pages of {limit}");
        let page = space(&ant).changes(Prefix::all(), cursor, limit).await.unwrap();
        assert!(page.changes.is_empty() && !page.more);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_hears_of_deletes_from_before_a_prefix_became_local_and_begins_anew_when_prefixes_change()
{
    let mut machine = Machine::new(&mesh_name(), "ant");
    let with = |builder: tidings::node::Builder, texts: &[&str]| {
        let add = |builder: tidings::node::Builder, text: &&str| {
            builder.local_only(Namespace::default(), Prefix::new(text).unwrap())
        };
        texts.iter().fold(builder, add)
    };
    let ant = machine.builder().start().await.unwrap();
    ant.put("drafts/1", "a").await.unwrap();
    ant.put("drafts/2", "a").await.unwrap();
    let (mut copy, mut follower) = (Copy::default(), watch(&ant, None).await);
    copy.follow(&mut follower, &ant).await;
    let before = follower.cursor().clone();
    ant.delete("drafts/1").await.unwrap();
    ant.delete("drafts/2").await.unwrap();
    ant.close().await;
    drop((ant, follower));
    let ant = with(machine.builder(), &["drafts"]).start().await.unwrap();
    ant.put("drafts/2", "local").await.unwrap();
    let mut follower = watch(&ant, Some(&before)).await;
    copy.follow(&mut follower, &ant).await;
    assert_eq!((copy.told, copy.resets), (4, 0));
    // Another prefix beside it, and then none at all.
    let mut cursor = follower.cursor().clone();
    ant.delete("drafts/2").await.unwrap();
    ant.close().await;
    drop((ant, follower));
    for texts in [&["drafts", "cache"][..], &[][..]] {
        let ant = with(machine.builder(), texts).start().await.unwrap();
        let mut follower = watch(&ant, Some(&cursor)).await;
        assert_eq!(follower.next().await.unwrap().unwrap(), WatchEvent::Reset, "{texts:?}");
        ant.put("users/1", "b").await.unwrap();
        while follower.next().await.unwrap().unwrap() == WatchEvent::Reset {}
        cursor = follower.cursor().clone();
        ant.close().await;
        drop((ant, follower));
    }
}
