//! Whether a run was as it must be.

use crate::{
    Outcome,
    oracles::{self, Violation},
    plan::Plan,
};

/// Everything that was wrong with a run: what the oracles say, what was left behind, and what a
/// program of one's own complained of. Empty when all was well.
#[must_use]
pub fn verdict(plan: &Plan, outcome: &Outcome) -> Vec<Violation> {
    let mut violations = oracles::judge(plan, &outcome.history);
    let end = outcome.history.events.last().map(|event| event.at).unwrap_or_default();
    let mut wrong = |oracle, text| violations.push(Violation { oracle, at: end, node: None, text });
    if let Some(complaint) = &outcome.complaint {
        wrong("program", complaint.clone());
    }
    if outcome.tasks_left + outcome.connections_left > 0 {
        let (tasks, connections) = (outcome.tasks_left, outcome.connections_left);
        wrong(
            "left-behind",
            format!(
                "an hour after every node had ended, {tasks} tasks and {connections} connections were left"
            ),
        );
    }
    violations
}
