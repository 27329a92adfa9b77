//! A run as numbers, which depend on its plan alone.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use crate::{
    Outcome,
    history::{Sample, Traffic, What},
    oracles::{self, Violation},
    plan::{Plan, humantime_of},
};

use super::healed::{Healed, healed};

/// What became of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The scenario.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The nodes, those included that were not there all the time.
    pub nodes: usize,
    /// Virtual time.
    #[serde(with = "humantime_of")]
    pub simulated: Duration,
    /// The hash of everything that happened.
    pub trace: String,
    /// How many events there were.
    pub events: u64,
    /// What users did.
    pub operations: Operations,
    /// Faults, by kind.
    pub faults: BTreeMap<&'static str, usize>,
    /// Milliseconds from an acknowledged write to all nodes that were up and connected.
    pub latency_ms: Quantiles,
    /// Milliseconds from an acknowledged write to the last read that missed it, as Maelstrom counts.
    pub stable_latency_ms: Quantiles,
    /// What went between nodes.
    pub traffic: Sent,
    /// When all nodes that were up held the same, in percent of the time.
    pub agreed_percent: f64,
    /// Seconds from the end of each fault to agreement; absent where the next fault came first.
    pub agreed_after: Vec<Agreed>,
    /// Bytes over the links that a fault had cut, by the number of the fault.
    pub healed: BTreeMap<usize, Healed>,
    /// The fullest that each queue was, in percent of its bound.
    pub queues_percent: BTreeMap<String, f64>,
    /// What was wrong.
    pub violations: Vec<Violation>,
}

/// What users did.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Operations {
    /// All that they asked for.
    pub asked: usize,
    /// Writes that were acknowledged.
    pub acknowledged: usize,
    /// Reads that were answered.
    pub read: usize,
    /// Refused: the node was down, or there was nothing to delete.
    pub refused: usize,
}

/// The spread of a measure.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Quantiles {
    /// Half are below.
    pub median: f64,
    /// 99 of 100 are below.
    pub p99: f64,
    /// None is above.
    pub max: f64,
}

/// What went between nodes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Sent {
    /// Bytes on the links: encrypted, heartbeats and handshakes included.
    pub wire_bytes: u64,
    /// Bytes of gossiped messages.
    pub gossip_bytes: u64,
    /// Bytes of exchanges.
    pub exchange_bytes: u64,
    /// Gossiped messages.
    pub messages: u64,
    /// Gossiped messages for each operation that was answered.
    pub messages_per_operation: f64,
    /// Bytes on the links for each operation that was answered.
    pub bytes_per_operation: f64,
}

/// How long agreement took after a fault.
#[derive(Clone, Debug, Serialize)]
pub struct Agreed {
    /// The fault.
    pub fault: &'static str,
    /// When it was over, in seconds since the beginning.
    pub over: f64,
    /// Seconds from then to agreement, if that came before the next fault.
    pub after: Option<f64>,
}

impl Summary {
    /// Of a run of `plan`.
    #[must_use]
    pub fn of(plan: &Plan, outcome: &Outcome, violations: Vec<Violation>) -> Self {
        let history = &outcome.history;
        let operations = operations(outcome);
        let end = history.events.last().map_or(Duration::ZERO, |event| event.at);
        let mut faults = BTreeMap::new();
        plan.faults.iter().for_each(|fault| *faults.entry(fault.kind.name()).or_default() += 1);
        Self {
            scenario: plan.scenario.clone(),
            seed: plan.seed,
            nodes: plan.nodes,
            simulated: end,
            trace: outcome.trace.hash(),
            events: outcome.trace.events(),
            faults,
            latency_ms: Quantiles::of(oracles::latencies(plan, history)),
            stable_latency_ms: Quantiles::of(oracles::stable_latencies(plan, history)),
            traffic: Sent::of(last_samples(outcome), operations.acknowledged + operations.read),
            agreed_percent: agreed_percent(outcome, end),
            agreed_after: agreed_after(plan, outcome),
            queues_percent: queues(outcome),
            healed: healed(plan, outcome),
            operations,
            violations,
        }
    }
}

fn operations(outcome: &Outcome) -> Operations {
    let mut counts = Operations::default();
    for event in &outcome.history.events {
        match event.what {
            What::Asked { .. } => counts.asked += 1,
            What::Acknowledged { .. } => counts.acknowledged += 1,
            What::Read { .. } => counts.read += 1,
            What::Refused { .. } => counts.refused += 1,
            _ => {}
        }
    }
    counts
}

fn last_samples(outcome: &Outcome) -> &[Sample] {
    let samples = outcome.history.events.iter().rev().find_map(|event| match &event.what {
        What::Sample(samples) => Some(&samples[..]),
        _ => None,
    });
    samples.unwrap_or_default()
}

impl Quantiles {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
            times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        Self { median: at(50), p99: at(99), max: at(100) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
fn ratio(part: u64, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

impl Sent {
    fn of(samples: &[Sample], answered: usize) -> Self {
        let sum = |count: fn(&Traffic) -> u64| samples.iter().map(|sample| count(&sample.sent)).sum::<u64>();
        let (messages, wire_bytes) = (sum(|sent| sent.gossip_messages), sum(|sent| sent.wire));
        Self {
            wire_bytes,
            gossip_bytes: sum(|sent| sent.gossip),
            exchange_bytes: sum(|sent| sent.exchange),
            messages,
            messages_per_operation: ratio(messages, answered),
            bytes_per_operation: ratio(wire_bytes, answered),
        }
    }
}

fn agreed_percent(outcome: &Outcome, end: Duration) -> f64 {
    let (mut since, mut agreed) = (Some(Duration::ZERO), Duration::ZERO);
    for event in &outcome.history.events {
        match event.what {
            What::Agreed => since = Some(event.at),
            What::Disagreed => {
                if let Some(since) = since.take() {
                    agreed += event.at.saturating_sub(since);
                }
            }
            _ => {}
        }
    }
    agreed += since.map_or(Duration::ZERO, |since| end.saturating_sub(since));
    100.0 * agreed.as_secs_f64() / end.as_secs_f64().max(1e-9)
}

/// After every fault that ends. Nodes that agree already agree at once.
fn agreed_after(plan: &Plan, outcome: &Outcome) -> Vec<Agreed> {
    let (mut after, mut waiting, mut agreed) = (Vec::new(), Vec::<(usize, Duration)>::new(), true);
    let tell = |fault: usize, over: Duration, at: Option<Duration>| Agreed {
        fault: plan.faults[fault].kind.name(),
        over: over.as_secs_f64(),
        after: at.map(|at| at.saturating_sub(over).as_secs_f64()),
    };
    for event in &outcome.history.events {
        match &event.what {
            What::Mended { fault } if agreed => after.push(tell(*fault, event.at, Some(event.at))),
            What::Mended { fault } => waiting.push((*fault, event.at)),
            What::Agreed => {
                agreed = true;
                after.extend(waiting.drain(..).map(|(fault, over)| tell(fault, over, Some(event.at))));
            }
            What::Disagreed => agreed = false,
            What::Broke { .. } => {
                after.extend(waiting.drain(..).map(|(fault, over)| tell(fault, over, None)));
            }
            _ => {}
        }
    }
    after.extend(waiting.drain(..).map(|(fault, over)| tell(fault, over, None)));
    after
}

fn queues(outcome: &Outcome) -> BTreeMap<String, f64> {
    let mut fullest = BTreeMap::new();
    for event in &outcome.history.events {
        let What::Sample(samples) = &event.what else { continue };
        for (name, (depth, max)) in samples.iter().flat_map(|sample| &sample.queues) {
            let full = 100.0 * ratio(*depth as u64, *max);
            let most: &mut f64 = fullest.entry(name.clone()).or_default();
            *most = most.max(full);
        }
    }
    fullest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, run};

    #[test]
    fn a_run_in_which_nothing_happens_is_all_agreement() {
        let plan = Plan::empty(2, 1);
        let outcome = run(&plan, &Options::default()).unwrap();
        let summary = Summary::of(&plan, &outcome, Vec::new());
        assert!((summary.agreed_percent - 100.0).abs() < 1e-9);
        assert_eq!((summary.operations.asked, summary.traffic.messages), (0, 0));
        assert!(summary.traffic.wire_bytes > 0, "two nodes that never met");
    }
}
