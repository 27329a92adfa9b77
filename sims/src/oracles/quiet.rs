//! Quiet: nodes that agree and have nothing to do say little.

use std::time::Duration;

use super::{
    Oracle,
    index::Index,
    violation::{Findings, clock},
};
use crate::{
    history::{Sample, What},
    plan::NodeNo,
};

pub(super) const ORACLE: Oracle = Oracle {
    name: "quiet",
    about: "once all agree and nothing happens, background traffic per node and sync interval stays under a bound",
    find,
};

/// What a node sends to one peer in a sync interval at most, unless the plan says otherwise.
///
/// In ten seconds that is some twenty heartbeats of gossip (each says what was gossiped of late,
/// while that is remembered), a ping, a beacon, and what encryption adds: a few kilobytes, measured.
/// An exchange in every interval, or one value sent again and again, does not fit.
pub const QUIET_BYTES_PER_PEER: u64 = 12_000;

/// Quiet begins so many intervals after all agree: by then gossip has forgotten most, and the last
/// comparison is over.
const SETTLED: u32 = 2;

fn find(index: &Index<'_>, findings: &mut Findings) {
    let interval = index.plan.settings.sync_interval;
    let Some(agreed) = agreed(index) else { return };
    let begins = agreed.max(index.disturbed) + interval * SETTLED;
    let mut samples = index.history.events.iter().filter_map(|event| match &event.what {
        What::Sample(samples) if event.at >= begins => Some((event.at, samples)),
        _ => None,
    });
    let Some((from, first)) = samples.next() else { return };
    let Some((to, last)) = samples.next_back().filter(|(to, _)| *to >= from + interval) else { return };
    for (node, (before, after)) in first.iter().zip(last).enumerate() {
        if before.up && after.up {
            judge(index, node, (from, before), (to, after), findings);
        }
    }
}

/// Since when all agree; nothing if they do not.
fn agreed(index: &Index<'_>) -> Option<Duration> {
    index.history.events.iter().fold(None, |since, event| match event.what {
        What::Agreed => since.or(Some(event.at)),
        What::Disagreed => None,
        _ => since,
    })
}

fn judge(
    index: &Index<'_>,
    node: NodeNo,
    (from, before): (Duration, &Sample),
    (to, after): (Duration, &Sample),
    findings: &mut Findings,
) {
    let interval = index.plan.settings.sync_interval;
    let sent = u128::from(after.sent.wire.saturating_sub(before.sent.wire));
    let per_interval = sent * interval.as_millis() / to.saturating_sub(from).as_millis().max(1);
    let bound = index.plan.expect.quiet_bytes.unwrap_or_else(|| QUIET_BYTES_PER_PEER * peers(index, node));
    if per_interval > u128::from(bound) {
        findings.add(to, node, || {
            format!(
                "sent {per_interval} bytes per {} from {} to {}, though all agree and nothing happens; {bound} are allowed",
                clock(interval), clock(from), clock(to)
            )
        });
    }
}

/// With how many peers a node may be connected: its links, or all others where nodes introduce
/// each other.
fn peers(index: &Index<'_>, node: NodeNo) -> u64 {
    let links = index.plan.edges.iter().filter(|edge| edge.from == node || edge.to == node).count();
    let all = index.plan.nodes.saturating_sub(1);
    let peers = if index.plan.settings.peer_exchange { all } else { links };
    peers.max(1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracles::fixture::Fixture;

    #[test]
    fn nodes_that_go_on_talking_are_found() {
        let lawful = Fixture::lawful();
        let talk = |bytes: u64| {
            move |doctored: &mut Fixture| {
                let mut sent = 0;
                for event in &mut doctored.history.events {
                    if let What::Sample(samples) = &mut event.what {
                        sent += bytes;
                        samples[2].sent.wire = sent;
                    }
                }
            }
        };
        lawful.doctored(&ORACLE, "12000 are allowed", talk(1_300));
        let mut strict = lawful;
        talk(1_100)(&mut strict);
        strict.doctored(&ORACLE, "10000 are allowed", |doctored| {
            doctored.plan.expect.quiet_bytes = Some(10_000);
        });
    }

    #[test]
    fn nodes_that_do_not_agree_may_talk() {
        let mut busy = Fixture::lawful();
        busy.plan.expect.quiet_bytes = Some(1);
        assert_eq!(busy.judge(&ORACLE).len(), 3);
        busy.forget(|what| matches!(what, What::Agreed));
        assert_eq!(busy.judge(&ORACLE), vec![]);
    }
}
