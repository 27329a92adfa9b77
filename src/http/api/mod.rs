//! `/api`: the routes of the Node.js server whose clients carry over, with its bodies and codes. Errors
//! are `{"error": "…"}` here.
//!
//! `scan`, `history` and `status` are reserved as first segments, here and nowhere else.

mod clock;
mod read;
mod refusal;
mod write;

use axum::{Router, routing::get};

use super::router::App;

const BASE: &str = "/api/";
/// First segments that name routes.
const RESERVED: [&str; 3] = ["scan", "history", "status"];

/// The routes.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/api/status", get(read::status))
        .route("/api/scan", get(read::scan))
        .route("/api/scan/", get(read::scan))
        .route("/api/scan/{*prefix}", get(read::scan))
        .route("/api/history/{*path}", get(read::history))
        .route("/api/{*path}", get(read::get).put(write::put).delete(write::delete))
}
