//! `/v1/digest`: what the node holds, in one hash.

use axum::{extract::State, http::Uri};

use super::{
    params::Params,
    reply::{Answer, json},
    router::App,
};

/// `GET`.
pub(super) async fn digest(State(app): State<App>, uri: Uri) -> Answer {
    let space = Params::of(&uri, &[])?.space(&app.node)?;
    Ok(json(&space.digest().await?))
}
