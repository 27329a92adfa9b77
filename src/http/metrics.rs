//! `/metrics`: numbers for Prometheus.

use axum::{
    extract::State,
    http::{HeaderValue, Uri, header},
    response::IntoResponse,
};

use super::{params::Params, reply::Answer, router::App};

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// `GET`.
pub(super) async fn metrics(State(app): State<App>, uri: Uri) -> Answer {
    Params::of(&uri, &[])?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], app.node.metrics()).into_response())
}
