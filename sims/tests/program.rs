//! The program `sim`, as its users start it.

use std::process::{Command, Output};

fn sim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sim")).args(args).output().expect("the program starts")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A scenario file of this text, and what running it says.
fn run_file(text: &str) -> Output {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("mine.toml");
    std::fs::write(&path, text).expect("a file");
    sim(&["run", &path.display().to_string()])
}

const SMALL: &str = r#"
about = "Three nodes, a partition."
nodes = 3
duration = "40s"
[topology]
kind = "ring"
[work]
rate = 1.0
"#;

#[test]
fn all_scenarios_are_listed_and_explained() {
    let listed = out(&sim(&["list"]));
    for name in ["partition-heals", "dumbbell", "ferry", "any-weather", "glomers-3d"] {
        assert!(listed.contains(name), "{listed}");
    }
    let json: serde_json::Value = serde_json::from_str(&out(&sim(&["list", "--json"]))).expect("JSON");
    assert!(json.as_array().expect("a list").len() >= 15);
}

#[test]
fn a_run_says_what_happened_and_whether_all_holds() {
    let output = run_file(SMALL);
    assert!(output.status.success(), "{}{}", out(&output), err(&output));
    assert!(out(&output).contains("all holds"), "{}", out(&output));
}

#[test]
fn json_depends_on_scenario_and_seed_alone() {
    let run = |seed| {
        let output = sim(&["run", "partition-heals", "--json", "--seed", seed]);
        assert!(output.status.success(), "{}{}", out(&output), err(&output));
        out(&output)
    };
    let one = run("5");
    assert_eq!(one, run("5"));
    assert_ne!(one, run("6"));
    let json: serde_json::Value = serde_json::from_str(&one).expect("JSON");
    assert_eq!(json["violations"].as_array().map(Vec::len), Some(0), "{one}");
}

#[test]
fn an_expectation_that_is_not_met_fails_and_says_how_to_see_it_again() {
    let output = run_file(&format!("{SMALL}[expect]\nmax_latency = \"1ms\"\n"));
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let said = out(&output);
    assert!(said.contains("expected 1ms") && said.contains("cargo sim replay 1 --scenario"), "{said}");
}

#[test]
fn what_makes_no_sense_is_refused_with_the_line_and_the_cure() {
    let output = run_file(&SMALL.replace("rate = 1.0", "rat = 1.0"));
    assert_eq!(output.status.code(), Some(2));
    let said = err(&output);
    assert!(said.contains("mine.toml:8") && said.contains("rate"), "{said}");
    let output = sim(&["run", "partition-heal"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("partition-heals"), "{}", err(&output));
}

#[test]
fn exploring_counts_failures_and_prints_the_commands_that_replay_them() {
    let output = sim(&["explore", "--scenario", "late-joiner", "--seeds", "3"]);
    assert!(output.status.success(), "{}{}", out(&output), err(&output));
    assert!(out(&output).contains("3 seeds, 0 failed"), "{}", out(&output));
}

#[test]
fn a_seed_gives_the_same_events_in_processes_that_share_nothing() {
    let output = sim(&["repeat", "--seeds", "4", "any-weather"]);
    assert!(output.status.success(), "{}{}", out(&output), err(&output));
    assert!(out(&output).contains("4 seeds run twice, 0 differ; 4 different traces"), "{}", out(&output));
}
