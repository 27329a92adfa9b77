//! `status`.

use serde_json::{Map, Value};
use ureq::http::Method;

use super::{
    client::{Ask, Client},
    failure::Failure,
    kv::{plain, print},
    output,
    table::{size, span, table},
};

/// Says what the node is and does.
pub(super) fn run(client: &Client, json: bool) -> Result<(), Failure> {
    let body = client.ask(&Ask::new(Method::GET, "/v1/status"))?;
    if json { print(&body) } else { output::line(&table(None, rows(&client.parse(&body)?))) }
}

/// A row for each member, and one for each element of a list.
fn rows(status: &Map<String, Value>) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for name in [
        "peer_id",
        "name",
        "version",
        "mesh",
        "epoch",
        "listen",
        "namespaces",
        "local_only",
        "keys",
        "peers",
        "uptime",
        "disk_bytes",
        "durability",
        "queues",
        "warnings",
    ] {
        let Some(value) = status.get(name) else { continue };
        for text in texts(name, value) {
            rows.push(vec![name.to_owned(), text]);
        }
    }
    rows
}

fn texts(name: &str, value: &Value) -> Vec<String> {
    match (name, value) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole seconds are enough"
        )]
        ("uptime", Value::Number(seconds)) => vec![span(seconds.as_f64().unwrap_or(0.0) as u64)],
        ("disk_bytes", Value::Number(bytes)) => vec![size(bytes.as_u64().unwrap_or(0))],
        ("queues", Value::Object(queues)) => {
            queues.iter().map(|(name, queue)| one_queue(name, queue)).collect()
        }
        ("local_only", Value::Object(namespaces)) => {
            let row = |(name, prefixes): (&String, &Value)| {
                let prefixes = prefixes.as_array().into_iter().flatten();
                format!(
                    "{name}: {}",
                    prefixes.map(|prefix| format!("{:?}", plain(prefix))).collect::<Vec<_>>().join(" ")
                )
            };
            namespaces.iter().map(row).collect()
        }
        (_, Value::Array(items)) => items.iter().map(plain).collect(),
        _ => vec![plain(value)],
    }
}

fn one_queue(name: &str, queue: &Value) -> String {
    let of = |member: &str| plain(&queue[member]);
    format!("{name}: {} of {}, {} refused", of("depth"), of("max"), of("shed"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_told_line_by_line() {
        let Value::Object(status) = json!({
            "peer_id": "12D3",
            "listen": ["/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1"],
            "local_only": { "default": ["", "a b"] },
            "uptime": 125.5,
            "disk_bytes": 2048,
            "queues": { "writes": { "depth": 1, "max": 8, "shed": 0 } },
            "warnings": [],
        }) else {
            panic!("no object")
        };
        let rows: Vec<String> = rows(&status).iter().map(|row| row.join(" ")).collect();
        assert_eq!(
            rows,
            [
                "peer_id 12D3",
                "listen /ip4/127.0.0.1/tcp/1",
                "listen /ip4/10.0.0.1/tcp/1",
                "local_only default: \"\" \"a b\"",
                "uptime 2m",
                "disk_bytes 2.0 KiB",
                "queues writes: 1 of 8, 0 refused",
            ]
        );
    }
}
