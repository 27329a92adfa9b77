//! What is said when a request is refused: a problem document (RFC 9457) with a stable code.

use std::time::Duration;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

/// Why a request was refused, as programs tell it apart. The text of a code never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// The path names no key.
    BadKey,
    /// `ns` is no name of a namespace.
    BadNamespace,
    /// A parameter of the query is malformed.
    BadParameter,
    /// The route has no such parameter.
    UnknownParameter,
    /// A header of the request is malformed.
    BadHeader,
    /// A header asks for something that this version cannot do.
    NotSupported,
    /// A `ttl` is malformed, zero, or longer than a century.
    BadTtl,
    /// The body is not the JSON that it should be.
    BadJson,
    /// An operation of a batch is malformed.
    BadBatch,
    /// The body could not be read.
    BadBody,
    /// The body is no bundle, or one that was cut, altered, or is of a later format or another namespace.
    BadBundle,
    /// The text is no address of a peer.
    BadAddress,
    /// The text is no peer id.
    BadPeerId,
    /// The request has no `Host`, or several.
    MissingHost,
    /// The `Host` is not one of this server's (DNS rebinding).
    BadHost,
    /// The request comes from a page of another site.
    BadOrigin,
    /// The peer that is named is not connected.
    NotConnected,
    /// Nothing stands under the key.
    NoSuchKey,
    /// The node does not carry the namespace.
    NoSuchNamespace,
    /// The node carries as many namespaces as it may.
    TooManyNamespaces,
    /// The namespace cannot be left.
    AlwaysCarried,
    /// There is no such route.
    NotFoundRoute,
    /// The route does not do that; `Allow` says what it does.
    MethodNotAllowed,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The precondition does not hold.
    PreconditionFailed,
    /// A value stands under the key, and the first write wins; the document shows it.
    AlreadySet,
    /// The node does not know the version that the write was made from, or it is of another key.
    UnknownBase,
    /// Too many writes that were made from older versions stand beside each other.
    TooManyBeside,
    /// More stores have written the key than one version can name.
    TooManyWriters,
    /// The value is larger than the node takes.
    ValueTooLarge,
    /// The batch has too many operations or bytes.
    BatchTooLarge,
    /// The body is larger than the route takes.
    BodyTooLarge,
    /// The content type is malformed, or not the one that the route takes.
    BadContentType,
    /// The node has more to do than it takes on; `Retry-After` says when to try again.
    Busy,
    /// The store is damaged.
    StoreDamaged,
    /// The store cannot be used.
    StoreFailed,
    /// The store refuses writes since an earlier one failed.
    StorePoisoned,
    /// The node does not answer reads and writes yet, or not any more.
    NotReady,
    /// The node is closed.
    Closed,
    /// There was no answer in time.
    Timeout,
    /// The disk is full.
    DiskFull,
    /// The node did not see in time what the read asks for.
    NotSeen,
    /// The frontier is a token of another node, or one that this node keeps no more.
    ForeignFrontier,
    /// The text is no cursor, or not one for what is asked.
    BadCursor,
    /// Deletes may have been missed since this cursor: scan, and go on from the `cursor` given.
    CursorTooOld,
    /// The request bears no token, and has to.
    TokenMissing,
    /// Nobody has this token.
    TokenUnknown,
    /// The token is not good any more.
    TokenExpired,
    /// The token is not for this.
    TokenScope,
    /// The token is not for this key.
    TokenPrefix,
    /// A validator of the node refuses the value; `detail` says why.
    Invalid,
    /// The node's host does not allow it; `detail` says why.
    Forbidden,
}

impl Code {
    /// All of them.
    pub(super) const ALL: &[Self] = &[
        Self::BadKey,
        Self::BadNamespace,
        Self::BadParameter,
        Self::UnknownParameter,
        Self::BadHeader,
        Self::NotSupported,
        Self::BadTtl,
        Self::BadJson,
        Self::BadBatch,
        Self::BadBody,
        Self::BadBundle,
        Self::BadAddress,
        Self::BadPeerId,
        Self::MissingHost,
        Self::BadHost,
        Self::BadOrigin,
        Self::NotConnected,
        Self::NoSuchKey,
        Self::NoSuchNamespace,
        Self::TooManyNamespaces,
        Self::AlwaysCarried,
        Self::NotFoundRoute,
        Self::MethodNotAllowed,
        Self::BodyTimeout,
        Self::PreconditionFailed,
        Self::AlreadySet,
        Self::UnknownBase,
        Self::TooManyBeside,
        Self::TooManyWriters,
        Self::ValueTooLarge,
        Self::BatchTooLarge,
        Self::BodyTooLarge,
        Self::BadContentType,
        Self::Busy,
        Self::StoreDamaged,
        Self::StoreFailed,
        Self::StorePoisoned,
        Self::NotReady,
        Self::Closed,
        Self::Timeout,
        Self::DiskFull,
        Self::NotSeen,
        Self::ForeignFrontier,
        Self::BadCursor,
        Self::CursorTooOld,
        Self::TokenMissing,
        Self::TokenUnknown,
        Self::TokenExpired,
        Self::TokenScope,
        Self::TokenPrefix,
        Self::Invalid,
        Self::Forbidden,
    ];

    /// The status it goes with, its text, and what it means to people.
    const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::BadKey => (S::BAD_REQUEST, "bad_key", "This is no key"),
            Self::BadNamespace => (S::BAD_REQUEST, "bad_namespace", "This is no namespace"),
            Self::BadParameter => (S::BAD_REQUEST, "bad_parameter", "A parameter is malformed"),
            Self::UnknownParameter => (S::BAD_REQUEST, "unknown_parameter", "There is no such parameter"),
            Self::BadHeader => (S::BAD_REQUEST, "bad_header", "A header is malformed"),
            Self::NotSupported => (S::BAD_REQUEST, "not_supported", "This is not supported"),
            Self::BadTtl => (S::BAD_REQUEST, "bad_ttl", "A value cannot expire then"),
            Self::NotSeen => (S::GATEWAY_TIMEOUT, "not_seen", "Not all that is asked for was seen in time"),
            Self::ForeignFrontier => {
                (S::BAD_REQUEST, "foreign_frontier", "This node does not know the token of a frontier")
            }
            Self::BadCursor => (S::BAD_REQUEST, "bad_cursor", "This is no cursor for what is asked"),
            Self::CursorTooOld => {
                (S::GONE, "cursor_too_old", "Deletes may have been missed since this cursor")
            }
            Self::TokenMissing => (S::UNAUTHORIZED, "token_missing", "The request bears no token"),
            Self::TokenUnknown => (S::UNAUTHORIZED, "token_unknown", "The token is not known"),
            Self::TokenExpired => (S::UNAUTHORIZED, "token_expired", "The token has expired"),
            Self::TokenScope => (S::FORBIDDEN, "token_scope", "The token is not for this"),
            Self::TokenPrefix => (S::FORBIDDEN, "token_prefix", "The token is not for this key"),
            Self::Invalid => (S::UNPROCESSABLE_ENTITY, "invalid", "The value is refused here"),
            Self::Forbidden => (S::FORBIDDEN, "forbidden", "This is not allowed here"),
            Self::BadJson => (S::BAD_REQUEST, "bad_json", "The body is not the JSON it should be"),
            Self::BadBatch => (S::BAD_REQUEST, "bad_batch", "An operation of the batch is malformed"),
            Self::BadBody => (S::BAD_REQUEST, "bad_body", "The body could not be read"),
            Self::BadBundle => (S::BAD_REQUEST, "bad_bundle", "The bundle cannot be taken in"),
            Self::BadAddress => (S::BAD_REQUEST, "bad_address", "This is no address of a peer"),
            Self::BadPeerId => (S::BAD_REQUEST, "bad_peer_id", "This is no peer id"),
            Self::NotConnected => (S::CONFLICT, "not_connected", "The peer is not connected"),
            Self::MissingHost => (S::BAD_REQUEST, "missing_host", "The request does not say whom it asks"),
            Self::BadHost => (S::FORBIDDEN, "bad_host", "The request asks for another host"),
            Self::BadOrigin => (S::FORBIDDEN, "bad_origin", "The request comes from another site"),
            Self::NoSuchKey => (S::NOT_FOUND, "no_such_key", "Nothing stands under this key"),
            Self::NoSuchNamespace => (S::NOT_FOUND, "no_such_namespace", "There is no such namespace here"),
            Self::TooManyNamespaces => {
                (S::CONFLICT, "too_many_namespaces", "The node carries as many namespaces as it may")
            }
            Self::AlwaysCarried => (S::CONFLICT, "always_carried", "The namespace cannot be left"),
            Self::NotFoundRoute => (S::NOT_FOUND, "not_found_route", "There is no such route"),
            Self::MethodNotAllowed => {
                (S::METHOD_NOT_ALLOWED, "method_not_allowed", "The route does not do that")
            }
            Self::BodyTimeout => (S::REQUEST_TIMEOUT, "body_timeout", "The body did not arrive in time"),
            Self::TooManyWriters => {
                (S::UNPROCESSABLE_ENTITY, "too_many_writers", "Too many stores have written this key")
            }
            Self::AlreadySet => (S::CONFLICT, "already_set", "A value stands under this key already"),
            Self::UnknownBase => {
                (S::PRECONDITION_FAILED, "unknown_base", "What the write was made from is not known here")
            }
            Self::TooManyBeside => {
                (S::CONFLICT, "too_many_beside", "Too many writes stand beside each other under this key")
            }
            Self::PreconditionFailed => {
                (S::PRECONDITION_FAILED, "precondition_failed", "The precondition does not hold")
            }
            Self::ValueTooLarge => (S::PAYLOAD_TOO_LARGE, "value_too_large", "The value is too large"),
            Self::BatchTooLarge => (S::PAYLOAD_TOO_LARGE, "batch_too_large", "The batch is too large"),
            Self::BodyTooLarge => (S::PAYLOAD_TOO_LARGE, "body_too_large", "The body is too large"),
            Self::BadContentType => {
                (S::UNSUPPORTED_MEDIA_TYPE, "bad_content_type", "The content type is not taken")
            }
            Self::Busy => (S::TOO_MANY_REQUESTS, "busy", "The node is busy"),
            Self::StoreDamaged => (S::INTERNAL_SERVER_ERROR, "store_damaged", "The store is damaged"),
            Self::StoreFailed => (S::INTERNAL_SERVER_ERROR, "store_failed", "The store cannot be used"),
            Self::StorePoisoned => (S::SERVICE_UNAVAILABLE, "store_poisoned", "The store refuses writes"),
            Self::NotReady => (S::SERVICE_UNAVAILABLE, "not_ready", "The node is not ready"),
            Self::Closed => (S::SERVICE_UNAVAILABLE, "closed", "The node is closed"),
            Self::Timeout => (S::GATEWAY_TIMEOUT, "timeout", "There was no answer in time"),
            Self::DiskFull => (S::INSUFFICIENT_STORAGE, "disk_full", "The disk is full"),
        }
    }

    /// The code as it stands in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.parts().1
    }

    /// The status of an answer with this code.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.parts().0
    }
}

/// A refusal: `application/problem+json` with `type`, `title`, `status`, `detail`, `code`, and what
/// the case adds (`limit`, `index`, …).
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    members: Map<String, Value>,
    retry_after: Option<Duration>,
}

impl Problem {
    /// A problem, with what is particular about this case.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), members: Map::new(), retry_after: None }
    }

    /// Adds a member to the document.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a `Retry-After`, in whole seconds and at least one.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// What programs tell it apart by.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What is particular about this case.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    fn document(&self) -> Value {
        let (status, code, title) = self.code.parts();
        let mut document = json!({
            "type": format!("urn:tidings:problem:{code}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.detail,
            "code": code,
        });
        if let Value::Object(members) = &mut document {
            for (name, value) in &self.members {
                members.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        document
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let media = HeaderValue::from_static("application/problem+json");
        let body = self.document().to_string();
        let mut response = (self.code.status(), [(header::CONTENT_TYPE, media)], body).into_response();
        if self.code.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_it_is_to_programs_and_to_people() {
        let problem = Problem::new(Code::ValueTooLarge, "17 bytes, the limit is 16").with("limit", 16);
        assert_eq!(
            problem.document(),
            json!({
                "type": "urn:tidings:problem:value_too_large",
                "title": "The value is too large",
                "status": 413,
                "detail": "17 bytes, the limit is 16",
                "code": "value_too_large",
                "limit": 16,
            })
        );
        let response = problem.into_response();
        assert_eq!(response.status(), 413);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }

    #[test]
    fn a_member_cannot_stand_in_for_what_every_problem_has() {
        let problem = Problem::new(Code::Busy, "busy").with("code", "mine");
        assert_eq!(problem.document()["code"], "busy");
    }

    #[test]
    fn a_short_wait_is_a_second_and_a_long_one_is_rounded_up() {
        for (millis, seconds) in [(0, "1"), (20, "1"), (1_000, "1"), (1_001, "2")] {
            let problem = Problem::new(Code::Busy, "busy").retry_after(Duration::from_millis(millis));
            assert_eq!(problem.into_response().headers()["retry-after"], seconds, "{millis} ms");
        }
    }
}
