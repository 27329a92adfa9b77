//! Reading.

use axum::{
    extract::State,
    http::{HeaderMap, Uri, header, uri::Authority},
    response::Response,
};
use serde_json::{Value as Json, json as object};

use super::{
    BASE,
    clock::vector_clock,
    refusal::{Answer, Refusal, path},
};
use crate::{
    http::{
        media::Shown,
        params::{self, Params},
        reply::json,
        router::App,
    },
    node::{Entry, Scan},
};

const LIMIT_MAX: usize = 10_000;

/// `GET /api/{path}`: `{path, data}`.
pub(super) async fn get(State(app): State<App>, uri: Uri) -> Answer {
    let space = Params::of(&uri, &[])?.space(&app.node)?;
    let key = path(&uri, BASE)?;
    let entry = space.get(key).await?.ok_or_else(Refusal::not_found)?;
    Ok(json(&object!({ "path": entry.key.as_str(), "data": data(&entry) })))
}

/// `GET /api/scan/{prefix}?limit=n`: `[{path, value, vectorClock, origin}]`.
pub(super) async fn scan(State(app): State<App>, uri: Uri) -> Answer {
    let params = Params::of(&uri, &["limit"])?;
    let space = params.space(&app.node)?;
    let limit = params.parse("limit")?.unwrap_or(Scan::default().limit);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(params::bad("limit", &format!("1 to {LIMIT_MAX}")).into());
    }
    let mut scan = Scan { prefix: params::prefix(&uri, "/api/scan/")?, limit, ..Scan::default() };
    let mut rows: Vec<Json> = Vec::new();
    loop {
        scan.limit = limit - rows.len();
        let page = space.scan(scan.clone()).await?;
        for entry in &page.entries {
            let whole = if entry.size > entry.value.bytes.len() as u64 {
                space.get(entry.key.clone()).await?
            } else {
                None
            };
            rows.push(row(whole.as_ref().unwrap_or(entry)));
        }
        scan.after = page.next;
        if scan.after.is_none() || rows.len() >= limit {
            return Ok(json(&rows));
        }
    }
}

/// `GET /api/history/{path}`: `{path, history}`, earlier values, newest first.
pub(super) async fn history(State(app): State<App>, uri: Uri) -> Answer {
    let space = Params::of(&uri, &[])?.space(&app.node)?;
    let key = path(&uri, "/api/history/")?;
    let versions = earlier(&space, &key);
    Ok(json(&object!({ "path": key.as_str(), "history": versions })))
}

/// The earlier versions of `key` as `history` shows them. None are kept yet.
fn earlier(_: &crate::node::Space, _: &crate::types::Key) -> Vec<Json> {
    Vec::new()
}

/// `GET /api/status`: `{serverID, port, peers, uptime, vectorClock}`.
pub(super) async fn status(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Answer {
    let space = Params::of(&uri, &[])?.space(&app.node)?;
    let status = app.node.status().await;
    let peers = app.node.peers().await;
    let peers: Vec<&str> =
        peers.iter().filter(|peer| peer.connected).map(|peer| peer.peer_id.as_str()).collect();
    let answer: Response = json(&object!({
        "serverID": status.peer_id,
        "port": port(&headers),
        "peers": peers,
        "uptime": status.uptime,
        "vectorClock": vector_clock(&space.frontier()?.0),
    }));
    Ok(answer)
}

/// The port that was asked, which is the server's own unless something stands in between.
fn port(headers: &HeaderMap) -> u16 {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<Authority>().ok());
    authority.and_then(|authority| authority.port_u16()).unwrap_or(80)
}

fn row(entry: &Entry) -> Json {
    object!({
        "path": entry.key.as_str(),
        "value": data(entry),
        "vectorClock": vector_clock(&entry.frontier().0),
        "origin": entry.dot.origin.to_string(),
    })
}

/// The value as JSON: what is no JSON is a text, else base64.
fn data(entry: &Entry) -> Json {
    let json = entry.value.content_type.is_json().then(|| serde_json::from_slice(&entry.value.bytes).ok());
    match json.flatten() {
        Some(json) => json,
        None => Json::String(Shown::text_of(&entry.value)),
    }
}
