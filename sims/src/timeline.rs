//! A plan as one list of steps in order of time.

use std::{collections::BTreeSet, time::Duration};

use crate::plan::{FaultKind, How, NodeNo, Plan};

/// Something to be done at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A fault of the plan is over.
    Mend(usize),
    /// A link that flaps works from now on, or does not.
    Flap {
        /// Between whom.
        link: (NodeNo, NodeNo),
        /// How it is interrupted.
        how: How,
        /// Whether it works.
        works: bool,
    },
    /// A fault of the plan begins.
    Strike(usize),
    /// A user does an operation of the plan.
    Operate(usize),
    /// All nodes are measured.
    Sample,
}

/// The steps of a plan, in order; all nodes are measured every `sampling`.
#[must_use]
pub fn steps(plan: &Plan, sampling: Duration) -> Vec<(Duration, Step)> {
    let mut steps = Vec::new();
    for (number, fault) in plan.faults.iter().enumerate() {
        steps.push((fault.at, Step::Strike(number)));
        let ends = fault.ends();
        if let FaultKind::Flap { link, how, up, down } = fault.kind {
            flaps(&mut steps, fault.at, ends.unwrap_or(plan.ends), (up, down), |works| Step::Flap {
                link,
                how,
                works,
            });
        }
        steps.extend(ends.map(|ends| (ends, Step::Mend(number))));
    }
    let dying: BTreeSet<usize> =
        (0..plan.faults.len()).flat_map(|fault| last_words(plan, fault).collect::<Vec<_>>()).collect();
    let operations = plan.operations.iter().enumerate().filter(|(number, _)| !dying.contains(number));
    steps.extend(operations.map(|(number, op)| (op.at, Step::Operate(number))));
    let mut at = Duration::ZERO;
    while at < plan.ends {
        steps.push((at, Step::Sample));
        at += sampling;
    }
    // Stable: what is simultaneous stays in the order of the plan.
    steps.sort_by_key(|(at, _)| *at);
    steps
}

/// The operations that a node is at work on when fault number `fault` ends its process: those of the
/// same instant. The fault has them done itself, so that it can strike before they are finished.
pub fn last_words(plan: &Plan, fault: usize) -> impl Iterator<Item = usize> {
    let fault = &plan.faults[fault];
    let first = plan.operations.partition_point(|op| op.at < fault.at);
    let same_instant = plan.operations[first..].iter().take_while(|op| op.at == fault.at);
    same_instant.enumerate().filter(|(_, op)| Some(op.node) == fault.kills()).map(move |(nth, _)| first + nth)
}

/// A link goes up and down by turns, beginning down; it works in the end.
fn flaps(
    steps: &mut Vec<(Duration, Step)>,
    from: Duration,
    until: Duration,
    (up, down): (Duration, Duration),
    step: impl Fn(bool) -> Step,
) {
    const SHORTEST: Duration = Duration::from_millis(1);
    let (mut at, mut works) = (from, false);
    loop {
        at += if works { up.max(SHORTEST) } else { down.max(SHORTEST) };
        if at >= until {
            break;
        }
        works = !works;
        steps.push((at, step(works)));
    }
    if !works {
        steps.push((until, step(true)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Fault;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_link_that_flaps_works_when_it_is_over() {
        let kind = FaultKind::Flap { link: (0, 1), how: How::Freeze, up: seconds(2), down: seconds(3) };
        for lasts in 1..30 {
            let mut plan = Plan::empty(2, 1);
            plan.ends = seconds(60);
            plan.faults.push(Fault { at: seconds(5), lasts: Some(seconds(lasts)), kind: kind.clone() });
            let mut works = true;
            for (at, step) in steps(&plan, seconds(100)) {
                match step {
                    Step::Strike(_) => works = false,
                    Step::Flap { works: now, .. } => {
                        assert_ne!(works, now, "at {at:?}");
                        works = now;
                    }
                    Step::Mend(_) => assert!(works, "over after {lasts} s, and the link is down"),
                    Step::Operate(_) | Step::Sample => {}
                }
            }
            assert!(works);
        }
    }
}
