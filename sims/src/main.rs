//! The program `sim`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sims::cli::main()
}
