//! The command line program: see [`tidings::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    tidings::cli::main()
}
