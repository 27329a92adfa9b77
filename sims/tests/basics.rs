//! That the simulator is what it says: real nodes, virtual time, the same events for the same seed.

use std::time::Duration;

use sims::{
    Options, Outcome,
    history::What,
    plan::{Action, Fault, FaultKind, How, Operation, Plan, StoreKind},
    run,
};

/// Five nodes in a line, a write a second, cut in two for a while.
fn partitioned(seed: u64) -> Plan {
    let mut plan = Plan::empty(5, seed);
    plan.ends = Duration::from_secs(90);
    for nth in 0..60 {
        let key = format!("key/{}", nth % 7);
        let action = Action::Put { key, size: 64 };
        let at = Duration::from_millis(5_000 + 1_000 * nth as u64);
        plan.operations.push(Operation { at, node: nth % 5, action });
    }
    let groups = vec![vec![0, 1], vec![2, 3, 4]];
    let kind = FaultKind::Partition { groups, how: How::Freeze };
    plan.faults.push(Fault { at: Duration::from_secs(20), lasts: Some(Duration::from_secs(30)), kind });
    plan
}

#[test]
fn what_was_cut_in_two_agrees_when_it_is_whole_again() {
    let outcome = run(&partitioned(1), &Options::default()).unwrap();
    let events = &outcome.history.events;
    let acknowledged = events.iter().filter(|event| matches!(event.what, What::Acknowledged { .. })).count();
    assert_eq!(acknowledged, 60);
    let apart = Duration::from_secs(25)..Duration::from_secs(50);
    let agreed_while_apart =
        events.iter().any(|event| matches!(event.what, What::Agreed) && apart.contains(&event.at));
    assert!(!agreed_while_apart, "a partition that keeps nobody apart");
    let finals: Vec<_> = outcome.history.finals.values().collect();
    assert_eq!(finals.len(), 5);
    assert!(finals.iter().all(|last| last.root == finals[0].root && last.reads == finals[0].reads));
    assert_eq!(finals[0].reads.len(), 7);
    assert_eq!((outcome.tasks_left, outcome.connections_left), (0, 0));
}

#[test]
fn the_same_seed_gives_the_same_events_and_another_one_gives_others() {
    let run = |seed| run(&partitioned(seed), &Options::default()).unwrap().trace;
    let (one, again, other) = (run(7), run(7), run(8));
    assert!(one.events() > 400, "{} events", one.events());
    assert_eq!(one.hash(), again.hash());
    assert_ne!(one.hash(), other.hash());
}

/// Not the same as in memory: fjall makes hash maps of its own, which moves the hashing of others.
#[test]
fn the_real_store_gives_the_same_events_again() {
    let run = || {
        let mut plan = partitioned(3);
        plan.settings.store = StoreKind::Fjall;
        run(&plan, &Options { log: true, ..Options::default() }).unwrap()
    };
    let (one, again) = (run(), run());
    let lines = |outcome: &Outcome| outcome.trace.log().unwrap().to_owned();
    let (one_log, again_log) = (lines(&one), lines(&again));
    let difference = one_log.lines().zip(again_log.lines()).find(|(one, other)| one != other);
    assert_eq!(difference, None);
    assert_eq!(one.trace.hash(), again.trace.hash());
    let finals: Vec<_> = one.history.finals.values().collect();
    assert_eq!(finals.len(), 5);
    assert!(finals.iter().all(|last| last.root == finals[0].root));
}

#[test]
fn crashes_and_losses_of_power_leave_nothing_behind_and_agreement_in_the_end() {
    let mut plan = partitioned(4);
    let mut fault = |at, lasts, kind| {
        let lasts = Some(Duration::from_millis(lasts));
        plan.faults.push(Fault { at: Duration::from_millis(at), lasts, kind });
    };
    fault(15_003, 4_000, FaultKind::Crash { node: 1 });
    fault(17_001, 9_000, FaultKind::LosePower { node: 3 });
    fault(30_007, 1_000, FaultKind::Wipe { node: 0 });
    fault(41_500, 7_000, FaultKind::StallDisk { node: 2 });
    fault(55_500, 3_000, FaultKind::FailDisk { node: 4 });
    let outcome = run(&plan, &Options::default()).unwrap();
    let finals: Vec<_> = outcome.history.finals.values().collect();
    assert_eq!(finals.len(), 5);
    assert!(finals.iter().all(|last| last.root == finals[0].root));
    assert_eq!((outcome.tasks_left, outcome.connections_left), (0, 0));
}
