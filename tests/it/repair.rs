//! Deletes that were forgotten, and data that was lost: what deltas cannot repair.

use std::time::Duration;

use tempfile::tempdir;
use tidings::{Node, node::ExchangeKind};

use crate::support::{
    contents, link, mesh_name, metric, node, node_on_disk, synced, text, until, until_equal,
};

/// Longer than a delete takes to a neighbour.
const RETENTION: Duration = Duration::from_secs(2);

/// Waits until `node` has forgotten `count` deletes.
async fn until_forgotten(node: &Node, count: u64) {
    until("deletes are forgotten", || async {
        (metric(node, "tidings_forgotten_total") >= count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_all_others_deleted_and_forgot_stays_deleted_when_a_node_comes_back_after_a_year() {
    let (mesh, directory) = (mesh_name(), tempdir().unwrap());
    let forgetful = |name| node(&mesh, name).delete_retention(RETENTION);
    let away = || node_on_disk(&mesh, "cat", directory.path()).delete_retention(RETENTION);
    let ant = forgetful("ant").start().await.unwrap();
    let bat = forgetful("bat").start().await.unwrap();
    let cat = away().start().await.unwrap();
    link(&ant, &bat).await;
    link(&bat, &cat).await;
    for n in 0..20 {
        ant.put(format!("k/{n}"), format!("{n}")).await.unwrap();
    }
    until_equal(&[ant.clone(), bat.clone(), cat.clone()]).await;
    cat.close().await;
    drop(cat);
    for n in 0..10 {
        bat.delete(format!("k/{n}")).await.unwrap();
    }
    until_equal(&[ant.clone(), bat.clone()]).await;
    until_forgotten(&ant, 10).await;
    until_forgotten(&bat, 10).await;
    let cat = until("the node is back", || async { away().start().await.ok() }).await;
    assert_eq!(contents(&cat).await.len(), 20, "a year old");
    cat.put("k/20", "written while away").await.unwrap();
    link(&cat, &ant).await;
    until_equal(&[ant.clone(), bat.clone(), cat.clone()]).await;
    for node in [&ant, &bat, &cat] {
        let keys = contents(node).await;
        assert_eq!(keys.len(), 11, "{} holds {keys:?}", node.name());
        assert!((0..10).all(|n| !keys.contains_key(&format!("k/{n}"))));
    }
    assert_eq!(metric(&cat, "tidings_dropped_total"), 10);
    // A key that was deleted and forgotten is written anew, by one who remembers nothing of it.
    ant.put("k/3", "new").await.unwrap();
    until_equal(&[ant.clone(), bat.clone(), cat.clone()]).await;
    assert_eq!(text(&cat, "k/3").await.as_deref(), Some("new"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_learns_all_although_deletes_were_forgotten() {
    let mesh = mesh_name();
    let forgetful = |name| node(&mesh, name).delete_retention(RETENTION);
    let ant = forgetful("ant").start().await.unwrap();
    for n in 0..300 {
        ant.put(format!("k/{n}"), format!("{n}")).await.unwrap();
    }
    for n in 0..100 {
        ant.delete(format!("k/{n}")).await.unwrap();
    }
    until_forgotten(&ant, 100).await;
    let bat = forgetful("bat").start().await.unwrap();
    link(&bat, &ant).await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    assert_eq!(contents(&bat).await.len(), 200);
    let report = synced(&bat).await;
    assert!(report.peers.iter().all(|peer| peer.how == Some(ExchangeKind::Equal)), "{report:?}");
}
