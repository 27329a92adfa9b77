//! `shrink`: the smallest plan that still fails.

use std::{
    collections::BTreeSet,
    fs,
    io::{IsTerminal, Write},
    path::PathBuf,
};

use clap::Args;

use super::{Ended, Failure, What, source::Source};
use crate::{
    Options,
    plan::Plan,
    run,
    shrink::{self, Progress},
    verdict,
};

#[derive(Debug, Args)]
pub(super) struct ShrinkArgs {
    /// Which seed fails
    seed: u64,
    /// A scenario of the library, or a file
    #[arg(long, default_value = "any-weather")]
    scenario: String,
    /// Where the plan goes; `SCENARIO-SEED.plan.toml` unless told
    #[arg(long, short, value_name = "FILE.toml")]
    output: Option<PathBuf>,
    /// The most simulations to run
    #[arg(long, default_value_t = 500)]
    runs: usize,
    #[command(flatten)]
    what: What,
}

pub(super) fn shrink(args: &ShrinkArgs) -> Result<Ended, Failure> {
    let plan = Source::find(&args.scenario, &args.what)?.plan(args.seed)?;
    let wanted = oracles(&plan);
    if wanted.is_empty() {
        println!("{} seed {} does not fail: there is nothing to shrink", plan.scenario, args.seed);
        return Ok(Ended::Badly);
    }
    let wanted_by: Vec<&str> = wanted.iter().copied().collect();
    eprintln!("it fails by {}; looking for less that does", wanted_by.join(", "));
    // The same oracle, or it would be another bug.
    let fails = |plan: &Plan| !oracles(plan).is_disjoint(&wanted);
    let small = shrink::shrink(&plan, args.runs, fails, show);
    eprintln!();
    let path = args.output.clone().unwrap_or_else(|| {
        PathBuf::from(format!("{}-{}.plan.toml", plan.scenario.replace('/', "-"), args.seed))
    });
    fs::write(&path, small.to_toml()).map_err(|error| format!("{}: {error}", path.display()))?;
    println!(
        "{} nodes, {} faults and {} operations still fail\nagain: cargo sim run {}",
        small.nodes,
        small.faults.len(),
        small.operations.len(),
        path.display()
    );
    Ok(Ended::Well)
}

/// Who finds something wrong with a plan. A panic is found, too.
fn oracles(plan: &Plan) -> BTreeSet<&'static str> {
    match run(plan, &Options::default()) {
        Ok(outcome) => verdict(plan, &outcome).into_iter().map(|violation| violation.oracle).collect(),
        Err(_) => BTreeSet::from(["run"]),
    }
}

fn show(progress: &Progress) {
    let Progress { runs, runs_max, nodes, faults, operations, .. } = progress;
    let (start, end) = if std::io::stderr().is_terminal() { ("\r\x1b[K", "") } else { ("", "\n") };
    eprint!("{start}{runs} of {runs_max} runs: {nodes} nodes, {faults} faults, {operations} operations{end}");
    let _only_for_people = std::io::stderr().flush();
}
