//! Seeds that once found a bug, by the name of what was wrong.

use sims::{
    Options, run,
    scenario::{Overrides, find},
    verdict,
};

fn holds(scenario: &str, seed: u64) {
    let scenario = find(scenario).expect("a scenario of the library");
    let plan = scenario.draw(seed, &Overrides::default()).expect("a plan that makes sense");
    let outcome = run(&plan, &Options::default()).expect("a simulation that runs");
    let violations = verdict(&plan, &outcome);
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
