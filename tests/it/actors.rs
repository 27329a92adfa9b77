//! What survives when an actor dies, and what happens when that does not help.

use std::{sync::Arc, time::Duration};

use tidings::{
    Node,
    actors::Role,
    node::{NodeEvent, WriteError},
    storage::StoreError,
};
use tokio::time::timeout;

use crate::support::{
    Machine, PATIENCE, event, link, mesh_name, metric, node, text, until, until_equal, until_linked,
    until_text,
};

/// Writes, over and over if need be: a write may hit the moment in which the writer is started again.
async fn put(node: &Node, key: &str, value: &str) {
    until("a write goes through", || async {
        match node.put(key, value).await {
            Ok(_) => Some(()),
            Err(WriteError::Busy { .. } | WriteError::Closed) => None,
            Err(error) => panic!("{error}"),
        }
    })
    .await;
}

/// Kills the actor that plays `role` in a node of two and shows that nothing is lost and all goes on.
async fn kill(role: Role) {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    let mut events = ant.events();
    ant.put("before/ant", "1").await.unwrap();
    bat.put("before/bat", "2").await.unwrap();
    until_equal(&[ant.clone(), bat.clone()]).await;

    assert!(ant.kill_actor(role).await);
    let warned =
        |event| matches!(&event, NodeEvent::Warning(text) if text.contains("started again")).then_some(());
    event(&mut events, warned).await;
    put(&ant, "after/ant", "3").await;
    bat.put("after/bat", "4").await.unwrap();
    assert_eq!(text(&ant, "before/ant").await.as_deref(), Some("1"));
    until_text(&ant, "after/bat", "4").await;
    until_text(&bat, "after/ant", "3").await;
    until_linked(&ant, &bat).await;
    // Gossip and comparisons both work again.
    put(&ant, "late/ant", "5").await;
    bat.put("late/bat", "6").await.unwrap();
    until_equal(&[ant.clone(), bat.clone()]).await;
    assert_eq!(metric(&ant, "tidings_restarts_total"), 1);
    assert!(ant.health().ready);
    assert_eq!(ant.digest().await.unwrap().keys, 6);
    until("both know that they agree", || async {
        let known = [ant.sync_status().await, bat.sync_status().await];
        known.iter().all(|status| status.peers[0].in_sync == Some(true)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_may_die() {
    kill(Role::Clock).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_writer_may_die() {
    kill(Role::Storage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sessions_may_die_and_links_come_back() {
    kill(Role::Sessions).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anti_entropy_may_die() {
    kill(Role::AntiEntropy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mesh_may_die_and_links_come_back() {
    kill(Role::Mesh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_may_die_and_its_subscribers_are_told() {
    kill(Role::Watch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_dialled_by_others_is_found_again_after_the_death_of_its_mesh() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    let before = bat.listen();
    let mut events = bat.events();
    assert!(bat.kill_actor(Role::Mesh).await);
    let warned = |event| matches!(&event, NodeEvent::Warning(_)).then_some(());
    event(&mut events, warned).await;
    until("bat listens where it did", || async { (bat.listen() == before).then_some(()) }).await;
    until_linked(&ant, &bat).await;
    put(&bat, "k", "v").await;
    until_text(&ant, "k", "v").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_actors_may_die_one_after_the_other_while_both_sides_write() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    for (round, role) in
        [Role::Storage, Role::Mesh, Role::Sessions, Role::AntiEntropy].into_iter().enumerate()
    {
        assert!(ant.kill_actor(role).await);
        for n in 0..20 {
            put(&ant, &format!("ant/{round}/{n}"), "x").await;
            put(&bat, &format!("bat/{round}/{n}"), "y").await;
        }
    }
    until_equal(&[ant.clone(), bat.clone()]).await;
    assert_eq!(ant.digest().await.unwrap().keys, 160);
    let frontier = bat.digest().await.unwrap().frontier.0;
    assert!(frontier.iter().all(|(_, seqs)| seqs.base() == seqs.max()), "{frontier:?}");
    assert_eq!(frontier.origins(), 2, "no new life began");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_that_dies_again_and_again_closes_the_node_and_says_so() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    let mut deaths = 0;
    let why = loop {
        if let Ok(why) = timeout(Duration::from_millis(20), ant.closed()).await {
            break why.expect("says why");
        }
        ant.kill_actor(Role::Watch).await;
        deaths += 1;
        assert!(deaths < 1_000, "it never gives up");
    };
    assert!(why.contains("Watch") && why.contains("again and again"), "{why}");
    assert_eq!(metric(&ant, "tidings_restarts_total"), 6);
    assert_eq!(ant.health().reason.as_deref(), Some(&*why));
    assert!(matches!(ant.put("k", "v").await, Err(WriteError::Closed)));
    until("bat sees that it is alone", || async { (bat.status().await.peers == 0).then_some(()) }).await;
    bat.put("k", "v").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_closes_its_node_with_a_clear_error_and_no_other() {
    let mesh = mesh_name();
    let mut machine = Machine::new(&mesh, "ant");
    let ant = machine.builder().start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    ant.put("before", "1").await.unwrap();
    until_text(&bat, "before", "1").await;

    machine.disk.fail_commits(Some(StoreError::Full("no space left".into())));
    match ant.put("lost", "2").await {
        Err(WriteError::Store(StoreError::Full(_))) => {}
        other => panic!("{other:?}"),
    }
    let why = timeout(PATIENCE, ant.closed()).await.expect("it closes").expect("says why");
    assert!(why.contains("the disk is full"), "{why}");
    assert!(!ant.health().ready);
    until("bat sees that it is alone", || async { (bat.status().await.peers == 0).then_some(()) }).await;
    assert_eq!(text(&bat, "before").await.as_deref(), Some("1"));
    assert_eq!(text(&bat, "lost").await, None);
    bat.put("after", "3").await.unwrap();

    // With room again it goes on where it was.
    drop(ant);
    let ant = machine.builder().start().await.unwrap();
    link(&ant, &bat).await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    assert_eq!(text(&ant, "lost").await, None);
    assert_eq!(text(&ant, "after").await.as_deref(), Some("3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_while_it_merges_closes_its_node_and_loses_nothing() {
    let mesh = mesh_name();
    let mut machine = Machine::new(&mesh, "ant");
    let ant = machine.builder().start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    machine.disk.fail_acknowledgements(Some(StoreError::Io("a bad sector".into())));
    bat.put("k", "v").await.unwrap();
    let why = timeout(PATIENCE, ant.closed()).await.expect("it closes").expect("says why");
    assert!(why.contains("a bad sector"), "{why}");
    drop(ant);
    let ant = machine.builder().start().await.unwrap();
    link(&ant, &bat).await;
    until_text(&ant, "k", "v").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_dropped_leaves_nobody_waiting() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = Arc::new(node(&mesh, "bat").start().await.unwrap());
    link(&ant, &bat).await;
    drop(ant);
    until("bat sees that it is alone", || async { (bat.status().await.peers == 0).then_some(()) }).await;
    bat.put("k", "v").await.unwrap();
}
