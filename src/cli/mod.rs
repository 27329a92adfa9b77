//! The command line program: a node, and a client of the HTTP API.
//!
//! Results go to stdout, everything else to stderr. The exit status is 0 when it is done, 1 when
//! something was not found or was refused, 2 for a wrong usage (settings and their file included),
//! 3 when nobody answered.

mod args;
mod bar;
mod bundle;
mod client;
mod completions;
mod config;
mod conflicts;
mod doctor;
mod events;
mod failure;
mod history;
mod kv;
mod man;
mod membership;
mod namespaces;
mod node;
mod output;
mod peers;
mod scan;
mod settings;
mod signals;
mod status;
mod sync;
mod table;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use args::{Arguments, Command};
use failure::Failure;

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let matches = Arguments::command().get_matches();
    let result = Arguments::from_arg_matches(&matches)
        .map_err(|error| Failure::usage(error.to_string()))
        .and_then(|arguments| run(arguments, &matches));
    match result {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn run(arguments: Arguments, matches: &clap::ArgMatches) -> Result<ExitCode, Failure> {
    let Arguments { command, client } = arguments;
    if !command.is_client() {
        args::refuse_client_flags(matches)?;
    }
    match command {
        Command::Node(flags) => return node::run(&flags),
        Command::Put(put) => kv::put(&client.connect()?, &put, client.json)?,
        Command::Get(get) => kv::get(&client.connect()?, &get, client.json)?,
        Command::Del(del) => kv::del(&client.connect()?, &del, client.json)?,
        Command::History(history) => history::run(&client.connect()?, &history, client.json)?,
        Command::Scan(scan) => scan::run(&client.connect()?, &scan, client.json)?,
        Command::Watch(watch) => watch::run(&client.connect()?, &watch, client.json)?,
        Command::Conflicts(which) => conflicts::list(&client.connect()?, &which, client.json)?,
        Command::Explain(explain) => conflicts::explain(&client.connect()?, &explain.key, client.json)?,
        Command::Status => status::run(&client.connect()?, client.json)?,
        Command::Peers { action } => peers::run(&client.connect()?, action, client.json)?,
        Command::Namespaces { action } => namespaces::run(&client.connect()?, action, client.json)?,
        Command::Export(export) => return bundle::export(client.connect()?, &export, client.json),
        Command::Import(import) => bundle::import(&client.connect()?, &import, client.json)?,
        Command::Doctor(doctor) => return doctor::run(&doctor, client.json),
        Command::Sync(sync) if sync.status => sync::status(&client.connect()?, client.json)?,
        Command::Sync(sync) => return sync::run(&client.connect()?, &sync, client.json),
        Command::Config { action } => config::run(&action, client.json)?,
        Command::Completions { shell } => completions::run(shell)?,
        Command::Man { command } => man::run(&command)?,
    }
    Ok(ExitCode::SUCCESS)
}
