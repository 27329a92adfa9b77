//! `/v1/kv/{key}`: one value.

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{
    at_least,
    body::{self, Limit},
    conflicts::SiblingView,
    etag::{self, Condition},
    media,
    params::{self, Params},
    problem::{Code, Problem},
    reply::{self, Answer, EntryView, json, set_frontier},
    router::App,
    ttl,
};
use crate::{
    node::{Entry, Etag, Frontier, Precondition, Sibling, Space, WriteError, WriteOptions},
    types::{Key, Value},
};

pub(super) const BASE: &str = "/v1/kv/";
const SIBLINGS: HeaderName = HeaderName::from_static("tidings-siblings");
/// The name of the limit that a value may break.
pub(super) const VALUE_LIMIT_NAME: &str = "value_bytes_max";

/// `GET`, `HEAD`.
pub(super) async fn get(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Answer {
    let params = Params::of(&uri, &["meta", "wait"])?;
    let space = params.space(&app.node)?;
    let meta = params.switch("meta")?;
    let (matches, unless) = etag::conditions(&headers)?;
    let key = params::key(&uri, BASE)?;
    at_least::wait(&app, &space, &headers, &params).await?;
    // Before the value: so the value is at least as new as what the header says was seen.
    let mut frontier = space.frontier()?;
    let Some(entry) = space.get(key.clone()).await? else { return Err(no_such_key(&key)) };
    // The number of a write that never leaves the node names another write, or none, to others.
    if !entry.local_only {
        frontier.0.insert(entry.dot);
    }
    if matches.is_some_and(|condition| !condition.fits(Some(entry.etag.hash()), true)) {
        return Err(precondition());
    }
    if unless.is_some_and(|condition| condition.fits(Some(entry.etag.hash()), false)) {
        return Ok(unchanged(&app, &entry, &frontier));
    }
    let mut response = if meta {
        let siblings = siblings(&space, &key, &entry).await?;
        json(&MetaView::of(&entry, space.strategy(&key).to_string(), &siblings))
    } else {
        plain(&entry)
    };
    describe(&app, response.headers_mut(), &entry, &frontier);
    Ok(response)
}

/// `PUT`.
pub(super) async fn put(State(app): State<App>, request: Request) -> Answer {
    let (head, body) = request.into_parts();
    let params = Params::of(&head.uri, &["ttl"])?;
    let space = params.space(&app.node)?;
    let ttl = params.get("ttl").map(ttl::parse).transpose()?;
    let base = etag::base(&head.headers)?;
    refuse_header(&head.headers, "tidings-at-least")?;
    let key = params::key(&head.uri, BASE)?;
    let declared = media::declared(&head.headers)?;
    let (matches, unless) = etag::conditions(&head.headers)?;
    let limit =
        Limit { bytes: app.node.limits().value_bytes_max, code: Code::ValueTooLarge, name: VALUE_LIMIT_NAME };
    let upload = body::read(&head.headers, body, limit, &app.large).await?;
    let content_type = declared.unwrap_or_else(|| media::detect(&upload.bytes));
    media::check(&content_type, &upload.bytes)?;
    let precondition = precondition_of(&space, &key, matches, unless).await?;
    let value = Value::new(content_type, upload.bytes.clone());
    let options = WriteOptions { precondition, ttl, base: base.map(Etag::from) };
    match space.put_with(key.clone(), value, options).await {
        Ok(written) => Ok(reply::written(&app, &written)),
        Err(error) => Err(refused(&space, &key, error).await),
    }
}

/// `DELETE`.
pub(super) async fn delete(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Answer {
    let params = Params::of(&uri, &[])?;
    let space = params.space(&app.node)?;
    let base = etag::base(&headers)?;
    refuse_header(&headers, "tidings-at-least")?;
    let key = params::key(&uri, BASE)?;
    let (matches, unless) = etag::conditions(&headers)?;
    if unless.is_some() {
        return Err(Problem::new(Code::BadHeader, "If-None-Match means nothing for a delete"));
    }
    let precondition = precondition_of(&space, &key, matches, None).await?;
    let options = WriteOptions { precondition, base: base.map(Etag::from), ..WriteOptions::default() };
    match space.delete_with(key.clone(), options).await {
        Ok(written) => Ok(reply::written(&app, &written)),
        Err(WriteError::NothingThere { .. }) => Err(no_such_key(&key)),
        Err(error) => Err(error.into()),
    }
}

/// What must hold of the record for a write to happen. The node holds at most one name against it;
/// of several, the one that holds now is taken, and the write is refused if it no longer does then.
async fn precondition_of(
    space: &Space,
    key: &Key,
    matches: Option<Condition>,
    unless: Option<Condition>,
) -> Result<Precondition, Problem> {
    match (matches, unless) {
        (None, None) => Ok(Precondition::None),
        (Some(Condition::Any), None) => Ok(Precondition::Exists),
        (None, Some(Condition::Any)) => Ok(Precondition::Absent),
        (Some(condition), None) => {
            let current = space.get(key.clone()).await?.map(|entry| entry.etag.hash());
            match current.filter(|etag| condition.fits(Some(*etag), true)) {
                Some(etag) => Ok(Precondition::Matches(etag)),
                None => Err(precondition()),
            }
        }
        (None, Some(_)) => Err(Problem::new(Code::BadHeader, "for a write, If-None-Match can only be `*`")),
        (Some(_), Some(_)) => Err(Problem::new(Code::BadHeader, "send If-Match or If-None-Match, not both")),
    }
}

/// Why a write was refused; where the first write wins, with what it was.
pub(super) async fn refused(space: &Space, key: &Key, error: WriteError) -> Problem {
    let first = matches!(error, WriteError::AlreadySet { .. });
    let problem = Problem::from(error);
    match space.get(key.clone()).await {
        Ok(Some(entry)) if first => match serde_json::to_value(EntryView::whole(&entry)) {
            Ok(shown) => problem.with("current", shown),
            Err(_) => problem,
        },
        _ => problem,
    }
}

pub(super) fn precondition() -> Problem {
    Problem::from(WriteError::Precondition)
}

pub(super) fn no_such_key(key: &Key) -> Problem {
    Problem::new(Code::NoSuchKey, format!("nothing stands under {key}")).with("key", key.as_str())
}

/// A header that would change what the request means is refused where it cannot be honoured.
pub(super) fn refuse_header(headers: &HeaderMap, name: &'static str) -> Result<(), Problem> {
    if headers.contains_key(name) {
        let detail = format!("this version does not honour the header {name}");
        return Err(Problem::new(Code::NotSupported, detail).with("header", name));
    }
    Ok(())
}

fn plain(entry: &Entry) -> Response {
    let mut response = Body::from(entry.value.bytes.clone()).into_response();
    let media = HeaderValue::from_str(entry.value.content_type.as_str());
    // A content type is visible ASCII, so this is never the octets.
    let media = media.unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
}

fn unchanged(app: &App, entry: &Entry, frontier: &Frontier) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    // Else the length would be said to be that of the body that is not sent.
    response.headers_mut().insert(header::CONTENT_LENGTH, entry.size.into());
    describe(app, response.headers_mut(), entry, frontier);
    response
}

fn describe(app: &App, headers: &mut HeaderMap, entry: &Entry, frontier: &Frontier) {
    headers.insert(header::ETAG, etag::header_value(entry.etag.hash()));
    set_frontier(app, headers, frontier);
    if entry.siblings > 1 {
        headers.insert(SIBLINGS, entry.siblings.into());
    }
}

/// All versions behind an entry, where there are several.
async fn siblings(space: &Space, key: &Key, entry: &Entry) -> Result<Vec<Sibling>, Problem> {
    if entry.siblings < 2 {
        return Ok(Vec::new());
    }
    Ok(space.explain(key).await?.map(|explanation| explanation.record.siblings).unwrap_or_default())
}

/// `?meta=true`.
#[derive(Serialize)]
struct MetaView<'a> {
    #[serde(flatten)]
    entry: EntryView<'a>,
    strategy: String,
    /// All of them, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    versions: Vec<SiblingView<'a>>,
}

impl<'a> MetaView<'a> {
    fn of(entry: &'a Entry, strategy: String, siblings: &'a [Sibling]) -> Self {
        let versions = siblings.iter().map(SiblingView::of).collect();
        Self { entry: EntryView::whole(entry), strategy, versions }
    }
}
