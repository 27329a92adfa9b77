//! Bounds: queues, exchanges, the size of a store and the bytes of a write.

use std::time::Duration;

use super::{
    Oracle,
    index::Index,
    quiet::QUIET_BYTES_PER_PEER,
    violation::{Findings, clock},
};
use crate::{
    history::{Sample, What},
    plan::{Action, NodeNo, StoreKind},
};

pub(super) const ORACLE: Oracle = Oracle {
    name: "bounds",
    about: "queues stay within their bounds, and stores and traffic within what the writes explain",
    find,
};

/// A node has so many exchanges under way at most, asked for and answered together.
pub const EXCHANGES_MAX: usize = 16;

/// What a write may take in a store beside its value: record, dot index, context, seen set, and
/// the dead bits of what it superseded.
pub const STORE_BYTES_PER_WRITE: u64 = 2_048;

/// What an empty store may have: for the real one, its first journal.
const STORE_BYTES: [(StoreKind, u64); 2] = [(StoreKind::Memory, 64 << 10), (StoreKind::Fjall, 256 << 20)];

/// What a write may cost on one link, each time that it crosses it, beside its value: envelope,
/// signature, framing, encryption, and its share of beacons and seen sets.
pub const WIRE_BYTES_PER_CROSSING: u64 = 2_048;

/// A write crosses a link at most so often: gossip both ways, an exchange both ways.
pub const CROSSINGS_MAX: u64 = 4;

/// What a connection costs: handshakes, identification, subscriptions, first comparison. A
/// disturbance may part and join each link a few times, so a link costs this for every fault too.
pub const WIRE_BYTES_PER_CONNECTION: u64 = 64 << 10;

fn find(index: &Index<'_>, findings: &mut Findings) {
    let (mut writes, mut connections) = (0_u64, 0_u64);
    let written = value_bytes(index);
    for event in &index.history.events {
        match &event.what {
            What::Applied { local: true, .. } => writes += 1,
            What::Connected { .. } => connections += 1,
            What::Sample(samples) => {
                for (node, sample) in samples.iter().enumerate() {
                    queues(event.at, node, sample, findings);
                    store(index, event.at, (node, sample), writes, written, findings);
                }
                wire(index, event.at, samples, (writes, written, connections), findings);
            }
            _ => {}
        }
    }
}

/// Bytes of all values that the plan has written.
fn value_bytes(index: &Index<'_>) -> u64 {
    let bytes = index.plan.operations.iter().map(|operation| match &operation.action {
        Action::Put { size, .. } => *size as u64,
        Action::Batch { keys, size } => keys.len() as u64 * *size as u64,
        Action::Delete { .. } | Action::Get { .. } => 0,
    });
    bytes.sum()
}

fn queues(at: Duration, node: NodeNo, sample: &Sample, findings: &mut Findings) {
    for (name, (depth, max)) in &sample.queues {
        if depth > max {
            findings
                .add(at, node, || format!("has {depth} in its queue of {name}, which holds {max} at most"));
        }
    }
    if sample.exchanges > EXCHANGES_MAX {
        findings.add(at, node, || {
            format!("has {} exchanges under way, {EXCHANGES_MAX} are the most", sample.exchanges)
        });
    }
}

fn store(
    index: &Index<'_>,
    at: Duration,
    (node, sample): (NodeNo, &Sample),
    writes: u64,
    written: u64,
    findings: &mut Findings,
) {
    let kind = index.plan.settings.store;
    let empty = STORE_BYTES.iter().find(|(of, _)| *of == kind).map_or(0, |(_, bytes)| *bytes);
    let bound = empty + writes * STORE_BYTES_PER_WRITE + 3 * written;
    if sample.store_bytes > bound {
        findings.add(at, node, || {
            format!("stores {} bytes; {writes} writes explain {bound} at most", sample.store_bytes)
        });
    }
}

fn wire(
    index: &Index<'_>,
    at: Duration,
    samples: &[Sample],
    (writes, written, connections): (u64, u64, u64),
    findings: &mut Findings,
) {
    let links = (index.plan.edges.len() as u64).max(connections.div_ceil(2));
    let intervals = at.as_secs() / index.plan.settings.sync_interval.as_secs().max(1) + 1;
    let crossings = writes * WIRE_BYTES_PER_CROSSING + written;
    let joining = (connections + index.plan.faults.len() as u64 * links) * WIRE_BYTES_PER_CONNECTION;
    let quiet = 2 * links * intervals * QUIET_BYTES_PER_PEER;
    let bound = CROSSINGS_MAX * links * crossings + joining + quiet;
    let sent: u64 = samples.iter().map(|sample| sample.sent.wire).sum();
    if sent > bound {
        findings.add(at, None, || {
            format!(
                "the nodes sent {sent} bytes by {}; {writes} writes over {links} links explain {bound} at most",
                clock(at)
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracles::fixture::Fixture;

    #[test]
    fn what_grows_beyond_its_bound_is_found() {
        let lawful = Fixture::lawful();
        lawful.doctored(&ORACLE, "in its queue of writes", |doctored| {
            doctored.sample(|_, sample| _ = sample.queues.insert("writes".into(), (4_097, 4_096)));
        });
        lawful.doctored(&ORACLE, "exchanges under way", |doctored| {
            doctored.sample(|_, sample| sample.exchanges = 17);
        });
        lawful.doctored(&ORACLE, "stores 100000 bytes", |doctored| {
            doctored.sample(|_, sample| sample.store_bytes = 100_000);
        });
        lawful.doctored(&ORACLE, "the nodes sent", |doctored| {
            doctored.sample(|_, sample| sample.sent.wire = 10_000_000);
        });
    }
}
