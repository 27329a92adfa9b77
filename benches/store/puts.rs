//! Puts through a node beside inserts into raw fjall, turn by turn.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use fjall::PersistMode;
use futures::stream::{FuturesUnordered, StreamExt};
use tidings::{
    Node, Value,
    node::{BatchOp, Space},
};
use tokio::task::JoinSet;

use super::{
    data::{Pair, key, settle, value},
    shared::{Table, Target, rate},
};

/// Turns of each kind of writing; all of them count, each for as long as it took, so that flushes
/// are paid for by whoever caused them.
const ROUNDS: usize = 4;
const BATCH: usize = 100;

/// How a node is written to.
#[derive(Clone, Copy)]
enum Writers {
    /// So many tasks, each of which awaits its put before it makes the next.
    Awaiting(usize),
    /// One task that keeps so many puts under way.
    InFlight(usize),
    /// One task that awaits its batch before it makes the next.
    Batches,
}

/// How many writes there were, and how long they took.
#[derive(Clone, Copy, Default)]
struct Pace {
    count: usize,
    took: Duration,
}

impl Pace {
    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.took += other.took;
    }

    fn rate(self) -> f64 {
        rate(self.count, self.took)
    }
}

/// All kinds of writing without sync; the data set grows to `keys` on the way.
pub async fn buffered(pair: &mut Pair, keys: usize, table: &mut Table) {
    let kinds = [
        ("put, buffer, 1 awaiting writer", Writers::Awaiting(1), 0.07),
        ("put, buffer, 64 writers", Writers::Awaiting(64), 0.20),
        ("put, buffer, 1,024 in flight", Writers::InFlight(1_024), 0.30),
        ("put, buffer, batches of 100", Writers::Batches, 0.35),
    ];
    let each = keys / (kinds.len() * ROUNDS);
    let mut raw_batches = Pace::default();
    for (what, writers, target) in kinds {
        let (mut ours, mut raw) = (Pace::default(), Pace::default());
        for _ in 0..ROUNDS {
            let range = pair.filled..pair.filled + each;
            pair.filled = range.end;
            ours.add(write_node(&pair.node, range.clone(), writers).await);
            settle().await;
            if matches!(writers, Writers::Batches) {
                // The other half of the measure: what raw fjall makes of the same batches.
                let middle = range.start + each / 2;
                raw.add(write_raw(pair, range.start..middle, 1, None));
                settle().await;
                raw_batches.add(write_raw(pair, middle..range.end, BATCH, None));
            } else {
                raw.add(write_raw(pair, range, 1, None));
            }
            settle().await;
        }
        table.ratio(what, (ours.rate(), raw.rate()), "/s", Target::AtLeast(target));
        if matches!(writers, Writers::Batches) {
            table.ratio(
                "the same beside raw batches of 100",
                (ours.rate(), raw_batches.rate()),
                "/s",
                Target::None,
            );
        }
    }
}

/// Puts so many more into both, so that their memtables are as full as chance has it.
pub async fn more(pair: &mut Pair, count: usize) {
    let range = pair.filled..pair.filled + count;
    pair.filled = range.end;
    write_node(&pair.node, range.clone(), Writers::Batches).await;
    write_raw(pair, range, BATCH, None);
    settle().await;
}

/// Fills both with what [`buffered`] would leave.
pub async fn fill(pair: &mut Pair, keys: usize) {
    write_node(&pair.node, 0..keys, Writers::Batches).await;
    write_raw(pair, 0..keys, BATCH, None);
    pair.filled = keys;
}

/// All kinds of writing with a sync before the acknowledgement, on top of what is there.
pub async fn synced(pair: &mut Pair, keys: usize, table: &mut Table) {
    let kinds = [
        ("put, fsync, 1 awaiting writer", Writers::Awaiting(1), keys / 1_000, Target::AtLeast(0.8)),
        ("put, fsync, 128 writers", Writers::Awaiting(128), keys / 50, Target::AtLeast(12.0)),
        ("put, fsync, batches of 100", Writers::Batches, keys / 50, Target::None),
    ];
    for (what, writers, each, target) in kinds {
        let (mut ours, mut raw) = (Pace::default(), Pace::default());
        for _ in 0..ROUNDS {
            let range = pair.filled..pair.filled + each;
            pair.filled = range.end;
            let few = range.start..range.start + keys / 1_000;
            raw.add(write_raw(pair, few, 1, Some(PersistMode::SyncData)));
            ours.add(write_node(&pair.node, range, writers).await);
        }
        table.ratio(what, (ours.rate(), raw.rate()), "/s", target);
    }
}

fn write_raw(pair: &Pair, range: Range<usize>, batch: usize, sync: Option<PersistMode>) -> Pace {
    let items: Vec<_> = range.map(|n| (key(n), value(n))).collect();
    let started = Instant::now();
    for chunk in items.chunks(batch) {
        if let ([(key, value)], None) = (chunk, sync) {
            pair.raw.insert(key.as_bytes(), &value[..]).unwrap();
            continue;
        }
        let mut batch = pair.database.batch().durability(sync);
        for (key, value) in chunk {
            batch.insert(&pair.raw, key.as_bytes(), &value[..]);
        }
        batch.commit().unwrap();
    }
    Pace { count: items.len(), took: started.elapsed() }
}

async fn write_node(node: &Node, range: Range<usize>, writers: Writers) -> Pace {
    let items: Vec<_> = range.map(|n| (key(n), value(n))).collect();
    let count = items.len();
    let space = node.space(&tidings::Namespace::default()).unwrap();
    let took = match writers {
        Writers::Awaiting(tasks) => awaiting(&space, items, tasks).await,
        Writers::InFlight(most) => in_flight(&space, items, most).await,
        Writers::Batches => batches(&space, items).await,
    };
    Pace { count, took }
}

type Items = Vec<(String, bytes::Bytes)>;

async fn awaiting(space: &Space, items: Items, tasks: usize) -> Duration {
    let mut shares: Vec<Items> = (0..tasks).map(|_| Vec::new()).collect();
    for (n, item) in items.into_iter().enumerate() {
        shares[n % tasks].push(item);
    }
    let started = Instant::now();
    let mut writers = JoinSet::new();
    for share in shares {
        let space = space.clone();
        writers.spawn(async move {
            for (key, value) in share {
                space.put(key, value).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    started.elapsed()
}

async fn in_flight(space: &Space, items: Items, most: usize) -> Duration {
    let space = space.clone();
    let started = Instant::now();
    let mut writer = JoinSet::new();
    writer.spawn(async move {
        let mut under_way = FuturesUnordered::new();
        for (key, value) in items {
            if under_way.len() >= most {
                under_way.next().await;
            }
            let space = &space;
            under_way.push(async move { space.put(key, value).await.unwrap() });
        }
        while under_way.next().await.is_some() {}
    });
    writer.join_all().await;
    started.elapsed()
}

async fn batches(space: &Space, items: Items) -> Duration {
    let space = space.clone();
    let mut batches = Vec::new();
    let mut items = items.into_iter().peekable();
    while items.peek().is_some() {
        batches.push(items.by_ref().take(BATCH).collect::<Items>());
    }
    let started = Instant::now();
    let mut writer = JoinSet::new();
    writer.spawn(async move {
        for batch in batches {
            let put = |(key, value): (String, bytes::Bytes)| {
                BatchOp::Put(key.try_into().unwrap(), Value::octets(value))
            };
            space.batch(batch.into_iter().map(put).collect()).await.unwrap();
        }
    });
    writer.join_all().await;
    started.elapsed()
}
