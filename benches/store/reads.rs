//! Gets and scans through a node beside those of raw fjall, turn by turn.

use std::time::Instant;

use tidings::node::Scan;

use super::{
    data::{Pair, key},
    puts,
    shared::{Table, Target, mixed, quantile, rate},
};

const ROUNDS: usize = 7;

/// Each round begins with some fresh writes: a memtable just flushed makes reads look too good, and
/// a full one too bad. The median of the rounds counts.
pub async fn run(pair: &mut Pair, table: &mut Table) {
    let (mut ours, mut raw): ([Vec<f64>; 3], [Vec<f64>; 3]) = Default::default();
    for round in 0..ROUNDS {
        puts::more(pair, pair.filled / 40).await;
        let keys = pair.filled;
        let wanted: Vec<String> =
            (0..keys / 10).map(|n| key(mixed((round * keys + n) as u64) as usize % keys)).collect();
        let absent: Vec<String> = (0..keys / 10).map(|n| key(keys * 100 + n)).collect();
        raw[0].push(get_raw(pair, &wanted, true));
        ours[0].push(get_node(pair, &wanted, true).await);
        raw[1].push(get_raw(pair, &absent, false));
        ours[1].push(get_node(pair, &absent, false).await);
        raw[2].push(scan_raw(pair));
        ours[2].push(scan_node(pair).await);
    }
    let mut pair = |kind: usize| (quantile(&mut ours[kind], 0.5), quantile(&mut raw[kind], 0.5));
    table.ratio("get", pair(0), "/s", Target::AtLeast(0.8));
    table.ratio("get of an absent key", pair(1), "/s", Target::None);
    table.ratio("scan of all, pages of 1,000", pair(2), "/s", Target::AtLeast(0.5));
}

fn get_raw(pair: &Pair, keys: &[String], there: bool) -> f64 {
    let started = Instant::now();
    for key in keys {
        assert_eq!(pair.raw.get(key).unwrap().is_some_and(|value| value.len() == 100), there);
    }
    rate(keys.len(), started.elapsed())
}

async fn get_node(pair: &Pair, keys: &[String], there: bool) -> f64 {
    let started = Instant::now();
    for key in keys {
        let entry = pair.node.get(key.as_str()).await.unwrap();
        assert_eq!(entry.is_some_and(|entry| entry.value.bytes.len() == 100), there);
    }
    rate(keys.len(), started.elapsed())
}

fn scan_raw(pair: &Pair) -> f64 {
    let started = Instant::now();
    let mut count = 0;
    for guard in pair.raw.iter() {
        let (_, value) = guard.into_inner().unwrap();
        assert_eq!(value.len(), 100);
        count += 1;
    }
    assert_eq!(count, pair.filled);
    rate(count, started.elapsed())
}

async fn scan_node(pair: &Pair) -> f64 {
    let started = Instant::now();
    let mut count = 0;
    let mut scan = Scan::default();
    loop {
        let page = pair.node.scan(scan.clone()).await.unwrap();
        count += page.entries.len();
        assert!(page.entries.iter().all(|entry| entry.value.bytes.len() == 100));
        match page.next {
            Some(next) => scan.after = Some(next),
            None => break,
        }
    }
    assert_eq!(count, pair.filled);
    rate(count, started.elapsed())
}
