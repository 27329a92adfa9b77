//! `watch`: changes as they happen, a line for each.

use std::io::BufRead;

use serde::Deserialize;
use ureq::http::Method;

use super::{
    args,
    client::{Ask, Client, encode},
    failure::Failure,
    output,
    scan::{Row, row},
};

/// The longest event: the largest value that stands inside JSON, escaped, and its cursor.
const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// A server-sent event.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    name: String,
    data: String,
    /// Where to go on after it.
    id: String,
}

#[derive(Deserialize)]
struct Head {
    key: String,
    content_type: Option<String>,
}

/// Prints `KEY<TAB>VALUE` for each change, and `KEY<TAB>(deleted)`; with `json` the API's own object and
/// a `cursor`.
pub(super) fn run(client: &Client, watch: &args::Watch, json: bool) -> Result<(), Failure> {
    let path = match watch.prefix.as_str() {
        "" => "/v1/watch".to_owned(),
        prefix => format!("/v1/watch/{}", encode(prefix, true)),
    };
    let mut ask = Ask::new(Method::GET, path);
    if let Some(since) = &watch.since {
        ask = ask.with("since", since);
    }
    if watch.snapshot {
        ask = ask.with("snapshot", "true");
    }
    let mut reader = client.stream(&ask)?;
    let mut cursor = String::new();
    while let Some(event) = next(&mut reader, &mut cursor)? {
        show(client, &event, json)?;
    }
    let back = if cursor.is_empty() { String::new() } else { format!("; go on with --since {cursor}") };
    Err(Failure::no_answer(format!("the node ended it{back}")))
}

fn show(client: &Client, event: &Event, json: bool) -> Result<(), Failure> {
    match &*event.name {
        "change" if json => output::line(&with_cursor(event)),
        "change" => {
            let head: Head = client.parse(event.data.as_bytes())?;
            if head.content_type.is_none() {
                return output::line(&format!("{}\t(deleted)", head.key));
            }
            let read: Row = client.parse(event.data.as_bytes())?;
            output::line(&row(&read, false))
        }
        "lagged" => {
            output::say("too slow: of keys that changed several times the last value is next");
            Ok(())
        }
        "reset" => {
            if json {
                output::line(&format!("{{\"reset\":true,\"cursor\":\"{}\"}}", event.id))?;
            }
            output::say("the cursor is too old, and deletes may have been missed: scan, and forget the rest");
            Ok(())
        }
        "error" => Err(Failure::refused(event.data.clone())),
        _ => Ok(()),
    }
}

/// The object of an event in one line, with its cursor.
fn with_cursor(event: &Event) -> String {
    // Line breaks in JSON stand between its parts only.
    let data = event.data.replace('\n', " ");
    let open = data.trim_end().strip_suffix('}').unwrap_or(&data).to_owned();
    format!("{open},\"cursor\":\"{}\"}}", event.id)
}

/// The next event that has data; nothing at the end. `cursor` is brought up to date.
fn next(reader: &mut impl BufRead, cursor: &mut String) -> Result<Option<Event>, Failure> {
    let lost = |error: std::io::Error| Failure::no_answer(format!("the node went away: {error}"));
    let mut event = Event::default();
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).map_err(lost)? == 0 {
            return Ok(None);
        }
        let text = line.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            if !event.data.is_empty() {
                event.id = cursor.clone();
                return Ok(Some(event));
            }
            event = Event::default();
        }
        match text.split_once(": ") {
            Some(("event", name)) => event.name = name.to_owned(),
            Some(("id", id)) => *cursor = id.to_owned(),
            Some(("data", data)) => {
                if !event.data.is_empty() {
                    event.data.push('\n');
                }
                event.data.push_str(data);
                if event.data.len() > EVENT_BYTES_MAX {
                    return Err(Failure::no_answer("an event that is longer than any can be"));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_they_are_written() {
        let text = "retry: 1000\nid: c1.A\n\n: still here\n\nevent: change\nid: c1.B\ndata: {\ndata: \"a\":1}\n\n\
                    event: change\ndata: {}\n\n";
        let (mut reader, mut cursor) = (text.as_bytes(), String::new());
        let mut read = || next(&mut reader, &mut cursor).expect("reads");
        let event = |data: &str| Event { name: "change".into(), data: data.into(), id: "c1.B".into() };
        assert_eq!(read(), Some(event("{\n\"a\":1}")));
        assert_eq!(with_cursor(&event("{\n\"a\":1}")), "{ \"a\":1,\"cursor\":\"c1.B\"}");
        assert_eq!(read(), Some(event("{}")), "an event without an id keeps the last one");
        assert_eq!(read(), None);
    }
}
