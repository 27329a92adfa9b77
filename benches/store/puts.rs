//! Puts through a node beside inserts into raw fjall, turn by turn.

use std::{ops::Range, time::Instant};

use fjall::PersistMode;
use futures::stream::{FuturesUnordered, StreamExt};
use tidings::{
    Node, Value,
    node::{BatchOp, Space},
};
use tokio::task::JoinSet;

use super::{
    data::{Pair, key, value},
    shared::{Table, Target, rate},
};

/// Turns of each kind of writing; the best of them counts.
const ROUNDS: usize = 3;
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

/// All kinds of writing without sync; the data set grows to `keys` on the way.
pub async fn buffered(pair: &mut Pair, keys: usize, table: &mut Table) {
    let kinds = [
        ("put, buffer, 1 awaiting writer", Writers::Awaiting(1), 0.07),
        ("put, buffer, 64 writers", Writers::Awaiting(64), 0.20),
        ("put, buffer, 1,024 in flight", Writers::InFlight(1_024), 0.30),
        ("put, buffer, batches of 100", Writers::Batches, 0.35),
    ];
    let each = keys / (kinds.len() * ROUNDS);
    let mut raw_batches: f64 = 0.0;
    for (what, writers, target) in kinds {
        let (mut ours, mut raw): (f64, f64) = (0.0, 0.0);
        for _ in 0..ROUNDS {
            let range = pair.filled..pair.filled + each;
            pair.filled = range.end;
            ours = ours.max(write_node(&pair.node, range.clone(), writers).await);
            settle();
            if matches!(writers, Writers::Batches) {
                // The other half of the measure: what raw fjall makes of the same batches.
                let middle = range.start + each / 2;
                raw = raw.max(write_raw(pair, range.start..middle, 1, None));
                raw_batches = raw_batches.max(write_raw(pair, middle..range.end, BATCH, None));
            } else {
                raw = raw.max(write_raw(pair, range, 1, None));
            }
            settle();
        }
        table.ratio(what, (ours, raw), "/s", Target::AtLeast(target));
        if matches!(writers, Writers::Batches) {
            table.ratio("the same beside raw batches of 100", (ours, raw_batches), "/s", Target::None);
        }
    }
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
        ("put, fsync, 1 awaiting writer", Writers::Awaiting(1), keys / 200, Target::AtLeast(0.8)),
        ("put, fsync, 128 writers", Writers::Awaiting(128), keys / 20, Target::AtLeast(12.0)),
        ("put, fsync, batches of 100", Writers::Batches, keys / 20, Target::None),
    ];
    for (what, writers, each, target) in kinds {
        let (mut ours, mut raw): (f64, f64) = (0.0, 0.0);
        for _ in 0..ROUNDS {
            let range = pair.filled..pair.filled + each;
            pair.filled = range.end;
            raw = raw.max(write_raw(
                pair,
                range.start..range.start + keys / 200,
                1,
                Some(PersistMode::SyncData),
            ));
            ours = ours.max(write_node(&pair.node, range, writers).await);
        }
        table.ratio(what, (ours, raw), "/s", target);
    }
}

/// Lets flushes and compactions of the one end before the other has its turn.
fn settle() {
    std::thread::sleep(std::time::Duration::from_millis(200));
}

fn write_raw(pair: &Pair, range: Range<usize>, batch: usize, sync: Option<PersistMode>) -> f64 {
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
    rate(items.len(), started.elapsed())
}

async fn write_node(node: &Node, range: Range<usize>, writers: Writers) -> f64 {
    let items: Vec<_> = range.map(|n| (key(n), value(n))).collect();
    let count = items.len();
    let space = node.space(&tidings::Namespace::default()).unwrap();
    let elapsed = match writers {
        Writers::Awaiting(tasks) => awaiting(&space, items, tasks).await,
        Writers::InFlight(most) => in_flight(&space, items, most).await,
        Writers::Batches => batches(&space, items).await,
    };
    rate(count, elapsed)
}

type Items = Vec<(String, bytes::Bytes)>;

async fn awaiting(space: &Space, items: Items, tasks: usize) -> std::time::Duration {
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

async fn in_flight(space: &Space, items: Items, most: usize) -> std::time::Duration {
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

async fn batches(space: &Space, items: Items) -> std::time::Duration {
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
