//! `config show`.

use serde_json::{Map, Value, json};

use super::{
    args,
    failure::Failure,
    output,
    settings::{Merged, NamespaceGiven, Settings, Source},
};
use crate::types::Prefix;

/// Prints every setting; what `--config` takes, or JSON.
pub(super) fn run(action: &args::Config, json: bool) -> Result<(), Failure> {
    let args::Config::Show { origin, flags } = action;
    let merged = Merged::of(flags)?;
    // What a node would refuse is refused here too.
    Settings::of(&merged)?;
    if json {
        let members = merged.iter().map(|(key, given)| {
            (key.name.to_owned(), json!({ "value": key.value(given), "origin": given.source.to_string() }))
        });
        let mut members: Map<_, _> = members.collect();
        let strategies = merged.strategies().iter().map(|row| {
            let shown = json!({ "value": row.strategy.to_string(), "origin": row.source.to_string() });
            (row.prefix.as_str().to_owned(), shown)
        });
        members.insert("strategies".to_owned(), Value::Object(strategies.collect()));
        let namespaces = merged.namespaces().iter().map(|one| (one.name.to_string(), namespace(one)));
        members.insert("namespaces".to_owned(), Value::Object(namespaces.collect()));
        return output::line(&Value::Object(members).to_string());
    }
    for (key, given) in merged.iter() {
        let setting = key.toml(given);
        output::line(&if *origin { format!("{setting:<48} # {}", given.source) } else { setting })?;
    }
    if !merged.strategies().is_empty() {
        output::line("\n[strategies]")?;
    }
    for row in merged.strategies() {
        let line = row.toml();
        output::line(&if *origin { format!("{line:<48} # {}", row.source) } else { line })?;
    }
    merged.namespaces().iter().try_for_each(|one| show(one, *origin))
}

/// A namespace as JSON.
fn namespace(given: &NamespaceGiven) -> Value {
    let strategies = given.strategies.iter();
    let strategies = strategies.map(|row| (row.prefix.as_str().to_owned(), json!(row.strategy.to_string())));
    let strategies: Map<_, _> = strategies.collect();
    let mut shown = json!({ "strategies": strategies, "origin": given.source.to_string() });
    if let Some(versions) = given.history {
        shown["history"] = json!(versions);
    }
    if !given.local_only.is_empty() {
        shown["local-only"] = json!(local_only(given));
    }
    shown
}

fn local_only(given: &NamespaceGiven) -> Vec<&str> {
    given.local_only.iter().map(Prefix::as_str).collect()
}

/// A namespace as the tables of the file.
fn show(given: &NamespaceGiven, origin: bool) -> Result<(), Failure> {
    let with_origin = |line: String, source: &Source| {
        output::line(&if origin { format!("{line:<48} # {source}") } else { line })
    };
    // A name may have dots.
    output::line("")?;
    with_origin(format!("[namespaces.\"{}\"]", given.name), &given.source)?;
    if let Some(versions) = given.history {
        output::line(&format!("history = {versions}"))?;
    }
    if !given.local_only.is_empty() {
        // Texts look alike in JSON and TOML, but for DEL, which no key has.
        output::line(&format!("local-only = {}", json!(local_only(given))))?;
    }
    if !given.strategies.is_empty() {
        output::line(&format!("[namespaces.\"{}\".strategies]", given.name))?;
    }
    given.strategies.iter().try_for_each(|row| with_origin(row.toml(), &row.source))
}
