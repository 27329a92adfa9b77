//! What nodes of one mesh come to, whatever its shape.

use crate::support::{link, mesh_name, node, text, until_equal, until_text};

#[tokio::test(flavor = "multi_thread")]
async fn a_write_reaches_a_neighbour_by_gossip_and_its_delete_too() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    ant.put("greeting", "hello").await.unwrap();
    until_text(&bat, "greeting", "hello").await;
    bat.delete("greeting").await.unwrap();
    until_equal(&[ant.clone(), bat.clone()]).await;
    assert_eq!(text(&ant, "greeting").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_before_the_link_comes_by_delta_both_ways() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    for n in 0..2_500 {
        ant.put(format!("ant/{n}"), "x".repeat(50)).await.unwrap();
        bat.put(format!("bat/{n}"), "y".repeat(50)).await.unwrap();
    }
    link(&ant, &bat).await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    assert_eq!(ant.digest().await.unwrap().keys, 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_value_is_announced_and_fetched() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").start().await.unwrap();
    let bat = node(&mesh, "bat").start().await.unwrap();
    let early = vec![7_u8; 1_000_000];
    ant.put("early", early.clone()).await.unwrap();
    link(&ant, &bat).await;
    let late = vec![9_u8; 3_000_000];
    ant.put("late", late.clone()).await.unwrap();
    until_equal(&[ant.clone(), bat.clone()]).await;
    assert_eq!(bat.get("early").await.unwrap().unwrap().value.bytes, early);
    assert_eq!(bat.get("late").await.unwrap().unwrap().value.bytes, late);
}
