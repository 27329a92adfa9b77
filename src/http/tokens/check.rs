//! Whether a token is good for a request.

use axum::http::{Method, Uri};

use super::{
    BearerTokens, Grant, Scopes,
    route::{self, Touched},
};
use crate::http::problem::{Code, Problem};

impl BearerTokens {
    /// What the bearer of `token` may do, if this request is part of it at the time `now`, in milliseconds
    /// since 1970.
    pub(super) fn admit(&self, token: &str, method: &Method, uri: &Uri, now: u64) -> Result<Grant, Problem> {
        let hash = blake3::hash(token.as_bytes());
        // Hashes compare in constant time, and all are looked at.
        let mut found = None;
        for grant in &self.0 {
            if grant.hash == hash {
                found = Some(grant);
            }
        }
        let unknown = || Problem::new(Code::TokenUnknown, "this token is not one of this API's");
        let grant = found.ok_or_else(unknown)?;
        if grant.expires.is_some_and(|expires| expires <= now) {
            return Err(Problem::new(Code::TokenExpired, "this token has expired: ask for a new one"));
        }
        let needed = route::scope(method, uri.path());
        if !grant.scopes.includes(needed) {
            let detail = format!("this token has not the scope `{}` that this takes", needed.name());
            return Err(Problem::new(Code::TokenScope, detail).with("scope", needed.name()));
        }
        if grant.prefixes.is_empty() {
            return Ok(grant.clone());
        }
        let covered = match route::touched(uri)? {
            Touched::Nothing | Touched::Asked => true,
            Touched::Below(asked) => grant.prefixes.iter().any(|prefix| route::includes(prefix, &asked)),
            Touched::Anything => false,
        };
        if covered {
            return Ok(grant.clone());
        }
        let prefixes: Vec<&str> = grant.prefixes.iter().map(crate::types::Prefix::as_str).collect();
        let detail = format!("this token is for {} only", prefixes.join(", "));
        Err(Problem::new(Code::TokenPrefix, detail).with("prefixes", prefixes))
    }
}

impl Scopes {
    fn includes(self, needed: Self) -> bool {
        (self.read || !needed.read) && (self.write || !needed.write) && (self.admin || !needed.admin)
    }

    fn name(self) -> &'static str {
        match self {
            Self { admin: true, .. } => "admin",
            Self { write: true, .. } => "write",
            _ => "read",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
        reads-everything    read
        writes-users-only   read,write  prefix=users,photos/2026
        changes-the-node!   admin
        was-good-for-once   read        expires=2026-01-01
    ";
    const NOW: u64 = 1_790_000_000_000;

    fn ask(token: &str, method: &Method, target: &str) -> Result<(), &'static str> {
        let tokens: BearerTokens = FILE.parse().expect("lawful");
        let uri: Uri = target.parse().expect("a target");
        let admitted = tokens.admit(token, method, &uri, NOW);
        admitted.map(drop).map_err(|problem| problem.code().as_str())
    }

    #[test]
    fn a_token_is_good_for_its_scopes() {
        let reads = "reads-everything";
        for target in ["/v1/kv/a", "/v1/scan", "/v1/watch/", "/v1/status", "/api/a", "/v1/anything"] {
            assert_eq!(ask(reads, &Method::GET, target), Ok(()), "{target}");
        }
        for target in ["/v1/kv/a", "/v1/batch", "/api/a", "/v1/sync", "/v1/peers"] {
            assert_eq!(ask(reads, &Method::POST, target), Err("token_scope"), "{target}");
        }
        assert_eq!(ask("changes-the-node!", &Method::POST, "/v1/peers"), Ok(()));
        assert_eq!(ask("changes-the-node!", &Method::GET, "/v1/kv/a"), Err("token_scope"));
        assert_eq!(ask("writes-users-only", &Method::POST, "/v1/anything"), Err("token_scope"));
    }

    #[test]
    fn a_token_with_prefixes_stays_below_them() {
        let writes = "writes-users-only";
        for target in ["/v1/kv/users/1", "/v1/kv/users%2F1", "/v1/scan/photos/2026/", "/v1/watch/users"] {
            assert_eq!(ask(writes, &Method::GET, target), Ok(()), "{target}");
        }
        for target in [
            "/v1/kv/users2",
            "/v1/kv/photos/2025",
            "/v1/scan",
            "/v1/scan/",
            "/v1/scan/photos",
            "/v1/changes",
            "/v1/watch/",
            "/api/scan",
            "/api/history/a",
            "/api/a",
            "/api/status/x",
            "/v1/dropped",
            "/v1/export",
            "/v1/anything",
        ] {
            assert_eq!(ask(writes, &Method::GET, target), Err("token_prefix"), "{target}");
        }
        assert_eq!(ask(writes, &Method::PUT, "/api/users/1"), Ok(()));
        assert_eq!(ask(writes, &Method::POST, "/v1/kv/users/"), Ok(()));
        assert_eq!(ask(writes, &Method::POST, "/v1/kv/"), Err("token_prefix"));
        assert_eq!(ask(writes, &Method::POST, "/v1/batch"), Ok(()), "it looks at each key");
        assert_eq!(ask(writes, &Method::GET, "/v1/status"), Ok(()));
    }

    #[test]
    fn a_token_that_is_wrong_or_expired_is_told_so() {
        assert_eq!(ask("nobody-has-this-one", &Method::GET, "/v1/kv/a"), Err("token_unknown"));
        assert_eq!(ask("", &Method::GET, "/v1/kv/a"), Err("token_unknown"));
        assert_eq!(ask("was-good-for-once", &Method::GET, "/v1/kv/a"), Err("token_expired"));
    }
}
