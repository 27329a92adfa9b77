//! `list`: what there is to run.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;

use super::{Ended, Failure};
use crate::scenario::{self, Listed};

pub(super) fn list(json: bool) -> Result<Ended, Failure> {
    let scenarios = scenario::library().iter().map(Listed::scenario);
    if json {
        let all: Vec<_> =
            scenarios.map(|scenario| json!({ "name": scenario.name(), "about": scenario.about() })).collect();
        println!("{}", serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?);
        return Ok(Ended::Well);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["SCENARIO", "ABOUT"]);
    for scenario in scenarios {
        table.add_row([scenario.name(), scenario.about()]);
    }
    println!("{table}\n\nTry: cargo sim run partition-heals --report report.html");
    Ok(Ended::Well)
}
