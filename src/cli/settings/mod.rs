//! The settings of a node: one table of keys, from which flags, environment and file follow; a flag
//! beats the environment, which beats the file, which beats the default.

mod file;
mod flags;
mod key;
mod merged;
mod namespaces;
mod strategies;
mod typed;

pub(super) use flags::Flags;
pub(super) use merged::Merged;
pub(super) use namespaces::NamespaceGiven;
pub(super) use strategies::StrategyGiven;
pub(super) use typed::{Http, Join, Settings};

use std::{fmt, path::PathBuf};

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The command line.
    Flag,
    /// This variable of the environment.
    Environment(&'static str),
    /// This line of this file.
    File(PathBuf, usize),
    /// Nobody said otherwise.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(path, line) => write!(f, "file {}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// What was given for a setting, as text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    /// One value, or as many as were listed.
    pub(super) values: Vec<String>,
    /// Where it stands.
    pub(super) source: Source,
}
