//! Two nodes that libp2p never connects: they exchange what they hold over streams of the host's own, when the
//! host says so. Here it is a TCP port of the loopback address, as `ssh -L` would make one; a serial line, a Unix
//! socket or the pipes of a child process do as well.
//!
//!     cargo run --example carrier

use std::{error::Error, time::Duration};

use tidings::{Node, ports::carrier};
use tokio::net::{TcpListener, TcpStream};

type Outcome<T> = Result<T, Box<dyn Error>>;

async fn node(name: &str) -> Outcome<Node> {
    // It listens nowhere and looks for nobody.
    Ok(Node::builder().in_memory().name(name).mesh("birds").listen([]).start().await?)
}

/// Answers whoever comes; who that is, the tunnel has to know.
async fn answer(node: &Node, door: TcpListener) -> Outcome<()> {
    loop {
        let (stream, _) = door.accept().await?;
        match node.serve(stream).await {
            Ok(report) => {
                println!("{} took {} and gave {}", node.name(), report.versions_in, report.versions_out);
            }
            Err(error) => println!("{} refused a visitor: {error}", node.name()),
        }
    }
}

async fn visit(ant: &Node, bat: &Node, at: std::net::SocketAddr) -> Outcome<()> {
    let tunnel = ant.remote(carrier("the tunnel to bat", move || TcpStream::connect(at)));

    // Take, and give nothing.
    let pulled = tunnel.pull().await?;
    assert_eq!((pulled.error(), pulled.versions_in, pulled.versions_out), (None, 1, 0));
    assert!(bat.get("nests/ant").await?.is_none());

    // Give, and take nothing.
    let pushed = tunnel.push().await?;
    assert_eq!((pushed.error(), pushed.versions_in, pushed.versions_out), (None, 0, 1));
    assert_eq!(ant.digest().await?.root, bat.digest().await?.root);

    // Both, again and again.
    tunnel.sync_every(Duration::from_millis(100))?;
    let written = bat.put("nests/bat", "one egg").await?;
    ant.wait_for(&written.frontier, Duration::from_secs(30)).await?;
    tunnel.stop();
    assert!(!tunnel.is_scheduled());
    Ok(())
}

#[tokio::main]
pub(crate) async fn main() -> Outcome<()> {
    let (ant, bat) = (node("ant").await?, node("bat").await?);
    ant.put("nests/ant", "three eggs").await?;
    bat.put("nests/bat", "no eggs").await?;
    let door = TcpListener::bind("127.0.0.1:0").await?;
    let at = door.local_addr()?;
    tokio::select! {
        visited = visit(&ant, &bat, at) => visited?,
        answered = answer(&bat, door) => answered?,
    }
    ant.close().await;
    bat.close().await;
    Ok(())
}
