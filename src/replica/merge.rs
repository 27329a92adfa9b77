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
