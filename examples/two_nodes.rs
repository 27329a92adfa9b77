//! Two nodes in one process: what is written at one is read at the other.
//!
//!     cargo run --example two_nodes

use std::error::Error;

use tidings::{
    Namespace, Node, Prefix,
    node::{Builder, Notice},
};

/// A node in memory, on a free port of the loopback address.
fn node(name: &str) -> Result<Builder, Box<dyn Error>> {
    let listen = ["/ip4/127.0.0.1/tcp/0".parse()?];
    Ok(Node::builder().in_memory().name(name).mesh("birds").listen(listen))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let ant = node("ant")?.start().await?;
    let bat = node("bat")?.start().await?;

    // Written before the two know of each other: it comes by comparison.
    ant.put("nests/ant", "three eggs").await?;
    let mut changes = bat.space(&Namespace::default())?.subscribe(Prefix::new("nests")?)?;
    bat.connect(&format!("{}/p2p/{}", ant.listen()[0], ant.id())).await?;
    tell(&bat, changes.recv().await).await?;

    // Written while they are connected: it comes by gossip.
    ant.put("nests/wasp", "none of our business").await?;
    tell(&bat, changes.recv().await).await?;

    ant.close().await;
    bat.close().await;
    Ok(())
}

async fn tell(node: &Node, notice: Option<Notice>) -> Result<(), Box<dyn Error>> {
    match notice {
        Some(Notice::Change(change)) => {
            let key = change.version.key;
            let value = node.get(key.clone()).await?.map(|entry| entry.value.bytes).unwrap_or_default();
            println!("{} reads {key}: {}", node.name(), String::from_utf8_lossy(&value));
        }
        Some(Notice::Lagged(missed)) => println!("{missed} changes were missed: a scan shows them"),
        None => println!("the node is closed"),
    }
    Ok(())
}
