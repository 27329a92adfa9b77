//! What a request needs: by its path and method. A route that is not known here needs more rather than
//! less.

use axum::http::{Method, Uri};

use super::Scopes;
use crate::{
    http::{params, problem::Problem},
    types::{Key, Prefix},
};

/// What a request touches.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Touched {
    /// All below a prefix, or one key.
    Below(Prefix),
    /// What the route finds out, and checks by itself.
    Asked,
    /// Nothing of any key.
    Nothing,
    /// It may be anything.
    Anything,
}

/// Routes that begin so are of a key, or of all below a prefix.
const OF_KEYS: &[&str] = &["/v1/kv/", "/v1/history/", "/v1/explain/", "/api/history/"];
const OF_PREFIXES: &[&str] = &["/v1/scan", "/v1/watch", "/v1/changes", "/v1/conflicts", "/api/scan"];
/// Routes that tell of the node, not of values.
const OF_NODE: &[&str] = &[
    "/v1/status",
    "/v1/peers",
    "/v1/sync",
    "/v1/digest",
    "/v1/namespaces",
    "/metrics",
    "/openapi.json",
    "/api/status",
];
/// Writes of values that are not writes of one key.
const WRITES: &[&str] = &["/v1/batch", "/v1/import"];

/// Whether anybody may ask: whether the node lives is no secret.
pub(super) fn is_open(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}

/// The scope that a request needs.
pub(super) fn scope(method: &Method, path: &str) -> Scopes {
    let of_keys = OF_KEYS.iter().any(|base| path.starts_with(base)) || path.starts_with("/api/");
    if method.is_safe() {
        Scopes { read: true, ..Scopes::default() }
    } else if of_keys || WRITES.contains(&path) {
        // What a patch leaves is made of what was there, and is not shown.
        Scopes { write: true, ..Scopes::default() }
    } else {
        Scopes { admin: true, ..Scopes::default() }
    }
}

/// What a request touches.
pub(super) fn touched(uri: &Uri) -> Result<Touched, Problem> {
    let path = uri.path();
    for base in OF_PREFIXES {
        if let Some(rest) = path.strip_prefix(base)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return Ok(Touched::Below(params::prefix(uri, &format!("{base}/"))?));
        }
    }
    if OF_NODE.contains(&path) || path.starts_with("/v1/peers/") || path.starts_with("/v1/namespaces/") {
        return Ok(Touched::Nothing);
    }
    for base in OF_KEYS.iter().chain(&["/api/"]) {
        if path.starts_with(base) {
            // A key that is being made has its prefix here.
            return Ok(Touched::Below(params::prefix(uri, base)?));
        }
    }
    Ok(if path == "/v1/batch" { Touched::Asked } else { Touched::Anything })
}

/// Whether all that `inner` selects is selected by `outer`.
pub(super) fn includes(outer: &Prefix, inner: &Prefix) -> bool {
    outer.as_str().is_empty() || Key::new(inner.as_str()).is_ok_and(|key| outer.selects(&key))
}
