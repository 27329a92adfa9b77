//! `/v1/status`: what the node is and does.

use axum::{extract::State, http::Uri};

use super::{
    params::Params,
    reply::{Answer, json},
    router::App,
};

/// `GET`.
pub(super) async fn status(State(app): State<App>, uri: Uri) -> Answer {
    Params::of(&uri, &[])?.space(&app.node)?;
    Ok(json(&app.node.status().await))
}
