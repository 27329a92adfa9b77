//! `conflicts`, `explain`, and the versions of `get --meta`.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use ureq::http::Method;

use super::{
    args,
    client::{Ask, Client, encode},
    failure::Failure,
    kv::{plain, print},
    output,
    table::table,
};
use crate::types::Key;

/// How many keys are asked for at once.
const PAGE: u64 = 100;
/// The last moment that has a date of four digits for the year, in milliseconds since 1970.
const DATES_MAX: u64 = 253_402_300_799_999;

/// Prints each key with its versions; what readers see is marked.
pub(super) fn list(client: &Client, which: &args::Conflicts, json: bool) -> Result<(), Failure> {
    let path = match which.prefix.as_str() {
        "" => "/v1/conflicts".to_owned(),
        prefix => format!("/v1/conflicts/{}", encode(prefix, true)),
    };
    let (mut left, mut after, mut all) = (which.limit, None::<String>, Vec::new());
    loop {
        let count = left.map_or(PAGE, |left| left.min(PAGE));
        let mut ask = Ask::new(Method::GET, path.clone()).with("limit", count.to_string());
        if let Some(key) = &after {
            ask = ask.with("after", key.clone());
        }
        let page: Map<String, Value> = client.read(&ask)?;
        let conflicts = page.get("conflicts").and_then(Value::as_array).cloned().unwrap_or_default();
        left = left.map(|left| left.saturating_sub(conflicts.len() as u64));
        after = page.get("next").and_then(Value::as_str).map(str::to_owned);
        for conflict in &conflicts {
            if !json {
                show(conflict)?;
            }
        }
        all.extend(conflicts.into_iter().filter(|_| json));
        if after.is_none() || left == Some(0) {
            break;
        }
    }
    if json {
        return output::line(&json!({ "conflicts": all, "next": after }).to_string());
    }
    Ok(())
}

/// Tells the whole story of a key.
pub(super) fn explain(client: &Client, key: &Key, json: bool) -> Result<(), Failure> {
    let body = client.ask(&Ask::new(Method::GET, format!("/v1/explain/{}", encode(key.as_str(), true))))?;
    if json {
        return print(&body);
    }
    let story = Value::Object(client.parse(&body)?);
    show(&story)?;
    let dots = |name: &str| -> Vec<String> {
        let list = story[name].as_array().map_or(&[][..], Vec::as_slice);
        list.iter().map(dot).collect()
    };
    output::line(&format!("  accounted for up to {}", dots("accounted").join(", ")))?;
    for version in story["versions"].as_array().map_or(&[][..], Vec::as_slice) {
        output::line(&format!("  {}: {}", dot(version), arrival(&version["arrived"])))?;
    }
    for dropped in dots("dropped") {
        output::line(&format!("  dropped on a peer's word: {dropped} (see GET /v1/dropped)"))?;
    }
    output::line(&format!("  {}", plain(&story["arrivals"])))
}

fn dot(version: &Value) -> String {
    format!("{}:{}", plain(&version["origin"]), plain(&version["seq"]))
}

/// How and when a version came.
fn arrival(arrived: &Value) -> String {
    let Some(at) = arrived["at"].as_u64() else { return "how it came is not remembered".to_owned() };
    let at = date(at);
    match arrived["from"].as_str() {
        Some(from) => format!("{}, from {from}, at {at}", plain(&arrived["by"])),
        None => format!("{}, at {at}", plain(&arrived["by"])),
    }
}

/// A time as people read it.
fn date(at: u64) -> impl std::fmt::Display {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(at.min(DATES_MAX)))
}

/// A key, how it is resolved, and its versions.
fn show(conflict: &Value) -> Result<(), Failure> {
    let merged = if conflict["merged"] == json!(true) { ", made of several versions" } else { "" };
    let line = format!(
        "{}\t{}: {}{merged}",
        plain(&conflict["key"]),
        plain(&conflict["strategy"]),
        plain(&conflict["why"])
    );
    output::line(&line)?;
    versions(&conflict["versions"])
}

/// A line for each version; `*` marks what readers see.
pub(super) fn versions(versions: &Value) -> Result<(), Failure> {
    let row = |version: &Value| {
        let value = match (&version["deleted"], version.get("value"), version.get("encoding")) {
            (Value::Bool(true), ..) => "(deleted)".to_owned(),
            (_, Some(value), None) => value.to_string(),
            _ => format!("({}, {} bytes)", plain(&version["content_type"]), plain(&version["size"])),
        };
        let value = match version["expires_at"].as_u64() {
            Some(at) => format!("{value}, until {}", date(at)),
            None => value,
        };
        let mark = if version["seen_by_readers"] == json!(true) { "*" } else { " " };
        vec![format!("  {mark}"), plain(&version["hlc"]), dot(version), value]
    };
    let rows: Vec<_> = versions.as_array().map_or(&[][..], Vec::as_slice).iter().map(row).collect();
    if rows.is_empty() { Ok(()) } else { output::line(&table(None, rows)) }
}
