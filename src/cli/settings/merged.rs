//! The settings from all sources.

use std::{collections::BTreeMap, env, path::PathBuf};

use super::{
    Flags, Given, NamespaceGiven, Source, StrategyGiven, file,
    key::{KEYS, Key},
};
use crate::cli::failure::Failure;

/// What is given for every setting, by the source that beats the others.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Merged {
    given: BTreeMap<&'static str, Given>,
    strategies: Vec<StrategyGiven>,
    namespaces: Vec<NamespaceGiven>,
}

impl Merged {
    /// Reads the file, if there is one, and fills in the defaults.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub(in crate::cli) fn of(flags: &Flags) -> Result<Self, Failure> {
        let said = flags.config.as_deref().map(file::read).transpose()?;
        let (file, strategies, namespaces) = said.unwrap_or_default();
        Ok(Self { strategies, namespaces, ..Self::layered(&flags.given, file) })
    }

    fn layered(flags: &BTreeMap<&'static str, Given>, mut file: BTreeMap<&'static str, Given>) -> Self {
        let pick = |key: &Key| {
            let given = flags.get(key.name).cloned().or_else(|| file.remove(key.name));
            let or_default = || Given { values: default(key), source: Source::Default };
            (key.name, given.unwrap_or_else(or_default))
        };
        Self { given: KEYS.iter().map(pick).collect(), strategies: Vec::new(), namespaces: Vec::new() }
    }

    /// Every setting, in the order in which people ask for them.
    pub(in crate::cli) fn iter(&self) -> impl Iterator<Item = (&'static Key, &Given)> {
        KEYS.iter().filter_map(|key| Some((key, self.given.get(key.name)?)))
    }

    /// The strategies, in the order of the file.
    pub(in crate::cli) fn strategies(&self) -> &[StrategyGiven] {
        &self.strategies
    }

    /// The namespaces that the file names, in its order.
    pub(in crate::cli) fn namespaces(&self) -> &[NamespaceGiven] {
        &self.namespaces
    }

    /// What is given for the setting `name`.
    pub(super) fn get(&self, name: &str) -> &Given {
        self.given.get(name).expect("every key is filled in, and only keys are asked for")
    }
}

fn default(key: &Key) -> Vec<String> {
    match (key.name, key.default) {
        (_, Some(text)) => vec![text.to_owned()],
        ("name", None) => vec![host_name()],
        ("swarm-key", None) => swarm_key().map(|path| path.display().to_string()).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Where the user's own key lies: below `$XDG_CONFIG_HOME`, which must be absolute, or `~/.config`.
fn swarm_key() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    config.map(|config| config.join("tidings").join("swarm.key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str, source: Source) -> Given {
        Given { values: vec![text.to_owned()], source }
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let flags = BTreeMap::from([("mesh", given("flag", Source::Flag))]);
        let from_file = || Source::File("t.toml".into(), 1);
        let file =
            BTreeMap::from([("mesh", given("file", from_file())), ("http", given("off", from_file()))]);
        let merged = Merged::layered(&flags, file);
        assert_eq!(merged.get("mesh"), &given("flag", Source::Flag));
        assert_eq!(merged.get("http"), &given("off", from_file()));
        assert_eq!(merged.get("durability"), &given("fsync", Source::Default));
        assert_eq!(merged.iter().count(), KEYS.len());
    }
}
