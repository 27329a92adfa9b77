//! Resident memory of nodes, each kind in a process of its own.

use std::{path::Path, process::Command, time::Duration};

use tidings::Node;

use super::{
    data,
    shared::{Table, Target, mixed},
};

const KIND: &str = "TIDINGS_BENCH_MEMORY";
const STORE: &str = "TIDINGS_BENCH_STORE";

pub fn is_child() -> bool {
    std::env::var_os(KIND).is_some()
}

/// Measures an idle node, one on the store of `directory`, and forty.
pub fn run(directory: &Path, table: &mut Table) {
    let store = directory.join("node");
    table.figure("resident, one idle node", ask("1", None), "MB", Target::AtMost(30.0));
    table.figure("resident, 40 idle nodes in one process", ask("40", None), "MB", Target::AtMost(400.0));
    table.figure("resident, the keys above, after 100,000 gets", ask("1", Some(&store)), "MB", Target::None);
}

fn ask(nodes: &str, store: Option<&Path>) -> f64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(KIND, nodes);
    if let Some(store) = store {
        command.env(STORE, store);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    said.trim().parse().unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Starts nodes as the environment says, waits until they are idle, and says what they take.
pub fn child() {
    let count: usize = std::env::var(KIND).unwrap().parse().unwrap();
    let directory = tempfile::tempdir().unwrap();
    data::runtime().block_on(async {
        let mut nodes = Vec::new();
        for n in 0..count {
            let own = directory.path().join(n.to_string());
            let store = std::env::var_os(STORE).map_or(own, Into::into);
            let listen = ["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
            nodes.push(Node::builder().data_dir(store).listen(listen).start().await.unwrap());
        }
        let keys = nodes[0].status().await.keys;
        if keys > 0 {
            for n in 0..100_000 {
                nodes[0].get(data::key((mixed(n) % keys) as usize)).await.unwrap();
            }
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        println!("{}", resident_mb());
        for node in nodes {
            node.close().await;
        }
    });
}

fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kb = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kb| kb.parse::<f64>().ok());
    kb.unwrap_or(f64::NAN) / 1024.0
}
