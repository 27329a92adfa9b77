mod laws;
mod wrong;

use super::*;

#[test]
fn every_scenario_of_the_library_is_drawn() {
    for listed in library() {
        let scenario = Scenario::parse(&format!("scenarios/{}.toml", listed.name), listed.text);
        let scenario = scenario.unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!(scenario.name(), listed.name);
        assert!(scenario.about().len() > 30, "{}", listed.name);
        for seed in 0..50 {
            let plan = scenario.draw(seed, &Overrides::default());
            plan.unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        }
    }
}

#[test]
fn every_file_beside_the_library_is_in_it() {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios")).expect("it is there");
    for file in files {
        let path = file.expect("it is there").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(library().iter().any(|listed| listed.name == name), "{name} is not listed");
        let loaded = Scenario::load(&path).expect("it is read").draw(3, &Overrides::default());
        let found = find(&name).expect("it is listed").draw(3, &Overrides::default());
        assert_eq!(loaded.expect("it is drawn"), found.expect("it is drawn"));
    }
}

#[test]
fn the_example_of_the_documentation_is_drawn() {
    let scenario = Scenario::parse("example.toml", include_str!("../example.toml"));
    scenario.unwrap_or_else(|problem| panic!("{problem}"));
}

#[test]
fn a_scenario_is_drawn_with_other_nodes_another_shape_and_another_time() {
    let overrides = Overrides {
        nodes: Some(30),
        topology: Topology::named("grid"),
        duration: Some(Duration::from_secs(240)),
        store: Some(StoreKind::Fjall),
    };
    let plan = find("partition-heals").expect("it is listed").draw(7, &overrides).expect("it is drawn");
    assert_eq!((plan.nodes, plan.ends), (30, Duration::from_secs(240)));
    assert_eq!(plan.settings.store, StoreKind::Fjall);
    assert!(plan.edges.iter().any(|edge| (edge.from, edge.to) == (0, 6)), "a grid of 6 columns");
}

#[test]
fn an_override_that_is_not_possible_says_so() {
    let scenario = find("partition-heals").expect("it is listed");
    let short = Overrides { duration: Some(Duration::from_secs(60)), ..Overrides::default() };
    let problem = scenario.draw(7, &short).expect_err("the partition ends later").to_string();
    assert!(problem.starts_with("scenarios/partition-heals.toml:22: a fault at 30s for 1m 30s"), "{problem}");
    let none = Overrides { nodes: Some(0), ..Overrides::default() };
    let problem = scenario.draw(7, &none).expect_err("nobody is there").to_string();
    assert!(problem.contains("a simulation needs nodes"), "{problem}");
}
