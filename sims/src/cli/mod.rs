//! The program `sim`, which `cargo sim` runs.

mod explore;
mod list;
mod repeat;
mod run;
mod shrink;
mod source;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::plan::StoreKind;

/// Partition simulations of real tidings nodes, in virtual time, repeatable from a seed.
#[derive(Debug, Parser)]
#[command(name = "cargo sim", bin_name = "cargo sim", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The scenarios that come with the program
    List {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Run one scenario with one seed, and say what happened
    Run(run::RunArgs),
    /// Run many seeds on all cores, and say which fail
    Explore(explore::ExploreArgs),
    /// Run one seed again, with a line for everything that happened
    Replay(run::ReplayArgs),
    /// Make a seed that fails smaller: fewer nodes, faults and operations that still fail
    Shrink(shrink::ShrinkArgs),
    /// Run seeds twice, each in a fresh process, and compare everything that happened
    Repeat(repeat::RepeatArgs),
}

/// Which plan: a scenario of the library, or a file.
#[derive(Clone, Debug, Args)]
struct What {
    /// Nodes, in place of what the scenario says
    #[arg(long, value_name = "N")]
    nodes: Option<usize>,
    /// The shape of the mesh: line, ring, star, grid, tree4, geometric, …
    #[arg(long, value_name = "KIND")]
    topology: Option<String>,
    /// How long users and weather go on, as `90s` or `10m`
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// What nodes store in
    #[arg(long)]
    store: Option<Store>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Store {
    /// In memory, where disks fail and lose power
    Memory,
    /// The real store, in a temporary directory
    Fjall,
}

impl From<Store> for StoreKind {
    fn from(store: Store) -> Self {
        match store {
            Store::Memory => Self::Memory,
            Store::Fjall => Self::Fjall,
        }
    }
}

/// Where a report goes.
#[derive(Clone, Debug, Args)]
struct Output {
    /// Write a page with plots to this file
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// For programs: depends on the scenario and the seed alone
    #[arg(long)]
    json: bool,
}

/// What was asked for cannot be done; what to do instead.
type Failure = String;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// All was well.
    Well,
    /// Something was not as it must be; that was said.
    Badly,
}

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::List { json } => list::list(json),
        Command::Run(args) => run::run(&args),
        Command::Explore(args) => explore::explore(&args),
        Command::Replay(args) => run::replay(&args),
        Command::Shrink(args) => shrink::shrink(&args),
        Command::Repeat(args) => repeat::repeat(&args),
    };
    match ended {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::Badly) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(2)
        }
    }
}
