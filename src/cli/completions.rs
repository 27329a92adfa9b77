//! `completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{args::Arguments, failure::Failure, output};

/// Prints a script that completes commands and flags in `shell`.
pub(super) fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "tidings", &mut script);
    output::bytes(&script)
}
