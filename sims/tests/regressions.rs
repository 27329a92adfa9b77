//! Seeds that once found a bug, by the name of what was wrong.

use std::time::Duration;

use sims::{
    Options,
    plan::{Action, Fault, FaultKind, How, Operation, Plan},
    run,
    scenario::{Overrides, find},
    verdict,
};

fn holds(scenario: &str, seed: u64) {
    let scenario = find(scenario).expect("a scenario of the library");
    let plan = scenario.draw(seed, &Overrides::default()).expect("a plan that makes sense");
    all_holds(&plan);
}

fn all_holds(plan: &Plan) {
    let outcome = run(plan, &Options::default()).expect("a simulation that runs");
    let violations = verdict(plan, &outcome);
    assert!(
        violations.is_empty(),
        "{}",
        violations.iter().map(|found| format!("{found}\n")).collect::<String>()
    );
}

/// The store of a dying node was let go of while readers were still let in.
#[test]
fn a_read_at_the_moment_of_a_crash_is_refused_rather_than_told_that_nothing_is_there() {
    for seed in [87, 143, 176] {
        holds("any-weather", seed);
    }
}

/// Both ends gave the connection up, and each waited to say so behind more than the other would read:
/// closing has its time, like everything.
#[test]
fn a_link_that_froze_with_more_under_way_than_fits_is_given_up_and_made_anew() {
    let mut plan = Plan::empty(2, 1);
    plan.ends = Duration::from_secs(150);
    for nth in 0..1_600 {
        let at = Duration::from_millis(15_000 + 50 * nth as u64);
        let action = Action::Put { key: format!("key/{nth}"), size: 1_000 };
        plan.operations.push(Operation { at, node: nth % 2, action });
    }
    let kind = FaultKind::Partition { groups: vec![vec![0], vec![1]], how: How::Freeze };
    plan.faults.push(Fault { at: Duration::from_secs(10), lasts: Some(Duration::from_secs(100)), kind });
    plan.expect.agree_within = Duration::from_secs(20);
    all_holds(&plan);
}

/// A write that superseded two siblings, the stamp of one of them further ahead than is followed, was not
/// stamped later than the other.
#[test]
fn a_stamp_is_later_than_each_of_those_superseded_that_may_be_followed() {
    holds("any-weather", 806);
}

/// The oracle of reads took a write for outranked only by what outranks it, though it was superseded by a
/// write with an earlier stamp.
#[test]
fn what_outranks_the_write_that_superseded_ones_own_may_be_read() {
    holds("any-weather", 997);
}

/// The simulator did not ask for what was due at the moment a node was to die that was down already.
#[test]
fn operations_due_when_a_node_dies_that_is_down_are_refused() {
    holds("any-weather", 426);
}
