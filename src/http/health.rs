//! `/healthz` and `/readyz`: for whoever restarts nodes, and for whoever sends them work.

use axum::{
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};

use super::{
    params::Params,
    problem::{Code, Problem},
    reply::{Answer, json},
    router::App,
};
use crate::node::Health;

/// `GET /healthz`: the process lives; it says nothing of the store.
pub(super) async fn live(uri: Uri) -> Answer {
    Params::of(&uri, &[])?;
    Ok("ok\n".into_response())
}

/// `GET /readyz`: reads and writes are answered.
pub(super) async fn ready(State(app): State<App>, uri: Uri) -> Answer {
    Params::of(&uri, &[])?;
    answer(&app.node.health())
}

fn answer(health: &Health) -> Result<Response, Problem> {
    if health.ready {
        Ok(json(health))
    } else {
        Err(Problem::new(Code::NotReady, health.reason.as_deref().unwrap_or("the node is starting")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_not_ready_says_why() {
        assert_eq!(answer(&Health { ready: true, reason: None }).expect("ready").status(), 200);
        let sick = Health { ready: false, reason: Some("the disk is gone".into()) };
        let problem = answer(&sick).expect_err("not ready");
        assert_eq!(problem.code().status(), 503);
        assert!(format!("{problem:?}").contains("the disk is gone"));
    }
}
