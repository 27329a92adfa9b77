//! Bearer tokens: who may do what, read from a file.
//!
//! ```text
//! # TOKEN             SCOPES       and, if wanted, PREFIXES and EXPIRY
//! 3k9vXw0uJq8RzT5e    read
//! Zr7pQ2mLx4NcV8aS    read,write   prefix=users,photos/2026   expires=2027-01-01
//! hT6yBn3WkD9fGs1E    read,write,admin                        expires=2026-12-31T18:00:00Z
//! ```
//!
//! A token is 16 to 256 characters of visible ASCII; `openssl rand -base64 24` makes a good one. `read` and
//! `write` are of values, `admin` is of peers, exchanges and whatever else changes the node. A token with
//! prefixes reads and writes below them only, in every namespace. Tokens are kept as hashes and compared
//! in constant time.

mod check;
mod file;
pub(super) mod route;

use std::fmt;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;

use super::problem::{Code, Problem};
use crate::{
    node::Node,
    types::{Key, Prefix},
};

pub use file::TokensError;

/// Who may use an HTTP API, and for what: read from the text of a file, whose lines are `TOKEN SCOPES
/// [prefix=P,…] [expires=YYYY-MM-DD]`. The [module](crate::http) says what the scopes are.
///
/// ```
/// use tidings::http::BearerTokens;
///
/// let tokens: BearerTokens = "Zr7pQ2mLx4NcV8aS read,write prefix=users expires=2027-01-31".parse()?;
/// # drop(tokens);
/// let mistake = "Zr7pQ2mLx4NcV8aS reed".parse::<BearerTokens>().unwrap_err();
/// assert_eq!(mistake.line, 1);
/// # Ok::<(), tidings::http::TokensError>(())
/// ```
#[derive(Clone, Default)]
pub struct BearerTokens(Vec<Grant>);

/// What the bearer of one token may do.
#[derive(Clone)]
pub(super) struct Grant {
    /// The token itself is not kept.
    hash: blake3::Hash,
    scopes: Scopes,
    /// Everything, if there are none.
    prefixes: Vec<Prefix>,
    /// Milliseconds since 1970.
    expires: Option<u64>,
}

/// What a token is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scopes {
    read: bool,
    write: bool,
    admin: bool,
}

impl fmt::Debug for BearerTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

impl Grant {
    /// Whether the bearer may read or write `key`.
    pub(super) fn covers(&self, key: &Key) -> Result<(), Problem> {
        if self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| prefix.selects(key)) {
            return Ok(());
        }
        let detail = format!("the token is for other prefixes than that of {key}");
        Err(Problem::new(Code::TokenPrefix, detail).with("key", key.as_str()))
    }
}

/// Refuses requests whose bearer may not make them.
pub(super) async fn bearer(
    State((node, tokens)): State<(Node, Arc<BearerTokens>)>,
    mut request: Request,
    next: Next,
) -> Response {
    if route::is_open(request.uri().path()) {
        return next.run(request).await;
    }
    let presented = presented(request.headers());
    match presented.and_then(|token| tokens.admit(token, request.method(), request.uri(), node.wall_ms())) {
        Ok(grant) => {
            request.extensions_mut().insert(grant);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn presented(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = || {
        let detail = "this API asks for a token: send `Authorization: Bearer TOKEN` (`tidings --token`, \
                      TIDINGS_TOKEN)";
        Problem::new(Code::TokenMissing, detail)
    };
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(missing()) };
    let (scheme, token) =
        value.to_str().ok().and_then(|text| text.trim().split_once(' ')).ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(missing()) }
}
