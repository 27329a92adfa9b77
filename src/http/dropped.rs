//! `/v1/dropped`: what this node gave up because a peer knew it to be dead.

use axum::{extract::State, http::Uri};
use serde::Serialize;

use super::{
    media::Shown,
    params::{self, Params},
    reply::{Answer, json},
    router::App,
};
use crate::{node::Dropped, types::Value};

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// `GET`.
pub(super) async fn dropped(State(app): State<App>, uri: Uri) -> Answer {
    let params = Params::of(&uri, &["limit"])?;
    let limit = params.parse("limit")?.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(params::bad("limit", &format!("1 to {LIMIT_MAX}")).with("limit", LIMIT_MAX));
    }
    let dropped = params.space(&app.node)?.dropped(limit).await?;
    let values: Vec<Option<Value>> = dropped.iter().map(Dropped::value).collect();
    Ok(json(&List {
        dropped: dropped.iter().zip(&values).map(|(one, value)| view(one, value.as_ref())).collect(),
    }))
}

fn view<'a>(dropped: &'a Dropped, value: Option<&'a Value>) -> View<'a> {
    let version = &dropped.version;
    View {
        key: version.key.as_str(),
        value: value.map_or_else(Shown::nothing, Shown::of),
        content_type: version.put().map(|put| put.content_type.as_str()),
        size: version.put().map(|put| put.payload.size()),
        origin: version.dot.origin.to_string(),
        seq: version.dot.seq,
        hlc: version.hlc.to_string(),
        dropped_at: dropped.at.millis(),
    }
}

#[derive(Serialize)]
struct List<'a> {
    dropped: Vec<View<'a>>,
}

#[derive(Serialize)]
struct View<'a> {
    key: &'a str,
    #[serde(flatten)]
    value: Shown<'a>,
    content_type: Option<&'a str>,
    size: Option<u64>,
    origin: String,
    seq: u64,
    hlc: String,
    /// Milliseconds since 1970.
    dropped_at: u64,
}
