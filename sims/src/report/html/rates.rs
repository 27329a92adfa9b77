//! Plots: what users do per second, and what the wire carries per second.

use super::{
    facts::Facts,
    number::{bytes, float, ratio, short},
    plot::figure,
    stack::{Kind, edges, rates, stack},
};
use crate::history::{Sample, Traffic};

pub(super) fn operations(facts: &Facts<'_>) -> String {
    let edges = edges(facts.end);
    let kind = |class, name, times: &[f64]| Kind { class, name, rates: rates(times, &edges) };
    let kinds = [
        kind("s-write", "writes", &facts.written),
        kind("s-read", "reads", &facts.read),
        kind("s-refused", "refused", &facts.refused),
    ];
    let legend = [("k-write", "writes acknowledged"), ("k-read", "reads answered"), ("k-refused", "refused")];
    let svg = stack(facts, "operations per second", &edges, &kinds, short);
    figure(
        "half",
        "What users do",
        "Operations per second at all nodes together. A node that is down refuses.",
        &legend,
        &svg,
    )
}

pub(super) fn traffic(facts: &Facts<'_>) -> String {
    let edges: Vec<f64> = edges_of_samples(facts);
    let [mut gossip, mut exchange, mut other] = [vec![], vec![], vec![]];
    for (from, to) in chosen(facts) {
        let sent = sent_between(facts.samples[from].1, facts.samples[to].1);
        let time = facts.samples[to].0 - facts.samples[from].0;
        let known = sent.gossip + sent.exchange;
        gossip.push(ratio(float(sent.gossip), time));
        exchange.push(ratio(float(sent.exchange), time));
        other.push(ratio(float(sent.wire.saturating_sub(known)), time));
    }
    let kinds = [
        Kind { class: "s-gossip", name: "gossip", rates: gossip },
        Kind { class: "s-exchange", name: "exchanges", rates: exchange },
        Kind { class: "s-other", name: "other", rates: other },
    ];
    let legend = [
        ("k-gossip", "gossip: new writes, told at once"),
        ("k-exchange", "exchanges: neighbours compare and fill gaps"),
        ("k-other", "other: encryption, pings, control"),
    ];
    let svg = stack(facts, "bytes per second", &edges, &kinds, bytes);
    figure("half", "What the wire carries", "Bytes per second on all links together, by kind.", &legend, &svg)
}

/// Pairs of neighbouring samples, some left out where there are many.
fn chosen(facts: &Facts<'_>) -> Vec<(usize, usize)> {
    let step = facts.samples.len().div_ceil(200).max(1);
    let kept: Vec<usize> = (0..facts.samples.len()).step_by(step).collect();
    let apart = |pair: &&[usize]| facts.samples[pair[0]].0 < facts.samples[pair[1]].0;
    kept.windows(2).filter(apart).map(|pair| (pair[0], pair[1])).collect()
}

fn edges_of_samples(facts: &Facts<'_>) -> Vec<f64> {
    let chosen = chosen(facts);
    let first = chosen.first().map(|(from, _)| facts.samples[*from].0);
    first.into_iter().chain(chosen.iter().map(|(_, to)| facts.samples[*to].0)).collect()
}

fn sent_between(before: &[Sample], after: &[Sample]) -> Traffic {
    let mut sum = Traffic::default();
    for (before, after) in before.iter().zip(after) {
        sum.wire += after.sent.wire.saturating_sub(before.sent.wire);
        sum.gossip += after.sent.gossip.saturating_sub(before.sent.gossip);
        sum.exchange += after.sent.exchange.saturating_sub(before.sent.exchange);
    }
    sum
}
