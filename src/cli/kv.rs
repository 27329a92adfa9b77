//! `put`, `get`, `del`.

use std::io::{self, Read};

use serde_json::{Map, Value};
use ureq::http::Method;

use super::{
    args::{self, Place},
    client::{Ask, Client, encode},
    failure::Failure,
    output,
    table::table,
};

/// Stores a value.
pub(super) fn put(client: &Client, put: &args::Put, json: bool) -> Result<(), Failure> {
    let bytes = if put.value == "-" { stdin()? } else { put.value.clone().into_bytes() };
    let ask = match &put.place {
        Place::Key(key) => Ask::key(Method::PUT, key),
        Place::Below(prefix) => Ask::new(Method::POST, format!("/v1/kv/{}/", encode(prefix.as_str(), true))),
    };
    let ask = put.ttl.iter().fold(ask, |ask, ttl| ask.with("ttl", ttl));
    let body = client.ask(&ask.body(&bytes, put.content_type.clone()))?;
    match &put.place {
        // The key is what nobody knows yet.
        Place::Below(_) if !json => {
            let written: Map<String, Value> = client.parse(&body)?;
            output::line(&plain(written.get("key").unwrap_or(&Value::Null)))
        }
        _ => done(&body, json),
    }
}

/// Prints a value as it is, with a line break behind it where a person looks.
pub(super) fn get(client: &Client, get: &args::Get, json: bool) -> Result<(), Failure> {
    let mut ask = Ask::key(Method::GET, &get.key);
    if let Some(frontier) = &get.at_least {
        ask = ask.header("tidings-at-least", frontier);
    }
    if let Some(wait) = &get.wait {
        ask = ask.with("wait", wait);
    }
    if json || get.meta {
        let body = client.ask(&ask.with("meta", "true"))?;
        return if json { print(&body) } else { meta(&client.parse(&body)?) };
    }
    let body = client.ask(&ask)?;
    output::bytes(&body)?;
    if output::is_terminal() && !body.ends_with(b"\n") { output::line("") } else { Ok(()) }
}

/// Deletes a key.
pub(super) fn del(client: &Client, del: &args::Del, json: bool) -> Result<(), Failure> {
    done(&client.ask(&Ask::key(Method::DELETE, &del.key))?, json)
}

/// Prints an answer of the API as it is.
pub(super) fn print(body: &[u8]) -> Result<(), Failure> {
    output::bytes(body)?;
    output::bytes(b"\n")
}

pub(super) fn done(body: &[u8], json: bool) -> Result<(), Failure> {
    if json { print(body) } else { output::line("OK") }
}

fn stdin() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    match io::stdin().lock().read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Failure::refused(format!("stdin cannot be read: {error}"))),
    }
}

fn meta(meta: &Map<String, Value>) -> Result<(), Failure> {
    let rows =
        ["key", "content_type", "size", "etag", "origin", "seq", "hlc", "expires_at", "strategy", "siblings"]
            .into_iter()
            .filter_map(|name| Some(vec![name.to_owned(), plain(meta.get(name)?)]));
    output::line(&table(None, rows.collect()))?;
    meta.get("versions").map_or(Ok(()), super::conflicts::versions)
}

/// A member for people: without the quotes of JSON.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}
