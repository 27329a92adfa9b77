use proptest::prelude::*;

use super::*;
use crate::{
    plan::{Action, Operation},
    scenario::{Overrides, find},
    topology::parts,
};

fn drawn(scenario: &str, seed: u64) -> Plan {
    find(scenario).expect("there is one").draw(seed, &Overrides::default()).expect("it is drawn")
}

fn links(plan: &Plan) -> Vec<(usize, usize)> {
    plan.edges.iter().map(|edge| (edge.from, edge.to)).collect()
}

/// Shrinks, and sees that every plan on the way could be run.
fn shrunk(plan: &Plan, fails: impl Fn(&Plan) -> bool) -> Plan {
    let checked = |plan: &Plan| {
        assert_eq!(plan.check(), Ok(()));
        assert_eq!(parts(plan.nodes, &links(plan)).len(), 1);
        fails(plan)
    };
    shrink(plan, 100_000, checked, |_| {})
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_two_operations_that_matter_are_found(seed: u64, one: prop::sample::Index, other: prop::sample::Index) {
        let plan = drawn("partition-heals", seed);
        let (one, other) = (one.get(&plan.operations), other.get(&plan.operations));
        let same = |a: &Operation, b: &Operation| a.action == b.action;
        let fails = |plan: &Plan| [one, other].iter().all(|needed| plan.operations.iter().any(|found| same(found, needed)));
        let small = shrunk(&plan, fails);
        prop_assert!(small.operations.len() <= 2 && !small.operations.is_empty());
        prop_assert!(small.faults.is_empty());
        prop_assert!(small.nodes <= 2, "{}", small.nodes);
        prop_assert!(fails(&small));
    }

    #[test]
    fn a_fault_that_matters_stays(seed: u64, which: prop::sample::Index) {
        let plan = drawn("any-weather", seed);
        prop_assume!(!plan.faults.is_empty());
        let name = which.get(&plan.faults).kind.name();
        let small = shrunk(&plan, |plan| plan.faults.iter().any(|fault| fault.kind.name() == name));
        prop_assert_eq!(small.faults.len(), 1);
        prop_assert_eq!(small.faults[0].kind.name(), name);
        prop_assert!(small.operations.is_empty());
        prop_assert!(small.nodes <= 3, "{}", small.nodes);
    }

    #[test]
    fn shrinking_keeps_to_its_runs(seed: u64, runs_max in 0_usize..40) {
        let mut runs = 0;
        let mut heard = 0;
        shrink(&drawn("any-weather", seed), runs_max, |_| { runs += 1; false }, |_| heard += 1);
        prop_assert!(runs <= runs_max);
        prop_assert_eq!(runs, heard);
    }
}

#[test]
fn what_needs_all_is_left_as_it_is() {
    let plan = drawn("any-weather", 7);
    assert_eq!(shrunk(&plan, |other| *other == plan), plan);
}

#[test]
fn a_node_between_two_others_leaves_a_link() {
    let plan = drawn("line-of-30", 1);
    let small = shrunk(&plan, |plan| plan.nodes >= 4);
    assert_eq!(small.nodes, 4);
    let ends = [0, 29];
    let plan = Plan {
        operations: plan
            .operations
            .iter()
            .filter(|operation| ends.contains(&operation.node))
            .cloned()
            .collect(),
        ..plan
    };
    let writers = |plan: &Plan| {
        plan.operations.iter().map(|operation| operation.node).collect::<std::collections::BTreeSet<_>>()
    };
    let small = shrunk(&plan, |plan| writers(plan).len() > 1);
    assert_eq!((small.nodes, small.operations.len(), links(&small)), (2, 2, vec![(0, 1)]));
}

#[test]
fn time_goes_by_faster_where_it_does_not_matter() {
    let plan = drawn("partition-heals", 3);
    let small = shrunk(&plan, |plan| {
        plan.operations.iter().any(|operation| matches!(operation.action, Action::Delete { .. }))
    });
    assert_eq!(small.operations.len(), 1);
    assert!(small.ends <= Duration::from_secs(1), "{:?}", small.ends);
}
