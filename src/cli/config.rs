//! `config show`.

use serde_json::{Map, Value, json};

use super::{
    args,
    failure::Failure,
    output,
    settings::{Merged, Settings},
};

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
    Ok(())
}
