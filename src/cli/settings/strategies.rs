//! The table `[strategies]` of the file: a strategy for each prefix.

use std::{collections::BTreeMap, ops::Range};

use serde::Deserialize;
use toml::{Spanned, Value};

use super::Source;
use crate::{node::Strategy, types::Prefix};

/// A strategy, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct StrategyGiven {
    pub(in crate::cli) prefix: Prefix,
    pub(in crate::cli) strategy: Strategy,
    pub(in crate::cli) source: Source,
}

impl StrategyGiven {
    /// As a line of the table.
    pub(in crate::cli) fn toml(&self) -> String {
        // Texts look alike in JSON and TOML, but for DEL, which no key has.
        let text = |text: &str| serde_json::Value::from(text).to_string();
        format!("{} = {}", text(self.prefix.as_str()), text(&self.strategy.to_string()))
    }
}

/// The table of strategies.
pub(super) const STRATEGIES: &str = "strategies";

/// A mistake, and where it begins.
pub(super) type Mistake = (Option<Range<usize>>, String);

/// The rest of the file is none of this module's business.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    strategies: BTreeMap<Spanned<String>, Value>,
}

/// The strategies in the file `text`, in its order.
pub(super) fn read(
    text: &str,
    source: impl Fn(Option<Range<usize>>) -> Source,
) -> Result<Vec<StrategyGiven>, Mistake> {
    let file: File = toml::from_str(text).map_err(|error| {
        (
            error.span(),
            format!("strategies: write a table of prefixes and strategies: {}", error.message().trim()),
        )
    })?;
    of_table(STRATEGIES, file.strategies, &source)
}

/// The strategies in the table called `label`.
pub(super) fn of_table(
    label: &str,
    table: BTreeMap<Spanned<String>, Value>,
    source: &impl Fn(Option<Range<usize>>) -> Source,
) -> Result<Vec<StrategyGiven>, Mistake> {
    let mut rows: Vec<_> = table.into_iter().collect();
    rows.sort_by_key(|(prefix, _)| prefix.span().start);
    let mut given: Vec<StrategyGiven> = Vec::new();
    for (prefix, strategy) in rows {
        let span = Some(prefix.span());
        let name = prefix.into_inner();
        let refuse = |why: String| (span.clone(), format!("{label}: {name:?}: {why}"));
        let prefix =
            Prefix::new(&name).map_err(|error| refuse(format!("this is no prefix of keys: {error}")))?;
        let Value::String(strategy) = strategy else {
            return Err(refuse("write the name of a strategy, in quotes".to_owned()));
        };
        let strategy: Strategy = strategy.parse().map_err(|error| refuse(format!("{error}")))?;
        if matches!(strategy, Strategy::Custom(_)) {
            let why = "this program has no resolvers, only one that embeds a node registers them: use another strategy";
            return Err(refuse(why.to_owned()));
        }
        if given.iter().any(|other| other.prefix == prefix) {
            return Err(refuse("this prefix has a strategy already: leave one of them out".to_owned()));
        }
        given.push(StrategyGiven { prefix, strategy, source: source(span) });
    }
    Ok(given)
}
