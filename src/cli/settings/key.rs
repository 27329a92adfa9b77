//! The settings there are.

use serde_json::{Value, json};

use super::Given;

/// A setting: a flag, a variable, and a key of the file.
#[derive(Debug)]
pub(in crate::cli) struct Key {
    /// The flag without its dashes, and the key in the file.
    pub(in crate::cli) name: &'static str,
    /// The variable in the environment.
    pub(super) variable: &'static str,
    /// What it takes.
    pub(super) shape: Shape,
    /// What its value is called in the help.
    pub(super) hint: &'static str,
    /// What it means, and its default.
    pub(super) help: &'static str,
    /// Its value where nobody says otherwise, if that is always the same.
    pub(super) default: Option<&'static str>,
}

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One value.
    One,
    /// A number, which a file may write without quotes.
    Number,
    /// Any number of values.
    Many,
    /// On or off.
    Switch,
}

impl Key {
    /// The setting in JSON: nothing where it is not set.
    pub(in crate::cli) fn value(&self, given: &Given) -> Value {
        let first = given.values.first();
        match self.shape {
            Shape::Many => json!(given.values),
            Shape::Switch => json!(first.is_some_and(|text| switch(text) == Some(true))),
            Shape::Number => {
                first.map_or(Value::Null, |text| text.parse::<u64>().map_or(json!(text), |n| json!(n)))
            }
            Shape::One => json!(first),
        }
    }

    /// The setting as a line of the file; a comment where it is not set.
    pub(in crate::cli) fn toml(&self, given: &Given) -> String {
        match self.value(given) {
            Value::Null => format!("# {} is not set", self.name),
            // Texts, numbers, lists of texts and switches look alike in JSON and TOML, but for DEL.
            value => format!("{} = {}", self.name, value.to_string().replace('\u{7f}', "\\u007f")),
        }
    }
}

/// A switch as text.
pub(super) fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Every setting, in the order in which people ask for them.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "data-dir",
        variable: "TIDINGS_DATA_DIR",
        shape: Shape::One,
        hint: "DIR",
        help: "Everything the node keeps [default: ./tidings-data]",
        default: Some("./tidings-data"),
    },
    Key {
        name: "name",
        variable: "TIDINGS_NAME",
        shape: Shape::One,
        hint: "NAME",
        help: "A person's name for this node, shown to others [default: the host name]",
        default: None,
    },
    Key {
        name: "mesh",
        variable: "TIDINGS_MESH",
        shape: Shape::One,
        hint: "NAME",
        help: "Which mesh the node belongs to; others are refused [default: default]",
        default: Some("default"),
    },
    Key {
        name: "listen",
        variable: "TIDINGS_LISTEN",
        shape: Shape::Many,
        hint: "MULTIADDR",
        help: "Where peers reach it; may be repeated. A port that is taken gives way to a free one [default: /ip4/0.0.0.0/tcp/7701]",
        default: Some("/ip4/0.0.0.0/tcp/7701"),
    },
    Key {
        name: "peer",
        variable: "TIDINGS_PEER",
        shape: Shape::Many,
        hint: "MULTIADDR",
        help: "A peer to dial and keep, with or without /p2p/ID; may be repeated",
        default: None,
    },
    Key {
        name: "no-discovery",
        variable: "TIDINGS_NO_DISCOVERY",
        shape: Shape::Switch,
        hint: "BOOL",
        help: "Look for nodes neither on the local network nor on this machine",
        default: Some("false"),
    },
    Key {
        name: "no-peer-exchange",
        variable: "TIDINGS_NO_PEER_EXCHANGE",
        shape: Shape::Switch,
        hint: "BOOL",
        help: "Connect only to --peer and to those who dial in",
        default: Some("false"),
    },
    Key {
        name: "http",
        variable: "TIDINGS_HTTP",
        shape: Shape::One,
        hint: "ADDR",
        help: "Where the HTTP API listens; anything but loopback needs --http-tokens; or `off` [default: 127.0.0.1:7700]",
        default: Some("127.0.0.1:7700"),
    },
    Key {
        name: "http-tokens",
        variable: "TIDINGS_HTTP_TOKENS",
        shape: Shape::One,
        hint: "FILE",
        help: "Bearer tokens for the HTTP API, with scopes, prefixes and expiry; needed for anything but loopback, or `off`",
        default: None,
    },
    Key {
        name: "swarm-key",
        variable: "TIDINGS_SWARM_KEY",
        shape: Shape::One,
        hint: "FILE",
        help: "Who may join: nodes with the same key, in the format of kubo's swarm.key [default: a key of your own in $XDG_CONFIG_HOME/tidings/swarm.key, made at the first start]",
        default: None,
    },
    Key {
        name: "open",
        variable: "TIDINGS_OPEN",
        shape: Shape::Switch,
        hint: "BOOL",
        help: "No key: whoever reaches the port may join",
        default: Some("false"),
    },
    Key {
        name: "allow",
        variable: "TIDINGS_ALLOW",
        shape: Shape::Many,
        hint: "PEER_ID",
        help: "Only these peers; may be repeated [default: all]",
        default: None,
    },
    Key {
        name: "durability",
        variable: "TIDINGS_DURABILITY",
        shape: Shape::One,
        hint: "fsync|buffer",
        help: "What an acknowledged write has survived: power loss, or a crash of the process [default: fsync]",
        default: Some("fsync"),
    },
    Key {
        name: "sync-interval",
        variable: "TIDINGS_SYNC_INTERVAL",
        shape: Shape::One,
        hint: "DURATION",
        help: "How often a neighbour is asked whether both still agree [default: 10s]",
        default: Some("10s"),
    },
    Key {
        name: "delete-retention",
        variable: "TIDINGS_DELETE_RETENTION",
        shape: Shape::One,
        hint: "DURATION",
        help: "How long a delete is remembered one by one [default: 7d]",
        default: Some("7d"),
    },
    Key {
        name: "history",
        variable: "TIDINGS_HISTORY",
        shape: Shape::Number,
        hint: "N",
        help: "Earlier versions kept per key; 0 for none, 1000 at most [default: 10]",
        default: Some("10"),
    },
    Key {
        name: "local-only",
        variable: "TIDINGS_LOCAL_ONLY",
        shape: Shape::Many,
        hint: "PREFIX",
        help: "Keys below this prefix of `default` never leave the node; may be repeated",
        default: None,
    },
    Key {
        name: "log",
        variable: "TIDINGS_LOG",
        shape: Shape::One,
        hint: "FILTER",
        help: "What is logged, as RUST_LOG says it [default: info]",
        default: Some("info"),
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::settings::Source;

    #[test]
    fn a_variable_is_named_after_its_flag() {
        for key in KEYS {
            let expected = format!("TIDINGS_{}", key.name.to_ascii_uppercase().replace('-', "_"));
            assert_eq!(key.variable, expected);
        }
    }

    #[test]
    fn a_default_is_told_in_the_help() {
        for key in KEYS.iter().filter(|key| key.shape != Shape::Switch) {
            if let Some(default) = key.default {
                assert!(key.help.contains(&format!("[default: {default}]")), "{}", key.name);
            }
        }
    }

    #[test]
    fn a_setting_is_shown_as_the_file_would_have_it() {
        let line = |name: &str, values: &[&str]| {
            let key = KEYS.iter().find(|key| key.name == name).expect("there is such a key");
            let values = values.iter().map(|text| (*text).to_owned()).collect();
            key.toml(&Given { values, source: Source::Default })
        };
        assert_eq!(line("name", &["a \"b\""]), r#"name = "a \"b\"""#);
        assert_eq!(line("history", &["10"]), "history = 10");
        assert_eq!(line("open", &["yes"]), "open = true");
        assert_eq!(
            line("peer", &["/dns/a/tcp/1", "/dns/b/tcp/1"]),
            r#"peer = ["/dns/a/tcp/1","/dns/b/tcp/1"]"#
        );
        assert_eq!(line("peer", &[]), "peer = []");
        assert_eq!(line("http-tokens", &[]), "# http-tokens is not set");
    }
}
