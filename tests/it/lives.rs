//! Restarts, copies and losses of data directories: no dot is used twice, nothing acknowledged is
//! lost.

use std::{collections::BTreeSet, fs, path::Path};

use tidings::{
    Key, Namespace, Node, Value,
    node::{NodeEvent, ReadError, WriteOptions},
    storage::Durability,
};

use crate::support::{
    Machine, address, event, link, mesh_name, metric, node, node_on_disk, restart, text, until, until_equal,
    until_text,
};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

async fn epoch(node: &Node) -> String {
    node.status().await.epoch
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_restarts_goes_on_with_its_life_and_its_new_writes_win() {
    let mesh = mesh_name();
    let home = tempfile::tempdir().unwrap();
    let build = || node_on_disk(&mesh, "ant", home.path());
    let mut ant = build().start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    let (id, life) = (ant.id(), epoch(&ant).await);
    let mut dots = BTreeSet::new();
    for round in 0..4 {
        link(&ant, &bat).await;
        let value = format!("round {round}");
        assert!(dots.insert(ant.put("k", value.as_str()).await.unwrap().dot));
        until_text(&bat, "k", &value).await;
        ant = restart(ant, build).await;
        assert_eq!((ant.id(), epoch(&ant).await), (id, life.clone()));
        assert_eq!(text(&ant, "k").await, Some(value));
    }
    let seqs: Vec<u64> = dots.iter().map(|dot| dot.seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_dropped_without_being_closed_has_kept_what_it_acknowledged() {
    let mesh = mesh_name();
    let home = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let ant = until("the directory is free", || async {
            node_on_disk(&mesh, "ant", home.path()).start().await.ok()
        })
        .await;
        for n in 0..round {
            assert_eq!(text(&ant, &format!("k/{n}")).await.as_deref(), Some("x"));
        }
        let written = ant.put(format!("k/{round}"), "x").await.unwrap();
        assert_eq!(written.dot.seq, round + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_directory_begins_a_new_life_and_no_dot_is_used_twice() {
    let mesh = mesh_name();
    let homes = tempfile::tempdir().unwrap();
    let (first, second) = (homes.path().join("first"), homes.path().join("second"));
    let ant = node_on_disk(&mesh, "ant", &first).start().await.unwrap();
    let mut dots = BTreeSet::new();
    for n in 0..5 {
        dots.insert(ant.put(format!("old/{n}"), "x").await.unwrap().dot);
    }
    let life = epoch(&ant).await;
    ant.close().await;
    drop(ant);
    copy(&first, &second);

    let start = |home: std::path::PathBuf| {
        let mesh = mesh.clone();
        async move {
            until("the directory is free", || async { node_on_disk(&mesh, "ant", &home).start().await.ok() })
                .await
        }
    };
    let original = start(first).await;
    let copied = start(second).await;
    assert_eq!(original.id(), copied.id());
    assert_eq!(epoch(&original).await, life);
    assert_ne!(epoch(&copied).await, life);
    for n in 0..5 {
        assert_eq!(text(&copied, &format!("old/{n}")).await.as_deref(), Some("x"));
        assert!(dots.insert(original.put(format!("original/{n}"), "x").await.unwrap().dot));
        assert!(dots.insert(copied.put(format!("copied/{n}"), "x").await.unwrap().dot));
    }
    assert_eq!(dots.len(), 15);

    // One after the other, for they have one identity.
    let bat = node(&mesh, "bat").start().await.unwrap();
    for twin in [original, copied] {
        twin.connect(&address(&bat).to_string()).await.unwrap();
        until("bat has what this twin wrote", || async {
            let (theirs, ours) =
                (twin.digest().await.unwrap().frontier.0, bat.digest().await.unwrap().frontier.0);
            ours.includes(&theirs).then_some(())
        })
        .await;
        twin.close().await;
        until("bat is alone", || async { (bat.status().await.peers == 0).then_some(()) }).await;
    }
    assert_eq!(bat.digest().await.unwrap().keys, 15);
    assert_eq!(metric(&bat, "tidings_collisions_total"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_old_copy_begins_a_new_life_takes_back_what_came_after_it_and_uses_no_dot_twice() {
    let (mesh, homes) = (mesh_name(), tempfile::tempdir().unwrap());
    let (home, old) = (homes.path().join("home"), homes.path().join("old"));
    let build = || node_on_disk(&mesh, "ant", &home);
    let ant = build().start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    let mut dots = BTreeSet::new();
    for n in 0..20 {
        assert!(dots.insert(ant.put(format!("k/{n}"), "before").await.unwrap().dot));
    }
    until_equal(&[ant.clone(), bat.clone()]).await;
    let (id, life) = (ant.id(), epoch(&ant).await);
    ant.close().await;
    drop(ant);
    copy(&home, &old);

    let ant = until("the node goes on", || async { build().start().await.ok() }).await;
    assert_eq!(epoch(&ant).await, life);
    link(&ant, &bat).await;
    for n in 10..30 {
        assert!(dots.insert(ant.put(format!("k/{n}"), "after").await.unwrap().dot));
    }
    for n in 0..5 {
        assert!(dots.insert(ant.delete(format!("k/{n}")).await.unwrap().dot));
    }
    until_equal(&[ant.clone(), bat.clone()]).await;
    ant.close().await;
    drop(ant);

    until("the directory is free", || async { fs::remove_dir_all(&home).ok() }).await;
    copy(&old, &home);
    let ant = until("the old copy starts", || async { build().start().await.ok() }).await;
    assert_eq!(ant.id(), id);
    assert_ne!(epoch(&ant).await, life, "before anybody told it");
    assert_eq!((text(&ant, "k/0").await.as_deref(), text(&ant, "k/29").await), (Some("before"), None));
    // It writes before it meets anybody.
    for n in 5..8 {
        assert!(dots.insert(ant.put(format!("k/{n}"), "restored").await.unwrap().dot), "a dot is used twice");
    }
    link(&ant, &bat).await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    for n in 8..12 {
        assert!(dots.insert(ant.put(format!("k/{n}"), "restored").await.unwrap().dot), "a dot is used twice");
    }
    until_equal(&[ant.clone(), bat.clone()]).await;
    for node in [&ant, &bat] {
        for n in 0..30 {
            let value = match n {
                0..5 => None,
                5..12 => Some("restored"),
                _ => Some("after"),
            };
            assert_eq!(text(node, &format!("k/{n}")).await.as_deref(), value, "k/{n} at {}", node.name());
        }
        assert_eq!(metric(node, "tidings_collisions_total"), 0);
        assert_eq!(node.digest().await.unwrap().frontier.0.count(), dots.len() as u64);
    }
}

/// As `rsync -a` does: what differs is written anew and gets the old name and the old time.
fn put_back(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            fs::remove_dir_all(&to).unwrap();
            copy(&from, &to);
        } else if fs::read(&from).unwrap() != fs::read(&to).unwrap() {
            let draft = to.with_extension("put-back");
            fs::copy(&from, &draft).unwrap();
            let modified = fs::metadata(&from).unwrap().modified().unwrap();
            fs::File::options().write(true).open(&draft).unwrap().set_modified(modified).unwrap();
            fs::rename(&draft, &to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_put_back_in_its_place_begins_a_new_life_before_anybody_tells_it() {
    // The store and what was counted alone, or all there is.
    for only in [Some(["store", "issued"]), None] {
        let (mesh, homes) = (mesh_name(), tempfile::tempdir().unwrap());
        let (home, backup) = (homes.path().join("home"), homes.path().join("backup"));
        let build = || node_on_disk(&mesh, "ant", &home);
        let ant = build().start().await.unwrap();
        let bat = node(&mesh, "bat").start().await.unwrap();
        link(&ant, &bat).await;
        let mut dots = BTreeSet::new();
        for n in 1..=5 {
            assert!(dots.insert(ant.put(format!("k/{n}"), "old").await.unwrap().dot));
        }
        let life = epoch(&ant).await;
        ant.close().await;
        drop(ant);
        until("the directory is free", || async { fs::File::open(home.join("lock")).ok()?.try_lock().ok() })
            .await;
        copy(&home, &backup);
        if let Some(only) = only {
            for entry in fs::read_dir(&backup).unwrap() {
                let entry = entry.unwrap();
                if !only.contains(&&*entry.file_name().to_string_lossy()) {
                    let _a_directory_or_a_file =
                        fs::remove_file(entry.path()).or_else(|_| fs::remove_dir_all(entry.path()));
                }
            }
        }
        let ant = until("the node goes on", || async { build().start().await.ok() }).await;
        assert_eq!(epoch(&ant).await, life, "a restart begins no new life");
        link(&ant, &bat).await;
        for n in 6..=10 {
            assert!(dots.insert(ant.put(format!("k/{n}"), "old").await.unwrap().dot));
        }
        until_equal(&[ant.clone(), bat.clone()]).await;
        ant.close().await;
        drop(ant);
        until("the directory is free", || async { fs::File::open(home.join("lock")).ok()?.try_lock().ok() })
            .await;

        put_back(&backup, &home);
        let ant = until("the old store starts", || async { build().start().await.ok() }).await;
        assert_ne!(epoch(&ant).await, life, "before anybody told it: {only:?}");
        assert_eq!(text(&ant, "k/6").await, None);
        for key in ["new/1", "new/2", "k/6"] {
            assert!(dots.insert(ant.put(key, "mine").await.unwrap().dot), "a dot is used twice");
        }
        link(&ant, &bat).await;
        until_equal(&[ant.clone(), bat.clone()]).await;
        for node in [&ant, &bat] {
            for (key, value) in
                [("k/5", "old"), ("k/6", "mine"), ("k/10", "old"), ("new/1", "mine"), ("new/2", "mine")]
            {
                assert_eq!(text(node, key).await.as_deref(), Some(value), "{key} at {}", node.name());
            }
            assert_eq!(metric(node, "tidings_collisions_total"), 0);
        }
        let life = epoch(&ant).await;
        let ant = restart(ant, build).await;
        assert_eq!(epoch(&ant).await, life, "the new life goes on");
    }
}

/// A snapshot of the whole disk is put back: nothing there tells, so names are given twice, for other keys.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_whole_disk_was_rolled_back_and_its_peer_keep_what_both_acknowledged() {
    // Fewer, and more than it lost: then nobody has seen more of it than it has itself.
    for mine in [3, 9] {
        let mesh = mesh_name();
        let mut machine = Machine::new(&mesh, "ant");
        let ant = machine.builder().start().await.unwrap();
        for n in 1..=5 {
            ant.put(format!("k/{n}"), "old").await.unwrap();
        }
        ant.close().await;
        drop(ant);
        let snapshot = machine.disk.copy();
        let ant = machine.builder().start().await.unwrap();
        let life = epoch(&ant).await;
        let bat = node(&mesh, "bat").start().await.unwrap();
        link(&ant, &bat).await;
        for n in 6..=9 {
            ant.put(format!("k/{n}"), "old").await.unwrap();
        }
        let large = vec![b'o'; 200_000];
        ant.put("k/10", large.clone()).await.unwrap();
        until_equal(&[ant.clone(), bat.clone()]).await;
        ant.close().await;
        drop(ant);

        machine.disk = snapshot;
        let ant = machine.builder().start().await.unwrap();
        assert_eq!(epoch(&ant).await, life, "nothing tells that time went on");
        for n in 1..mine {
            ant.put(format!("new/{n}"), "mine").await.unwrap();
        }
        ant.put("k/6", "mine").await.unwrap();
        link(&ant, &bat).await;
        until_equal(&[ant.clone(), bat.clone()]).await;
        let digest = ant.digest().await.unwrap();
        assert_eq!((digest.root, digest.keys), (bat.digest().await.unwrap().root, 9 + mine));
        for node in [&ant, &bat] {
            for n in 1..mine {
                assert_eq!(
                    text(node, &format!("new/{n}")).await.as_deref(),
                    Some("mine"),
                    "at {}",
                    node.name()
                );
            }
            for n in 1..=9 {
                let value = if n == 6 { "mine" } else { "old" };
                assert_eq!(
                    text(node, &format!("k/{n}")).await.as_deref(),
                    Some(value),
                    "k/{n} at {}",
                    node.name()
                );
            }
            assert_eq!(
                text(node, "k/10").await.map(String::into_bytes),
                Some(large.clone()),
                "at {}",
                node.name()
            );
        }
        assert!(metric(&ant, "tidings_collisions_total") + metric(&bat, "tidings_collisions_total") > 0);
        assert_ne!(epoch(&ant).await, life);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_with_one_identity_are_found_by_who_is_connected_to_both() {
    // Whichever of the two ends has the lesser id.
    for hub in ["hub", "hut", "hat", "hit"] {
        let mesh = mesh_name();
        let hub = node(&mesh, hub).start().await.unwrap();
        let mut events = hub.events();
        let (mut one, mut other) = (Machine::new(&mesh, "ant"), Machine::new(&mesh, "ant"));
        let one = one.builder().peers([address(&hub)]).start().await.unwrap();
        let other = other.builder().peers([address(&hub)]).start().await.unwrap();
        assert_eq!(one.id(), other.id());
        event(&mut events, |event| {
            matches!(&event, NodeEvent::Warning(text) if text.contains("two processes share")).then_some(())
        })
        .await;
        let warnings = hub.status().await.warnings;
        assert!(warnings.iter().any(|text| text.contains(&one.id().to_string())), "{warnings:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_lost_its_last_writes_learns_so_from_a_peer_and_begins_a_new_life() {
    let mesh = mesh_name();
    let mut machine = Machine::new(&mesh, "ant");
    let ant = machine.builder().durability(Durability::Buffer).start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    for n in 0..20 {
        ant.put(format!("k/{n}"), "x").await.unwrap();
    }
    until_equal(&[ant.clone(), bat.clone()]).await;
    let life = epoch(&ant).await;
    drop(ant);
    // The disk lies about the order of things: what it had promised last is gone.
    machine.disk.crash_losing(5);
    let ant = machine.builder().durability(Durability::Buffer).start().await.unwrap();
    assert_eq!(epoch(&ant).await, life, "nobody can know yet");
    assert!(ant.digest().await.unwrap().keys < 20);
    link(&ant, &bat).await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    assert_ne!(epoch(&ant).await, life);
    assert_eq!(ant.digest().await.unwrap().keys, 20);
    let written = ant.put("k/0", "after").await.unwrap();
    assert_eq!(written.dot.seq, 1, "the first of a new life");
    until_text(&bat, "k/0", "after").await;
    assert_eq!(metric(&bat, "tidings_collisions_total"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_write_of_another_pen_of_the_node_begins_a_new_life_too() {
    let mesh = mesh_name();
    let mut machine = Machine::new(&mesh, "ant");
    let ant = machine.builder().durability(Durability::Buffer).start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    ant.put("k", "first").await.unwrap();
    let first = ant.get("k").await.unwrap().unwrap();
    ant.put("k", "second").await.unwrap();
    until_equal(&[ant.clone(), bat.clone()]).await;
    let from_first = |text: &'static str| {
        let options = WriteOptions { base: Some(first.etag.clone()), ..WriteOptions::default() };
        (Key::new("k").unwrap(), Value::from(text), options)
    };
    let space = ant.space(&Namespace::default()).unwrap();
    let (key, value, options) = from_first("beside");
    let beside = space.put_with(key, value, options).await.unwrap();
    assert_ne!(beside.dot.origin, first.dot.origin, "another pen of the same node");
    until_equal(&[ant.clone(), bat.clone()]).await;
    let life = epoch(&ant).await;
    drop((ant, space));
    machine.disk.crash_losing(1);
    let ant = machine.builder().durability(Durability::Buffer).start().await.unwrap();
    assert_eq!(ant.get("k").await.unwrap().unwrap().siblings, 1, "what was written beside is gone");
    link(&ant, &bat).await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    assert_ne!(epoch(&ant).await, life);
    assert_eq!(ant.get("k").await.unwrap().unwrap().siblings, 2);
    let space = ant.space(&Namespace::default()).unwrap();
    let (key, value, options) = from_first("again");
    let again = space.put_with(key, value, options).await.unwrap();
    assert_ne!(again.dot, beside.dot);
    until_equal(&[ant.clone(), bat.clone()]).await;
    assert_eq!(ant.get("k").await.unwrap().unwrap().siblings, 3);
    assert_eq!(metric(&bat, "tidings_collisions_total"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_in_use_is_refused_and_its_user_undisturbed() {
    let mesh = mesh_name();
    let home = tempfile::tempdir().unwrap();
    let ant = node_on_disk(&mesh, "ant", home.path()).start().await.unwrap();
    let refused = node_on_disk(&mesh, "ant", home.path()).start().await.err().unwrap().to_string();
    assert!(refused.contains("in use"), "{refused}");
    ant.put("k", "v").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_free_when_its_node_has_closed() {
    let mesh = mesh_name();
    let home = tempfile::tempdir().unwrap();
    let mut closed = Vec::new();
    for round in 0..5 {
        let ant = node_on_disk(&mesh, "ant", home.path()).start().await.unwrap();
        ant.put(format!("k/{round}"), "x").await.unwrap();
        ant.close().await;
        // Handles that are left hold nothing.
        closed.push(ant);
    }
    assert_eq!(closed.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_killed_says_that_it_is_closed_not_that_nothing_is_there() {
    let node = node(&mesh_name(), "ant").start().await.unwrap();
    node.put("greeting", "hello").await.unwrap();
    node.kill();
    assert!(matches!(node.get("greeting").await, Err(ReadError::Closed)));
    assert!(node.put("greeting", "again").await.is_err());
    until("nothing of it is left", || async { (node.tasks() == 0).then_some(()) }).await;
}
