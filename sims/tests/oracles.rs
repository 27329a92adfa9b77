//! That real nodes in weather break no rule that the oracles know of.

use std::time::Duration;

use sims::{
    Options,
    dice::Dice,
    oracles::judge,
    plan::{Action, Durability, Edge, Fault, FaultKind, How, Operation, Plan, Quality},
    run,
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Six nodes in a ring with a chord, five writes a second to few keys, and a fault every ten seconds.
fn weather(seed: u64) -> Plan {
    let mut dice = Dice::of(seed, "weather");
    let mut plan = Plan::empty(6, seed);
    let link = |from, to| Edge { from, to, quality: Quality::default() };
    plan.edges.extend([link(5, 0), link(1, 4)]);
    plan.ends = seconds(120);
    plan.expect.agree_within = seconds(120);
    if dice.chance(0.5) {
        plan.settings.durability = Durability::Fsync;
    }
    let mut at = seconds(5);
    while at < seconds(100) {
        let (node, action) = (dice.index(plan.nodes), action(&mut dice));
        plan.operations.push(Operation { at, node, action });
        at += dice.wait(Duration::from_millis(200));
    }
    let mut at = seconds(15);
    while at < seconds(90) {
        let lasts = Some(dice.time(seconds(1), seconds(20)));
        plan.faults.push(Fault { at, lasts, kind: fault(&mut dice) });
        at += dice.wait(seconds(10));
    }
    plan
}

fn action(dice: &mut Dice) -> Action {
    let key = |dice: &mut Dice| format!("key/{}", dice.below(8));
    match dice.below(10) {
        0 | 1 => Action::Get { key: key(dice) },
        2 => Action::Delete { key: key(dice) },
        3 => Action::Batch { keys: (0..3).map(|_| key(dice)).collect(), size: 32 },
        4 if dice.chance(0.2) => Action::Put { key: key(dice), size: 100_000 },
        _ => Action::Put { key: key(dice), size: 100 },
    }
}

fn fault(dice: &mut Dice) -> FaultKind {
    let node = dice.index(6);
    let other = (node + 1) % 6;
    let how = if dice.chance(0.5) { How::Freeze } else { How::Break };
    match dice.below(10) {
        0 | 1 => {
            let mut nodes: Vec<usize> = (0..6).collect();
            dice.shuffle(&mut nodes);
            let rest = nodes.split_off(1 + dice.index(3));
            FaultKind::Partition { groups: vec![nodes, rest], how }
        }
        2 => FaultKind::Cut { links: vec![(node, other)], how, one_way: dice.chance(0.3) },
        3 => FaultKind::Flap { link: (node, other), how, up: seconds(1), down: seconds(1) },
        4 => FaultKind::Crash { node },
        5 | 6 => FaultKind::LosePower { node },
        7 => FaultKind::Wipe { node },
        8 if dice.chance(0.5) => FaultKind::StallDisk { node },
        8 => FaultKind::FailDisk { node },
        _ => {
            let ahead = i64::try_from(dice.below(300_000)).expect("small");
            FaultKind::Clock { node, skew_ms: if dice.chance(0.5) { ahead } else { -ahead } }
        }
    }
}

#[test]
fn real_nodes_in_weather_break_no_rule() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (first, seeds) = (number("SEED").unwrap_or(1), number("SEEDS").unwrap_or(3));
    let mut failed = 0;
    for seed in first..first + seeds {
        let plan = weather(seed);
        let outcome = run(&plan, &Options::default()).expect("it runs");
        let violations = judge(&plan, &outcome.history);
        failed += u64::from(!violations.is_empty());
        for violation in &violations {
            eprintln!("seed {seed}: {violation}");
        }
    }
    assert_eq!(failed, 0, "of {seeds} seeds from {first} on; SEED and SEEDS choose others");
}
