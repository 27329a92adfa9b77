//! `namespaces`.

use serde::Deserialize;
use serde_json::json as object;
use ureq::http::Method;

use super::{
    args,
    client::{Ask, Client, encode},
    failure::Failure,
    kv::print,
    output,
    table::table,
};
use crate::types::ContentType;

#[derive(Deserialize)]
struct List {
    namespaces: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    keys: u64,
    #[serde(default)]
    local_only: Vec<String>,
}

/// Lists what the node carries, or has it join or leave a namespace.
pub(super) fn run(client: &Client, action: Option<args::Namespaces>, json: bool) -> Result<(), Failure> {
    match action {
        None => list(client, json),
        Some(args::Namespaces::Join { name }) => {
            let body = object!({ "name": name }).to_string();
            let ask =
                Ask::new(Method::POST, "/v1/namespaces").body(body.as_bytes(), Some(ContentType::json()));
            tell(&client.ask(&ask)?, json, &format!("{name} is carried from now on"))
        }
        Some(args::Namespaces::Leave { name }) => {
            let path = format!("/v1/namespaces/{}", encode(name.as_str(), true));
            tell(
                &client.ask(&Ask::new(Method::DELETE, path))?,
                json,
                &format!("{name} is left; it stays at other nodes"),
            )
        }
    }
}

fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let body = client.ask(&Ask::new(Method::GET, "/v1/namespaces"))?;
    if json {
        return print(&body);
    }
    let list: List = client.parse(&body)?;
    let any_local = list.namespaces.iter().any(|row| !row.local_only.is_empty());
    let row = |row: Row| {
        let local: Vec<String> = row.local_only.iter().map(|prefix| format!("{prefix:?}")).collect();
        let mut cells = vec![row.name, row.keys.to_string(), local.join(" ")];
        cells.truncate(if any_local { 3 } else { 2 });
        cells
    };
    let head: &[&str] = if any_local { &["NAMESPACE", "KEYS", "LOCAL-ONLY"] } else { &["NAMESPACE", "KEYS"] };
    output::line(&table(Some(head), list.namespaces.into_iter().map(row).collect()))
}

fn tell(body: &[u8], json: bool, text: &str) -> Result<(), Failure> {
    if json { print(body) } else { output::line(text) }
}
