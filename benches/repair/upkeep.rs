//! What keeping digests costs the writer of a store: the same ledger with and without, in turn, on
//! stores on disk. Nothing else of a node is in it, so the share is greater than at a node.

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tidings::{
    causality::{Dot, Hlc},
    storage::{
        Durability, Ledger, Store, Write,
        fjall::{Fjall, FjallOptions},
    },
};

use super::{
    replica::{ns, origin, version},
    shared::{Table, Target, busy_ticks, quantile, rate},
};

const ROUNDS: usize = 16;
const BATCH: usize = 100;

struct Side {
    store: Arc<Fjall>,
    ledger: Ledger,
    _directory: TempDir,
}

impl Side {
    fn new(digests: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(Fjall::open(directory.path().join("store"), FjallOptions::default()).unwrap());
        let (mut ledger, _) = Ledger::open(store.clone(), origin(1), &[ns()]).unwrap();
        if !digests {
            ledger.without_digests();
        }
        Self { store, ledger, _directory: directory }
    }

    /// Writes these keys in batches, on a settled store.
    fn write(&mut self, keys: Range<usize>, stamp: u64) -> Duration {
        let writes: Vec<Write> = keys
            .map(|n| version(Dot::new(origin(1), n as u64 + 1)))
            .map(|v| Write::new(v.key, v.body))
            .collect();
        settle();
        let started = Instant::now();
        for (n, write) in writes.into_iter().enumerate() {
            self.ledger.write(&ns(), write, |_| Hlc::from_millis(stamp)).unwrap().unwrap();
            if n % BATCH == BATCH - 1 {
                self.ledger.commit(Durability::Buffer, Hlc::from_millis(stamp)).unwrap();
            }
        }
        self.ledger.commit(Durability::Buffer, Hlc::from_millis(stamp)).unwrap();
        started.elapsed()
    }

    fn pairs(&self) -> usize {
        self.store.snapshot().range(&[], &[0xff; 4], false).count()
    }
}

pub fn run(keys: usize, table: &mut Table) {
    let mut sides = [true, false].map(Side::new);
    let each = keys / ROUNDS;
    in_turn(&mut sides, "fresh keys, batches of 100, with digests beside without", table, |round| {
        (round * each..(round + 1) * each, 1_000)
    });
    in_turn(&mut sides, "overwrites, batches of 100, the same", table, |round| {
        (round * each..round * each + each / 4, 2_000)
    });
    let [with, without] = sides.map(|side| side.pairs() as f64);
    table.ratio("pairs in the store", (with, without), "", Target::AtMost(1.0));
}

/// Each round is a pair of runs, and who goes first changes. The median of the rounds' ratios counts:
/// flushes and neighbours on the machine fall on single runs.
fn in_turn(
    sides: &mut [Side; 2],
    what: &str,
    table: &mut Table,
    keys: impl Fn(usize) -> (Range<usize>, u64),
) {
    let (mut ratios, mut ours) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (range, stamp) = keys(round);
        let mut took = [Duration::ZERO; 2];
        for turn in 0..2 {
            let side = (round + turn) % 2;
            took[side] = sides[side].write(range.clone(), stamp);
        }
        let [with, without] = took.map(|took| rate(range.len(), took));
        ratios.push(with / without);
        ours.push(with);
    }
    let (ratio, ours) = (quantile(&mut ratios, 0.5), quantile(&mut ours, 0.5));
    table.ratio(what, (ours, ours / ratio), "/s", Target::AtLeast(0.87));
}

/// Waits until flushes and compactions have ended.
fn settle() {
    for _ in 0..40 {
        let before = busy_ticks();
        std::thread::sleep(Duration::from_millis(100));
        if busy_ticks() - before <= 1 {
            return;
        }
    }
}
