//! Which strategy holds for which keys.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{Custom, Strategy};
use crate::types::{ByPrefix, Key, Namespace, Prefix};

/// The most prefixes that have a strategy of their own, in all namespaces together.
pub const STRATEGIES_MAX: usize = 256;

/// The table of strategies is full.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("more than {STRATEGIES_MAX} prefixes have strategies of their own: give one to a prefix above them")]
pub struct StrategiesError;

/// A strategy for each key: that of the longest prefix that selects it, by whole segments; else
/// [`Strategy::LastWriteWins`].
///
/// ```
/// use tidings::{Key, Namespace, Prefix, conflict::{Strategies, Strategy}};
///
/// let mut table = Strategies::default();
/// table.set(Namespace::default(), Prefix::new("users")?, Strategy::MergeFields)?;
/// table.set(Namespace::default(), Prefix::new("users/log")?, Strategy::KeepAll)?;
/// let of = |key: &str| table.of(&Namespace::default()).of(&Key::new(key).expect("a key")).to_string();
/// assert_eq!([of("users/1"), of("users/log/1"), of("users2")], ["merge-fields", "keep-all", "last-write-wins"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strategies(BTreeMap<Namespace, Table>);

/// The strategies of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table(ByPrefix<Strategy>);

impl Strategies {
    /// Gives the keys below `prefix` a strategy, in the place of the one they had.
    ///
    /// # Errors
    /// When there are [`STRATEGIES_MAX`] prefixes already.
    pub fn set(
        &mut self,
        namespace: Namespace,
        prefix: Prefix,
        strategy: Strategy,
    ) -> Result<(), StrategiesError> {
        let full = self.0.values().map(|table| table.0.len()).sum::<usize>() >= STRATEGIES_MAX;
        let Table(table) = self.0.entry(namespace).or_default();
        if full && !table.has(&prefix) {
            return Err(StrategiesError);
        }
        table.set(prefix, strategy);
        Ok(())
    }

    /// The strategies of a namespace.
    #[must_use]
    pub fn of(&self, namespace: &Namespace) -> Table {
        self.0.get(namespace).cloned().unwrap_or_default()
    }

    /// The namespaces that have strategies of their own.
    pub fn namespaces(&self) -> impl Iterator<Item = &Namespace> {
        self.0.keys()
    }

    /// The functions of the program's own that are named.
    pub fn customs_mut(&mut self) -> impl Iterator<Item = &mut Custom> {
        self.0.values_mut().flat_map(|table| table.0.values_mut()).filter_map(|strategy| match strategy {
            Strategy::Custom(custom) => Some(custom),
            _ => None,
        })
    }
}

impl Table {
    /// The strategy that holds for `key`.
    #[must_use]
    pub fn of(&self, key: &Key) -> &Strategy {
        self.0.of(key).map_or(&Strategy::LastWriteWins, |(_, strategy)| strategy)
    }

    /// The table as text: equal texts are equal tables.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.iter().map(|(prefix, strategy)| format!("{:?} {strategy}\n", prefix.as_str())).collect()
    }
}
