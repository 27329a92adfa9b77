//! What a node's HTTP answers cost beside an axum handler that does nothing, over 64 connections of this
//! process. `TIDINGS_BENCH_REQUESTS` makes the run smaller than 200,000 of each sort.

#![expect(clippy::unwrap_used, reason = "a bench that fails may fail with a trace")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

mod client;
#[expect(dead_code, reason = "a bench does not use all of it")]
#[path = "../shared/mod.rs"]
mod shared;

use std::{
    future::pending,
    net::SocketAddr,
    ops::Range,
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, routing};
use client::Client;
use shared::{Table, Target, mixed, rate, setting};
use tidings::{Node, http, storage::Durability};
use tokio::{net::TcpListener, task::JoinSet};

const CONNECTIONS: usize = 64;
const KEYS: usize = 10_000;
/// What request of this number says.
type Request = fn(usize) -> String;

/// Both servers in turn, so that what else the machine does hits both.
const ROUNDS: usize = 4;
const VALUE: [u8; 100] = [b'v'; 100];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let requests = setting("TIDINGS_BENCH_REQUESTS", 200_000);
    let mut table = Table::default();
    runtime.block_on(run(requests, &mut table));
    table.print(&format!(
        "{requests} requests of each sort over {CONNECTIONS} connections, values of {} B, `buffer`, a store on disk",
        VALUE.len()
    ));
}

async fn run(requests: usize, table: &mut Table) {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::builder()
        .data_dir(directory.path())
        .listen([])
        .durability(Durability::Buffer)
        .start()
        .await
        .unwrap();
    let mut servers = JoinSet::new();
    let (listener, ours) = listener().await;
    let serving = node.clone();
    servers.spawn(async move { http::serve(serving, listener, pending()).await });
    let (listener, bare) = self::listener().await;
    servers.spawn(async move { axum::serve(listener, nothing()).await });

    let each = requests / ROUNDS;
    let sorts: [(&str, Request, Target); 3] = [
        ("PUT of a new key", |n| put(&path(n)), Target::AtLeast(0.3)),
        ("GET", |n| get(&path(n % KEYS)), Target::AtLeast(0.5)),
        ("PUT over what stands there", |n| put(&path(n % KEYS)), Target::None),
    ];
    for (name, request, target) in sorts {
        let (mut by_us, mut by_it) = (Duration::ZERO, Duration::ZERO);
        for round in 0..ROUNDS {
            let numbers = round * each..(round + 1) * each;
            by_us += ask(ours, numbers.clone(), request).await;
            by_it += ask(bare, numbers, request).await;
        }
        let rates = (rate(each * ROUNDS, by_us), rate(each * ROUNDS, by_it));
        table.ratio(&format!("{name}, beside an axum handler that does nothing"), rates, "/s", target);
    }
    servers.shutdown().await;
    node.close().await;
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// It reads what it is sent, and answers what it always answers.
fn nothing() -> Router {
    let answer = || async { Bytes::from_static(&VALUE) };
    Router::new()
        .route("/v1/kv/{*key}", routing::get(answer).put(|_: Bytes| async { Bytes::from_static(&VALUE) }))
}

/// Sends requests of these numbers over all connections; how long it took.
async fn ask(server: SocketAddr, numbers: Range<usize>, request: Request) -> Duration {
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(Client::connect(server));
    }
    let clients = clients.join_all().await;
    let started = Instant::now();
    let mut asking = JoinSet::new();
    for (at, mut client) in clients.into_iter().enumerate() {
        let numbers = numbers.clone();
        asking.spawn(async move {
            for n in numbers.skip(at).step_by(CONNECTIONS) {
                client.ask(&request(n)).await;
            }
        });
    }
    asking.join_all().await;
    started.elapsed()
}

fn path(n: usize) -> String {
    format!("/v1/kv/bench/{:016x}", mixed(n as u64))
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn put(path: &str) -> String {
    let value = str::from_utf8(&VALUE).unwrap();
    format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n{value}",
        VALUE.len(),
    )
}
