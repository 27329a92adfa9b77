use std::{collections::BTreeSet, fs, path::Path};

use axum::{
    body::Body,
    http::{Request, header},
};

use super::*;
use crate::{
    http::{Hosts, router_for},
    node::Node,
};

/// The text of all sources of the API, without their tests.
fn sources(directory: &Path) -> String {
    let mut out = String::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            out += &sources(&path);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).expect("text");
            out += text.split("#[cfg(test)]\npub(super) mod tests").next().unwrap_or_default();
        }
    }
    out
}

/// The paths of the router, as the document writes them.
fn paths_of_router() -> BTreeSet<String> {
    let text = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http"));
    let routes = text.split(".route(").skip(1);
    let path = |rest: &str| rest.trim_start().strip_prefix('"')?.split('"').next().map(str::to_owned);
    routes
        .map(|rest| path(rest).expect("a route has its path as a literal: this test reads the sources"))
        .map(|path| path.replace("{*", "{"))
        .collect()
}

fn paths_of_document(document: &Value) -> BTreeSet<String> {
    document["paths"].as_object().expect("paths").keys().cloned().collect()
}

#[test]
fn every_route_is_in_the_document_and_no_other() {
    let document = document();
    assert_eq!(paths_of_router(), paths_of_document(&document));
}

#[tokio::test]
async fn every_method_of_a_route_is_in_the_document_and_no_other() {
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;

    let listen = ["/ip4/127.0.0.1/tcp/0".parse().expect("an address")];
    let node = Node::builder().in_memory().listen(listen).start().await.expect("starts");
    let service = TowerToHyperService::new(router_for(node.clone(), Hosts::loopback()));
    let document = document();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let target = path.replace("{id}", "x").replace('{', "").replace('}', "");
        let request = Request::builder().method("PROBE").uri(&target).header(header::HOST, "localhost");
        let response = service.call(request.body(Body::empty()).expect("a request")).await.expect("answers");
        assert_eq!(response.status(), 405, "{path}");
        let allowed = response.headers()[header::ALLOW].to_str().expect("text").to_ascii_lowercase();
        let mut allowed: BTreeSet<&str> = allowed.split(',').collect();
        assert_eq!(allowed.remove("head"), allowed.contains("get"), "{path}");
        let documented: BTreeSet<&str> =
            item.as_object().expect("methods").keys().map(|key| &**key).collect();
        assert_eq!(allowed, documented, "{path}");
    }
    node.close().await;
}

#[test]
fn every_code_is_in_the_document() {
    let document = document();
    let codes = document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].clone();
    let source = include_str!("../problem.rs");
    let mut count = 0;
    for rest in source.split("(S::").skip(1) {
        let code = rest.split('"').nth(1).expect("a code behind its status");
        assert!(codes.as_array().expect("codes").contains(&code.into()), "{code}: add it to Code::ALL");
        count += 1;
    }
    assert_eq!(count, Code::ALL.len());
    // Nobody asks for what no route says it may answer with, but for what stands in for a route.
    let text = document["paths"].to_string();
    let elsewhere = [Code::NotFoundRoute, Code::MethodNotAllowed];
    for code in Code::ALL.iter().filter(|code| !elsewhere.contains(code)) {
        assert!(text.contains(code.as_str()), "{}: add it to the routes that answer with it", code.as_str());
    }
}

#[test]
fn whatever_the_document_names_is_there_and_names_of_operations_are_their_own() {
    fn names(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                out.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|value| names(value, out));
            }
            Value::Array(items) => items.iter().for_each(|value| names(value, out)),
            _ => {}
        }
    }
    let document = document();
    let mut named = Vec::new();
    names(&document, &mut named);
    assert!(named.len() > 20);
    for name in named {
        assert!(document.pointer(name.strip_prefix('#').expect("of this document")).is_some(), "{name}");
    }
    let mut ids = BTreeSet::new();
    for item in document["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("methods").values() {
            let id = operation["operationId"].as_str().expect("a name").to_owned();
            assert!(ids.insert(id.clone()), "{id} stands there twice");
        }
    }
}
