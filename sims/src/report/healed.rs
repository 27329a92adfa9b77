//! What a partition's end costs: the bytes that went over the links it had cut, beside those that had
//! to.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use tidings::causality::Dot;

use crate::{
    Outcome,
    history::What,
    plan::{FaultKind, NodeNo, Plan},
};

/// Bytes over links that a fault had cut.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Healed {
    /// From its end to agreement: encrypted, with handshakes, heartbeats and gossip.
    pub bytes: u64,
    /// Of the versions that one group of nodes had and another had not, when a partition ended: once
    /// for each group that lacked them, without what wraps them on their way.
    pub missing: Option<u64>,
}

/// By the number of the fault.
pub(super) fn healed(plan: &Plan, outcome: &Outcome) -> BTreeMap<usize, Healed> {
    let missing = |fault: usize| match &plan.faults.get(fault)?.kind {
        FaultKind::Partition { groups, .. } => missing(fault, groups, outcome),
        _ => None,
    };
    let healed = outcome.healed_bytes.iter();
    healed.map(|(fault, bytes)| (*fault, Healed { bytes: *bytes, missing: missing(*fault) })).collect()
}

fn missing(fault: usize, groups: &[Vec<NodeNo>], outcome: &Outcome) -> Option<u64> {
    let group_of = |node: &NodeNo| groups.iter().position(|group| group.contains(node));
    let mut sizes: HashMap<Dot, u64> = HashMap::new();
    let mut held = vec![HashSet::new(); groups.len()];
    for event in &outcome.history.events {
        match &event.what {
            What::Mended { fault: mended } if *mended == fault => {
                let lacked = |dot: &Dot| held.iter().filter(|held| !held.contains(dot)).count() as u64;
                return Some(sizes.iter().map(|(dot, bytes)| bytes * lacked(dot)).sum());
            }
            What::Applied { node, version, .. } => {
                let Some(group) = group_of(node) else { continue };
                sizes.insert(version.dot, version.bytes as u64);
                held[group].insert(version.dot);
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Options, run,
        scenario::{Overrides, Scenario},
    };

    #[test]
    fn what_the_halves_lacked_is_counted_once_a_half() {
        let scenario = "about = \"Four nodes\"\nnodes = 4\nduration = \"30s\"\n[topology]\nkind = \"dumbbell\"\n\
                        [work]\nfrom = \"12s\"\nuntil = \"20s\"\nrate = 5.0\ndistribution = \"unique\"\nvalue = 1000\n\
                        [[at]]\ntime = \"10s\"\nfault = \"partition\"\ngroups = [[\"0..1\"], [\"2..3\"]]\nhow = \"break\"\nfor = \"15s\"\n";
        let scenario = Scenario::parse("halves.toml", scenario).unwrap();
        let plan = scenario.draw(1, &Overrides::default()).unwrap();
        let outcome = run(&plan, &Options::default()).unwrap();
        let healed = healed(&plan, &outcome)[&0];
        let missing = healed.missing.unwrap();
        // Forty writes, each unknown to the other half.
        assert!((40_000..48_000).contains(&missing), "{missing}");
        assert!(healed.bytes >= missing, "{} bytes brought {missing}", healed.bytes);
    }
}
