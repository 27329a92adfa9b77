//! `/v1/history/{key}`: the earlier versions of a key, newest first.

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
};
use serde::Serialize;

use super::{
    at_least, etag,
    media::Shown,
    params::{self, Params},
    reply::{Answer, json},
    router::App,
};
use crate::{
    node::Earlier,
    types::{Key, Value},
};

const BASE: &str = "/v1/history/";

/// `GET`.
pub(super) async fn history(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Answer {
    let params = Params::of(&uri, &["wait"])?;
    let space = params.space(&app.node)?;
    let key: Key = params::key(&uri, BASE)?;
    at_least::wait(&app, &space, &headers, &params).await?;
    let versions = space.history(key.clone()).await?;
    let values: Vec<Option<Value>> = versions.iter().map(Earlier::value).collect();
    Ok(json(&List {
        key: key.as_str(),
        versions: versions.iter().zip(&values).map(|(one, value)| view(one, value.as_ref())).collect(),
    }))
}

fn view<'a>(earlier: &'a Earlier, value: Option<&'a Value>) -> View<'a> {
    let version = &earlier.version;
    let put = version.put();
    View {
        value: match (value, put) {
            (Some(value), _) => What::Put(Shown::of(value)),
            (None, Some(_)) if !earlier.expired => What::Put(Shown::nothing()),
            (None, _) => What::Deleted { value: () },
        },
        deleted: put.is_none() || earlier.expired,
        content_type: put.map(|put| put.content_type.as_str()),
        size: put.map(|put| put.payload.size()),
        expires_at: version.expires_at(),
        etag: etag::hex(version.hash()),
        origin: version.dot.origin.to_string(),
        seq: version.dot.seq,
        hlc: version.hlc.to_string(),
    }
}

#[derive(Serialize)]
struct List<'a> {
    key: &'a str,
    versions: Vec<View<'a>>,
}

/// A delete has the value `null`; a value whose bytes are gone has none, but size and etag.
#[derive(Serialize)]
#[serde(untagged)]
enum What<'a> {
    Put(Shown<'a>),
    Deleted { value: () },
}

#[derive(Serialize)]
struct View<'a> {
    #[serde(flatten)]
    value: What<'a>,
    deleted: bool,
    content_type: Option<&'a str>,
    size: Option<u64>,
    /// When it expires or has, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    /// What the record was called when nothing stood beside this version.
    etag: String,
    origin: String,
    seq: u64,
    hlc: String,
}
