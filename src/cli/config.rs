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
        return output::line(&Value::Object(members.collect::<Map<_, _>>()).to_string());
    }
    for (key, given) in merged.iter() {
        let setting = key.toml(given);
        output::line(&if *origin { format!("{setting:<48} # {}", given.source) } else { setting })?;
    }
    Ok(())
}
