//! `/openapi.json`: the API in the words of OpenAPI 3.1, built of the tables beside this file. Answers
//! stand there by the codes of [`Code`], which know their status, so the two cannot part.

mod parameters;
mod routes;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::LazyLock};

use axum::{
    body::Bytes,
    http::{HeaderValue, Uri, header},
    response::IntoResponse,
};
use serde_json::{Map, Value, json};

use super::{params::Params, problem::Code, reply::Answer};
use routes::{Body, Operation, ROUTES, Route, Shape};

/// The schemas that answers and bodies name.
const SCHEMAS: &str = include_str!("schemas.json");
const PROBLEM: &str = "application/problem+json";
/// Routes of a server of old, whose errors are its own, but for those that no route of it has a part in.
const OF_OLD: &str = "/api/";

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document().to_string()));

/// `GET /openapi.json`.
pub(super) async fn openapi(uri: Uri) -> Answer {
    Params::of(&uri, &[])?;
    let media = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, media)], DOCUMENT.clone()).into_response())
}

/// The whole document.
fn document() -> Value {
    let mut schemas: Map<String, Value> = serde_json::from_str(SCHEMAS).expect("the tests have read it");
    schemas.insert("Problem".to_owned(), problem());
    let mut paths = Map::new();
    for route in ROUTES {
        for path in route.paths {
            paths.insert((*path).to_owned(), path_item(route, path));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "tidings",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "An eventually consistent, replicated key-value store: the API of one node.",
            "description": "Refusals are problem documents (RFC 9457) with a stable `code`. A parameter that a route does \
                not know is refused. Keys and prefixes in paths may hold `/`, plain or as `%2F`: both separate segments. \
                Every `GET` answers to `HEAD`, too.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        // Tokens are needed where the node was given some.
        "security": [{}, { "token": [] }],
    })
}

fn problem() -> Value {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    json!({
        "type": "object",
        "description": "Why a request was refused. Cases add members of their own (`limit`, `index`, `key`, …).",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "code": { "type": "string", "enum": codes },
        },
        "additionalProperties": true,
    })
}

fn path_item(route: &Route, path: &str) -> Value {
    let mut item = Map::new();
    for operation in route.operations {
        item.insert(operation.method.to_owned(), operation_item(operation, path));
    }
    Value::Object(item)
}

fn operation_item(operation: &Operation, path: &str) -> Value {
    let in_path = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let named = operation.parameters.iter().copied().chain(["ns"]);
    let parameters: Vec<Value> =
        in_path.map(parameters::in_path).chain(named.map(parameters::named)).collect();
    let mut item = json!({
        "operationId": operation_id(operation.id, path),
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses(operation, path),
    });
    if let Some(body) = body(operation.body) {
        item["requestBody"] = body;
    }
    item
}

/// The same operation stands at several paths: each has a name of its own.
fn operation_id(id: &str, path: &str) -> String {
    match path {
        _ if path.contains("{prefix}") => format!("{id}_below"),
        _ if path.len() > 1 && path.ends_with('/') => format!("{id}_all"),
        _ => id.to_owned(),
    }
}

fn responses(operation: &Operation, path: &str) -> Map<String, Value> {
    let mut out = Map::new();
    for answer in operation.answers {
        let mut response = json!({ "description": answer.meaning });
        if let Some(content) = content(answer.shape) {
            response["content"] = content;
        }
        if answer.frontier {
            let text = json!({ "schema": { "type": "string" } });
            response["headers"] = json!({ "Tidings-Frontier": text });
        }
        out.insert(answer.status.to_string(), response);
    }
    let mut refusals: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in operation.refusals.iter().copied().flatten() {
        let codes = refusals.entry(code.status().as_u16()).or_default();
        if !codes.contains(&code.as_str()) {
            codes.push(code.as_str());
        }
    }
    for (status, codes) in refusals {
        let mut content = json!({ PROBLEM: { "schema": schema("Problem") } });
        if path.starts_with(OF_OLD) {
            content["application/json"] = json!({ "schema": schema("Error") });
        }
        let mut response = json!({ "description": codes.join(", "), "content": content });
        if status == Code::Busy.status().as_u16() {
            let seconds = json!({ "schema": { "type": "integer", "minimum": 1 } });
            response["headers"] = json!({ "Retry-After": seconds });
        }
        out.insert(status.to_string(), response);
    }
    out
}

fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn content(shape: Shape) -> Option<Value> {
    match shape {
        Shape::Nothing => None,
        Shape::Json(name) => Some(json!({ "application/json": { "schema": schema(name) } })),
        Shape::Text(media) => Some(json!({ media: { "schema": { "type": "string" } } })),
        Shape::Bytes(media) => Some(json!({ media: {} })),
        // As JSON in one case, as the bytes themselves in the other.
        Shape::Value => Some(json!({ "*/*": {} })),
    }
}

fn body(body: Body) -> Option<Value> {
    let content = match body {
        Body::None => return None,
        Body::Json(name) => json!({ "application/json": { "schema": schema(name) } }),
        Body::Patch => json!({ "application/merge-patch+json": { "schema": {} } }),
        Body::Bytes(media) => json!({ media: {} }),
        Body::Value => json!({
            "application/json": { "schema": {} },
            "text/plain": { "schema": { "type": "string" } },
            "application/octet-stream": {},
        }),
    };
    Some(json!({ "required": true, "content": content }))
}
