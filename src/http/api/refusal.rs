//! Refusals as the Node.js server words them.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    http::{problem::Problem, reply::json},
    node::{ReadError, WriteError},
    types::{Key, KeyError},
};

/// Why a request was refused.
pub(super) struct Refusal(StatusCode, String);

/// What a route answers with.
pub(super) type Answer = Result<Response, Refusal>;

impl Refusal {
    pub(super) fn not_found() -> Self {
        Self(StatusCode::NOT_FOUND, "Not found".to_owned())
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem.code().status(), problem.detail().to_owned())
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        Problem::from(error).into()
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NothingThere { .. } => Self::not_found(),
            error => Problem::from(error).into(),
        }
    }
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        Problem::from(error).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = json(&json!({ "error": self.1 }));
        *response.status_mut() = self.0;
        response
    }
}

/// The key that a path names.
pub(super) fn path(uri: &axum::http::Uri, base: &str) -> Result<Key, Refusal> {
    let key = crate::http::params::key(uri, base)?;
    let first = key.as_str().split('/').next().unwrap_or_default();
    if base == super::BASE && super::RESERVED.contains(&first) {
        let why = format!("`{first}` is reserved under /api: use /v1/kv/{key}");
        return Err(Refusal(StatusCode::BAD_REQUEST, why));
    }
    Ok(key)
}
