//! `/v1/sync`: whether the peers agree, and a round to make them.

use axum::{extract::State, http::Uri};

use super::{
    params::Params,
    problem::{Code, Problem},
    reply::{Answer, json},
    router::App,
};
use crate::{
    causality::{NodeId, NodeIdError},
    node::{RemoteError, Way},
};

/// `GET`: of all namespaces, or of the one that is named.
pub(super) async fn state(State(app): State<App>, uri: Uri) -> Answer {
    let params = Params::of(&uri, &[])?;
    let space = params.space(&app.node)?;
    let one = params.get("ns").is_some();
    Ok(json(&if one { space.sync_status().await } else { app.node.sync_status().await }))
}

/// `POST`: one round with every neighbour, or one of them, of all namespaces, or of the one that is named; both ways,
/// or one.
pub(super) async fn round(State(app): State<App>, uri: Uri) -> Answer {
    let params = Params::of(&uri, &["peer", "direction"])?;
    let space = params.space(&app.node)?;
    let namespace = params.get("ns").map(|_| space.namespace().clone());
    let (peer, way) = (peer(&params)?, way(&params)?);
    match app.node.round(peer, namespace, way).await {
        Ok(report) => Ok(json(&report)),
        Err(error @ RemoteError::NotConnected(_)) => Err(Problem::new(Code::NotConnected, error.to_string())),
        Err(error) => Err(Problem::new(Code::Closed, error.to_string())),
    }
}

fn peer(params: &Params) -> Result<Option<NodeId>, Problem> {
    let parse = |text: &str| {
        text.parse().map_err(|error: NodeIdError| Problem::new(Code::BadPeerId, error.to_string()))
    };
    params.get("peer").map(parse).transpose()
}

fn way(params: &Params) -> Result<Way, Problem> {
    match params.get("direction") {
        None | Some("both") => Ok(Way::Both),
        Some("pull") => Ok(Way::Take),
        Some("push") => Ok(Way::Give),
        Some(other) => {
            let text = format!("`direction`: {other:?}; write `pull`, `push` or `both`");
            Err(Problem::new(Code::BadParameter, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_goes_both_ways_unless_another_is_said() {
        let asked = |query: &str| {
            let uri = format!("/v1/sync?{query}").parse().expect("a uri");
            Params::of(&uri, &["peer", "direction"]).expect("lawful")
        };
        for (query, expected) in [
            ("", Way::Both),
            ("direction=both", Way::Both),
            ("direction=pull", Way::Take),
            ("direction=push", Way::Give),
        ] {
            assert_eq!(way(&asked(query)).expect(query), expected);
        }
        assert_eq!(way(&asked("direction=up")).expect_err("none").code(), Code::BadParameter);
        let ant = NodeId([7; 32]);
        assert_eq!(peer(&asked(&format!("peer={ant}"))).expect("lawful"), Some(ant));
        assert_eq!(peer(&asked("peer=ant")).expect_err("none").code(), Code::BadPeerId);
    }
}
