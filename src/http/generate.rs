//! `POST /v1/kv/{prefix}/`: a value under a key that nobody else makes.

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
};

use super::{
    body::{self, Limit},
    etag,
    kv::{VALUE_LIMIT_NAME, refuse_header},
    media,
    params::{self, Params},
    percent,
    problem::{Code, Problem},
    reply::{self, Answer},
    router::App,
    ttl,
};
use crate::types::{Namespace, Value};

const BASE: &str = "/v1/kv/";

/// `POST`.
pub(super) async fn post(State(app): State<App>, request: Request) -> Answer {
    let (head, body) = request.into_parts();
    let params = Params::of(&head.uri, &["ttl"])?;
    let space = params.space(&app.node)?;
    let ttl = params.get("ttl").map(ttl::parse).transpose()?;
    for name in ["tidings-base", "tidings-at-least"] {
        refuse_header(&head.headers, name)?;
    }
    if !matches!(etag::conditions(&head.headers)?, (None, None)) {
        return Err(Problem::new(Code::BadHeader, "a key that is being made has no ETag to match"));
    }
    let prefix = params::folder(&head.uri, BASE)?;
    let declared = media::declared(&head.headers)?;
    let limit =
        Limit { bytes: app.node.limits().value_bytes_max, code: Code::ValueTooLarge, name: VALUE_LIMIT_NAME };
    let upload = body::read(&head.headers, body, limit, &app.large).await?;
    let content_type = declared.unwrap_or_else(|| media::detect(&upload.bytes));
    media::check(&content_type, &upload.bytes)?;
    let written = space.put_new_for(&prefix, Value::new(content_type, upload.bytes.clone()), ttl).await?;
    let mut response = reply::written(&app, &written);
    *response.status_mut() = StatusCode::CREATED;
    let mut location = format!("{BASE}{}", percent::encode(written.key.as_str()));
    if *space.namespace() != Namespace::default() {
        location.push_str(&format!("?ns={}", space.namespace().as_str()));
    }
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}
