//! `/v1/changes/{prefix}`: what changed since a cursor, a page at a time.

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
};
use serde::Serialize;

use super::{
    at_least, cursor,
    media::{SHOWN_BYTES_MAX, Shown},
    params::{self, Params},
    problem::{Code, Problem},
    reply::{Answer, json},
    router::App,
};
use crate::node::{CHANGES_LIMIT_MAX, Changed};

const BASE: &str = "/v1/changes/";
const LIMIT: usize = 1_000;

/// `GET`.
pub(super) async fn changes(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Answer {
    let params = Params::of(&uri, &["since", "limit", "wait"])?;
    let space = params.space(&app.node)?;
    let prefix = params::prefix(&uri, BASE)?;
    let limit = params.parse("limit")?.unwrap_or(LIMIT);
    if !(1..=CHANGES_LIMIT_MAX).contains(&limit) {
        let why = format!("1 to {CHANGES_LIMIT_MAX}");
        return Err(params::bad("limit", &why).with("limit", CHANGES_LIMIT_MAX));
    }
    let since = cursor::since(&app, &headers, &params)?;
    at_least::wait(&app, &space, &headers, &params).await?;
    let page = space.changes(prefix, since, limit).await?;
    let cursor = cursor::text(&app, &page.cursor);
    if page.reset {
        let detail = "deletes may have been forgotten that this cursor was not told of: scan, forget what \
                      the scan does not show, and go on from `cursor`";
        return Err(Problem::new(Code::CursorTooOld, detail).with("cursor", cursor));
    }
    let changes = page.changes.iter().map(ChangeView::of).collect();
    Ok(json(&Page { changes, cursor: &cursor, more: page.more }))
}

#[derive(Serialize)]
struct Page<'a> {
    changes: Vec<ChangeView<'a>>,
    cursor: &'a str,
    more: bool,
}

/// A change in JSON: `value` is `null`, and nothing is said of its type, where the key was deleted.
#[derive(Debug, Serialize)]
pub(super) struct ChangeView<'a> {
    key: &'a str,
    #[serde(flatten)]
    value: Now<'a>,
    origin: String,
    seq: u64,
    hlc: String,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Now<'a> {
    Value {
        #[serde(flatten)]
        shown: Shown<'a>,
        content_type: &'a str,
        size: u64,
    },
    Gone {
        value: (),
    },
}

impl<'a> ChangeView<'a> {
    pub(super) fn of(change: &'a Changed) -> Self {
        let value = match &change.value {
            None => Now::Gone { value: () },
            Some(value) => Now::Value {
                shown: if value.bytes.len() > SHOWN_BYTES_MAX { Shown::nothing() } else { Shown::of(value) },
                content_type: value.content_type.as_str(),
                size: value.bytes.len() as u64,
            },
        };
        Self {
            key: change.key.as_str(),
            value,
            origin: change.dot.origin.to_string(),
            seq: change.dot.seq,
            hlc: change.hlc.to_string(),
        }
    }
}
