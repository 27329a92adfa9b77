//! Answers.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{
    etag,
    media::{SHOWN_BYTES_MAX, Shown},
    problem::Problem,
    router::App,
};
use crate::node::{Entry, Frontier, Written};

/// What a route answers with.
pub(super) type Answer = Result<Response, Problem>;

const FRONTIER: HeaderName = HeaderName::from_static("tidings-frontier");
const FRONTIER_SCOPE: HeaderName = HeaderName::from_static("tidings-frontier-scope");
/// The longest frontier that fits into a header.
const FRONTIER_BYTES_MAX: usize = 4 * 1024;

/// An answer in JSON.
pub(super) fn json(body: &impl Serialize) -> Response {
    let text = serde_json::to_vec(body).expect("its maps have texts for keys, so it serialises");
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}

/// Says what was seen. A frontier too long for a header becomes a token of this node, and
/// `Tidings-Frontier-Scope` says so.
pub(super) fn set_frontier(app: &App, headers: &mut HeaderMap, frontier: &Frontier) {
    set_frontier_as(app, headers, frontier, frontier.to_string());
}

/// As [`set_frontier`], where the text of the frontier is at hand.
fn set_frontier_as(app: &App, headers: &mut HeaderMap, frontier: &Frontier, text: String) {
    let long = text.len() > FRONTIER_BYTES_MAX;
    let text = if long { app.tokens.keep(app.node.id(), &text, frontier) } else { text };
    if long {
        headers.insert(FRONTIER_SCOPE, HeaderValue::from_static("this-node"));
    }
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(FRONTIER, value);
    }
}

/// What a write became: `{key, origin, seq, hlc, frontier}`.
#[derive(Debug, Serialize)]
pub(super) struct WrittenView<'a> {
    key: &'a str,
    origin: String,
    seq: u64,
    hlc: String,
    frontier: String,
}

impl<'a> WrittenView<'a> {
    pub(super) fn of(app: &App, written: &'a Written) -> Self {
        Self {
            key: written.key.as_str(),
            // Whatever is written through a node is written by it.
            origin: written.dot.origin.shown_as(&app.id),
            seq: written.dot.seq,
            hlc: written.hlc.to_string(),
            frontier: written.frontier.to_string(),
        }
    }
}

/// The answer to a single write.
pub(super) fn written(app: &App, written: &Written) -> Response {
    let view = WrittenView::of(app, written);
    let mut response = json(&view);
    set_frontier_as(app, response.headers_mut(), &written.frontier, view.frontier);
    response
}

/// An entry in JSON.
#[derive(Debug, Serialize)]
pub(super) struct EntryView<'a> {
    key: &'a str,
    #[serde(flatten)]
    value: Shown<'a>,
    content_type: &'a str,
    size: u64,
    etag: String,
    origin: String,
    seq: u64,
    hlc: String,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    siblings: usize,
    /// Said only where it is so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    local_only: bool,
}

impl<'a> EntryView<'a> {
    /// The entry with its value, unless that is too large to stand inside JSON.
    pub(super) fn whole(entry: &'a Entry) -> Self {
        if entry.size > SHOWN_BYTES_MAX as u64 {
            return Self::bare(entry);
        }
        Self::with(entry, Shown::of(&entry.value))
    }

    /// The entry without its value.
    pub(super) fn bare(entry: &'a Entry) -> Self {
        Self::with(entry, Shown::nothing())
    }

    fn with(entry: &'a Entry, value: Shown<'a>) -> Self {
        Self {
            key: entry.key.as_str(),
            value,
            content_type: entry.value.content_type.as_str(),
            size: entry.size,
            etag: etag::hex(entry.etag.hash()),
            origin: entry.dot.origin.to_string(),
            seq: entry.dot.seq,
            hlc: entry.hlc.to_string(),
            expires_at: entry.expires_at,
            siblings: entry.siblings,
            local_only: entry.local_only,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        causality::{Dot, Hlc, NodeId, Origin},
        node::VersionHash,
        types::{Key, Value},
    };

    fn dot() -> Dot {
        Dot::new(Origin { node: NodeId([7; 32]), epoch: 0xa }, 3)
    }

    #[test]
    fn an_entry_shows_its_version_and_never_a_number_that_a_browser_rounds() {
        let entry = Entry {
            key: Key::new("users/1").expect("lawful"),
            value: Value::json("{}"),
            size: 2,
            dot: dot(),
            hlc: Hlc::from_millis(1_700_000_000_000),
            expires_at: None,
            siblings: 1,
            etag: VersionHash([0xab; 32]).into(),
            local_only: false,
        };
        let text = serde_json::to_string(&EntryView::whole(&entry)).expect("serialises");
        let origin = dot().origin;
        let etag = "ab".repeat(32);
        assert_eq!(
            text,
            format!(
                r#"{{"key":"users/1","value":{{}},"content_type":"application/json","size":2,"etag":"{etag}","origin":"{origin}","seq":3,"hlc":"1700000000000.0","siblings":1}}"#
            )
        );
        let bare = serde_json::to_string(&EntryView::bare(&entry)).expect("serialises");
        assert!(!bare.contains("value"), "{bare}");
    }
}
