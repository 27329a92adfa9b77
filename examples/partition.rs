//! Three nodes in one process, a partition that cuts one of them off, and its end: both sides go on reading and
//! writing meanwhile, and end equal.
//!
//!     cargo run --example partition

use std::{error::Error, time::Duration};

use tidings::{
    Node, Prefix,
    node::{Scan, Written},
};
use tokio::time::{sleep, timeout};

/// Everything here comes about within this time.
const PATIENCE: Duration = Duration::from_secs(30);

type Outcome<T> = Result<T, Box<dyn Error>>;

async fn node(name: &str) -> Outcome<Node> {
    let listen = ["/ip4/127.0.0.1/tcp/0".parse()?];
    // They find each other through those they know; after the partition they are to meet again soon.
    let node = Node::builder().in_memory().name(name).mesh("birds").listen(listen);
    Ok(node.sync_interval(Duration::from_secs(1)).start().await?)
}

fn address(node: &Node) -> String {
    format!("{}/p2p/{}", node.listen()[0], node.id())
}

/// Waits until `node` has so many neighbours.
async fn until_linked(node: &Node, neighbours: usize) -> Outcome<()> {
    let linked = async {
        while node.peers().await.iter().filter(|peer| peer.connected).count() != neighbours {
            // A program that only reads and writes need not wait for neighbours at all.
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, linked)
        .await
        .map_err(|_| format!("{} never had {neighbours} neighbours", node.name()))?;
    Ok(())
}

async fn until_seen(node: &Node, written: &Written) -> Outcome<()> {
    Ok(node.wait_for(&written.frontier, PATIENCE).await?)
}

async fn nests(node: &Node) -> Outcome<Vec<String>> {
    let page = node.scan(Scan { prefix: Prefix::new("nests")?, ..Scan::default() }).await?;
    Ok(page.entries.iter().map(|entry| entry.key.to_string()).collect())
}

#[tokio::main]
pub(crate) async fn main() -> Outcome<()> {
    let (ant, bat, cat) = (node("ant").await?, node("bat").await?, node("cat").await?);
    bat.connect(&address(&ant)).await?;
    cat.connect(&address(&ant)).await?;
    cat.connect(&address(&bat)).await?;
    for node in [&ant, &bat, &cat] {
        until_linked(node, 2).await?;
    }
    let first = ant.put("nests/ant", "three eggs").await?;
    until_seen(&bat, &first).await?;
    until_seen(&cat, &first).await?;

    // The partition: nobody talks to cat any more.
    ant.block(cat.id()).await?;
    bat.block(cat.id()).await?;
    until_linked(&cat, 0).await?;
    let here = bat.put("nests/bat", "no eggs").await?;
    until_seen(&ant, &here).await?;
    let there = cat.put("nests/cat", "kittens").await?;
    println!("cut off, cat has {:?}; ant and bat have {:?}", nests(&cat).await?, nests(&ant).await?);
    assert_eq!(nests(&cat).await?, ["nests/ant", "nests/cat"]);
    assert_eq!(nests(&ant).await?, ["nests/ant", "nests/bat"]);

    // It heals: each side learns what the other wrote.
    ant.unblock(cat.id()).await?;
    bat.unblock(cat.id()).await?;
    cat.connect(&address(&ant)).await?;
    until_seen(&cat, &here).await?;
    for node in [&ant, &bat] {
        until_seen(node, &there).await?;
    }
    let roots = [ant.digest().await?.root, bat.digest().await?.root, cat.digest().await?.root];
    println!("healed, all have {:?}", nests(&cat).await?);
    assert!(roots.iter().all(|root| *root == roots[0]), "{roots:?}");
    for node in [ant, bat, cat] {
        node.close().await;
    }
    Ok(())
}
