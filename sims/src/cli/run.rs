//! `run` and `replay`: one seed.

use std::io::{IsTerminal, Write};

use clap::Args;

use super::{
    Ended, Failure, Output, What,
    source::{Source, replay_command},
};
use crate::{
    Options, Outcome,
    plan::Plan,
    report::{Summary, html, table},
    run as run_plan, verdict,
};

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// A scenario of the library, or a file: a scenario, or a plan as `shrink` writes it
    scenario: String,
    /// What chance does
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Which seed
    seed: u64,
    /// A scenario of the library, or a file
    #[arg(long, default_value = "any-weather")]
    scenario: String,
    /// What the nodes log, as `RUST_LOG` says it: `debug`, `tidings=trace`; nothing unless told
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(args: &RunArgs) -> Result<Ended, Failure> {
    let source = Source::find(&args.scenario, &args.what)?;
    let seed = args.seed.unwrap_or_else(|| source.first_seed());
    let plan = source.plan(seed)?;
    let outcome = run_plan(&plan, &Options::default()).map_err(|error| error.to_string())?;
    tell(&plan, &outcome, &replay_command(&args.scenario, seed, &args.what), &args.output)
}

pub(super) fn replay(args: &ReplayArgs) -> Result<Ended, Failure> {
    let plan = Source::find(&args.scenario, &args.what)?.plan(args.seed)?;
    if let Some(filter) = &args.log {
        let filter = tracing_subscriber::EnvFilter::try_new(filter)
            .map_err(|error| format!("--log {filter}: {error}; try `debug` or `tidings=trace`"))?;
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
    let options = Options { log: true, ..Options::default() };
    let outcome = run_plan(&plan, &options).map_err(|error| error.to_string())?;
    if !args.output.json {
        let log = outcome.trace.log().unwrap_or_default();
        let written = std::io::stdout().lock().write_all(log.as_bytes());
        written.map_err(|error| format!("standard output: {error}"))?;
    }
    tell(&plan, &outcome, &replay_command(&args.scenario, args.seed, &args.what), &args.output)
}

fn tell(plan: &Plan, outcome: &Outcome, replay: &str, output: &Output) -> Result<Ended, Failure> {
    let violations = verdict(plan, outcome);
    let ended = if violations.is_empty() { Ended::Well } else { Ended::Badly };
    if let Some(path) = &output.report {
        let page = html::page(plan, &outcome.history, &violations, replay, &outcome.trace.hash());
        std::fs::write(path, page).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let summary = Summary::of(plan, outcome, violations);
    if output.json {
        println!("{}", serde_json::to_string_pretty(&summary).map_err(|error| error.to_string())?);
    } else {
        print!("{}", table::text(plan, &summary, outcome.cost, replay, std::io::stdout().is_terminal()));
    }
    Ok(ended)
}
