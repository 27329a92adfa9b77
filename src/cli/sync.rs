//! `sync`.

use std::{
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Deserialize;
use ureq::http::Method;

use super::{
    args,
    client::{Ask, Client},
    failure::Failure,
    kv::print,
    output,
    table::{size, span, table},
};
use crate::{node::NOT_CARRIED, types::Namespace};

#[derive(Deserialize)]
struct Report {
    peers: Vec<Exchange>,
}

#[derive(Deserialize)]
struct Exchange {
    peer_id: String,
    namespace: String,
    how: Option<String>,
    error: Option<String>,
    bytes_in: u64,
    bytes_out: u64,
    versions_in: u64,
    versions_out: u64,
    /// Older nodes do not tell.
    #[serde(default)]
    dropped: u64,
    rounds: u32,
    elapsed_ms: f64,
}

#[derive(Deserialize)]
struct Status {
    lacks: Option<bool>,
    missing: u64,
    /// Older nodes do not tell.
    #[serde(default)]
    filling: Vec<Fill>,
    peers: Vec<Standing>,
}

#[derive(Deserialize)]
struct Fill {
    namespace: String,
    from: String,
    /// Older nodes do not tell.
    #[serde(default)]
    also_from: Option<String>,
    passed: u64,
    expected: u64,
    per_second: u64,
    seconds_left: Option<u64>,
}

#[derive(Deserialize)]
struct Standing {
    peer_id: String,
    name: Option<String>,
    connected: bool,
    state: String,
    behind: Option<u64>,
    ahead: Option<u64>,
    matched_at: Option<u64>,
}

/// Says with whom the node is known to agree, and whether it knows of anything it lacks.
pub(super) fn status(client: &Client, json: bool) -> Result<(), Failure> {
    let body = client.ask(&Ask::new(Method::GET, "/v1/sync").of_all())?;
    if json {
        return print(&body);
    }
    let status: Status = client.parse(&body)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    let header = ["PEER", "NAME", "CONNECTED", "STATE", "BEHIND", "AHEAD", "MATCHED"].as_slice();
    let rows = status.peers.iter().map(|peer| standing(peer, now)).collect();
    output::line(&table(Some(header), rows))?;
    for fill in &status.filling {
        output::line(&filling(fill))?;
    }
    output::line(&match status.lacks {
        Some(false) => "This node knows of nothing that it lacks.".to_owned(),
        Some(true) => format!("This node lacks {} writes that it knows of.", status.missing),
        None => "This node does not know yet what it holds.".to_owned(),
    })
}

fn filling(fill: &Fill) -> String {
    let Fill { namespace, from, also_from, passed, expected, per_second, seconds_left } = fill;
    let also = also_from.as_ref().map(|peer| format!(" and {peer}")).unwrap_or_default();
    let left = seconds_left.map(|left| format!(", {} left", span(left))).unwrap_or_default();
    format!(
        "Filling {namespace} from {from}{also}: {passed} of {expected} writes, {per_second} a second{left}."
    )
}

fn standing(peer: &Standing, now_ms: u64) -> Vec<String> {
    let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    let ago = |at: u64| format!("{} ago", span(now_ms.saturating_sub(at) / 1_000));
    vec![
        peer.peer_id.clone(),
        peer.name.clone().unwrap_or_else(|| "-".to_owned()),
        if peer.connected { "yes" } else { "no" }.to_owned(),
        peer.state.replace('_', " "),
        count(peer.behind),
        count(peer.ahead),
        peer.matched_at.map_or_else(|| "never".to_owned(), ago),
    ]
}

/// One round with every neighbour, or with one; refused, if any exchange failed. A peer that does not carry one of
/// all namespaces has no part in that; it has failed where that namespace was named.
pub(super) fn run(client: &Client, sync: &args::Sync, json: bool) -> Result<ExitCode, Failure> {
    let mut ask = Ask::new(Method::POST, "/v1/sync").of_all().patiently();
    if let Some(peer) = sync.peer {
        ask = ask.with("peer", peer.to_string());
    }
    if sync.pull || sync.push {
        ask = ask.with("direction", if sync.pull { "pull" } else { "push" });
    }
    let body = client.ask(&ask)?;
    let report: Report = client.parse(&body)?;
    if json {
        print(&body)?;
    } else {
        let header =
            ["PEER", "NAMESPACE", "HOW", "RECEIVED", "SENT", "DROPPED", "IN", "OUT", "ROUNDS", "TIME"]
                .as_slice();
        output::line(&table(Some(header), report.peers.iter().map(row).collect()))?;
    }
    let named = *client.namespace() != Namespace::default();
    let failed = report.peers.iter().filter_map(|exchange| Some((exchange, exchange.error.as_deref()?)));
    let failed = failed.filter(|(_, error)| named || *error != NOT_CARRIED);
    let mut code = ExitCode::SUCCESS;
    for (exchange, error) in failed {
        output::say(&format!("tidings: {} ({}): {error}", exchange.peer_id, exchange.namespace));
        code = ExitCode::FAILURE;
    }
    Ok(code)
}

fn row(exchange: &Exchange) -> Vec<String> {
    vec![
        exchange.peer_id.clone(),
        exchange.namespace.clone(),
        exchange.how.clone().unwrap_or_else(|| match exchange.error.as_deref() {
            Some(NOT_CARRIED) => "not carried".to_owned(),
            _ => "failed".to_owned(),
        }),
        exchange.versions_in.to_string(),
        exchange.versions_out.to_string(),
        exchange.dropped.to_string(),
        size(exchange.bytes_in),
        size(exchange.bytes_out),
        exchange.rounds.to_string(),
        format!("{:.1} ms", exchange.elapsed_ms),
    ]
}
