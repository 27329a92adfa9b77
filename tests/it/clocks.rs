//! Wall clocks that are wrong.

use std::sync::Arc;

use crate::support::{
    SkewedClock, StoppedClock, contents, link, mesh_name, node, text, until, until_equal, until_text,
};

const TEN_SECONDS: i64 = 10_000;
const TEN_DAYS: i64 = 10 * 24 * 3_600 * 1_000;

/// Ant's clock is right, bat's is off by `skew` milliseconds, and later put right.
async fn with_a_clock_off_by(skew: i64) {
    let mesh = mesh_name();
    let clock = SkewedClock::ahead(skew);
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").wall_clock(clock.clone()).start().await.unwrap();
    bat.put("early", "bat").await.unwrap();
    link(&ant, &bat).await;
    until_text(&ant, "early", "bat").await;

    // Everything arrives, both ways, and whoever saw the last write can overwrite it.
    for round in 0..5 {
        let (a, b) = (format!("ant {round}"), format!("bat {round}"));
        ant.put("shared", a.as_str()).await.unwrap();
        until_text(&bat, "shared", &a).await;
        bat.put("shared", b.as_str()).await.unwrap();
        until_text(&ant, "shared", &b).await;
    }
    // Once the clock is put right its owner is not blocked by its own past.
    clock.set(0);
    bat.put("early", "bat again").await.unwrap();
    assert_eq!(text(&bat, "early").await.as_deref(), Some("bat again"));
    until_text(&ant, "early", "bat again").await;
    ant.put("early", "ant at last").await.unwrap();
    until_text(&bat, "early", "ant at last").await;
    bat.delete("shared").await.unwrap();
    until_equal(&[ant.clone(), bat]).await;
    assert_eq!(text(&ant, "shared").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_ten_seconds_ahead_blocks_nothing() {
    with_a_clock_off_by(TEN_SECONDS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_ten_seconds_behind_blocks_nothing() {
    with_a_clock_off_by(-TEN_SECONDS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_ten_days_ahead_blocks_nothing() {
    with_a_clock_off_by(TEN_DAYS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_ten_days_behind_blocks_nothing() {
    with_a_clock_off_by(-TEN_DAYS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_runs_backwards_does_not_undo_writes() {
    let mesh = mesh_name();
    let clock = SkewedClock::ahead(0);
    let ant = node(&mesh, "ant").wall_clock(clock.clone()).start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    for (round, skew) in [0, -TEN_SECONDS, -TEN_DAYS, TEN_SECONDS, -TEN_SECONDS].into_iter().enumerate() {
        clock.set(skew);
        ant.put("k", format!("{round}")).await.unwrap();
        assert_eq!(text(&ant, "k").await, Some(format!("{round}")));
        until_text(&bat, "k", &format!("{round}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skewed_peer_is_shown() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").wall_clock(SkewedClock::ahead(TEN_DAYS)).start().await.unwrap();
    link(&ant, &bat).await;
    let skew = until("ant knows how far off bat is", || async { ant.peers().await[0].skew_ms }).await;
    assert!((skew - TEN_DAYS).abs() < 5_000, "{skew}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_ten_days_ahead_cannot_pull_the_clocks_of_others_along() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").wall_clock(SkewedClock::ahead(TEN_DAYS)).start().await.unwrap();
    link(&ant, &bat).await;
    bat.put("k", "from the future").await.unwrap();
    until_text(&ant, "k", "from the future").await;
    let written = ant.put("other", "x").await.unwrap();
    let now = tidings::ports::WallClock::now_ms(&tidings::ports::SystemWall);
    assert!(written.hlc.millis() <= now + 61_000, "{} at {now}", written.hlc.millis());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writes_in_the_same_millisecond_have_the_same_winner_everywhere() {
    let mesh = mesh_name();
    let now = tidings::ports::WallClock::now_ms(&tidings::ports::SystemWall);
    let mut nodes = Vec::new();
    for name in ["ant", "bat", "cat"] {
        let clock = Arc::new(StoppedClock(now));
        let node = node(&mesh, name).wall_clock(clock).start().await.unwrap();
        for n in 0..50 {
            node.put(format!("k/{n}"), name).await.unwrap();
        }
        nodes.push(node);
    }
    let stamps: Vec<_> = stamps_of(&nodes).await;
    assert!(stamps.windows(2).all(|pair| pair[0] == pair[1]), "the stamps are equal: {stamps:?}");
    link(&nodes[0], &nodes[1]).await;
    link(&nodes[1], &nodes[2]).await;
    until_equal(&nodes).await;
    let first = contents(&nodes[0]).await;
    assert_eq!(first.len(), 50);
    for node in &nodes[1..] {
        assert_eq!(contents(node).await, first);
    }
    let entry = nodes[0].get("k/0").await.unwrap().unwrap();
    assert_eq!(entry.siblings, 3, "all three stand, one is seen");
}

async fn stamps_of(nodes: &[tidings::Node]) -> Vec<tidings::causality::Hlc> {
    let mut stamps = Vec::new();
    for node in nodes {
        stamps.push(node.get("k/7").await.unwrap().unwrap().hlc);
    }
    stamps
}
