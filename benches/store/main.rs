//! A node on its own beside raw fjall: puts, gets, scans, memory. Prints a table of ratios.
//!
//! `TIDINGS_BENCH_KEYS` makes the run smaller than 1 M keys; `TIDINGS_BENCH_ONLY` names the parts
//! to run (`puts`, `fields`, `fsync`, `reads`, `memory`).

#![expect(clippy::unwrap_used, reason = "a bench that fails may fail with a trace")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

mod data;
mod fields;
mod memory;
mod puts;
mod reads;
#[path = "../shared/mod.rs"]
mod shared;

use data::Pair;
use shared::{Table, setting};
use tidings::storage::Durability;

fn main() {
    if memory::is_child() {
        return memory::child();
    }
    let runtime = data::runtime();
    let keys = setting("TIDINGS_BENCH_KEYS", 1_000_000);
    let only = std::env::var("TIDINGS_BENCH_ONLY").unwrap_or_default();
    let wanted = |part| only.is_empty() || only.split(',').any(|name| name == part);
    let mut table = Table::default();
    runtime.block_on(async {
        if wanted("fields") {
            fields::run(keys / 20, &mut table).await;
        }
        let mut pair = Pair::open(Durability::Buffer).await;
        if wanted("puts") {
            puts::buffered(&mut pair, keys, &mut table).await;
        } else if wanted("fsync") || wanted("reads") || wanted("memory") {
            puts::fill(&mut pair, keys).await;
        }
        if wanted("reads") {
            reads::run(&mut pair, &mut table).await;
        }
        let mut pair = pair.reopen(Durability::Fsync).await;
        if wanted("fsync") {
            puts::synced(&mut pair, keys, &mut table).await;
        }
        let directory = pair.close().await;
        if wanted("memory") {
            memory::run(directory.path(), &mut table);
        }
    });
    table.print(&format!("{keys} keys of 100 B; both sides in turn, each on a settled store"));
}
