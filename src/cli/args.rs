//! What can be written on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, parser::ValueSource};
use clap_complete::Shell;

use super::{client::Client, failure::Failure, settings::Flags};
use crate::{
    causality::NodeId,
    types::{ContentType, Key, Namespace, Prefix},
};

/// A replicated key-value store without a centre.
///
/// `tidings node` starts a node; the other commands ask one that runs, at --url.
#[derive(Debug, Parser)]
#[command(
    name = "tidings",
    version,
    arg_required_else_help = true,
    after_help = "Exit status: 0 done, 1 not found or refused, 2 wrong usage, 3 no answer."
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) client: ClientArguments,
}

/// Which node is asked, and how the answer is shown.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of the commands that ask a node")]
pub(super) struct ClientArguments {
    /// Where the node's HTTP API is.
    #[arg(long, global = true, env = "TIDINGS_URL", default_value = "http://127.0.0.1:7700")]
    url: String,
    /// The namespace.
    #[arg(long, global = true, env = "TIDINGS_NS", value_name = "NAME", default_value = "default")]
    ns: Namespace,
    /// Show the API's own JSON.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// What the API asks for where it has tokens; better given in the environment.
    #[arg(long, global = true, env = "TIDINGS_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

impl ClientArguments {
    /// A client of the node that is meant.
    pub(super) fn connect(&self) -> Result<Client, Failure> {
        let token = self.token.clone().filter(|token| !token.is_empty());
        Ok(Client::new(&self.url, self.ns.clone())?.bearing(token))
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Start a node; Ctrl-C or SIGTERM stops it cleanly.
    Node(Flags),
    /// Store a value.
    Put(Put),
    /// Print a value.
    Get(Get),
    /// Delete a key.
    Del(Del),
    /// List the earlier versions of a key, or bring one back.
    History(History),
    /// List keys and values in order.
    Scan(Scan),
    /// Print changes as they happen, a line for each.
    Watch(Watch),
    /// List keys with concurrent versions, all of which are kept.
    Conflicts(Conflicts),
    /// Tell the whole story of a key: its versions, what readers see and why.
    Explain(Explain),
    /// Say what the node is and does.
    Status,
    /// List the peers of the node, connect it to one, or cut one off.
    Peers {
        #[command(subcommand)]
        action: Option<Peers>,
    },
    /// List the namespaces that the node carries, or have it join or leave one.
    Namespaces {
        #[command(subcommand)]
        action: Option<Namespaces>,
    },
    /// Compare with every neighbour now, and exchange what differs: of all namespaces, or of the one that is named.
    Sync(Sync),
    /// Write what the node holds, but for local-only keys, to a file: a backup, or a bundle for a node that no wire
    /// reaches.
    Export(Export),
    /// Have the node take in such a file.
    Import(Import),
    /// Check a data directory that no node uses; refill it from the peers.
    Doctor(Doctor),
    /// Look at the settings of a node.
    Config {
        #[command(subcommand)]
        action: Config,
    },
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print a manual page: `tidings man | man -l -`.
    Man {
        /// Of this command; of the whole program without one.
        command: Vec<String>,
    },
}

impl Command {
    /// Whether the command asks a node that runs.
    pub(super) fn is_client(&self) -> bool {
        !matches!(
            self,
            Self::Node(_)
                | Self::Doctor(_)
                | Self::Config { .. }
                | Self::Completions { .. }
                | Self::Man { .. }
        )
    }
}

/// With whom, and which way.
#[derive(Debug, Args)]
pub(super) struct Sync {
    /// With this neighbour only (12D3Koo…).
    pub(super) peer: Option<NodeId>,
    /// Take what others have, and give nothing.
    #[arg(long)]
    pub(super) pull: bool,
    /// Give what the node has, and take nothing.
    #[arg(long, conflicts_with = "pull")]
    pub(super) push: bool,
    /// Compare nothing: say with whom the node is known to agree, and what it lacks.
    #[arg(long, conflicts_with_all = ["peer", "pull", "push"])]
    pub(super) status: bool,
}

#[derive(Debug, Args)]
pub(super) struct Put {
    /// Where to store it: segments joined by `/`. With a `/` at the end, a fresh key is made below.
    #[arg(value_name = "KEY")]
    pub(super) place: Place,
    /// The value; `-` reads it from stdin.
    #[arg(allow_negative_numbers = true)]
    pub(super) value: String,
    /// Its content type; else JSON if it parses, else text, else octets.
    #[arg(long = "type", value_name = "TYPE", value_parser = ContentType::new)]
    pub(super) content_type: Option<ContentType>,
    /// Let it expire after so long: `30s`, `12h`, `7d`, a century at most.
    #[arg(long, value_name = "DURATION", value_parser = ttl)]
    pub(super) ttl: Option<String>,
}

/// A time that a node will take.
fn ttl(text: &str) -> Result<String, String> {
    crate::http::ttl::of(text).map(|_| text.to_owned())
}

/// Where a value goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Under this key.
    Key(Key),
    /// Under a key that is made below this prefix.
    Below(Prefix),
}

impl std::str::FromStr for Place {
    type Err = crate::types::KeyError;

    /// No key ends in a `/`, so what does can only mean a prefix.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.ends_with('/') { Prefix::new(text).map(Self::Below) } else { Key::new(text).map(Self::Key) }
    }
}

#[derive(Debug, Args)]
pub(super) struct Get {
    /// Where it stands.
    pub(super) key: Key,
    /// Show where the value comes from instead of the value.
    #[arg(long)]
    pub(super) meta: bool,
    /// Wait until the node has seen what this names: the `frontier` that a write answered with.
    #[arg(long, value_name = "FRONTIER")]
    pub(super) at_least: Option<String>,
    /// How long to wait at most: `250ms`, `5s`, up to 25 s [default: 5s].
    #[arg(long, value_name = "DURATION", requires = "at_least")]
    pub(super) wait: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Del {
    /// What to delete.
    pub(super) key: Key,
}

#[derive(Debug, Args)]
pub(super) struct History {
    /// The key.
    pub(super) key: Key,
    /// Write this one again, by its number in the list: 1 is the newest. It is a write like any other.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) restore: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct Conflicts {
    /// The key itself and everything below it; everything, if left out.
    #[arg(default_value = "", hide_default_value = true)]
    pub(super) prefix: Prefix,
    /// At most so many keys; all, if left out.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) limit: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Where it stands, or stood.
    pub(super) key: Key,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Export {
    /// The file; it is there once all of it is, and takes the place of an older one.
    #[arg(value_parser = bundle_file)]
    pub(super) file: PathBuf,
    /// Leave out what this names: the frontier that an earlier export has printed.
    #[arg(long, value_name = "FRONTIER")]
    pub(super) since: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file; it is verified as a whole before anything is sent.
    #[arg(value_parser = bundle_file)]
    pub(super) file: PathBuf,
}

/// A bundle is looked at as a whole before it counts: it takes a file, and `-` would be one that nobody meant.
fn bundle_file(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("name a file".to_owned()),
        "-" => {
            Err("a bundle is verified as a whole, so it takes a file; `./-` is one of that name".to_owned())
        }
        name => Ok(name.into()),
    }
}

#[derive(Debug, Args)]
pub(super) struct Scan {
    /// The key itself and everything below it; everything, if left out.
    #[arg(default_value = "", hide_default_value = true)]
    pub(super) prefix: Prefix,
    /// At most so many entries; all, if left out.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) limit: Option<u64>,
    /// Begin behind this key.
    #[arg(long, value_name = "KEY")]
    pub(super) after: Option<Key>,
    /// Descending.
    #[arg(long)]
    pub(super) reverse: bool,
    /// Leave the values out.
    #[arg(long)]
    pub(super) keys_only: bool,
}

#[derive(Debug, Args)]
pub(super) struct Watch {
    /// The key itself and everything below it; everything, if left out.
    #[arg(default_value = "", hide_default_value = true)]
    pub(super) prefix: Prefix,
    /// Go on from here, on any node of the mesh: the `cursor` of `--json`, or a frontier.
    #[arg(long, value_name = "CURSOR")]
    pub(super) since: Option<String>,
    /// Print what stands there now first.
    #[arg(long, conflicts_with = "since")]
    pub(super) snapshot: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Changes nothing in the directory, unless asked to reset it: what is looked at is a copy of the store in the \
system's directory for temporary files (TMPDIR), which needs as much room.\n\n\
Exit status: 0 sound, 1 something was found, 2 wrong usage, 3 could not look."
)]
pub(super) struct Doctor {
    /// The data directory.
    #[arg(long, env = "TIDINGS_DATA_DIR", value_name = "DIR", default_value = "./tidings-data")]
    pub(super) data_dir: PathBuf,
    /// Move the store aside, keep the identity: the next start is filled by the peers.
    #[arg(long)]
    pub(super) reset_and_resync: bool,
    /// Do not ask before resetting.
    #[arg(long, requires = "reset_and_resync")]
    pub(super) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Namespaces {
    /// Carry a namespace from now on.
    Join {
        /// Its name.
        name: Namespace,
    },
    /// Carry it no more, here only: what this node holds of it is removed from this node.
    Leave {
        /// Its name.
        name: Namespace,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Peers {
    /// Dial a peer and keep it.
    Connect {
        /// Its address, such as /ip4/192.0.2.1/tcp/7701.
        addr: String,
    },
    /// Cut a peer off and refuse it from now on.
    Block {
        /// Its peer id.
        id: NodeId,
    },
    /// Let a blocked peer in again.
    Unblock {
        /// Its peer id.
        id: NodeId,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Print every setting of a node, as a file that --config takes.
    Show {
        /// Say where each comes from.
        #[arg(long)]
        origin: bool,
        #[command(flatten)]
        flags: Flags,
    },
}

/// `--url` and `--ns` mean nothing to commands that ask no node; said rather than ignored.
pub(super) fn refuse_client_flags(matches: &clap::ArgMatches) -> Result<(), Failure> {
    for name in ["url", "ns", "token"] {
        if matches.value_source(name) == Some(ValueSource::CommandLine) {
            return Err(Failure::usage(format!("--{name} is for the commands that ask a node that runs")));
        }
    }
    Ok(())
}

/// The value of `--config`, which is no setting itself.
pub(super) fn config_argument() -> clap::Arg {
    clap::Arg::new("config")
        .long("config")
        .env("TIDINGS_CONFIG")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("A TOML file with these flags as keys (flag beats environment beats file)")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_arguments_fit_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn client_flags_stand_before_or_behind_the_command() {
        for line in ["tidings --url http://x get a", "tidings get a --url http://x"] {
            assert_eq!(parse(line).expect("lawful").client.url, "http://x", "{line}");
        }
    }

    #[test]
    fn a_value_may_be_a_negative_number_or_stdin() {
        for value in ["-5", "-", "x=y"] {
            let arguments = parse(&format!("tidings put a {value}")).expect("lawful");
            let Command::Put(put) = arguments.command else { panic!("no put") };
            assert_eq!(put.value, value);
        }
    }

    #[test]
    fn what_is_no_key_or_namespace_is_a_wrong_usage() {
        for line in [
            "tidings get a//b",
            "tidings get",
            "tidings get a --ns Photos",
            "tidings scan a//b",
            "tidings scan --limit 0",
            "tidings put a 1 --type x",
            "tidings peers block ant",
            "tidings put a// 1",
            "tidings put / 1",
            "tidings watch a//b",
            "tidings watch --since x --snapshot",
        ] {
            assert_eq!(parse(line).expect_err(line).exit_code(), 2, "{line}");
        }
    }
}
