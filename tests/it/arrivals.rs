//! How and when versions came to a node: what `explain` says of arrivals.

use std::time::{SystemTime, UNIX_EPOCH};

use tidings::{
    Key, Namespace, Node,
    node::{Arrival, Came, Frontier},
};

use crate::support::{link, mesh_name, node, node_on_disk, restart, until, until_text};

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

async fn arrival(node: &Node, key: &str) -> Option<Arrival> {
    let space = node.space(&Namespace::default()).unwrap();
    let story = space.explain(&Key::new(key).unwrap()).await.unwrap().unwrap();
    story.record.siblings[0].arrived
}

async fn way(node: &Node, key: &str) -> Came {
    arrival(node, key).await.unwrap().by
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_tells_by_which_way_it_came_and_from_whom_until_the_node_is_started_again() {
    let (mesh, directory, began) = (mesh_name(), tempfile::tempdir().unwrap(), now_ms());
    let durable = || node_on_disk(&mesh, "bat", directory.path());
    let (ant, bat) = (node(&mesh, "ant").start().await.unwrap(), durable().start().await.unwrap());
    ant.put("before", "they met").await.unwrap();
    let written = arrival(&ant, "before").await.unwrap();
    assert_eq!((written.by, written.from), (Came::Written, None));
    assert!((began..=now_ms()).contains(&written.at), "{written:?}");

    link(&ant, &bat).await;
    until_text(&bat, "before", "they met").await;
    let came = arrival(&bat, "before").await.unwrap();
    assert_eq!((came.by, came.from), (Came::Delta, Some(ant.id())));
    assert!((written.at..=now_ms()).contains(&came.at), "{came:?}");
    // The first ones may come before gossip knows the way.
    let mut count = 0;
    until("gossip brings one", || {
        count += 1;
        let (ant, bat, key) = (&ant, &bat, format!("fresh/{count}"));
        async move {
            ant.put(key.as_str(), "news").await.unwrap();
            until_text(bat, &key, "news").await;
            (way(bat, &key).await == Came::Gossip).then_some(())
        }
    })
    .await;

    let cat = node(&mesh_name(), "cat").start().await.unwrap();
    let everything = Frontier::default();
    let bundle = ant.space(&Namespace::default()).unwrap().export(&everything).await.unwrap();
    cat.space(&Namespace::default()).unwrap().import(bundle).await.unwrap();
    let carried = arrival(&cat, "before").await.unwrap();
    assert_eq!((carried.by, carried.from), (Came::Bundle, None));

    let bat = restart(bat, durable).await;
    assert_eq!(arrival(&bat, "before").await, None, "that is not stored");
}
