//! The settings as flags and variables.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, parser::ValueSource};

use super::{
    Given, Source,
    key::{KEYS, Key, Shape},
};
use crate::cli::args::config_argument;

/// What the command line and the environment give.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Flags {
    /// By the name of the key.
    pub(super) given: BTreeMap<&'static str, Given>,
    /// The file of settings.
    pub(super) config: Option<PathBuf>,
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        KEYS.iter().map(argument).chain([config_argument()]).fold(command, Command::arg)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        for key in KEYS {
            let source = match matches.value_source(key.name) {
                Some(ValueSource::CommandLine) => Source::Flag,
                Some(ValueSource::EnvVariable) => Source::Environment(key.variable),
                _ => continue,
            };
            let values: Vec<String> = matches.get_many(key.name).into_iter().flatten().cloned().collect();
            // An empty variable is how shells and compose files leave one out.
            if source == Source::Flag || values.iter().any(|value| !value.is_empty()) {
                self.given.insert(key.name, Given { values, source });
            }
        }
        self.config =
            matches.get_one::<PathBuf>("config").filter(|path| !path.as_os_str().is_empty()).cloned();
        Ok(())
    }
}

fn argument(key: &Key) -> Arg {
    let argument = Arg::new(key.name)
        .long(key.name)
        .env(key.variable)
        .hide_env_values(true)
        .value_name(key.hint)
        .help(key.help);
    match key.shape {
        Shape::One | Shape::Number => argument.action(ArgAction::Set),
        Shape::Many => argument.action(ArgAction::Append).value_delimiter(','),
        Shape::Switch => {
            argument.action(ArgAction::Set).num_args(0..=1).require_equals(true).default_missing_value("true")
        }
    }
}
