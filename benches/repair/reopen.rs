//! How soon a store that is opened again can serve repair: from the opening of the directory until its
//! digests are complete. It is filled, and killed, as a whole node in a process of its own.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

use tidings::{
    Key, Node, Value,
    causality::Dot,
    conflict::Payload,
    node::BatchOp,
    storage::{
        Durability, Ledger,
        directory::DataDir,
        fjall::{Fjall, FjallOptions},
    },
};

use super::{
    replica::{ns, origin, version},
    shared::{Table, Target, quantile},
};

const JOB: &str = "TIDINGS_BENCH_REOPEN";
const DIRECTORY: &str = "TIDINGS_BENCH_STORE";
/// Whether the node writes until it is killed.
const GO_ON: &str = "TIDINGS_BENCH_GO_ON";
const ROUNDS: usize = 3;

pub fn run(keys: usize, table: &mut Table) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node");
    live(&path, keys, false);
    let mut clean: Vec<f64> = (0..ROUNDS).map(|_| open(&path, true)).collect();
    // What the last one left is read once more, and then there is none.
    open(&path, false);
    let mut bare: Vec<f64> = (0..ROUNDS).map(|_| open(&path, false)).collect();
    let mut killed: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            live(&path, keys / 10, true);
            open(&path, false)
        })
        .collect();
    let median = |seconds: &mut Vec<f64>| quantile(seconds, 0.5);
    table.figure("digests complete, after a clean stop", median(&mut clean), "s", Target::AtMost(0.5));
    table.figure("digests complete, after a kill -9", median(&mut killed), "s", Target::AtMost(1.0));
    table.figure("digests complete, without a checkpoint", median(&mut bare), "s", Target::AtMost(2.0));
}

/// Opens the store as a node does, and says how many seconds that took.
fn open(path: &Path, checkpoint: bool) -> f64 {
    let started = Instant::now();
    let data = DataDir::open(path).unwrap();
    let store = Fjall::open(data.store_path(), FjallOptions::default()).unwrap();
    let (mut ledger, _) = Ledger::open(Arc::new(store), origin(1), &[ns()]).unwrap();
    while ledger.tally_on().unwrap() {}
    let took = started.elapsed().as_secs_f64();
    assert!(ledger.digests(&ns()).unwrap().root().count > 0);
    if checkpoint {
        ledger.checkpoint().unwrap();
    }
    ledger.sync().unwrap();
    took
}

/// A node lives in the directory, and writes so many keys; then it stops, or is killed while it goes on.
fn live(path: &Path, keys: usize, kill: bool) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(JOB, keys.to_string())
        .env(GO_ON, if kill { "yes" } else { "" })
        .env(DIRECTORY, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said.trim(), "written");
    if kill {
        child.kill().unwrap();
    }
    assert_eq!(child.wait().unwrap().success(), !kill);
}

pub fn is_child() -> bool {
    std::env::var_os(JOB).is_some()
}

#[tokio::main]
pub async fn child() {
    let keys: u64 = std::env::var(JOB).unwrap().parse().unwrap();
    let path = std::env::var_os(DIRECTORY).unwrap();
    let node =
        Node::builder().data_dir(path).listen([]).durability(Durability::Buffer).start().await.unwrap();
    let from = node.status().await.keys;
    let batch = |n: u64| -> Vec<BatchOp> { (n..n + 100).map(put).collect() };
    for n in (from..from + keys).step_by(100) {
        node.batch(batch(n)).await.unwrap();
    }
    println!("written");
    let mut n = from + keys;
    while !std::env::var(GO_ON).unwrap().is_empty() {
        node.batch(batch(n)).await.unwrap();
        n += 100;
    }
    node.close().await;
}

fn put(n: u64) -> BatchOp {
    let version = version(Dot::new(origin(1), n + 1));
    let Some(Payload::Inline(bytes)) = version.put().map(|put| put.payload.clone()) else {
        unreachable!("a small value lies inline")
    };
    BatchOp::Put(Key::clone(&version.key), Value::octets(bytes))
}
