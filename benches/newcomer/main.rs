//! A newcomer to a mesh that holds a million keys of 100 B: how fast it fills, from one neighbour and
//! from two, what it needs for that, and what becomes of live writes meanwhile. Each node is a process of
//! its own, its store is on disk, and they talk over loopback.
//!
//! `TIDINGS_BENCH_KEYS` makes the run smaller.

#![expect(clippy::unwrap_used, reason = "a bench that fails may fail with a trace")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

mod node;
mod process;
#[expect(dead_code, reason = "not every bench needs all of it")]
#[path = "../shared/mod.rs"]
mod shared;

use std::time::Duration;

use process::{Filled, Process};
use shared::{Table, Target, setting};

/// How long live writes are counted while nothing else goes on.
const ALONE: Duration = Duration::from_secs(3);

fn main() {
    if node::is_child() {
        return node::child();
    }
    let keys = setting("TIDINGS_BENCH_KEYS", 1_000_000);
    let mut table = Table::default();
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name);
    let mut first = Process::start(&at("first"), &[], keys);
    // Two neighbours are needed: the second is a newcomer, too, and has the first to itself.
    let (second, filled) = newcomer(&at("second"), &[&first], keys);
    tell(&mut table, "one neighbour", &filled, keys);
    let (third, filled) = newcomer(&at("third"), &[&first, &second], keys);
    third.stop();
    tell(&mut table, "two neighbours", &filled, keys);
    let alone = first.write_for(ALONE);
    first.begin_to_write();
    let (fourth, filled) = newcomer(&at("fourth"), &[&first], keys);
    let (meanwhile, slowest) = first.stop_to_write();
    fourth.stop();
    tell(&mut table, "while writes go on", &filled, keys);
    table.ratio("live writes meanwhile, beside alone", (meanwhile, alone.0), "/s", Target::AtLeast(0.5));
    table.ratio("their p99, beside alone", (slowest, alone.1), "ms", Target::None);
    second.stop();
    first.stop();
    table.print(&format!("A newcomer to {keys} keys of 100 B"));
}

fn newcomer(path: &std::path::Path, peers: &[&Process], keys: usize) -> (Process, Filled) {
    let addresses: Vec<_> = peers.iter().map(|peer| peer.address.clone()).collect();
    let mut process = Process::start(path, &addresses, 0);
    let filled = process.fill(keys);
    (process, filled)
}

fn tell(table: &mut Table, how: &str, filled: &Filled, keys: usize) {
    table.figure(&format!("keys taken in, {how}"), filled.rate(keys), "/s", Target::AtLeast(40_000.0));
    table.figure(&format!("memory of the newcomer, {how}"), filled.peak_mb, "MB", Target::AtMost(300.0));
    let each = filled.busy * 1e6 / keys as f64;
    table.figure(&format!("processor time for each key, {how}"), each, "µs", Target::None);
    table.figure(&format!("bytes for each key, {how}"), filled.bytes / keys as f64, "B", Target::None);
}
