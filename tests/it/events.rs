//! What a node tells of itself.

use tidings::node::NodeEvent;

use crate::support::{address, event, mesh_name, node};

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_first_hears_of_the_start_and_then_of_who_comes_and_goes() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    let mut events = ant.events();
    event(&mut events, |event| matches!(event, NodeEvent::Listening(_)).then_some(())).await;
    bat.connect(&address(&ant).to_string()).await.unwrap();
    let found = event(&mut events, |event| match event {
        NodeEvent::PeerFound { peer_id, name, .. } => Some((peer_id, name)),
        _ => None,
    });
    assert_eq!(found.await, (bat.id().to_string(), "bat".to_owned()));
    bat.close().await;
    let lost = event(&mut events, |event| match event {
        NodeEvent::PeerLost { peer_id, name, .. } => Some((peer_id, name)),
        _ => None,
    });
    assert_eq!(lost.await, (bat.id().to_string(), Some("bat".to_owned())));
}
