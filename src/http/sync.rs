//! `/v1/sync`: whether the peers agree, and a round to make them.

use axum::{extract::State, http::Uri};

use super::{
    params::Params,
    reply::{Answer, json},
    router::App,
};

/// `GET`.
pub(super) async fn state(State(app): State<App>, uri: Uri) -> Answer {
    Params::of(&uri, &[])?.space(&app.node)?;
    Ok(json(&app.node.sync_status().await))
}

/// `POST`: one round with every neighbour, of all namespaces.
pub(super) async fn round(State(app): State<App>, uri: Uri) -> Answer {
    Params::of(&uri, &[])?.space(&app.node)?;
    Ok(json(&app.node.sync().await?))
}
