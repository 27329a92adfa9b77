//! The longest that a request may take.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::time;

use super::problem::{Code, Problem};

/// The longest that most requests may take, their bodies included.
pub(super) const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// The longest that a round of exchanges may take.
pub(super) const SYNC_TIME_MAX: Duration = Duration::from_secs(120);

/// Ends a request that takes too long.
pub(super) async fn deadline(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!(
                "no answer within {} s; whether a write that was asked for has happened is not known: read the key",
                limit.as_secs()
            );
            Problem::new(Code::Timeout, detail).into_response()
        }
    }
}
