//! That real nodes in weather break no rule that the oracles know of.

use sims::{Options, oracles::judge, run, scenario};

#[test]
fn real_nodes_in_weather_break_no_rule() {
    let text = |name: &str| std::env::var(name).ok();
    let number =
        |name: &str, otherwise: u64| text(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (first, seeds) = (number("SEED", 1), number("SEEDS", 3));
    let name = text("SCENARIO").unwrap_or_else(|| "any-weather".to_owned());
    let scenario = scenario::find(&name).expect("a scenario of the library");
    let mut failed = 0;
    for seed in first..first + seeds {
        let plan = scenario.draw(seed, &scenario::Overrides::default()).expect("it makes sense");
        let outcome = run(&plan, &Options::default()).expect("it runs");
        let violations = judge(&plan, &outcome.history);
        failed += u64::from(!violations.is_empty());
        for violation in &violations {
            eprintln!("{name}, seed {seed}: {violation}");
        }
    }
    assert_eq!(failed, 0, "of {seeds} seeds from {first} on; SCENARIO, SEED and SEEDS choose others");
}
