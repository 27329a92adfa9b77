//! `sync`.

use std::process::ExitCode;

use serde::Deserialize;
use ureq::http::Method;

use super::{
    client::{Ask, Client},
    failure::Failure,
    kv::print,
    output,
    table::{size, table},
};

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
    rounds: u32,
    elapsed_ms: f64,
}

/// One round with every neighbour; refused, if any exchange failed.
pub(super) fn run(client: &Client, json: bool) -> Result<ExitCode, Failure> {
    let body = client.ask(&Ask::new(Method::POST, "/v1/sync").patiently())?;
    let report: Report = client.parse(&body)?;
    if json {
        print(&body)?;
    } else {
        let header =
            ["PEER", "NAMESPACE", "HOW", "RECEIVED", "SENT", "IN", "OUT", "ROUNDS", "TIME"].as_slice();
        output::line(&table(Some(header), report.peers.iter().map(row).collect()))?;
    }
    let failed = report.peers.iter().filter_map(|exchange| Some((exchange, exchange.error.as_deref()?)));
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
        exchange.how.clone().unwrap_or_else(|| "failed".to_owned()),
        exchange.versions_in.to_string(),
        exchange.versions_out.to_string(),
        size(exchange.bytes_in),
        size(exchange.bytes_out),
        exchange.rounds.to_string(),
        format!("{:.1} ms", exchange.elapsed_ms),
    ]
}
