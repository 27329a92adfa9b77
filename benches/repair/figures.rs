//! Two replicas of as many keys: equal, apart by a delta, apart by scattered losses.

use tidings::{
    causality::{Dot, SeenSet},
    conflict::Version,
    reconcile::Outcome,
    wire::encode,
};

use super::{
    beside,
    exchange::{self, Cost},
    replica::{Replica, origin, version},
    shared::{mixed, setting},
};

/// Each count of differences, and the metadata aimed at as a share of negentropy's.
const DIFFERENCES: [(usize, f64); 4] = [(1, 0.4), (10, 0.3), (1_000, 0.25), (100_000, 0.12)];
/// A limit that its authors use for relays.
const FRAME_BYTES: u64 = 60_000;

struct Pair {
    ends: [Replica; 2],
    /// All that is live.
    dots: Vec<Dot>,
    next: Vec<u64>,
    nonces: u64,
}

impl Pair {
    /// `keys` live writes of `origins` origins, between superseded ones.
    fn filled(keys: usize, origins: usize, dead_percent: usize) -> Self {
        let mut ends = [Replica::new(1_000), Replica::new(1_001)];
        let (mut dots, mut next) = (Vec::with_capacity(keys), vec![1; origins]);
        for n in 0..keys * 100 / (100 - dead_percent) {
            let by = n % origins;
            let dot = Dot::new(origin(by), next[by]);
            next[by] += 1;
            if mixed(n as u64 ^ 0x5eed) % 100 >= dead_percent as u64 {
                dots.push(dot);
            }
        }
        let mut frontier = SeenSet::new();
        next.iter().enumerate().for_each(|(by, next)| frontier.insert_range(origin(by), 1, next - 1));
        for page in dots.chunks(10_000) {
            let versions: Vec<Version> = page.iter().map(|dot| version(*dot)).collect();
            ends.iter_mut().for_each(|end| end.receive(&versions, &SeenSet::new()));
        }
        ends.iter_mut().for_each(|end| end.receive(&[], &frontier));
        Self { ends, dots, next, nonces: 0 }
    }

    /// The first end calls.
    fn exchange(&mut self) -> Cost {
        self.nonces += 1;
        let [a, b] = &mut self.ends;
        let cost = exchange::run(a, b, mixed(self.nonces));
        assert_eq!(a.root(), b.root(), "both end equal");
        cost
    }

    /// The first end learns `count` more writes of each of these origins.
    fn write(&mut self, origins: std::ops::Range<usize>, count: usize) -> usize {
        let mut bytes = 0;
        for by in origins {
            self.next.resize(self.next.len().max(by + 1), 1);
            let from = self.next[by];
            self.next[by] += count as u64;
            let versions: Vec<Version> =
                (from..self.next[by]).map(|seq| version(Dot::new(origin(by), seq))).collect();
            bytes += versions.iter().map(|version| encode(version).len()).sum::<usize>();
            self.ends[0].receive(&versions, &SeenSet::new());
        }
        bytes
    }
}

pub fn run(keys: usize) {
    let origins = setting("TIDINGS_BENCH_ORIGINS", 10);
    let dead = setting("TIDINGS_BENCH_DEAD", 30).min(99);
    let mut pair = Pair::filled(keys, origins, dead);
    let live = pair.dots.len();
    println!("\n{live} live writes of {origins} origins, {dead} % of all writes superseded\n");
    equal(&mut pair);
    delta(&mut pair, origins);
    ranges(&mut pair);
}

fn yes(reached: bool) -> &'static str {
    if reached { "yes" } else { "NO" }
}

fn equal(pair: &mut Pair) {
    let costs: Vec<Cost> = (0..101).map(|_| pair.exchange()).collect();
    assert!(costs.iter().all(|cost| cost.report.outcome == Outcome::Equal));
    let mut took: Vec<f64> = costs.iter().map(|cost| cost.took.as_secs_f64() * 1e3).collect();
    let ms = super::shared::quantile(&mut took, 0.5);
    let cost = &costs[0];
    println!("| equal | | aimed at | reached |\n| --- | --- | --- | --- |");
    println!("| bytes, both ways | {} | 200 | {} |", cost.bytes, yes(cost.bytes <= 200));
    println!("| round trips | {} | 1 | {} |", cost.flights / 2, yes(cost.flights <= 2));
    println!("| ms of both ends, median of 101 | {ms:.4} | 0.1 | {} |\n", yes(ms <= 0.1));
}

fn delta(pair: &mut Pair, known: usize) {
    println!("| delta | versions, B | all frames, B | round trips | ms | at most, B | reached |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let cases = [
        ("1 write", 0..1, 1),
        ("100 writes of one origin", 0..1, 100),
        ("10,000 writes of one origin", 0..1, 10_000),
        ("1,000 writes of each origin", 0..known, 1_000),
        ("1,000 writes of each of 10 new origins", known..known + 10, 1_000),
    ];
    for (what, by, count) in cases {
        let (changed, new) = if by.start < known { (by.len(), 0) } else { (0, by.len()) };
        let versions = pair.write(by, count);
        let cost = pair.exchange();
        assert_eq!((cost.report.outcome, cost.versions), (Outcome::Delta, versions));
        let most = versions as f64 * 1.03 + 256.0 + 12.0 * changed as f64 + 48.0 * new as f64;
        let reached = yes(cost.bytes as f64 <= most);
        let trips = cost.flights as f64 / 2.0;
        let ms = cost.took.as_secs_f64() * 1e3;
        println!("| {what} | {versions} | {} | {trips} | {ms:.1} | {most:.0} | {reached} |", cost.bytes);
    }
    println!();
}

fn ranges(pair: &mut Pair) {
    println!(
        "| scattered losses | metadata, B | negentropy, B | ratio | aimed at | reached | round trips, comparing | whole | negentropy's | with its frames of {FRAME_BYTES} B | ms | negentropy's |"
    );
    println!("|{}", " --- |".repeat(12));
    for (differences, target) in DIFFERENCES {
        if differences * 5 > pair.dots.len() {
            continue;
        }
        for caller_loses in [true, false] {
            let chosen = chosen(pair.dots.len(), differences);
            let half = if caller_loses { differences.div_ceil(2) } else { differences / 2 };
            let lost = chosen.split_at(half);
            let dots = |lost: &[usize]| lost.iter().map(|n| pair.dots[*n]).collect::<Vec<Dot>>();
            let [of_a, of_b] = [dots(lost.0), dots(lost.1)];
            pair.ends[0].lose(&of_a);
            pair.ends[1].lose(&of_b);
            let ours = pair.exchange();
            assert_eq!(ours.report.outcome, Outcome::Ranges);
            let whole = beside::run(pair.dots.len(), [lost.0, lost.1], 0);
            let framed = beside::run(pair.dots.len(), [lost.0, lost.1], FRAME_BYTES);
            let ratio = ours.metadata() as f64 / whole.bytes as f64;
            let more = if caller_loses { "the caller has lost more" } else { "the called" };
            println!(
                "| {differences}, {more} | {} | {} | {ratio:.3} | {target} | {} | {} | {} | {} | {} ({} B) | {:.1} | {:.1} |",
                ours.metadata(),
                whole.bytes,
                yes(ratio <= target && ours.flights <= 8),
                ours.comparing as f64 / 2.0,
                ours.flights as f64 / 2.0,
                whole.round_trips,
                framed.round_trips,
                framed.bytes,
                ours.took.as_secs_f64() * 1e3,
                whole.took.as_secs_f64() * 1e3,
            );
            eprintln!("{:?}", ours.kinds);
        }
    }
}

/// So many different numbers below `count`, in no order.
fn chosen(count: usize, differences: usize) -> Vec<usize> {
    let mut taken = std::collections::BTreeSet::new();
    let mut order = Vec::with_capacity(differences);
    for n in 0.. {
        if order.len() == differences {
            break;
        }
        let number = (mixed(n ^ differences as u64) % count as u64) as usize;
        if taken.insert(number) {
            order.push(number);
        }
    }
    order
}
