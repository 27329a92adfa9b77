//! Writing.

use axum::{
    extract::{Request, State},
    http::Uri,
};
use serde_json::{Value as Json, json as object};

use super::{
    BASE,
    clock::vector_clock,
    refusal::{Answer, path},
};
use crate::{
    http::{
        body::{self, Limit},
        kv::VALUE_LIMIT_NAME,
        media,
        params::Params,
        problem::{Code, Problem},
        reply::json,
        router::App,
    },
    types::{ContentType, Value},
};

/// `PUT /api/{path}`, the body being the value: `{path, value, timestamp, vectorClock}`.
pub(super) async fn put(State(app): State<App>, request: Request) -> Answer {
    let (head, body) = request.into_parts();
    let space = Params::of(&head.uri, &[])?.space(&app.node)?;
    let key = path(&head.uri, BASE)?;
    media::expect_json(&head.headers)?;
    let limit =
        Limit { bytes: app.node.limits().value_bytes_max, code: Code::ValueTooLarge, name: VALUE_LIMIT_NAME };
    let upload = body::read(&head.headers, body, limit, &app.large).await?;
    let value: Json = serde_json::from_slice(&upload.bytes)
        .map_err(|error| Problem::new(Code::BadJson, format!("the body is no JSON: {error}")))?;
    let stored = Value::new(ContentType::json(), upload.bytes.clone());
    let written = space.put(key, stored).await?;
    Ok(json(&object!({
        "path": written.key.as_str(),
        "value": value,
        "timestamp": written.hlc.millis(),
        "vectorClock": vector_clock(&written.frontier.0),
    })))
}

/// `DELETE /api/{path}`: `{success, path}`.
pub(super) async fn delete(State(app): State<App>, uri: Uri) -> Answer {
    let space = Params::of(&uri, &[])?.space(&app.node)?;
    let key = path(&uri, BASE)?;
    let written = space.delete(key).await?;
    Ok(json(&object!({ "success": true, "path": written.key.as_str() })))
}
