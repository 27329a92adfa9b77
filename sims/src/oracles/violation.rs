//! What an oracle found.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::plan::{NodeNo, humantime_of};

/// So many violations of one oracle are told; of the rest only how many they are.
pub const VIOLATIONS_MAX: usize = 20;

/// Something that must hold and did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Who found it.
    pub oracle: &'static str,
    /// When it showed, since the beginning.
    #[serde(with = "humantime_of")]
    pub at: Duration,
    /// At which node, if it was at one.
    pub node: Option<NodeNo>,
    /// What was expected and what was seen, for a person.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.oracle, clock(self.at))?;
        if let Some(node) = self.node {
            write!(f, ", node {node}")?;
        }
        write!(f, ": {}", self.text)
    }
}

/// What one oracle has found so far.
pub(super) struct Findings {
    oracle: &'static str,
    told: Vec<Violation>,
    untold: usize,
}

impl Findings {
    pub(super) fn new(oracle: &'static str) -> Self {
        Self { oracle, told: Vec::new(), untold: 0 }
    }

    /// Something showed `at` a time, perhaps at a node. The text is made only if it is told.
    pub(super) fn add(
        &mut self,
        at: Duration,
        node: impl Into<Option<NodeNo>>,
        text: impl FnOnce() -> String,
    ) {
        if self.told.len() >= VIOLATIONS_MAX {
            self.untold += 1;
            return;
        }
        self.told.push(Violation { oracle: self.oracle, at, node: node.into(), text: text() });
    }

    pub(super) fn into_violations(mut self, end: Duration) -> Vec<Violation> {
        if self.untold > 0 {
            let text = format!("and {} more of this kind", self.untold);
            self.told.push(Violation { oracle: self.oracle, at: end, node: None, text });
        }
        self.told
    }
}

/// A time as people read it, to the millisecond.
pub(super) fn clock(at: Duration) -> String {
    humantime::format_duration(Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(u64::MAX)))
        .to_string()
}

/// Numbers of nodes as people read them.
pub(super) fn list(nodes: impl IntoIterator<Item = NodeNo>) -> String {
    let nodes: Vec<String> = nodes.into_iter().map(|node| node.to_string()).collect();
    nodes.join(", ")
}
