//! `man`.

use clap::CommandFactory;
use clap_mangen::Man;

use super::{args::Arguments, failure::Failure, output};

/// Prints the manual page of the program, or of one of its commands.
pub(super) fn run(path: &[String]) -> Result<(), Failure> {
    let mut program = Arguments::command();
    // Names what is below by all that is above.
    program.build();
    let mut command = &program;
    for name in path {
        let found = command.find_subcommand(name);
        command = found.ok_or_else(|| {
            let above = command.get_display_name().unwrap_or(command.get_name());
            Failure::usage(format!("{above} has no command `{name}`: see `tidings help`"))
        })?;
    }
    let mut page = Vec::new();
    Man::new(command.clone())
        .render(&mut page)
        .map_err(|error| Failure::usage(format!("the page cannot be made: {error}")))?;
    output::bytes(&page)
}
