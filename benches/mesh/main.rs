//! Nodes in a mesh beside bare gossipsub with the same parameters, over the same links, with
//! messages of the same size. Prints a table of ratios.
//!
//! Propagation is measured from the call of the sender's program to the moment when the program at
//! the last member has the message in its hands. For a node: from `batch` (of one value) being
//! called, over the value being committed to the sender's store, signed, gossiped, verified and
//! forwarded at every hop, and committed to the last member's store, to its `subscribe` telling of
//! it. Stores are in memory. For bare gossipsub: from an order to the task that owns the swarm, to
//! that task being given the message. Bare gossipsub comes in two kinds: *signed*, as the library
//! does by default, so that a member knows the author of what it is given, as a node's does; and
//! *anonymous*, with messages that prove nothing. Bytes are compared with the anonymous kind, whose
//! messages are as long as a node's envelopes with their signatures.
//!
//! `TIDINGS_BENCH_MESSAGES` is the number of messages per topology (200), `TIDINGS_BENCH_RUNS` the
//! number of starts of the two cliques (10); `TIDINGS_BENCH_ONLY` names the parts to run (`lines`,
//! `random`, `wire`, `batched`, `leaf`, `cliques`).

#![expect(clippy::unwrap_used, reason = "a bench that fails may fail with a trace")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

mod bare;
mod counted;
mod nodes;
#[expect(dead_code, reason = "no rates here")]
#[path = "../shared/mod.rs"]
mod shared;
mod topology;

use std::time::{Duration, Instant};

use shared::{Table, Target, quantile, setting};
use tokio::sync::mpsc;
use topology::Topology;

/// The bytes of each value.
const VALUE_BYTES: usize = 200;
/// Between two messages: longer than what waits to travel together.
const PAUSE: Duration = Duration::from_millis(10);
/// Message number, receiver, when.
pub type Arrival = (usize, usize, Instant);

/// Something that carries messages from any of its members to all others.
trait Mesh {
    async fn start(topology: &Topology) -> Self;
    fn arrivals(&mut self) -> &mut mpsc::UnboundedReceiver<Arrival>;
    /// Sends messages `first..first + count`, as one unit, from member `from`.
    async fn send(&self, from: usize, first: usize, count: usize);
    fn wire_bytes(&self) -> u64;
    async fn stop(self);
}

/// What a run of messages took.
struct Outcome {
    /// Milliseconds until the last member had a message.
    to_all: Vec<f64>,
    wire_bytes: u64,
    delivered: usize,
}

/// Sends `messages` messages from members in turn and waits until all have reached all others.
async fn run<M: Mesh>(topology: &Topology, messages: usize, senders: &[usize], unit: usize) -> Outcome {
    let mut mesh = M::start(topology).await;
    let receivers = topology.members - 1;
    let before = mesh.wire_bytes();
    let mut sent = Vec::new();
    let mut last = vec![None; messages * unit];
    let mut left = messages * unit * receivers;
    for n in 0..messages {
        sent.push(Instant::now());
        mesh.send(senders[n % senders.len()], n * unit, unit).await;
        tokio::time::sleep(PAUSE).await;
    }
    let patience = Instant::now() + Duration::from_secs(20);
    while left > 0 {
        let wait = patience.saturating_duration_since(Instant::now());
        let Ok(Some((message, _, at))) = tokio::time::timeout(wait, mesh.arrivals().recv()).await else {
            break;
        };
        left -= 1;
        last[message] = last[message].max(Some(at));
    }
    if left > 0 {
        eprintln!("{left} deliveries of {} are missing", messages * unit * receivers);
    }
    let wire_bytes = mesh.wire_bytes() - before;
    mesh.stop().await;
    let took = |(n, at): (usize, &Option<Instant>)| Some(((*at)? - sent[n / unit]).as_secs_f64() * 1e3);
    let to_all = last.iter().enumerate().filter_map(took).collect();
    Outcome { to_all, wire_bytes, delivered: messages * unit * receivers - left }
}

async fn compare(what: &str, topology: &Topology, senders: &[usize], table: &mut Table) {
    let messages = setting("TIDINGS_BENCH_MESSAGES", 200);
    let (mut ours, mut signed, mut anonymous) = (Vec::new(), Vec::new(), Vec::new());
    // Turn by turn, for the machine is not ours alone.
    for _ in 0..4 {
        signed.extend(run::<bare::Bare<true>>(topology, messages / 4, senders, 1).await.to_all);
        ours.extend(run::<nodes::Nodes>(topology, messages / 4, senders, 1).await.to_all);
        anonymous.extend(run::<bare::Bare<false>>(topology, messages / 4, senders, 1).await.to_all);
    }
    for (kind, bare) in [("signed", &mut signed), ("anonymous", &mut anonymous)] {
        for (share, name, most) in [(0.5, "p50", 1.3), (0.99, "p99", 1.5)] {
            let pair = (quantile(&mut ours, share), quantile(bare, share));
            table.ratio(&format!("{what}, {name}, beside {kind}"), pair, "ms", Target::AtMost(most));
        }
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let only = std::env::var("TIDINGS_BENCH_ONLY").unwrap_or_default();
    let wanted = |part| only.is_empty() || only.split(',').any(|name| name == part);
    let mut table = Table::default();
    runtime.block_on(async {
        if wanted("lines") {
            for members in [2, 5, 10] {
                let what = format!("line of {members}, end to end");
                compare(&what, &Topology::line(members), &[0], &mut table).await;
            }
        }
        if wanted("random") {
            let all: Vec<_> = (0..10).collect();
            compare("10 nodes of degree 4, to all", &Topology::random(10, 4), &all, &mut table).await;
        }
        if wanted("wire") {
            wire(&mut table).await;
        }
        if wanted("batched") {
            batched(&mut table).await;
        }
        if wanted("leaf") {
            let topology = Topology::hub_and_leaf(12);
            let mut to_leaf = run::<nodes::Nodes>(&topology, 100, &[topology.members - 1], 1).await.to_all;
            let p99 = quantile(&mut to_leaf, 0.99);
            table.figure("from a leaf on a hub of degree 12 to all, p99", p99, "ms", Target::AtMost(50.0));
        }
        if wanted("cliques") {
            cliques(&mut table).await;
        }
    });
    table.print(&format!("Values of {VALUE_BYTES} B, TCP, Noise and Yamux on loopback, one process"));
}

/// Two cliques that are meshed anew for each run: which links gossip uses is a matter of dice.
async fn cliques(table: &mut Table) {
    let (topology, runs) = (Topology::two_cliques(20), setting("TIDINGS_BENCH_RUNS", 10));
    let all: Vec<_> = (0..40).map(|n| n * 7 % 40).collect();
    let mut to_all = Vec::new();
    for _ in 0..runs {
        to_all.extend(run::<nodes::Nodes>(&topology, 10, &all, 1).await.to_all);
    }
    for (share, name, most) in [(0.99, "p99", 100.0), (1.0, "the slowest", f64::INFINITY)] {
        let target = if most.is_finite() { Target::AtMost(most) } else { Target::None };
        let what = format!("two cliques of 20 and one link, {runs} starts of 10 messages, to all, {name}");
        table.figure(&what, quantile(&mut to_all, share), "ms", target);
    }
}

/// Wire bytes per delivered byte on 40 nodes of degree 6.
async fn wire(table: &mut Table) {
    let (topology, all) = (Topology::random(40, 6), (0..40).collect::<Vec<_>>());
    let messages = setting("TIDINGS_BENCH_MESSAGES", 200) * 2;
    let size = nodes::encoded_bytes(1) as f64;
    let per_byte = |outcome: &Outcome| outcome.wire_bytes as f64 / (outcome.delivered as f64 * size);
    let bare = run::<bare::Bare<false>>(&topology, messages, &all, 1).await;
    let ours = run::<nodes::Nodes>(&topology, messages, &all, 1).await;
    let pair = (per_byte(&ours), per_byte(&bare));
    table.ratio("40 nodes of degree 6, wire bytes per delivered byte", pair, "", Target::AtMost(1.1));
}

/// Wire bytes per encoded byte when 50 values travel as one unit.
async fn batched(table: &mut Table) {
    let (topology, all) = (Topology::random(10, 4), (0..10).collect::<Vec<_>>());
    let unit = 50;
    let size = nodes::encoded_bytes(unit) as f64 / unit as f64;
    let per_byte = |outcome: &Outcome| outcome.wire_bytes as f64 / (outcome.delivered as f64 * size);
    let bare = run::<bare::Bare<false>>(&topology, 100, &all, unit).await;
    let ours = per_byte(&run::<nodes::Nodes>(&topology, 100, &all, unit).await);
    let what = "10 nodes of degree 4, units of 50, wire bytes per delivered byte";
    table.figure(what, ours, "", Target::AtMost(3.0));
    table.ratio("the same beside bare gossipsub", (ours, per_byte(&bare)), "", Target::None);
}
