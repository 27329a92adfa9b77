//! `/v1/peers`: who is connected or known; connect, cut off, let back in.

use axum::{
    extract::{Request, State},
    http::Uri,
};
use serde::{Deserialize, Serialize};
use serde_json::json as object;

use super::{
    body::{self, Limit},
    media,
    params::Params,
    percent::{self, Plus},
    problem::{Code, Problem},
    reply::{Answer, json},
    router::App,
};
use crate::{causality::NodeId, node::PeerInfo};

const BASE: &str = "/v1/peers/";
const LIMIT: Limit = Limit { bytes: 16 * 1024, code: Code::BodyTooLarge, name: "peers_body_bytes_max" };

/// `GET`.
pub(super) async fn list(State(app): State<App>, uri: Uri) -> Answer {
    #[derive(Serialize)]
    struct Peers {
        peers: Vec<PeerInfo>,
    }
    Params::of(&uri, &[])?.space(&app.node)?;
    Ok(json(&Peers { peers: app.node.peers().await }))
}

/// `POST {"addr"}`: the address is dialled from now on, as one given with `--peer` is; the answer
/// does not wait for the connection.
pub(super) async fn connect(State(app): State<App>, request: Request) -> Answer {
    let (head, body) = request.into_parts();
    Params::of(&head.uri, &[])?.space(&app.node)?;
    media::expect_json(&head.headers)?;
    let upload = body::read(&head.headers, body, LIMIT, &app.large).await?;
    let addr = parse(&upload.bytes)?;
    app.node.connect(&addr).await?;
    Ok(json(&object!({ "addr": addr })))
}

/// `POST /v1/peers/{id}/block`.
pub(super) async fn block(State(app): State<App>, uri: Uri) -> Answer {
    Params::of(&uri, &[])?.space(&app.node)?;
    let peer = peer(&uri)?;
    if peer == app.node.id() {
        return Err(Problem::new(Code::BadPeerId, format!("{peer} is this node itself: name a peer")));
    }
    app.node.block(peer).await?;
    Ok(json(&object!({ "peer_id": peer.to_string(), "blocked": true })))
}

/// `POST /v1/peers/{id}/unblock`.
pub(super) async fn unblock(State(app): State<App>, uri: Uri) -> Answer {
    Params::of(&uri, &[])?.space(&app.node)?;
    let peer = peer(&uri)?;
    app.node.unblock(peer).await?;
    Ok(json(&object!({ "peer_id": peer.to_string(), "blocked": false })))
}

fn parse(bytes: &[u8]) -> Result<String, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Connect {
        addr: String,
    }
    let connect: Connect = serde_json::from_slice(bytes)
        .map_err(|error| Problem::new(Code::BadJson, format!("send {{\"addr\": MULTIADDR}}: {error}")))?;
    Ok(connect.addr)
}

fn peer(uri: &Uri) -> Result<NodeId, Problem> {
    let raw = uri.path().strip_prefix(BASE).and_then(|rest| rest.split('/').next()).unwrap_or("");
    let text = percent::decode(raw, Plus::Plus).and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.unwrap_or_else(|| raw.to_owned());
    text.parse()
        .map_err(|error: crate::causality::NodeIdError| Problem::new(Code::BadPeerId, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_named_in_the_path() {
        let ant = NodeId([7; 32]);
        let uri = |text: &str| format!("{BASE}{text}/block").parse::<Uri>().expect("a uri");
        assert_eq!(peer(&uri(&ant.to_string())).expect("lawful"), ant);
        for text in ["12D3", "%zz", "ant"] {
            assert_eq!(peer(&uri(text)).expect_err(text).code(), Code::BadPeerId);
        }
    }

    #[test]
    fn an_address_comes_alone() {
        assert_eq!(parse(br#"{"addr":"/ip4/1.2.3.4/tcp/1"}"#).expect("lawful"), "/ip4/1.2.3.4/tcp/1");
        for text in ["", "{}", r#"{"addr":1}"#, r#"{"addr":"a","x":1}"#, r#""a""#] {
            assert_eq!(parse(text.as_bytes()).expect_err(text).code(), Code::BadJson);
        }
    }
}
