//! The node in a child process.

use std::{
    io::BufRead,
    time::{Duration, Instant},
};

use tidings::{
    Key, Node, Value,
    node::{BatchOp, Discovery, Membership},
    storage::Durability,
};
use tokio::{sync::mpsc, task::JoinSet, time};

use super::shared::{busy_ticks, mixed, quantile};

pub const DIRECTORY: &str = "TIDINGS_BENCH_STORE";
pub const PEERS: &str = "TIDINGS_BENCH_PEERS";
pub const WRITES: &str = "TIDINGS_BENCH_WRITES";

/// So many write at once.
const WRITERS: u64 = 16;
/// So many keys are written again and again.
const LIVE_KEYS: u64 = 1_000;

pub fn is_child() -> bool {
    std::env::var_os(DIRECTORY).is_some()
}

#[tokio::main]
pub async fn child() {
    let started = Instant::now();
    let of = |name| std::env::var(name).unwrap();
    let peers: Vec<_> =
        of(PEERS).split(',').filter(|peer| !peer.is_empty()).map(|a| a.parse().unwrap()).collect();
    let keys: u64 = of(WRITES).parse().unwrap();
    let node = Node::builder()
        .data_dir(of(DIRECTORY))
        .mesh("bench-newcomer")
        .listen(["/ip4/127.0.0.1/tcp/0".parse().unwrap()])
        .peers(peers)
        .peer_exchange(false)
        .discovery(Discovery { mdns: false, same_host: false, same_host_directory: None })
        .membership(Membership::Open)
        .durability(if keys > 0 { Durability::Buffer } else { Durability::Fsync })
        .start()
        .await
        .unwrap();
    for n in (0..keys).step_by(500) {
        node.batch((n..keys.min(n + 500)).map(|n| BatchOp::Put(key(n), value(n))).collect()).await.unwrap();
    }
    println!("{}/p2p/{}", node.listen()[0], node.id());
    let mut orders = orders();
    let mut writing = None;
    while let Some(order) = orders.recv().await {
        match order.split_once(' ').unwrap_or((&order, "")) {
            ("fill", keys) => fill(&node, keys.parse().unwrap(), started).await,
            ("write", _) => writing = Some((Instant::now(), write(&node))),
            ("enough", _) => {
                let (since, mut writers) = writing.take().unwrap();
                let mut took = Vec::new();
                writers.enough.send(()).unwrap();
                while let Some(of_one) = writers.set.join_next().await {
                    took.extend(of_one.unwrap());
                }
                let rate = took.len() as f64 / since.elapsed().as_secs_f64();
                println!("{rate} {}", quantile(&mut took, 0.99) * 1e3);
            }
            _ => break,
        }
    }
    node.close().await;
}

fn orders() -> mpsc::UnboundedReceiver<String> {
    let (told, orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if told.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    orders
}

fn key(n: u64) -> Key {
    Key::new(format!("bench/{:016x}", mixed(n))).unwrap()
}

/// 100 bytes that do not compress.
fn value(n: u64) -> Value {
    let words: Vec<u8> = (0..13).flat_map(|word| mixed(n ^ mixed(word)).to_le_bytes()).collect();
    Value::octets(words[..100].to_vec())
}

async fn fill(node: &Node, keys: u64, started: Instant) {
    while node.status().await.keys < keys || node.sync_status().await.missing > 1_000 {
        time::sleep(Duration::from_millis(50)).await;
    }
    let seconds = started.elapsed().as_secs_f64();
    // What an exchange moved is counted when it is over, and two neighbours may be about it.
    let (mut bytes, mut before) = (0.0, -1.0);
    while bytes == 0.0 || bytes > before || !node.filling().is_empty() {
        time::sleep(Duration::from_millis(500)).await;
        before = std::mem::replace(&mut bytes, metric(node, "tidings_exchange_in_bytes"));
    }
    println!("{seconds} {} {bytes} {}", peak_mb(), busy_ticks() as f64 / 100.0);
}

fn metric(node: &Node, name: &str) -> f64 {
    let text = node.metrics();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |value| value.parse().unwrap())
}

fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

struct Writers {
    set: JoinSet<Vec<f64>>,
    enough: tokio::sync::broadcast::Sender<()>,
}

fn write(node: &Node) -> Writers {
    let enough = tokio::sync::broadcast::Sender::new(1);
    let mut set = JoinSet::new();
    for writer in 0..WRITERS {
        let (node, mut stop) = (node.clone(), enough.subscribe());
        set.spawn(async move {
            let mut took = Vec::new();
            let mut n = writer;
            while stop.try_recv().is_err() {
                let started = Instant::now();
                node.put(key(n % LIVE_KEYS), value(n)).await.unwrap();
                took.push(started.elapsed().as_secs_f64());
                n += WRITERS;
            }
            took
        });
    }
    Writers { set, enough }
}
