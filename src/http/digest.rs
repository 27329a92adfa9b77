//! `/v1/digest`: what the node holds, in one hash.

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
};

use super::{
    at_least,
    params::Params,
    reply::{Answer, json},
    router::App,
};

/// `GET`.
pub(super) async fn digest(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Answer {
    let params = Params::of(&uri, &["wait"])?;
    let space = params.space(&app.node)?;
    at_least::wait(&app, &space, &headers, &params).await?;
    Ok(json(&space.kept_digest().await?))
}
