//! What following costs: writes with 10,000 subscribers of other prefixes beside writes with none, and
//! the time from a put to its subscriber. `TIDINGS_BENCH_WRITES` makes the run smaller than 200,000.

#![expect(clippy::unwrap_used, reason = "a bench that fails may fail with a trace")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

#[path = "../shared/mod.rs"]
#[expect(dead_code, reason = "a bench does not use all of it")]
mod shared;

use std::time::{Duration, Instant};

use futures::{StreamExt, stream::FuturesUnordered};
use shared::{Table, Target, rate, setting};
use tidings::{
    Node, Prefix,
    node::{Watch, WatchEvent},
    storage::Durability,
};

const SUBSCRIBERS: usize = 10_000;
const IN_FLIGHT: usize = 256;
const ROUNDS: usize = 4;
const TOLD: usize = 5_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let writes = setting("TIDINGS_BENCH_WRITES", 200_000);
    let mut table = Table::default();
    runtime.block_on(async {
        let node = Node::builder()
            .in_memory()
            .durability(Durability::Buffer)
            .listen(["/ip4/127.0.0.1/tcp/0".parse().unwrap()])
            .start()
            .await
            .unwrap();
        // Turn by turn, so that what else the machine does hits both.
        let each = writes / (2 * ROUNDS);
        let (mut alone, mut watched) = (Duration::ZERO, Duration::ZERO);
        write(&node, each).await;
        for _ in 0..ROUNDS {
            alone += write(&node, each).await;
            let watches = subscribe(&node).await;
            watched += write(&node, each).await;
            drop(watches);
            // Let the subscriptions end before the next turn.
            while !node.metrics().contains("tidings_subscribers 0\n") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        let rates = (rate(each * ROUNDS, watched), rate(each * ROUNDS, alone));
        table.ratio(
            "put with 10,000 subscribers of other prefixes, beside none",
            rates,
            "/s",
            Target::AtLeast(0.9),
        );
        let (half, most) = latency(&node).await;
        table.figure("put to its subscriber, p50", half * 1e6, "µs", Target::AtMost(60.0));
        table.figure("put to its subscriber, p99", most * 1e6, "µs", Target::None);
        node.close().await;
    });
    table.print(&format!("{writes} puts of 100 B, {IN_FLIGHT} in flight, a store in memory"));
}

async fn subscribe(node: &Node) -> Vec<Watch> {
    let mut watches = Vec::with_capacity(SUBSCRIBERS);
    for n in 0..SUBSCRIBERS {
        watches.push(node.watch(Prefix::new(&format!("users/{n}/inbox")).unwrap()).await.unwrap());
    }
    watches
}

async fn write(node: &Node, count: usize) -> Duration {
    let started = Instant::now();
    let mut flight = FuturesUnordered::new();
    for n in 0..count {
        if flight.len() == IN_FLIGHT {
            flight.next().await;
        }
        flight.push(async move {
            node.put(format!("users/{}/profile/{n}", n % SUBSCRIBERS), vec![7; 100]).await.unwrap()
        });
    }
    while flight.next().await.is_some() {}
    started.elapsed()
}

/// Seconds from the call of `put` to the change in the subscriber's hands: the median, and p99.
async fn latency(node: &Node) -> (f64, f64) {
    let mut watch = node.watch(Prefix::new("told").unwrap()).await.unwrap();
    let mut took = Vec::with_capacity(TOLD);
    for n in 0..TOLD {
        let started = Instant::now();
        let put = node.put("told", n.to_string());
        let told = async {
            let event = watch.next().await.unwrap().unwrap();
            assert!(matches!(event, WatchEvent::Change(_)), "a subscriber was slow");
            started.elapsed().as_secs_f64()
        };
        let (written, told) = tokio::join!(put, told);
        written.unwrap();
        took.push(told);
    }
    took.sort_by(f64::total_cmp);
    (took[TOLD / 2], took[TOLD * 99 / 100])
}
