//! Expectations: what a plan says of latency and messages.

use super::{
    Oracle,
    index::Index,
    latency::latencies,
    stable::stable_latencies,
    violation::{Findings, clock},
};
use crate::history::What;

pub(super) const ORACLE: Oracle = Oracle {
    name: "expectations",
    about: "writes reach all nodes as fast, and with as few messages, as the plan expects",
    find,
};

fn find(index: &Index<'_>, findings: &mut Findings) {
    let expect = &index.plan.expect;
    if expect.median_latency.is_some() || expect.max_latency.is_some() {
        let mut latencies = latencies(index);
        latencies.sort_unstable();
        let bounds = [("median", 50, expect.median_latency), ("greatest", 100, expect.max_latency)];
        for (name, percent, bound) in bounds {
            let Some((((got, at), node), bound)) = quantile(&latencies, percent).zip(bound) else { continue };
            if got > bound {
                findings.add(at, node, || {
                    format!(
                        "the {name} time from an acknowledged write to all nodes that were up and connected is {}, expected {} (the write of {} reached this node last)",
                        clock(got), clock(bound), clock(at)
                    )
                });
            }
        }
    }
    stable(index, findings);
    messages(index, findings);
}

/// Latencies as readers notice them.
fn stable(index: &Index<'_>, findings: &mut Findings) {
    let expect = &index.plan.expect;
    let bounds = [("median", 50, expect.stable_median), ("greatest", 100, expect.stable_max)];
    if bounds.iter().all(|(.., bound)| bound.is_none()) {
        return;
    }
    let mut latencies = stable_latencies(index.plan, index.history);
    latencies.sort_unstable();
    for (name, percent, bound) in bounds {
        let Some((got, bound)) = quantile(&latencies, percent).zip(bound) else { continue };
        if got > bound {
            findings.add(index.end, None, || {
                format!(
                    "the {name} time from an acknowledged write to the last read that missed it is {}, expected {}",
                    clock(got), clock(bound)
                )
            });
        }
    }
}

fn quantile<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied()
}

/// Messages between nodes per operation that was answered with a write or a read.
fn messages(index: &Index<'_>, findings: &mut Findings) {
    let Some(bound) = index.plan.expect.messages_per_operation else { return };
    let events = &index.history.events;
    let last = events.iter().rev().find_map(|event| match &event.what {
        What::Sample(samples) => Some(samples),
        _ => None,
    });
    let Some(last) = last else { return };
    let sent: u64 = last.iter().map(|sample| sample.sent.gossip_messages).sum();
    let answered =
        |event: &&crate::history::Event| matches!(event.what, What::Acknowledged { .. } | What::Read { .. });
    let operations = events.iter().filter(answered).count();
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
    let ratio = sent as f64 / operations.max(1) as f64;
    if ratio > bound {
        findings.add(index.end, None, || {
            format!(
                "{sent} messages for {operations} operations are {ratio:.1} each, expected at most {bound:.1}"
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        oracles::fixture::{ANT, BAT, CAT, Fixture, millis},
        plan::{FaultKind, How},
    };

    #[test]
    fn latencies_beyond_what_is_expected_are_found() {
        let mut lawful = Fixture::new();
        for _ in 0..3 {
            let dot = lawful.put(ANT, "nest");
            lawful.spread(dot);
        }
        lawful.wait(100);
        let slow = lawful.put(CAT, "worm");
        lawful.wait(200);
        lawful.spread(slow);
        lawful.agree();
        (lawful.plan.expect.median_latency, lawful.plan.expect.max_latency) =
            (Some(millis(50)), Some(millis(250)));
        lawful.doctored(&ORACLE, "the median time", |doctored| {
            doctored.plan.expect.median_latency = Some(millis(49));
        });
        lawful.doctored(&ORACLE, "the greatest time", |doctored| {
            doctored.plan.expect.max_latency = Some(millis(249));
        });
    }

    #[test]
    fn nodes_that_are_cut_off_are_not_waited_for() {
        let mut cut = Fixture::new();
        cut.plan.expect.max_latency = Some(millis(50));
        let kind = FaultKind::Partition { groups: vec![vec![ANT, BAT], vec![CAT]], how: How::Freeze };
        let mut dot = None;
        cut.during(kind, |cut| {
            let written = cut.put(ANT, "nest");
            cut.apply(BAT, written, false);
            dot = Some(written);
        });
        cut.spread(dot.expect("written"));
        assert_eq!(cut.judge(&ORACLE), vec![]);
        cut.doctored(&ORACLE, "the greatest time", |doctored| {
            doctored.forget(|what| matches!(what, What::Broke { .. } | What::Mended { .. }));
        });
    }

    #[test]
    fn too_many_messages_are_found() {
        let mut lawful = Fixture::lawful();
        lawful.plan.expect.messages_per_operation = Some(10.0);
        lawful.doctored(&ORACLE, "expected at most 10.0", |doctored| {
            doctored.sample(|_, sample| sample.sent.gossip_messages = 31);
        });
    }
}
