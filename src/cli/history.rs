//! `history`: the earlier versions of a key, and how one is brought back.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use ureq::http::Method;

use super::{
    args,
    client::{Ask, Client, encode},
    failure::Failure,
    kv, output,
    table::{size, table},
};
use crate::types::ContentType;

/// So many characters of a value are shown in the table.
const SHOWN_CHARS_MAX: usize = 48;

#[derive(Deserialize)]
struct List {
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    /// Absent is one thing, `null` is a value.
    #[serde(default, deserialize_with = "present")]
    value: Option<Box<RawValue>>,
    encoding: Option<String>,
    deleted: bool,
    content_type: Option<String>,
    size: Option<u64>,
    origin: String,
    seq: u64,
    hlc: String,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

/// Prints the earlier versions of a key, or writes one of them again.
pub(super) fn run(client: &Client, history: &args::History, json: bool) -> Result<(), Failure> {
    let path = format!("/v1/history/{}", encode(history.key.as_str(), true));
    let body = client.ask(&Ask::new(Method::GET, path))?;
    let list = || client.parse::<List>(&body);
    match history.restore {
        Some(number) => restore(client, history, &list()?, number, json),
        None if json => kv::print(&body),
        None => show(history, &list()?),
    }
}

fn show(history: &args::History, list: &List) -> Result<(), Failure> {
    if list.versions.is_empty() {
        output::say("no earlier versions are kept");
        return Ok(());
    }
    let rows = list.versions.iter().zip(1..).map(|(version, number): (_, u64)| row(version, number));
    output::line(&table(Some(&["N", "VALUE", "HLC", "ORIGIN", "SEQ"]), rows.collect()))?;
    output::say(&format!("to write one of them again: tidings history {} --restore N", history.key));
    Ok(())
}

fn row(version: &Version, number: u64) -> Vec<String> {
    vec![
        number.to_string(),
        value(version),
        version.hlc.clone(),
        version.origin.clone(),
        version.seq.to_string(),
    ]
}

/// One line of a value, for people.
fn value(version: &Version) -> String {
    let size = || size(version.size.unwrap_or_default());
    let text = match (&version.value, &version.encoding) {
        _ if version.deleted => return "(deleted)".to_owned(),
        (None, _) => return format!("({}, not kept)", size()),
        (Some(_), Some(_)) => return format!("({} of {})", size(), media(version)),
        (Some(value), None) => {
            serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned())
        }
    };
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.chars().take(SHOWN_CHARS_MAX).map(clean).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

fn media(version: &Version) -> &str {
    version.content_type.as_deref().unwrap_or("no type")
}

fn restore(
    client: &Client,
    history: &args::History,
    list: &List,
    number: u64,
    json: bool,
) -> Result<(), Failure> {
    let nth = usize::try_from(number - 1).ok().and_then(|at| list.versions.get(at));
    let Some(version) = nth else {
        let why = format!("{} earlier versions are kept of {}", list.versions.len(), history.key);
        return Err(Failure::refused(format!("there is no number {number}: {why}")));
    };
    if version.deleted {
        return kv::done(&client.ask(&Ask::key(Method::DELETE, &history.key))?, json);
    }
    let Some(bytes) = bytes(version) else {
        return Err(Failure::refused("its bytes were not kept: a large value leaves its size and hash only"));
    };
    let content_type = ContentType::new(media(version))
        .map_err(|error| Failure::no_answer(format!("the node answers with a bad content type: {error}")))?;
    let ask = Ask::key(Method::PUT, &history.key).body(&bytes, Some(content_type));
    kv::done(&client.ask(&ask)?, json)
}

/// The bytes of a value as the API shows it.
fn bytes(version: &Version) -> Option<Vec<u8>> {
    let raw = version.value.as_ref()?;
    let string = || serde_json::from_str::<String>(raw.get()).ok();
    match version.encoding {
        Some(_) => STANDARD.decode(string()?).ok(),
        None if ContentType::new(media(version)).is_ok_and(|media| media.is_json()) => {
            Some(raw.get().as_bytes().to_vec())
        }
        None => string().map(String::into_bytes),
    }
}
