//! `scan`: all pages, as they come.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use ureq::http::Method;

use super::{
    args,
    client::{Ask, Client, encode},
    failure::Failure,
    output,
};

/// How many entries are asked for at once.
const PAGE: u64 = 1_000;

#[derive(Deserialize)]
struct Page {
    entries: Vec<Box<RawValue>>,
    next: Option<String>,
}

/// An entry, as scans and changes show it.
#[derive(Deserialize)]
pub(super) struct Row {
    key: String,
    /// Absent is one thing, `null` is a value.
    #[serde(default, deserialize_with = "present")]
    value: Option<Box<RawValue>>,
    encoding: Option<String>,
    content_type: String,
    size: u64,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

/// Prints `KEY<TAB>VALUE`, a line for each; with `json` the API's own object, of all pages.
pub(super) fn run(client: &Client, scan: &args::Scan, json: bool) -> Result<(), Failure> {
    let mut left = scan.limit;
    let mut after = scan.after.as_ref().map(|key| key.as_str().to_owned());
    let mut first = true;
    loop {
        let page: Page = client.read(&ask(scan, left, after.as_deref()))?;
        if json && first {
            output::bytes(b"{\"entries\":[")?;
        }
        let mut text = String::new();
        for entry in &page.entries {
            if json {
                text.push_str(if first { "" } else { "," });
                text.push_str(entry.get());
            } else {
                text.push_str(&row(&client.parse(entry.get().as_bytes())?, scan.keys_only));
                text.push('\n');
            }
            first = false;
        }
        output::bytes(text.as_bytes())?;
        left = left.map(|left| left.saturating_sub(page.entries.len() as u64));
        after = page.next;
        if after.is_none() || left == Some(0) || page.entries.is_empty() {
            break;
        }
    }
    if json {
        let next = serde_json::to_string(&after).expect("a text serialises");
        output::line(&format!("],\"next\":{next}}}"))?;
    }
    Ok(())
}

fn ask(scan: &args::Scan, left: Option<u64>, after: Option<&str>) -> Ask<'static> {
    let path = match scan.prefix.as_str() {
        "" => "/v1/scan".to_owned(),
        prefix => format!("/v1/scan/{}", encode(prefix, true)),
    };
    let mut ask =
        Ask::new(Method::GET, path).with("limit", left.map_or(PAGE, |left| left.min(PAGE)).to_string());
    for (name, on) in [("reverse", scan.reverse), ("keys_only", scan.keys_only)] {
        if on {
            ask = ask.with(name, "true");
        }
    }
    match after {
        Some(key) => ask.with("after", key),
        None => ask,
    }
}

/// An entry in one line, whatever is in it.
pub(super) fn row(row: &Row, keys_only: bool) -> String {
    if keys_only {
        return row.key.clone();
    }
    let value = match &row.value {
        Some(raw) if row.encoding.is_none() => match serde_json::from_str::<String>(raw.get()) {
            // Text; JSON strings keep their quotes.
            Ok(text) if !is_json(&row.content_type) => escape(&text),
            // Line breaks in JSON stand between its parts only, never within a string.
            _ => raw.get().replace(['\n', '\r', '\t'], " "),
        },
        _ => format!("({}, {} bytes)", row.content_type, row.size),
    };
    format!("{}\t{value}", row.key)
}

fn is_json(content_type: &str) -> bool {
    crate::types::ContentType::new(content_type).is_ok_and(|content_type| content_type.is_json())
}

/// Keeps a text in its line, and from telling the terminal what to do.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() || c == '\\' {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(entry: &str) -> String {
        row(&serde_json::from_str(entry).expect("a row"), false)
    }

    #[test]
    fn an_entry_is_one_line() {
        for (entry, line) in [
            (r#"{"key":"a","value":"x","content_type":"text/plain","size":1}"#, "a\tx"),
            (
                r#"{"key":"a","value":"x\ny\u001b\\","content_type":"text/plain","size":1}"#,
                "a\tx\\ny\\u{1b}\\\\",
            ),
            (r#"{"key":"a","value":"x","content_type":"application/json","size":3}"#, "a\t\"x\""),
            (
                "{\"key\":\"a\",\"value\":{\n\"b\":\t1},\"content_type\":\"application/json\",\"size\":8}",
                "a\t{ \"b\": 1}",
            ),
            (r#"{"key":"a","value":null,"content_type":"application/json","size":4}"#, "a\tnull"),
            (
                r#"{"key":"a","value":"/w==","encoding":"base64","content_type":"image/png","size":1}"#,
                "a\t(image/png, 1 bytes)",
            ),
            (r#"{"key":"a","content_type":"text/plain","size":70000}"#, "a\t(text/plain, 70000 bytes)"),
        ] {
            assert_eq!(shown(entry), line);
        }
    }
}
