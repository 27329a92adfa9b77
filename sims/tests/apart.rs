//! What libp2p does not carry, under weather: keys that never leave their node, and exchanges over carriers.

mod beside;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use beside::holds;
use futures::FutureExt;
use sims::{Mesh, Options, oracles::Violation};
use tidings::{Namespace, Node, Prefix, ports::carrier};
use tokio::time::{Instant, sleep, sleep_until};

/// What is read below a local prefix is the node's own affair: what others write there is held and not seen.
fn of_what_is_local(violation: &Violation) -> bool {
    violation.text.contains(" of own/")
}

async fn read(node: &Node, key: &str) -> Result<Option<u64>, String> {
    let entry = node.get(key).await.map_err(|error| error.to_string())?;
    Ok(entry.and_then(|entry| String::from_utf8_lossy(&entry.value.bytes).parse().ok()))
}

/// What each node has acknowledged last.
type Acknowledged = Arc<Mutex<BTreeMap<usize, u64>>>;

fn key_of(no: usize) -> String {
    format!("own/{no}")
}

/// Every other node keeps `own` to itself.
const fn keeps_to_itself(no: usize) -> bool {
    no.is_multiple_of(2)
}

async fn write_own(mesh: Mesh, acknowledged: Acknowledged) {
    for count in 1..=120_u64 {
        for (no, node) in mesh.up() {
            // A node may die in the middle of it.
            if node.put(key_of(no), count.to_string()).await.is_ok() {
                acknowledged.lock().expect("alive").insert(no, count);
            }
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// Whoever keeps it to itself reads its own and nobody else's; all others read what all others wrote.
async fn nothing_leaked(mesh: Mesh, acknowledged: Acknowledged) -> Result<(), String> {
    let acknowledged = acknowledged.lock().expect("alive").clone();
    for (no, node) in mesh.up() {
        for (&writer, &count) in &acknowledged {
            let there = read(&node, &key_of(writer)).await?;
            let shown = writer == no || !(keeps_to_itself(no) || keeps_to_itself(writer));
            if there.is_some() != shown || there.is_some_and(|there| there < count) {
                return Err(format!(
                    "node {no} reads {there:?} of node {writer}, which had {count} acknowledged"
                ));
            }
        }
    }
    let kept = acknowledged.keys().filter(|no| keeps_to_itself(**no)).count();
    if kept < 2 { Err("too few wrote to see anything".into()) } else { Ok(()) }
}

#[test]
fn what_is_local_only_never_leaves_its_node_and_outlives_its_crashes() {
    holds("crash-restart", 6, 1..=3, of_what_is_local, || {
        let writes = Acknowledged::default();
        let reads = writes.clone();
        Options {
            configure: Some(Arc::new(|no, builder| {
                if !keeps_to_itself(no) {
                    return builder;
                }
                builder.local_only(Namespace::default(), Prefix::new("own").expect("lawful"))
            })),
            workload: Some(Arc::new(move |mesh| write_own(mesh, writes.clone()).map(Ok).boxed())),
            check: Some(Arc::new(move |mesh| nothing_leaked(mesh, reads.clone()).boxed())),
            ..Options::default()
        }
    });
}

/// Bytes on their way over a carrier, at most.
const PIPE_BYTES: usize = 16 * 1024;

/// One visit of `ant` to `bat`.
async fn visit(ant: &Node, bat: &Node) -> Result<(), String> {
    let host = bat.clone();
    let pipe = carrier("a pipe", move || {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let host = host.clone();
        tokio::spawn(async move { host.serve(far).await });
        async move { Ok(near) }
    });
    let report = ant.remote(pipe).sync().await.map_err(|error| error.to_string())?;
    report.error().map_or(Ok(()), |error| Err(error.to_owned()))
}

/// The halves are apart from the fortieth second on, for a minute.
const APART: Duration = Duration::from_secs(45);
const STILL_APART: Duration = Duration::from_secs(95);

async fn carry(mesh: Mesh) -> Result<(), String> {
    let begun = Instant::now();
    sleep_until(begun + APART).await;
    let nodes = mesh.up();
    for (no, node) in &nodes {
        node.put(format!("carried/{no}"), no.to_string()).await.map_err(|error| error.to_string())?;
    }
    let (_, ant) = &nodes[0];
    // The first round brings all to one, the second to all.
    for _ in 0..2 {
        for (_, bat) in &nodes[1..] {
            visit(ant, bat).await?;
        }
    }
    if begun.elapsed() > STILL_APART {
        return Err("the halves had met meanwhile".into());
    }
    for (no, node) in &nodes {
        for (writer, _) in &nodes {
            if read(node, &format!("carried/{writer}")).await?.is_none() {
                return Err(format!("node {no} has not what node {writer} wrote"));
            }
        }
    }
    Ok(())
}

#[test]
fn a_carrier_brings_over_what_no_link_does() {
    holds("dumbbell", 8, 1..=3, of_what_is_local, || Options {
        workload: Some(Arc::new(|mesh| carry(mesh).boxed())),
        ..Options::default()
    });
}
