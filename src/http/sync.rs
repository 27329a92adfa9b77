//! `/v1/sync`: whether the peers agree, and a round to make them.

use axum::{extract::State, http::Uri};

use super::{
    params::Params,
    reply::{Answer, json},
    router::App,
};

/// `GET`: of all namespaces, or of the one that is named.
pub(super) async fn state(State(app): State<App>, uri: Uri) -> Answer {
    let params = Params::of(&uri, &[])?;
    let space = params.space(&app.node)?;
    let one = params.get("ns").is_some();
    Ok(json(&if one { space.sync_status().await } else { app.node.sync_status().await }))
}

/// `POST`: one round with every neighbour, of all namespaces.
pub(super) async fn round(State(app): State<App>, uri: Uri) -> Answer {
    Params::of(&uri, &[])?.space(&app.node)?;
    Ok(json(&app.node.sync().await?))
}
