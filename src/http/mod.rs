//! The HTTP API of a node: JSON and plain bytes over HTTP/1.1, errors as problem documents
//! (RFC 9457) with a stable `code`.
//!
//! [`serve`] is all that a program needs; [`router()`] is for those who mount the API in a server of
//! their own.
//!
//! # Conventions
//!
//! * Every route takes `?ns=NAME`; a parameter that a route does not know is refused, never ignored.
//! * In JSON, `origin` is a text `PEER_ID.EPOCH`, `seq` a number, `hlc` a text
//!   `MILLISECONDS.COUNTER` (a number would lose digits in JavaScript), `etag` 64 hex digits.
//! * A value in JSON is JSON where its type is `application/json`, a string where it is `text/*`,
//!   else base64 and then `"encoding":"base64"` stands beside it; so is a value that is not what its
//!   type says. Above 64 KiB `value` is absent. `content_type`, `size` and `etag` always stand there.
//! * `PUT` without a content type, and with the `application/x-www-form-urlencoded` that
//!   `curl --data` adds by itself: JSON if it parses, else UTF-8 text, else octets.
//! * A batch may give a `content_type` with each value: a `text/*` value is a JSON string, an
//!   `application/json` value any JSON, other values base64. Without one, a JSON string is stored
//!   as text and anything else as JSON, so that a scan shows what the batch was given.
//!
//! * Changes are [followed](crate::docs::following) from a cursor; `POST /v1/kv/{prefix}/` makes a key below the prefix.
//! * `/api` has the routes, bodies and codes of a Node.js server of old; errors there are `{"error": "…"}`, and a value that is no JSON is a
//!   string. `/api/scan` answers with 1,000 entries unless `limit` says otherwise.
//! * `Tidings-Base` on `PUT` and `DELETE` takes one `ETag`: what the write was made from. `PATCH` takes
//!   `application/merge-patch+json`, is tried again where somebody else was quicker, and changes JSON only.
//!
//! `/openapi.json` describes all routes in the words of `OpenAPI` 3.1.
//!
//! # Tokens
//!
//! With [`BearerTokens`], every request but `/healthz` and `/readyz` bears one (`Authorization: Bearer TOKEN`). A line of their file is
//! `TOKEN SCOPES [prefix=P,…] [expires=YYYY-MM-DD[THH:MM:SSZ]]`. `read` and `write` are of values, `admin` is of whatever else changes the
//! node. A token with prefixes reads and writes below them only; routes that say nothing of values are open to it.
//!
//! # What the host says
//!
//! After the tokens [`Builder::authorize`](crate::node::Builder::authorize) is asked, where there is one: 403 `forbidden` with its reason. A
//! value that [`Builder::validate`](crate::node::Builder::validate) refuses is 422 `invalid`, with the reason and, of a batch, the `index`.
//!
//! # Invariants
//!
//! * No page of a browser can reach a node through a name that it resolves to loopback
//!   ([`Hosts`]), nor write by a request from another site.
//! * A request that is refused is read to its end, within bounds, so that its sender sees the answer
//!   and not a reset connection.
//! * Whatever is kept per request is bounded: head, body, time, connections, large bodies at once.

mod api;
mod at_least;
mod authorize;
mod batch;
mod body;
mod bundle;
mod changes;
mod conflicts;
mod cursor;
mod deadline;
mod digest;
mod drain;
mod dropped;
mod etag;
mod follow;
mod generate;
mod guard;
mod health;
mod history;
mod host;
mod kv;
mod media;
mod metrics;
mod namespaces;
mod openapi;
mod params;
mod patch;
mod peers;
mod percent;
mod problem;
mod refusal;
mod reply;
mod router;
mod scan;
mod server;
mod status;
mod sync;
mod tokens;
pub(crate) mod ttl;

pub use authorize::ClientAddress;
pub use host::Hosts;
pub use problem::{Code, Problem};
pub use router::{router, router_for, router_with};
pub use server::{serve, serve_with};
pub use tokens::{BearerTokens, TokensError};
