//! Following changes: acceptance 18 and 31, with real nodes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tidings::{
    Key, Namespace, Node, Prefix, Value,
    node::{BatchOp, Changed, Cursor, Dot, Space, Watch, WatchError, WatchEvent, WatchOptions},
};
use tokio::{task::JoinSet, time};

use super::support::*;

fn space(node: &Node) -> Space {
    node.space(&Namespace::default()).unwrap()
}

fn prefix(text: &str) -> Prefix {
    Prefix::new(text).unwrap()
}

fn since(cursor: &Cursor) -> WatchOptions {
    WatchOptions { since: Some(cursor.clone()), ..WatchOptions::default() }
}

fn from_the_beginning() -> WatchOptions {
    WatchOptions { snapshot: true, ..WatchOptions::default() }
}

async fn next(watch: &mut Watch) -> WatchEvent {
    let event = time::timeout(PATIENCE, watch.next()).await.expect("an event comes in time");
    event.expect("the node runs").unwrap()
}

async fn change(watch: &mut Watch) -> Changed {
    match next(watch).await {
        WatchEvent::Change(change) => change,
        other => panic!("{other:?}"),
    }
}

/// Key and value of the next change.
async fn told(watch: &mut Watch) -> (String, Option<String>) {
    let change = change(watch).await;
    (change.key.to_string(), change.value.map(|value| String::from_utf8(value.bytes.to_vec()).unwrap()))
}

fn is(key: &str, value: &str) -> (String, Option<String>) {
    (key.to_owned(), Some(value.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_fire_for_the_exact_path_and_everything_below_once_per_real_change() {
    let mesh = mesh_name();
    let nodes = nodes(&mesh, &["ant", "bat"]).await;
    let (ant, bat) = (&nodes[0], &nodes[1]);
    let mut here = ant.watch(prefix("users")).await.unwrap();
    let mut there = bat.watch(prefix("users")).await.unwrap();
    // One that fails, or never reads, hurts nobody.
    let idle = ant.watch(prefix("users")).await.unwrap();
    let mut fails = ant.watch(prefix("users")).await.unwrap();
    let mut failing = JoinSet::new();
    failing.spawn(async move {
        fails.next().await;
        panic!("a subscriber fails");
    });
    link(ant, bat).await;
    ant.put("users2/1", "no").await.unwrap();
    ant.put("users", "a").await.unwrap();
    ant.put("users/1", "b").await.unwrap();
    for watch in [&mut here, &mut there] {
        let mut both = [told(watch).await, told(watch).await];
        both.sort();
        assert_eq!(both, [is("users", "a"), is("users/1", "b")]);
    }
    // The same again is no change, here or there; another type of the same bytes is.
    ant.put("users/1", "b").await.unwrap();
    until_equal(&nodes).await;
    bat.put("users/1", "b").await.unwrap();
    until_equal(&nodes).await;
    bat.put("users/1", Value::octets(&b"b"[..])).await.unwrap();
    ant.delete("users").await.unwrap();
    for watch in [&mut here, &mut there] {
        let mut both = [told(watch).await, told(watch).await];
        both.sort();
        assert_eq!(both, [("users".to_owned(), None), is("users/1", "b")]);
    }
    assert!(failing.join_next().await.unwrap().unwrap_err().is_panic());
    drop((here, idle));
    bat.put("users/3", "last").await.unwrap();
    assert_eq!(told(&mut there).await, is("users/3", "last"));
}

#[tokio::test(flavor = "multi_thread")]
async fn unsubscribing_frees_everything() {
    let ant = node(&mesh_name(), "ant").start().await.unwrap();
    let mut all = Vec::new();
    for n in 0..200 {
        all.push(ant.watch(prefix(&format!("users/{n}"))).await.unwrap());
    }
    assert_eq!(metric(&ant, "tidings_subscribers"), 200);
    all.truncate(50);
    until("150 are gone", || async { (metric(&ant, "tidings_subscribers") == 50).then_some(()) }).await;
    drop(all);
    until("all are gone", || async { (metric(&ant, "tidings_subscribers") == 0).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_told_first_and_then_what_happens_without_a_gap() {
    let ant = node(&mesh_name(), "ant").start().await.unwrap();
    for n in 0..1_000 {
        ant.put(format!("users/{n}"), "old").await.unwrap();
    }
    ant.put("users/gone", "x").await.unwrap();
    ant.delete("users/gone").await.unwrap();
    let mut watch = space(&ant).watch(prefix("users"), from_the_beginning()).await.unwrap();
    let (mut writer, node) = (JoinSet::new(), ant.clone());
    writer.spawn(async move {
        for n in 0..2_000 {
            node.put(format!("users/{n}"), "new").await.unwrap();
        }
        node.put("users/end", "end").await.unwrap();
    });
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    loop {
        match next(&mut watch).await {
            WatchEvent::Change(change) => {
                let value = change.value.expect("a delete that takes nothing back is not told");
                seen.insert(change.key.to_string(), String::from_utf8(value.bytes.to_vec()).unwrap());
            }
            other => assert_eq!(other, WatchEvent::Lagged),
        }
        if seen.contains_key("users/end") && seen.len() == 2_001 {
            break;
        }
    }
    writer.join_all().await;
    seen.remove("users/end");
    assert!(seen.values().all(|value| value == "new"), "each key ends as it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_subscriber_is_told_and_goes_on_from_its_cursor() {
    let ant = node(&mesh_name(), "ant").start().await.unwrap();
    let mut watch = ant.watch(Prefix::all()).await.unwrap();
    for batch in 0..30 {
        let put = |n| BatchOp::Put(Key::new(format!("k/{}", batch * 100 + n)).unwrap(), "v".into());
        ant.batch((0..100).map(put).collect()).await.unwrap();
    }
    until("it was let go", || async { (metric(&ant, "tidings_subscribers") == 0).then_some(()) }).await;
    let (mut keys, mut lagged) = (Vec::new(), 0);
    while keys.len() < 3_000 {
        match next(&mut watch).await {
            WatchEvent::Change(change) => keys.push(change.key),
            WatchEvent::Lagged => lagged += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(lagged, 1);
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 3_000, "none twice");
    // It is a subscriber like any other again.
    ant.put("last", "x").await.unwrap();
    assert_eq!(told(&mut watch).await, is("last", "x"));
    assert_eq!(metric(&ant, "tidings_watch_lagged_total"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_of_what_is_quiet_can_have_its_cursor_brought_up_to_date() {
    let ant = node(&mesh_name(), "ant").start().await.unwrap();
    let mut watch = ant.watch(prefix("quiet")).await.unwrap();
    for n in 0..10 {
        ant.put(format!("busy/{n}"), "x").await.unwrap();
    }
    assert!(watch.cursor().is_beginning());
    watch.refresh();
    while watch.cursor().seen().count() < 10 {
        // It is brought up to date when it is polled, and there is nothing to yield.
        let polled = time::timeout(Duration::from_millis(20), watch.next()).await;
        assert!(polled.is_err(), "{polled:?}");
    }
    let cursor = watch.cursor().clone();
    ant.put("quiet", "x").await.unwrap();
    let mut back = space(&ant).watch(prefix("quiet"), since(&cursor)).await.unwrap();
    assert_eq!((told(&mut watch).await, told(&mut back).await), (is("quiet", "x"), is("quiet", "x")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_a_cursor_and_comes_later_is_not_told_again() {
    let mesh = mesh_name();
    let nodes = nodes(&mesh, &["ant", "bat"]).await;
    let (ant, bat) = (&nodes[0], &nodes[1]);
    ant.put("a", "1").await.unwrap();
    let page = space(ant).changes(Prefix::all(), None, 10).await.unwrap();
    assert_eq!((page.changes.len(), page.more, page.reset), (1, false, false));
    // Bat has not heard of it yet, and has something of its own.
    bat.put("b", "2").await.unwrap();
    let mut watch = space(bat).watch(Prefix::all(), since(&page.cursor)).await.unwrap();
    assert_eq!(told(&mut watch).await, is("b", "2"));
    // It has caught up, and hears of what comes as it comes.
    assert!(time::timeout(Duration::from_millis(200), watch.next()).await.is_err());
    until("it follows", || async { (metric(bat, "tidings_subscribers") == 1).then_some(()) }).await;
    link(ant, bat).await;
    until_equal(&nodes).await;
    ant.put("c", "3").await.unwrap();
    assert_eq!(told(&mut watch).await, is("c", "3"));
    // What was told at ant changed meanwhile, and the same value is news to whoever was told another.
    let seen_at_ant = space(ant).changes(Prefix::all(), None, 10).await.unwrap().cursor;
    cut(ant, bat).await;
    ant.put("a", "other").await.unwrap();
    let ahead = space(ant).changes(Prefix::all(), Some(seen_at_ant), 10).await.unwrap().cursor;
    let mut watch = space(bat).watch(Prefix::all(), since(&ahead)).await.unwrap();
    bat.put("a", "1").await.unwrap();
    assert_eq!(told(&mut watch).await, is("a", "1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_too_old_is_told_so_and_never_skipped() {
    let ant = node(&mesh_name(), "ant").delete_retention(Duration::ZERO).start().await.unwrap();
    ant.put("a", "1").await.unwrap();
    let old = space(&ant).changes(Prefix::all(), None, 10).await.unwrap().cursor;
    ant.delete("a").await.unwrap();
    ant.put("b", "2").await.unwrap();
    until("the delete is forgotten", || async {
        (metric(&ant, "tidings_forgotten_total") > 0).then_some(())
    })
    .await;
    let page = space(&ant).changes(Prefix::all(), Some(old.clone()), 10).await.unwrap();
    assert!(page.reset && page.changes.is_empty());
    let again = space(&ant).changes(Prefix::all(), Some(page.cursor), 10).await.unwrap();
    assert!(!again.reset && again.changes.is_empty());
    let mut watch = space(&ant).watch(Prefix::all(), since(&old)).await.unwrap();
    assert_eq!(next(&mut watch).await, WatchEvent::Reset);
    let after = watch.cursor().clone();
    ant.put("c", "3").await.unwrap();
    assert_eq!(told(&mut watch).await, is("c", "3"));
    let mut watch = space(&ant).watch(Prefix::all(), since(&after)).await.unwrap();
    assert_eq!(told(&mut watch).await, is("c", "3"));
    // Who begins has nothing that could have been deleted.
    let mut watch = space(&ant).watch(Prefix::all(), from_the_beginning()).await.unwrap();
    assert_eq!(told(&mut watch).await, is("b", "2"));
    let middle = watch.cursor().clone();
    assert!(!space(&ant).changes(Prefix::all(), Some(middle), 10).await.unwrap().reset);
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_of_others_are_refused() {
    let mesh = mesh_name();
    let photos = Namespace::new("photos").unwrap();
    let ant = node(&mesh, "ant").namespace(photos.clone()).start().await.unwrap();
    ant.put("a", "1").await.unwrap();
    let cursor = space(&ant).changes(prefix("a"), None, 10).await.unwrap().cursor;
    let elsewhere = ant.space(&photos).unwrap().watch(prefix("a"), since(&cursor)).await;
    assert!(matches!(elsewhere, Err(WatchError::Cursor(_))));
    let wider = space(&ant).watch(Prefix::all(), since(&cursor)).await;
    assert!(matches!(wider, Err(WatchError::Cursor(_))));
    // The frontier of a read is a cursor of everything, on any node.
    let frontier = ant.digest().await.unwrap().frontier;
    ant.put("b", "2").await.unwrap();
    let mut watch = space(&ant).watch(prefix("b"), since(&frontier.into())).await.unwrap();
    assert_eq!(told(&mut watch).await, is("b", "2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_value_is_told_whole() {
    let mesh = mesh_name();
    let nodes = nodes(&mesh, &["ant", "bat"]).await;
    link(&nodes[0], &nodes[1]).await;
    let mut watch = nodes[1].watch(Prefix::all()).await.unwrap();
    let large = Value::octets(vec![7; 300_000]);
    nodes[0].put("large", large.clone()).await.unwrap();
    assert_eq!(change(&mut watch).await.value, Some(large));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_is_cut_anywhere_goes_on_elsewhere() {
    let mesh = mesh_name();
    let nodes = nodes(&mesh, &["ant", "bat"]).await;
    link(&nodes[0], &nodes[1]).await;
    for n in 0..600 {
        // Of each three writes two are superseded: a backlog full of holes.
        nodes[n % 2].put(format!("k/{}", n / 3), format!("{n}")).await.unwrap();
    }
    until_equal(&nodes).await;
    let mut cursor = Cursor::beginning(Namespace::default(), Prefix::all());
    let mut seen = Vec::new();
    for n in 0.. {
        let text = cursor.to_string();
        let page = space(&nodes[n % 2]).changes(Prefix::all(), Some(text.parse().unwrap()), 7).await.unwrap();
        seen.extend(page.changes.into_iter().map(|change| change.key));
        cursor = page.cursor;
        if !page.more {
            break;
        }
    }
    assert_eq!((seen.len(), seen.iter().collect::<BTreeSet<_>>().len()), (200, 200));
    assert!(!cursor.is_beginning() && cursor.only_on().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_long_backlog_full_of_holes_a_cursor_is_good_on_one_node_and_elsewhere_again_after_it() {
    const KEYS: usize = 10_000;
    let mesh = mesh_name();
    let nodes = nodes(&mesh, &["ant", "bat"]).await;
    let ant = &nodes[0];
    let put = |n: usize| BatchOp::Put(Key::new(format!("k/{n}")).unwrap(), "v".into());
    for first in (0..KEYS).step_by(1_000) {
        ant.batch((first..first + 1_000).map(put).collect()).await.unwrap();
        ant.batch((first..first + 1_000).step_by(2).map(put).collect()).await.unwrap();
    }
    let (mut cursor, mut told, mut kept) = (None, BTreeSet::new(), 0);
    loop {
        let page = space(ant).changes(Prefix::all(), cursor, 500).await.unwrap();
        for change in page.changes {
            assert!(told.insert(change.key), "none twice");
        }
        let text = page.cursor.to_string();
        if page.cursor.only_on().is_some() {
            kept += 1;
            assert_eq!(page.cursor.only_on(), Some(ant.id()));
            assert!(text.len() < 4_096, "it is short again");
            let there = space(&nodes[1]).changes(Prefix::all(), Some(text.parse().unwrap()), 1).await;
            assert!(matches!(there, Err(WatchError::Cursor(_))));
        }
        cursor = Some(text.parse().unwrap());
        if !page.more {
            break;
        }
    }
    assert!(kept > 0);
    assert_eq!(told.len(), KEYS);
    assert_eq!(cursor.unwrap().only_on(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_outlives_the_actors_behind_it() {
    use tidings::actors::Role;
    let ant = node(&mesh_name(), "ant").start().await.unwrap();
    let mut watch = ant.watch(Prefix::all()).await.unwrap();
    for (n, role) in [Role::Watch, Role::Storage, Role::Watch].into_iter().enumerate() {
        assert!(ant.kill_actor(role).await);
        let key = format!("k{n}");
        until("it is written", || async { ant.put(key.clone(), "v").await.ok() }).await;
        let found = loop {
            match next(&mut watch).await {
                WatchEvent::Lagged => {}
                WatchEvent::Change(change) => break change.key.to_string(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(found, key);
    }
    ant.close().await;
    assert!(watch.next().await.is_none());
}

/// A small generator: the same numbers in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// What a client keeps that goes from node to node: of each key the change with the greatest stamp.
#[derive(Default)]
struct Client {
    keys: BTreeMap<String, Changed>,
    told: BTreeSet<Dot>,
    /// Changes told twice.
    twice: Vec<Dot>,
}

impl Client {
    fn take(&mut self, change: Changed) {
        if !self.told.insert(change.dot) {
            self.twice.push(change.dot);
        }
        let rank = |change: &Changed| (change.hlc, change.dot);
        let known = self.keys.get(change.key.as_str());
        if known.is_none_or(|known| rank(known) < rank(&change)) {
            self.keys.insert(change.key.to_string(), change);
        }
    }

    fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let value =
            |(key, change): (&String, &Changed)| Some((key.clone(), change.value.as_ref()?.bytes.to_vec()));
        self.keys.iter().filter_map(value).collect()
    }
}

async fn writes(node: Node, seed: u64, count: usize) {
    let mut dice = Dice(seed);
    for n in 0..count {
        let key = format!("k/{}", dice.below(25));
        if dice.below(5) == 0 {
            let _nothing_may_be_there = node.delete(key).await;
        } else {
            node.put(key, format!("{seed}/{n}")).await.unwrap();
        }
        if dice.below(8) == 0 {
            time::sleep(Duration::from_millis(dice.below(4))).await;
        }
    }
}

async fn a_follower_that_moves(seed: u64) {
    let mesh = mesh_name();
    let nodes = nodes(&mesh, &["ant", "bat"]).await;
    link(&nodes[0], &nodes[1]).await;
    let mut dice = Dice(seed);
    let writers = [writes(nodes[0].clone(), seed * 2 + 1, 300), writes(nodes[1].clone(), seed * 2 + 2, 300)];
    let mut writers: JoinSet<()> = writers.into_iter().collect();
    let mut client = Client::default();
    let mut cursor = Cursor::beginning(Namespace::default(), Prefix::all());
    let mut moves = 0;
    loop {
        while let Some(written) = writers.try_join_next() {
            written.unwrap();
        }
        let done = writers.is_empty();
        if done {
            mend(&nodes[0], &nodes[1]).await;
            until_equal(&nodes).await;
        }
        let node = &nodes[usize::try_from(dice.below(2)).unwrap()];
        let text = cursor.to_string();
        let mut watch = space(node).watch(Prefix::all(), since(&text.parse().unwrap())).await.unwrap();
        let expected = if done { Some(contents(&nodes[0]).await) } else { None };
        let (count, quiet) =
            if done { (u64::MAX, PATIENCE) } else { (dice.below(40), Duration::from_millis(20)) };
        for _ in 0..count {
            if expected.as_ref().is_some_and(|expected| client.contents() == *expected) {
                break;
            }
            let Ok(event) = time::timeout(quiet, watch.next()).await else { break };
            match event.unwrap().unwrap() {
                WatchEvent::Change(change) => client.take(change),
                other => assert_eq!(other, WatchEvent::Lagged),
            }
        }
        // Of what it has, nothing comes again.
        while done && let Ok(event) = time::timeout(Duration::from_millis(200), watch.next()).await {
            if let WatchEvent::Change(change) = event.unwrap().unwrap() {
                client.take(change);
            }
        }
        cursor = watch.cursor().clone();
        moves += 1;
        if done {
            break;
        }
        if dice.below(10) == 0 {
            cut(&nodes[0], &nodes[1]).await;
        } else if dice.below(3) == 0 {
            mend(&nodes[0], &nodes[1]).await;
        }
    }
    let expected = contents(&nodes[0]).await;
    assert_eq!(client.contents(), expected, "seed {seed}, {moves} moves");
    assert!(client.twice.is_empty(), "seed {seed}: told twice: {:?}", client.twice);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_reconnects_here_or_elsewhere_misses_nothing_and_sees_nothing_twice() {
    for seed in 1..=6 {
        a_follower_that_moves(seed).await;
    }
}
