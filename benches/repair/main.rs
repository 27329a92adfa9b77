//! What it costs two replicas to find out what differs, beside negentropy over as many ids; what
//! digests cost a write; and how soon a store that is opened again can serve repair.
//!
//! `TIDINGS_BENCH_KEYS` makes the run smaller than 1 M keys, `TIDINGS_BENCH_DEAD` says how many percent
//! of all writes are superseded (30), `TIDINGS_BENCH_ORIGINS` how many replicas wrote them (10);
//! `TIDINGS_BENCH_ONLY` names the parts to run (`exchange`, `upkeep`, `reopen`).

#![expect(clippy::unwrap_used, reason = "a bench that fails may fail with a trace")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

mod beside;
mod exchange;
mod figures;
mod reopen;
mod replica;
#[expect(dead_code, reason = "not every bench needs all of it")]
#[path = "../shared/mod.rs"]
mod shared;
mod upkeep;

use shared::{Table, setting};

fn main() {
    if reopen::is_child() {
        return reopen::child();
    }
    let keys = setting("TIDINGS_BENCH_KEYS", 1_000_000);
    let only = std::env::var("TIDINGS_BENCH_ONLY").unwrap_or_default();
    let wanted = |part| only.is_empty() || only.split(',').any(|name| name == part);
    if wanted("exchange") {
        figures::run(keys);
    }
    let mut table = Table::default();
    if wanted("upkeep") {
        upkeep::run(keys, &mut table);
    }
    if wanted("reopen") {
        reopen::run(keys, &mut table);
    }
    if wanted("upkeep") || wanted("reopen") {
        table.print(&format!("{keys} keys of 100 B, a store on disk"));
    }
}
