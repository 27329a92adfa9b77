use super::*;

#[test]
fn every_scenario_of_the_library_is_drawn() {
    for listed in library() {
        let scenario = Scenario::parse(&format!("scenarios/{}.toml", listed.name), listed.text);
        let scenario = scenario.unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!(scenario.name(), listed.name);
        for seed in 0..50 {
            let plan = scenario.draw(seed, &Overrides::default());
            plan.unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        }
    }
}

#[test]
fn the_example_of_the_documentation_is_drawn() {
    let scenario = Scenario::parse("example.toml", include_str!("example.toml"));
    scenario.unwrap_or_else(|problem| panic!("{problem}"));
}
