//! `repeat`: whether the same seed gives the same events, in processes that share nothing.

use std::process::{Command, Stdio};

use clap::Args;

use super::{Ended, Failure};

#[derive(Debug, Args)]
pub(super) struct RepeatArgs {
    /// How many seeds, from 1
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// Everything that `run` takes: the scenario first
    #[arg(default_value = "any-weather", trailing_var_arg = true, allow_hyphen_values = true)]
    run: Vec<String>,
}

pub(super) fn repeat(args: &RepeatArgs) -> Result<Ended, Failure> {
    let mut differing = Vec::new();
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 1..=args.seeds {
        let (one, other) = (trace(args, seed)?, trace(args, seed)?);
        hashes.insert(one.clone());
        if one != other {
            eprintln!("seed {seed}: {one} and {other}");
            differing.push(seed);
        }
    }
    println!(
        "{}: {} seeds run twice, {} differ; {} different traces",
        args.run.join(" "),
        args.seeds,
        differing.len(),
        hashes.len()
    );
    Ok(if differing.is_empty() { Ended::Well } else { Ended::Badly })
}

/// The hash of everything that happened, in a process of its own.
fn trace(args: &RepeatArgs, seed: u64) -> Result<String, Failure> {
    let program = std::env::current_exe().map_err(|error| format!("no program to start again: {error}"))?;
    let mut command = Command::new(program);
    command.arg("run").args(&args.run).args(["--json", "--seed", &seed.to_string()]);
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| error.to_string())?;
    let wrong = || format!("`run {} --seed {seed}` said nothing to compare", args.run.join(" "));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|_| wrong())?;
    result.get("trace").and_then(|trace| trace.as_str()).map(str::to_owned).ok_or_else(wrong)
}
