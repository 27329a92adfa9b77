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
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, routing::get};
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

    ask(ours, KEYS, put).await;
    let sorts: [(&str, Request, f64); 2] = [("GET", read, 0.5), ("PUT", put, 0.3)];
    for (name, request, target) in sorts {
        let (mut by_us, mut by_it) = (Duration::ZERO, Duration::ZERO);
        let each = requests / ROUNDS;
        for _ in 0..ROUNDS {
            by_us += ask(ours, each, request).await;
            by_it += ask(bare, each, request).await;
        }
        let rates = (rate(each * ROUNDS, by_us), rate(each * ROUNDS, by_it));
        let what = format!("{name} beside an axum handler that does nothing");
        table.ratio(&what, rates, "/s", Target::AtLeast(target));
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
    Router::new().route("/v1/kv/{*key}", get(answer).put(|_: Bytes| async { Bytes::from_static(&VALUE) }))
}

/// Sends requests of these numbers over all connections; how long it took.
async fn ask(server: SocketAddr, count: usize, request: Request) -> Duration {
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(Client::connect(server));
    }
    let clients = clients.join_all().await;
    let started = Instant::now();
    let mut asking = JoinSet::new();
    for (at, mut client) in clients.into_iter().enumerate() {
        asking.spawn(async move {
            for n in (at..count).step_by(CONNECTIONS) {
                client.ask(&request(n)).await;
            }
        });
    }
    asking.join_all().await;
    started.elapsed()
}

fn path(n: usize) -> String {
    format!("/v1/kv/bench/{:016x}", mixed((n % KEYS) as u64))
}

fn read(n: usize) -> String {
    format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", path(n))
}

fn put(n: usize) -> String {
    let value = str::from_utf8(&VALUE).unwrap();
    format!(
        "PUT {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n{value}",
        path(n),
        VALUE.len(),
    )
}
