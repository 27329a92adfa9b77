//! `peers`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::json as object;
use ureq::http::Method;

use super::{
    args,
    client::{Ask, Client},
    failure::Failure,
    kv::print,
    output,
    table::{span, table},
};
use crate::{causality::NodeId, types::ContentType};

#[derive(Deserialize)]
struct List {
    peers: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    peer_id: String,
    name: Option<String>,
    addr: Option<String>,
    connected: bool,
    since: u64,
    blocked: bool,
    rtt_ms: Option<f64>,
    behind: Option<u64>,
    ahead: Option<u64>,
}

/// Lists the peers, or does something about one.
pub(super) fn run(client: &Client, action: Option<args::Peers>, json: bool) -> Result<(), Failure> {
    match action {
        None => list(client, json),
        Some(args::Peers::Connect { addr }) => {
            let body = object!({ "addr": addr }).to_string();
            let ask = Ask::new(Method::POST, "/v1/peers").body(body.as_bytes(), Some(ContentType::json()));
            tell(&client.ask(&ask)?, json, &format!("{addr} is dialled from now on"))
        }
        Some(args::Peers::Block { id }) => act(client, id, "block", json),
        Some(args::Peers::Unblock { id }) => act(client, id, "unblock", json),
    }
}

fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let body = client.ask(&Ask::new(Method::GET, "/v1/peers"))?;
    if json {
        return print(&body);
    }
    let list: List = client.parse(&body)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
    let rows = list.peers.iter().map(|peer| row(peer, u64::try_from(now).unwrap_or(u64::MAX)));
    output::line(&table(
        Some(&["PEER", "NAME", "STATE", "SINCE", "RTT", "BEHIND", "AHEAD", "ADDRESS"]),
        rows.collect(),
    ))
}

fn act(client: &Client, id: NodeId, action: &str, json: bool) -> Result<(), Failure> {
    let body = client.ask(&Ask::new(Method::POST, format!("/v1/peers/{id}/{action}")))?;
    tell(&body, json, &format!("{id} is {action}ed"))
}

fn tell(body: &[u8], json: bool, text: &str) -> Result<(), Failure> {
    if json { print(body) } else { output::line(text) }
}

fn row(peer: &Row, now_ms: u64) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let state = match (peer.blocked, peer.connected) {
        (true, _) => "blocked",
        (false, true) => "connected",
        (false, false) => "away",
    };
    vec![
        peer.peer_id.clone(),
        or_dash(peer.name.clone()),
        state.to_owned(),
        span(now_ms.saturating_sub(peer.since) / 1_000),
        or_dash(peer.rtt_ms.map(|rtt| format!("{rtt:.1} ms"))),
        or_dash(peer.behind.map(|count| count.to_string())),
        or_dash(peer.ahead.map(|count| count.to_string())),
        or_dash(peer.addr.clone()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_of_a_peer_is_a_dash() {
        let text = r#"{"peer_id":"12D3","name":null,"addr":null,"connected":true,"since":1000,
            "direction":"inbound","blocked":false,"rtt_ms":1.25,"skew_ms":null,"behind":0,"ahead":null}"#;
        let peer: Row = serde_json::from_str(text).expect("a peer");
        assert_eq!(row(&peer, 62_000).join(" "), "12D3 - connected 1m 1.2 ms 0 - -");
    }
}
