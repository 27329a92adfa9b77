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
    let rows = list.namespaces.into_iter().map(|row| vec![row.name, row.keys.to_string()]);
    output::line(&table(Some(&["NAMESPACE", "KEYS"]), rows.collect()))
}

fn tell(body: &[u8], json: bool, text: &str) -> Result<(), Failure> {
    if json { print(body) } else { output::line(text) }
}
