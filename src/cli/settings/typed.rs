//! The settings as a node takes them.

use std::{
    collections::BTreeSet,
    fmt::Display,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use super::{Given, Merged, NamespaceGiven, Source, key::switch};
use crate::{
    causality::NodeId,
    cli::failure::Failure,
    http::BearerTokens,
    node::{Durability, HISTORY_MAX, Multiaddr, Strategy},
    types::Prefix,
};

/// Settings that make sense.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Settings {
    pub(in crate::cli) data_dir: PathBuf,
    pub(in crate::cli) name: String,
    pub(in crate::cli) mesh: String,
    pub(in crate::cli) listen: Vec<Multiaddr>,
    pub(in crate::cli) peers: Vec<Multiaddr>,
    pub(in crate::cli) discovery: bool,
    pub(in crate::cli) peer_exchange: bool,
    pub(in crate::cli) http: Http,
    /// The tokens of the API, if there are any.
    pub(in crate::cli) tokens: Option<BearerTokens>,
    pub(in crate::cli) join: Join,
    pub(in crate::cli) allow: BTreeSet<NodeId>,
    pub(in crate::cli) durability: Durability,
    pub(in crate::cli) sync_interval: Duration,
    pub(in crate::cli) delete_retention: Duration,
    pub(in crate::cli) history: usize,
    /// What never leaves the node, of the namespace `default`.
    pub(in crate::cli) local_only: Vec<Prefix>,
    /// How readers resolve concurrent versions, by prefix.
    pub(in crate::cli) strategies: Vec<(Prefix, Strategy)>,
    /// Namespaces that are carried, and what holds in them.
    pub(in crate::cli) namespaces: Vec<NamespaceGiven>,
    pub(in crate::cli) log: String,
}

/// Who may join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Join {
    /// Whoever reaches the port.
    Open,
    /// Nodes with the user's own key, which is made where there is none.
    OwnKey(PathBuf),
    /// Nodes with the key in this file, which must be there: a mistyped name must not make a mesh.
    KeyFile(PathBuf),
}

/// Where the HTTP API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Http {
    /// Nowhere.
    Off,
    /// At the first of these that can be had.
    At(Vec<SocketAddr>),
}

impl Settings {
    /// Checks what is given.
    ///
    /// # Errors
    /// The first setting that makes no sense, and where it stands.
    pub(in crate::cli) fn of(merged: &Merged) -> Result<Self, Failure> {
        let tokens = tokens(merged)?;
        Ok(Self {
            data_dir: text(merged, "data-dir")?.into(),
            name: text(merged, "name")?,
            mesh: text(merged, "mesh")?,
            listen: all(merged, "listen")?,
            peers: all(merged, "peer")?,
            discovery: !on(merged, "no-discovery")?,
            peer_exchange: !on(merged, "no-peer-exchange")?,
            http: http(merged, &tokens)?,
            tokens: tokens.in_file(),
            join: join(merged)?,
            allow: all(merged, "allow")?,
            durability: durability(merged)?,
            sync_interval: interval(merged)?,
            strategies: strategies(merged),
            delete_retention: *one::<humantime::Duration>(merged, "delete-retention")?,
            history: history(merged)?,
            local_only: all(merged, "local-only")?,
            namespaces: merged.namespaces().to_vec(),
            log: text(merged, "log")?,
        })
    }
}

fn history(merged: &Merged) -> Result<usize, Failure> {
    match one(merged, "history")? {
        versions @ 0..=HISTORY_MAX => Ok(versions),
        _ => Err(wrong("history", merged.get("history"), format!("0 to {HISTORY_MAX}"))),
    }
}

fn strategies(merged: &Merged) -> Vec<(Prefix, Strategy)> {
    merged.strategies().iter().map(|row| (row.prefix.clone(), row.strategy.clone())).collect()
}

fn wrong(name: &str, given: &Given, why: impl Display) -> Failure {
    Failure::usage(match &given.source {
        Source::Flag => format!("--{name}: {why}"),
        Source::Environment(variable) => format!("{variable}: {why}"),
        Source::File(path, line) => format!("{}:{line}: {name}: {why}", path.display()),
        Source::Default => format!("--{name} (by default): {why}"),
    })
}

fn text(merged: &Merged, name: &str) -> Result<String, Failure> {
    let given = merged.get(name);
    match given.values.first() {
        Some(text) if !text.is_empty() => Ok(text.clone()),
        _ => Err(wrong(name, given, "it is empty")),
    }
}

fn one<T: FromStr<Err: Display>>(merged: &Merged, name: &str) -> Result<T, Failure> {
    let text = text(merged, name)?;
    text.parse().map_err(|error| wrong(name, merged.get(name), format!("{text:?}: {error}")))
}

fn all<T: FromStr<Err: Display>, C: FromIterator<T>>(merged: &Merged, name: &str) -> Result<C, Failure> {
    let given = merged.get(name);
    let parse = |text: &String| {
        text.parse().map_err(|error: T::Err| wrong(name, given, format!("{text:?}: {error}")))
    };
    given.values.iter().map(parse).collect()
}

fn on(merged: &Merged, name: &str) -> Result<bool, Failure> {
    switch(&text(merged, name)?).ok_or_else(|| wrong(name, merged.get(name), "write true or false"))
}

fn durability(merged: &Merged) -> Result<Durability, Failure> {
    match &*text(merged, "durability")? {
        "fsync" => Ok(Durability::Fsync),
        "buffer" => Ok(Durability::Buffer),
        _ => Err(wrong("durability", merged.get("durability"), "write `fsync` or `buffer`")),
    }
}

fn interval(merged: &Merged) -> Result<Duration, Failure> {
    let interval: humantime::Duration = one(merged, "sync-interval")?;
    if interval.is_zero() {
        return Err(wrong("sync-interval", merged.get("sync-interval"), "it must be longer than nothing"));
    }
    Ok(interval.into())
}

fn join(merged: &Merged) -> Result<Join, Failure> {
    let given = merged.get("swarm-key");
    match (on(merged, "open")?, given.values.first()) {
        (true, _) if given.source != Source::Default => {
            Err(wrong("swarm-key", given, "with --open there is no key: leave one of them out"))
        }
        (true, _) => Ok(Join::Open),
        (false, Some(_)) => {
            let path = text(merged, "swarm-key")?.into();
            Ok(if given.source == Source::Default { Join::OwnKey(path) } else { Join::KeyFile(path) })
        }
        (false, None) => {
            let why = "neither $XDG_CONFIG_HOME nor $HOME says where your own key is: give a file, or --open";
            Err(wrong("swarm-key", given, why))
        }
    }
}

/// Who may use the API.
enum Tokens {
    /// Nothing is said: whoever is on this machine.
    Unsaid,
    /// Whoever reaches it, from wherever; said in so many words.
    Off,
    /// Who bears one of these.
    File(BearerTokens),
}

impl Tokens {
    fn in_file(self) -> Option<BearerTokens> {
        match self {
            Self::File(tokens) => Some(tokens),
            Self::Unsaid | Self::Off => None,
        }
    }
}

fn tokens(merged: &Merged) -> Result<Tokens, Failure> {
    let given = merged.get("http-tokens");
    match given.values.first().map(String::as_str) {
        None => Ok(Tokens::Unsaid),
        Some("off") => Ok(Tokens::Off),
        Some(path) => {
            let file = std::fs::read_to_string(path).map_err(|error| {
                wrong("http-tokens", given, format!("{path} cannot be read: {error}; name a file, or `off`"))
            })?;
            file.parse()
                .map(Tokens::File)
                .map_err(|error| wrong("http-tokens", given, format!("{path}, {error}")))
        }
    }
}

fn http(merged: &Merged, tokens: &Tokens) -> Result<Http, Failure> {
    let text = text(merged, "http")?;
    if text == "off" {
        return Ok(Http::Off);
    }
    let given = merged.get("http");
    let addresses: Vec<_> = text
        .to_socket_addrs()
        .map_err(|error| wrong("http", given, format!("{text:?}: write ADDRESS:PORT, or `off`: {error}")))?
        .collect();
    let open = addresses.iter().find(|address| !address.ip().to_canonical().is_loopback());
    if let (Some(address), Tokens::Unsaid) = (open, tokens) {
        let why = format!(
            "{address} can be reached from other machines, and the API would let anybody in: give a file of tokens (--http-tokens FILE), `--http-tokens off` if that is meant, or a loopback address, such as 127.0.0.1:7700"
        );
        return Err(wrong("http", given, why));
    }
    Ok(Http::At(addresses))
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;
    use crate::cli::settings::Flags;

    fn settings(arguments: &[&str]) -> Result<Settings, Failure> {
        let command = Flags::augment_args(Command::new("node").no_binary_name(true));
        let matches = command.try_get_matches_from(arguments).expect("known flags");
        Settings::of(&Merged::of(&Flags::from_arg_matches(&matches).expect("reads"))?)
    }

    fn mistake(arguments: &[&str]) -> String {
        let failure = settings(arguments).expect_err("refused");
        assert_eq!(failure.parts().0, 2);
        failure.parts().1.to_owned()
    }

    #[test]
    fn flags_become_settings() {
        let settings = settings(&[
            "--listen=/ip4/127.0.0.1/tcp/0",
            "--listen",
            "/ip4/127.0.0.1/tcp/1",
            "--no-discovery",
            "--open",
            "--http=off",
            "--sync-interval=500ms",
            "--durability=buffer",
            "--history=3",
        ])
        .expect("lawful");
        assert_eq!(settings.listen.len(), 2);
        assert!(!settings.discovery && settings.peer_exchange);
        assert_eq!(settings.join, Join::Open);
        assert_eq!(settings.http, Http::Off);
        assert_eq!(settings.sync_interval, Duration::from_millis(500));
        assert_eq!(settings.durability, Durability::Buffer);
        assert_eq!(settings.history, 3);
    }

    #[test]
    fn a_key_file_that_was_asked_for_is_not_made() {
        let settings = settings(&["--swarm-key=k"]).expect("lawful");
        assert_eq!(settings.join, Join::KeyFile("k".into()));
    }

    #[test]
    fn a_switch_can_be_put_off() {
        let settings = settings(&["--no-discovery=false", "--open"]).expect("lawful");
        assert!(settings.discovery);
        assert!(mistake(&["--no-discovery=perhaps"]).starts_with("--no-discovery: "));
    }

    #[test]
    fn what_makes_no_sense_names_its_setting() {
        for argument in [
            "--sync-interval=soon",
            "--sync-interval=0s",
            "--durability=maybe",
            "--listen=here",
            "--peer=127.0.0.1:7701",
            "--allow=ant",
            "--history=many",
            "--history=1001",
            "--delete-retention=ever",
            "--http=nowhere",
            "--http-tokens=no-such-file",
            "--data-dir=",
            "--mesh=",
        ] {
            let name = argument.split('=').next().expect("a name");
            assert!(mistake(&["--open", argument]).starts_with(&format!("{name}: ")), "{argument}");
        }
        assert!(mistake(&["--open", "--swarm-key=x"]).starts_with("--swarm-key: "));
    }

    #[test]
    fn the_api_stays_on_this_machine() {
        for address in ["127.0.0.1:0", "[::1]:0", "localhost:0"] {
            assert!(settings(&["--open", "--http", address]).is_ok(), "{address}");
        }
        for address in ["0.0.0.0:7700", "[::]:7700", "192.0.2.1:7700"] {
            assert!(mistake(&["--open", "--http", address]).contains("tokens"), "{address}");
            assert!(settings(&["--open", "--http", address, "--http-tokens=off"]).is_ok(), "{address}");
        }
    }
}
