//! A program of one's own beside the work of a scenario.

use std::ops::RangeInclusive;

use sims::{
    Options,
    oracles::Violation,
    run,
    scenario::{Overrides, find},
    verdict,
};

/// Runs `scenario` with `program` beside its own work, and fails where an oracle finds something, but for what
/// `excused` says is as it should be.
pub fn holds(
    scenario: &str,
    nodes: usize,
    seeds: RangeInclusive<u64>,
    excused: impl Fn(&Violation) -> bool,
    program: impl Fn() -> Options,
) {
    let scenario = find(scenario).expect("a scenario of the library");
    for seed in seeds {
        let overrides = Overrides { nodes: Some(nodes), ..Overrides::default() };
        let plan = scenario.draw(seed, &overrides).expect("a plan that makes sense");
        let outcome = run(&plan, &program()).expect("a simulation that runs");
        let mut found = verdict(&plan, &outcome);
        found.retain(|violation| !excused(violation));
        assert!(found.is_empty(), "seed {seed}: {}", found[0]);
    }
}
