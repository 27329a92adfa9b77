//! What a request needs: by its path and method. A route that is not known here needs more rather than
//! less.

use axum::http::{Method, Uri};

use super::Scopes;
use crate::{
    http::{params, problem::Problem},
    node::{Extent, Operation},
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
pub(in crate::http) fn is_open(path: &str) -> bool {
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
    if OF_NODE.contains(&path) || path.starts_with("/v1/peers/") {
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

/// What a request does, to a host that is asked.
pub(in crate::http) fn operation(method: &Method, path: &str) -> Operation {
    match scope(method, path) {
        Scopes { admin: true, .. } => Operation::Administer,
        Scopes { write: true, .. } => Operation::Write,
        _ => Operation::Read,
    }
}

/// What a request touches, to a host that is asked; nothing, if the route finds that out.
pub(in crate::http) fn extent(method: &Method, uri: &Uri) -> Result<Option<Extent>, Problem> {
    let of_prefix = OF_PREFIXES.iter().any(|base| uri.path().starts_with(base));
    Ok(Some(match touched(uri)? {
        Touched::Asked => return Ok(None),
        Touched::Nothing => Extent::Node,
        Touched::Anything => Extent::Below(Prefix::all()),
        // A key that is being made is below this prefix.
        Touched::Below(prefix) if of_prefix || *method == Method::POST => Extent::Below(prefix),
        Touched::Below(prefix) => {
            let key = Key::new(prefix.as_str());
            key.map_or(Extent::Below(prefix), Extent::Key)
        }
    }))
}

/// Whether all that `inner` selects is selected by `outer`.
pub(super) fn includes(outer: &Prefix, inner: &Prefix) -> bool {
    outer.as_str().is_empty() || Key::new(inner.as_str()).is_ok_and(|key| outer.selects(&key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_told_what_a_request_touches() {
        let told = |method: &Method, target: &str| {
            let uri: Uri = target.parse().expect("a target");
            let extent = extent(method, &uri).expect("lawful");
            (operation(method, uri.path()), extent)
        };
        let key = |text: &str| Some(Extent::Key(Key::new(text).expect("a key")));
        let below = |text: &str| Some(Extent::Below(Prefix::new(text).expect("a prefix")));
        let (get, put, post) = (&Method::GET, &Method::PUT, &Method::POST);
        assert_eq!(told(get, "/v1/kv/a%2Fb"), (Operation::Read, key("a/b")));
        assert_eq!(told(put, "/v1/kv/a"), (Operation::Write, key("a")));
        assert_eq!(told(put, "/api/a/b"), (Operation::Write, key("a/b")));
        assert_eq!(told(get, "/v1/history/a"), (Operation::Read, key("a")));
        assert_eq!(told(post, "/v1/kv/a/"), (Operation::Write, below("a")));
        assert_eq!(told(get, "/v1/scan/a"), (Operation::Read, below("a")));
        assert_eq!(told(get, "/v1/watch"), (Operation::Read, below("")));
        assert_eq!(told(get, "/v1/export"), (Operation::Read, below("")));
        assert_eq!(told(post, "/v1/import"), (Operation::Write, below("")));
        assert_eq!(told(get, "/v1/status"), (Operation::Read, Some(Extent::Node)));
        assert_eq!(told(post, "/v1/peers"), (Operation::Administer, Some(Extent::Node)));
        assert_eq!(told(post, "/v1/batch"), (Operation::Write, None), "it asks for each key");
        assert_eq!(told(post, "/v1/anything"), (Operation::Administer, below("")), "rather more than less");
    }
}
