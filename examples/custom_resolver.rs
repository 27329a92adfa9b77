//! Readers see what a function of the program makes of concurrent writes: here the union of two shopping lists
//! that were changed at the same time, at two nodes that did not reach each other.
//!
//!     cargo run --example custom_resolver

use std::{collections::BTreeSet, error::Error, sync::Arc};

use tidings::{
    Node, Prefix, Value,
    conflict::Payload,
    node::{Builder, Resolution, Resolver, Strategy, Version},
};

/// All lines of all versions, each once. A pure function of the set of versions: every node that has the same
/// versions, and is built with the same function, shows the same list.
struct Union;

impl Resolver for Union {
    fn resolve(&self, siblings: &[Version]) -> Resolution {
        let mut lines = BTreeSet::new();
        for version in siblings {
            match version.put().map(|put| &put.payload) {
                Some(Payload::Inline(bytes)) => lines.extend(bytes.split(|byte| *byte == b'\n')),
                // A value above 32 KiB is known by hash and size only: no list is so long.
                Some(Payload::Blob { .. }) => return Resolution::Version(version.dot),
                // A delete that is beside a change: the change stays.
                None => {}
            }
        }
        let lines: Vec<&[u8]> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        Resolution::Value(Value::text(String::from_utf8_lossy(&lines.join(&b'\n')).into_owned()))
    }
}

fn node(name: &str) -> Result<Builder, Box<dyn Error>> {
    let listen = ["/ip4/127.0.0.1/tcp/0".parse()?];
    Ok(Node::builder()
        .in_memory()
        .name(name)
        .mesh("shopping")
        .listen(listen)
        .resolver("union", Arc::new(Union))
        .strategy(Prefix::new("lists")?, Strategy::custom("union")))
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let (ant, bat) = (node("ant")?.start().await?, node("bat")?.start().await?);

    // They have not met: neither write was made knowing of the other.
    let at_ant = ant.put("lists/market", "eggs\nflour").await?;
    let at_bat = bat.put("lists/market", "flour\nmilk").await?;
    bat.connect(&format!("{}/p2p/{}", ant.listen()[0], ant.id())).await?;

    for (node, other) in [(&ant, &at_bat), (&bat, &at_ant)] {
        node.wait_for(&other.frontier, std::time::Duration::from_secs(30)).await?;
        let entry = node.get("lists/market").await?.ok_or("the list is gone")?;
        let list = String::from_utf8_lossy(&entry.value.bytes).into_owned();
        println!("{} reads {:?}, made of {} versions", node.name(), list, entry.siblings);
        assert_eq!(list, "eggs\nflour\nmilk");
    }
    ant.close().await;
    bat.close().await;
    Ok(())
}
