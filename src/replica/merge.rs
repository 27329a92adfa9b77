//! Rule 2: a version arrives.

use super::Plan;
use crate::conflict::{Merged, Record, Version};

/// Plans the merge of a version whose dot has not been seen here.
///
/// Order, repetition and batching do not matter: see the property tests against the model of all
/// versions.
#[must_use]
pub fn plan_merge(current: Option<&Record>, version: Version) -> Plan {
    let mut record = current.cloned().unwrap_or_default();
    let merged = record.merge(version.clone());
    planned(record, merged, version)
}

/// Rule 6: plans the return of a version that was seen here and lost.
#[must_use]
pub fn plan_take_back(current: Option<&Record>, version: Version) -> Plan {
    let mut record = current.cloned().unwrap_or_default();
    let merged = record.take_back(version.clone());
    planned(record, merged, version)
}

/// Rule 6: plans what becomes of a record where a version supersedes siblings of it and is itself dead
/// here already. Nothing if it supersedes none.
#[must_use]
pub fn plan_burial(current: &Record, version: &Version) -> Option<Plan> {
    let buried = current.siblings().iter().filter(|sibling| version.supersedes(sibling.dot));
    let superseded: Vec<Version> = buried.cloned().collect();
    let mut record = current.clone();
    for sibling in &superseded {
        record.drop_sibling(sibling.dot);
    }
    let dead = superseded.iter().map(|sibling| sibling.dot).collect();
    (!superseded.is_empty()).then_some(Plan { record, held: None, superseded, dead })
}

fn planned(record: Record, merged: Merged, version: Version) -> Plan {
    let mut dead: Vec<_> = merged.superseded.iter().map(|sibling| sibling.dot).collect();
    let held = if merged.added {
        Some(version)
    } else {
        dead.push(version.dot);
        None
    };
    Plan { record, held, superseded: merged.superseded, dead }
}
