//! The tables `[namespaces.NAME]` of the file: namespaces that are carried, and what holds in them.

use std::{collections::BTreeMap, ops::Range};

use serde::Deserialize;
use toml::{Spanned, Value};

use super::{
    Source, StrategyGiven,
    strategies::{self, Mistake},
};
use crate::{
    node::HISTORY_MAX,
    types::{Namespace, Prefix},
};

/// A namespace, what holds in it, and where that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct NamespaceGiven {
    pub(in crate::cli) name: Namespace,
    /// Earlier versions kept per key, if that is said here.
    pub(in crate::cli) history: Option<usize>,
    /// What never leaves the node.
    pub(in crate::cli) local_only: Vec<Prefix>,
    pub(in crate::cli) strategies: Vec<StrategyGiven>,
    pub(in crate::cli) source: Source,
}

/// The rest of the file is none of this module's business.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    namespaces: BTreeMap<Spanned<String>, Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    history: Option<Spanned<Value>>,
    #[serde(rename = "local-only")]
    local_only: Option<Spanned<Value>>,
    #[serde(default)]
    strategies: BTreeMap<Spanned<String>, Value>,
}

/// The namespaces in the file `text`, in its order.
pub(super) fn read(
    text: &str,
    source: impl Fn(Option<Range<usize>>) -> Source,
) -> Result<Vec<NamespaceGiven>, Mistake> {
    let file: File = toml::from_str(text).map_err(|error| {
        let what = "namespaces: write tables such as [namespaces.birds], with `history`, `local-only` and `strategies`";
        (error.span(), format!("{what}: {}", error.message().trim()))
    })?;
    let mut rows: Vec<_> = file.namespaces.into_iter().collect();
    rows.sort_by_key(|(name, _)| name.span().start);
    let namespace = |(name, table): (Spanned<String>, Table)| {
        let span = Some(name.span());
        let text = name.into_inner();
        let name = Namespace::new(&text)
            .map_err(|error| (span.clone(), format!("namespaces: {text:?}: {error}")))?;
        let history = table.history.as_ref().map(|given| history(&text, given)).transpose()?;
        let local_only = table.local_only.as_ref().map(|given| local_only(&text, given)).transpose()?;
        let local_only = local_only.unwrap_or_default();
        let strategies =
            strategies::of_table(&format!("namespaces.{text}.strategies"), table.strategies, &source)?;
        Ok(NamespaceGiven { name, history, local_only, strategies, source: source(span) })
    };
    rows.into_iter().map(namespace).collect()
}

fn local_only(name: &str, given: &Spanned<Value>) -> Result<Vec<Prefix>, Mistake> {
    let refuse = |why: String| (Some(given.span()), format!("namespaces.{name}.local-only: {why}"));
    let texts = match given.get_ref() {
        Value::String(text) => vec![Some(text.as_str())],
        Value::Array(items) => items.iter().map(Value::as_str).collect(),
        _ => vec![None],
    };
    let prefix = |text: Option<&str>| {
        let text = text.ok_or_else(|| refuse("write a list of prefixes, each in quotes".to_owned()))?;
        Prefix::new(text).map_err(|error| refuse(format!("{text:?} is no prefix of keys: {error}")))
    };
    texts.into_iter().map(prefix).collect()
}

fn history(name: &str, given: &Spanned<Value>) -> Result<usize, Mistake> {
    let number = given.get_ref().as_integer().and_then(|number| usize::try_from(number).ok());
    number.filter(|number| *number <= HISTORY_MAX).ok_or_else(|| {
        (Some(given.span()), format!("namespaces.{name}.history: write a number, 0 to {HISTORY_MAX}"))
    })
}
