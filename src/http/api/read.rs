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
        problem::Problem,
        reply::json,
        router::App,
    },
    node::{Dot, Earlier, Entry, Scan},
    types::Value,
};

const LIMIT_MAX: usize = 10_000;
/// The most bytes of values in one scan: its answer is one text, whole in memory.
const SCAN_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// `GET /api/{path}`: `{path, data}`.
pub(super) async fn get(State(app): State<App>, uri: Uri) -> Answer {
    let space = Params::of(&uri, &[])?.space(&app.node)?;
    let key = path(&uri, BASE)?;
    let entry = space.get(key).await?.ok_or_else(Refusal::not_found)?;
    Ok(json(&object!({ "path": entry.key.as_str(), "data": data(&entry.value) })))
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
    let (mut rows, mut bytes): (Vec<Json>, u64) = (Vec::new(), 0);
    loop {
        scan.limit = limit - rows.len();
        let page = space.scan(scan.clone()).await?;
        for entry in &page.entries {
            bytes += entry.size;
            if bytes > SCAN_BYTES_MAX {
                return Err(too_much(rows.len()).into());
            }
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

fn too_much(fits: usize) -> Problem {
    let why = format!(
        "1 to {fits} here: the values are more than {} MiB in all; ask for fewer, for a narrower prefix, or page by page at \
         /v1/kv",
        SCAN_BYTES_MAX >> 20
    );
    params::bad("limit", &why)
}

/// `GET /api/history/{path}`: `{path, history}`, earlier values, newest first: `{value, timestamp, vectorClock, origin}`,
/// the value `null` where it was deleted.
pub(super) async fn history(State(app): State<App>, uri: Uri) -> Answer {
    let space = Params::of(&uri, &[])?.space(&app.node)?;
    let key = path(&uri, "/api/history/")?;
    let versions = space.history(key.clone()).await?;
    let history: Vec<Json> = versions.iter().map(earlier).collect();
    Ok(json(&object!({ "path": key.as_str(), "history": history })))
}

fn earlier(earlier: &Earlier) -> Json {
    let version = &earlier.version;
    let seen =
        version.context.iter().map(|(origin, seq)| Dot::new(origin, seq)).chain([version.dot]).collect();
    object!({
        "value": earlier.value().as_ref().map(data),
        "timestamp": version.hlc.millis(),
        "vectorClock": vector_clock(&seen),
        "origin": version.dot.origin.to_string(),
    })
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
        "value": data(&entry.value),
        "vectorClock": vector_clock(&entry.frontier().0),
        "origin": entry.dot.origin.to_string(),
    })
}

/// The value as JSON: what is no JSON is a text, else base64.
fn data(value: &Value) -> Json {
    let json = value.content_type.is_json().then(|| serde_json::from_slice(&value.bytes).ok());
    match json.flatten() {
        Some(json) => json,
        None => Json::String(Shown::text_of(value)),
    }
}
