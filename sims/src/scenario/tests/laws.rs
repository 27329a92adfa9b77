//! What is true of every plan that is drawn.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::{
    plan::{Action, FaultKind, NodeNo, Plan},
    scenario::{Overrides, Scenario, library},
    topology::parts,
};

/// When nodes do not run: from, until; for good where there is no end.
type Absences = BTreeMap<NodeNo, Vec<(u128, Option<u128>)>>;

fn absences(plan: &Plan) -> Absences {
    let mut absences = Absences::new();
    for fault in &plan.faults {
        let interval = (fault.at.as_millis(), fault.ends().map(|ends| ends.as_millis()));
        match fault.kind {
            FaultKind::Join { node } => absences.entry(node).or_default().push((0, Some(interval.0))),
            FaultKind::Crash { node }
            | FaultKind::LosePower { node }
            | FaultKind::Wipe { node }
            | FaultKind::Leave { node } => absences.entry(node).or_default().push(interval),
            _ => {}
        }
    }
    absences.values_mut().for_each(|intervals| intervals.sort_unstable());
    absences
}

fn check_faults(plan: &Plan) -> Result<(), TestCaseError> {
    for intervals in absences(plan).values() {
        for pair in intervals.windows(2) {
            prop_assert!(pair[0].1.is_some_and(|until| until < pair[1].0), "{intervals:?} overlap");
        }
    }
    let gone = |intervals: &Vec<(u128, Option<u128>)>| intervals.iter().any(|(_, until)| until.is_none());
    prop_assert!(absences(plan).values().filter(|intervals| gone(intervals)).count() < plan.nodes);
    let joins: Vec<NodeNo> = plan
        .faults
        .iter()
        .filter_map(|fault| if let FaultKind::Join { node } = fault.kind { Some(node) } else { None })
        .collect();
    prop_assert_eq!(joins.len(), plan.late.len());
    prop_assert_eq!(&joins.into_iter().collect::<BTreeSet<_>>(), &plan.late);
    for fault in &plan.faults {
        prop_assert!(fault.lasts.is_none_or(|lasts| !lasts.is_zero()));
        if let FaultKind::Partition { groups, .. } = &fault.kind {
            let members: BTreeSet<_> = groups.iter().flatten().collect();
            prop_assert!(groups.len() > 1 && groups.iter().all(|group| !group.is_empty()));
            prop_assert_eq!(members.len(), groups.concat().len(), "groups overlap");
        }
    }
    Ok(())
}

fn check_work(plan: &Plan) -> Result<(), TestCaseError> {
    prop_assert!(!plan.operations.is_empty());
    for operation in &plan.operations {
        match &operation.action {
            Action::Put { size, .. } => prop_assert!(*size >= 16),
            Action::Batch { keys, size } => {
                prop_assert!(*size >= 16 && !keys.is_empty());
                prop_assert!(*size * keys.len() < tidings::types::BATCH_BYTES_MAX);
                prop_assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
            }
            Action::Delete { .. } | Action::Get { .. } => {}
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_plan_can_be_run_and_is_the_same_for_the_same_seed(which in 0..library().len(), seed: u64) {
        let scenario = library()[which].scenario();
        let plan = scenario.draw(seed, &Overrides::default()).expect("it is drawn");
        prop_assert_eq!(plan.check(), Ok(()));
        let links: Vec<_> = plan.edges.iter().map(|edge| (edge.from, edge.to)).collect();
        prop_assert_eq!(parts(plan.nodes, &links).len(), 1);
        check_faults(&plan)?;
        check_work(&plan)?;
        prop_assert_eq!(scenario.draw(seed, &Overrides::default()).expect("it is drawn"), plan);
    }

    #[test]
    fn the_example_obeys_them_too_with_any_number_of_nodes(seed: u64, nodes in 8_usize..40) {
        let scenario = Scenario::parse("example.toml", include_str!("../example.toml")).expect("it is read");
        let overrides = Overrides { nodes: Some(nodes), ..Overrides::default() };
        let plan = scenario.draw(seed, &overrides).expect("it is drawn");
        prop_assert_eq!(plan.check(), Ok(()));
        check_faults(&plan)?;
        check_work(&plan)?;
    }

    #[test]
    fn weather_is_over_before_the_end(seed: u64) {
        let scenario = crate::scenario::find("any-weather").expect("it is listed");
        let plan = scenario.draw(seed, &Overrides::default()).expect("it is drawn");
        for fault in &plan.faults {
            let lasts = fault.lasts.is_some() || matches!(fault.kind, FaultKind::Join { .. });
            prop_assert!(lasts, "{:?} stays", fault);
            prop_assert!(fault.ends().is_none_or(|ends| ends <= plan.ends));
        }
    }

    #[test]
    fn half_of_the_nodes_are_up_in_any_weather(seed: u64) {
        let scenario = crate::scenario::find("any-weather").expect("it is listed");
        let plan = scenario.draw(seed, &Overrides::default()).expect("it is drawn");
        let absences = absences(&plan);
        for (from, _) in absences.values().flatten() {
            let away = |intervals: &&Vec<(u128, Option<u128>)>| {
                intervals.iter().any(|(start, until)| start <= from && until.is_none_or(|until| *from < until))
            };
            prop_assert!(2 * absences.values().filter(away).count() <= plan.nodes);
        }
    }

    #[test]
    fn a_ferry_is_at_one_island_at_a_time(seed: u64, islands in 2_usize..6) {
        let text = format!(
            "about = 'x'\nnodes = 20\nduration = '5m'\ntopology = {{ kind = 'islands', islands = {islands}, stay = '7s' }}\nwork = {{ rate = 1 }}"
        );
        let plan = Scenario::parse("x", &text).expect("it is read").draw(seed, &Overrides::default()).expect("it is drawn");
        for second in 0..300 {
            let cut = plan.faults.iter().filter(|fault| {
                fault.at.as_secs() <= second && fault.ends().is_some_and(|ends| second < ends.as_secs())
            });
            prop_assert_eq!(cut.count(), islands - 1, "at {}", second);
        }
    }
}

/// The plans of one seed with and without one more fault, or one more kind of work.
fn two(change: (&str, &str)) -> (Plan, Plan) {
    let text =
        include_str!("../../../scenarios/slow-peer.toml").replace("duration = \"3m\"", "duration = \"4m\"");
    let other = text.replace(change.0, change.1);
    assert_ne!(text, other);
    let draw = |text: &str| Scenario::parse("x", text).expect("it is read").draw(5, &Overrides::default());
    (draw(&text).expect("it is drawn"), draw(&other).expect("it is drawn"))
}

#[test]
fn one_more_throw_for_one_purpose_does_not_move_the_others() {
    let (plan, other) =
        two(("[[at]]", "[[at]]\ntime = \"5s..9s\"\nfault = \"leave\"\nnode = \"any\"\nfor = \"5s\"\n[[at]]"));
    assert_eq!(other.faults.len(), plan.faults.len() + 1);
    assert_eq!((&other.operations, &other.edges), (&plan.operations, &plan.edges));
    let (plan, other) = two(("rate = 3.0", "rate = 5.0\nreads = 0.5"));
    assert_ne!(other.operations, plan.operations);
    assert_eq!((&other.faults, &other.edges), (&plan.faults, &plan.edges));
    let (plan, other) = two(("[work]", "[link]\nlatency = \"1ms..9ms\"\n[work]"));
    assert_ne!(other.edges, plan.edges);
    assert_eq!((&other.faults, &other.operations), (&plan.faults, &plan.operations));
}

#[test]
fn nobody_asks_a_node_before_it_joins() {
    let plan = crate::scenario::find("late-joiner").expect("it is listed").draw(9, &Overrides::default());
    let plan = plan.expect("it is drawn");
    let asked = |late: &NodeNo| plan.operations.iter().any(|operation| operation.node == *late);
    assert_eq!((plan.late.len(), plan.late.iter().any(asked)), (1, false));
}

#[test]
fn shares_are_about_what_they_say() {
    let text = "about = 'x'\nnodes = 3\nduration = '10m'\ntopology = { kind = 'full' }\n\
        work = { count = 10000, reads = 0.5, deletes = 0.1, distribution = 'hot', hot = 0.8, large = { share = 0.2, value = '64KiB' } }";
    let plan =
        Scenario::parse("x", text).expect("it is read").draw(1, &Overrides::default()).expect("it is drawn");
    let count =
        |of: fn(&Action) -> bool| plan.operations.iter().filter(|operation| of(&operation.action)).count();
    assert!(count(|action| matches!(action, Action::Get { .. })).abs_diff(5000) < 200);
    assert!(count(|action| matches!(action, Action::Delete { .. })).abs_diff(1000) < 150);
    assert!(count(|action| matches!(action, Action::Put { size: 65_536, .. })).abs_diff(800) < 120);
    assert!(count(|action| matches!(action, Action::Get { key } if key == "key0")).abs_diff(4000) < 200);
}
