//! `/v1/conflicts/{prefix}` and `/v1/explain/{key}`: what readers do not see.

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
};
use serde::Serialize;

use super::{
    at_least, etag,
    media::{SHOWN_BYTES_MAX, Shown},
    params::{self, Params},
    problem::{Code, Problem},
    reply::{Answer, json},
    router::App,
};
use crate::{
    causality::Dot,
    node::{Arrival, Conflict, Dropped, Sibling},
    types::Key,
};

const BASE: &str = "/v1/conflicts/";
const EXPLAIN: &str = "/v1/explain/";
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// What is said of arrivals.
const ARRIVALS: &str = "`written_at` is the clock of a version's writer, `arrived` this node's; remembered since the node started, of the latest 8192 versions";

/// `GET /v1/conflicts/{prefix}`.
pub(super) async fn list(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Answer {
    let params = Params::of(&uri, &["limit", "after", "wait"])?;
    let limit = params.parse("limit")?.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(params::bad("limit", &format!("1 to {LIMIT_MAX}")).with("limit", LIMIT_MAX));
    }
    let after: Option<Key> = params.parse("after")?;
    let prefix = params::prefix(&uri, BASE)?;
    let space = params.space(&app.node)?;
    at_least::wait(&app, &space, &headers, &params).await?;
    let page = space.conflicts(&prefix, after.as_ref(), limit).await?;
    Ok(json(&Page {
        conflicts: page.conflicts.iter().map(ConflictView::of).collect(),
        next: page.next.as_ref().map(Key::as_str),
    }))
}

/// `GET /v1/explain/{key}`.
pub(super) async fn explain(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Answer {
    let params = Params::of(&uri, &["wait"])?;
    let space = params.space(&app.node)?;
    let key = params::key(&uri, EXPLAIN)?;
    at_least::wait(&app, &space, &headers, &params).await?;
    let Some(explanation) = space.explain(&key).await? else {
        let detail = format!("nothing is stored under {key}, nor was anything dropped from there lately");
        return Err(Problem::new(Code::NoSuchKey, detail).with("key", key.as_str()));
    };
    Ok(json(&ExplanationView {
        record: ConflictView::of(&explanation.record),
        accounted: explanation.accounted.iter().map(DotView::of).collect(),
        dropped: explanation.dropped.iter().map(DroppedView::of).collect(),
        arrivals: ARRIVALS,
    }))
}

#[derive(Serialize)]
struct Page<'a> {
    conflicts: Vec<ConflictView<'a>>,
    next: Option<&'a str>,
}

#[derive(Serialize)]
struct ExplanationView<'a> {
    #[serde(flatten)]
    record: ConflictView<'a>,
    accounted: Vec<DotView>,
    dropped: Vec<DroppedView<'a>>,
    arrivals: &'static str,
}

#[derive(Serialize)]
struct ConflictView<'a> {
    key: &'a str,
    strategy: String,
    why: &'static str,
    shown: Option<DotView>,
    merged: bool,
    etag: String,
    versions: Vec<SiblingView<'a>>,
}

impl<'a> ConflictView<'a> {
    fn of(conflict: &'a Conflict) -> Self {
        let why = match &conflict.siblings[..] {
            [only] if only.content_type.is_some() && conflict.shown.is_none() => {
                "the only version, and it has expired"
            }
            [_] => "the only version",
            [] => "nothing is left of it",
            _ => conflict.strategy.why(),
        };
        Self {
            key: conflict.key.as_str(),
            strategy: conflict.strategy.to_string(),
            why,
            shown: conflict.shown.as_ref().map(DotView::of),
            merged: conflict.merged,
            etag: etag::hex(conflict.etag),
            versions: conflict.siblings.iter().map(SiblingView::of).collect(),
        }
    }
}

/// A write by its name.
#[derive(Serialize)]
struct DotView {
    origin: String,
    seq: u64,
}

impl DotView {
    fn of(dot: &Dot) -> Self {
        Self { origin: dot.origin.to_string(), seq: dot.seq }
    }
}

/// One of several versions.
#[derive(Serialize)]
pub(super) struct SiblingView<'a> {
    #[serde(flatten)]
    dot: DotView,
    hlc: String,
    /// Milliseconds since 1970.
    written_at: u64,
    deleted: bool,
    seen_by_readers: bool,
    #[serde(flatten)]
    value: Shown<'a>,
    content_type: Option<&'a str>,
    size: u64,
    /// Milliseconds since 1970; nothing where it does not expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    etag: String,
    supersedes: Vec<DotView>,
    /// Nothing where it is not remembered.
    arrived: Option<ArrivalView>,
}

/// How and when a version came here.
#[derive(Serialize)]
struct ArrivalView {
    /// Milliseconds since 1970.
    at: u64,
    by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

impl ArrivalView {
    fn of(arrival: &Arrival) -> Self {
        let from = arrival.from.map(|from| from.to_string());
        Self { at: arrival.at, by: arrival.by.to_string(), from }
    }
}

impl<'a> SiblingView<'a> {
    pub(super) fn of(sibling: &'a Sibling) -> Self {
        let shown = sibling.value.as_ref().filter(|value| value.bytes.len() <= SHOWN_BYTES_MAX);
        Self {
            dot: DotView::of(&sibling.dot),
            hlc: sibling.hlc.to_string(),
            written_at: sibling.hlc.millis(),
            deleted: sibling.content_type.is_none(),
            seen_by_readers: sibling.seen_by_readers,
            value: shown.map_or_else(Shown::nothing, Shown::of),
            content_type: sibling.content_type.as_ref().map(crate::types::ContentType::as_str),
            size: sibling.size,
            expires_at: sibling.expires_at,
            etag: etag::hex(sibling.etag),
            supersedes: sibling.supersedes.iter().map(DotView::of).collect(),
            arrived: sibling.arrived.as_ref().map(ArrivalView::of),
        }
    }
}

#[derive(Serialize)]
struct DroppedView<'a> {
    #[serde(flatten)]
    dot: DotView,
    hlc: String,
    /// Milliseconds since 1970.
    dropped_at: u64,
    content_type: Option<&'a str>,
    size: u64,
}

impl<'a> DroppedView<'a> {
    fn of(dropped: &'a Dropped) -> Self {
        let put = dropped.version.put();
        Self {
            dot: DotView::of(&dropped.version.dot),
            hlc: dropped.version.hlc.to_string(),
            dropped_at: dropped.at.millis(),
            content_type: put.map(|put| put.content_type.as_str()),
            size: put.map_or(0, |put| put.payload.size()),
        }
    }
}
