//! Puts that change one field of twenty, under `merge-fields` beside `last-write-wins`, turn by turn.

use std::time::{Duration, Instant};

use tidings::{Node, Prefix, Value, node::Strategy, storage::Durability};
use tokio::task::JoinSet;

use super::{
    data::settle,
    shared::{Table, Target, rate},
};

const ROUNDS: usize = 4;
const WRITERS: usize = 64;
const FIELDS: usize = 20;

/// Rewrites `keys` objects in each round, half of them below each prefix.
pub async fn run(keys: usize, table: &mut Table) {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::builder()
        .data_dir(directory.path())
        .listen([])
        .durability(Durability::Buffer)
        .strategy(Prefix::new("merged").unwrap(), Strategy::MergeFields)
        .start()
        .await
        .unwrap();
    let objects = keys / 2;
    for prefix in ["plain", "merged"] {
        write(&node, prefix, objects, 0).await;
    }
    let (mut plain, mut merged) = (Duration::ZERO, Duration::ZERO);
    for round in 1..=ROUNDS {
        settle().await;
        plain += write(&node, "plain", objects, round).await;
        settle().await;
        merged += write(&node, "merged", objects, round).await;
    }
    let count = objects * ROUNDS;
    let rates = (rate(count, merged), rate(count, plain));
    table.ratio(
        "put, one field of 20, merge-fields beside last-write-wins",
        rates,
        "/s",
        Target::AtLeast(0.6),
    );
    node.close().await;
}

/// Puts all objects, each with one field changed since the round before.
async fn write(node: &Node, prefix: &'static str, objects: usize, round: usize) -> Duration {
    let started = Instant::now();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let node = node.clone();
        writers.spawn(async move {
            for n in (writer..objects).step_by(WRITERS) {
                let fields: Vec<String> = (0..FIELDS)
                    .map(|field| {
                        // How often it was changed up to this round.
                        let changes = (1..=round).filter(|earlier| (n + earlier) % FIELDS == field).count();
                        format!("\"field{field}\":{}", n * 10 + changes)
                    })
                    .collect();
                let value = Value::json(format!("{{{}}}", fields.join(",")));
                node.put(format!("{prefix}/{n}"), value).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    started.elapsed()
}
