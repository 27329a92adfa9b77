//! Two nodes in one process: what is written at one is read at the other.
//!
//!     cargo run --example two_nodes

use std::error::Error;

use tidings::{
    Node, Prefix,
    node::{Builder, WatchEvent},
};

/// A node in memory, on a free port of the loopback address.
fn node(name: &str) -> Result<Builder, Box<dyn Error>> {
    let listen = ["/ip4/127.0.0.1/tcp/0".parse()?];
    Ok(Node::builder().in_memory().name(name).mesh("birds").listen(listen))
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let ant = node("ant")?.start().await?;
    let bat = node("bat")?.start().await?;

    // Written before the two know of each other: it comes by comparison.
    ant.put("nests/ant", "three eggs").await?;
    let mut changes = bat.watch(Prefix::new("nests")?).await?;
    bat.connect(&format!("{}/p2p/{}", ant.listen()[0], ant.id())).await?;
    tell(&bat, changes.next().await.transpose()?);

    // Written while they are connected: it comes by gossip.
    ant.put("nests/wasp", "none of our business").await?;
    tell(&bat, changes.next().await.transpose()?);

    ant.close().await;
    bat.close().await;
    Ok(())
}

fn tell(node: &Node, event: Option<WatchEvent>) {
    match event {
        Some(WatchEvent::Change(change)) => {
            let value = change.value.map(|value| value.bytes).unwrap_or_default();
            println!("{} reads {}: {}", node.name(), change.key, String::from_utf8_lossy(&value));
        }
        Some(_) => println!("some changes were missed: what stands there now comes next, or a scan shows it"),
        None => println!("the node is closed"),
    }
}
