//! Rule 2: a version arrives.

use super::Plan;
use crate::conflict::{Record, Version};

/// Plans the merge of a version whose dot has not been seen here.
///
/// Order, repetition and batching do not matter: see the property tests against the model of all
/// versions.
#[must_use]
pub fn plan_merge(current: Option<&Record>, version: Version) -> Plan {
    let mut record = current.cloned().unwrap_or_default();
    let merged = record.merge(version.clone());
    let mut dead: Vec<_> = merged.superseded.iter().map(|sibling| sibling.dot).collect();
    let held = if merged.added {
        Some(version)
    } else {
        dead.push(version.dot);
        None
    };
    Plan { record, held, superseded: merged.superseded, dead }
}
