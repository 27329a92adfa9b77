//! The HTTP API of real nodes, over real connections.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tidings::{
    Limits, Node,
    causality::{Dot, Floors, Hlc, NodeId, Origin, SeenSet},
    http::serve,
    node::{Builder, Discovery, Membership},
    storage::{Durability, Ledger, life::Surroundings, memory::Memory},
    types::Namespace,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use crate::support::PATIENCE;

/// A node and its API.
#[derive(Clone)]
pub struct Api {
    pub node: Node,
    pub at: SocketAddr,
}

pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {}", self.headers, self.text());
        self
    }

    /// A refusal, with all that every refusal has.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        let problem = answer.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {problem}");
        }
        answer
    }
}

impl Api {
    pub async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request.push_str(&format!("Host: {}\r\n", self.at));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || ["PUT", "POST"].contains(&method) {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let mut stream = TcpStream::connect(self.at).await.expect("connects");
        stream.write_all(request.as_bytes()).await.expect("writes its head");
        let mut raw = Vec::new();
        if headers.iter().any(|(name, _)| *name == "Expect") {
            // Who asks first sends nothing before the answer: it may be a refusal, and the end.
            timeout(PATIENCE, stream.read_buf(&mut raw)).await.expect("in time").expect("reads");
        }
        if raw.is_empty() || raw.starts_with(b"HTTP/1.1 100 ") {
            raw.clear();
            stream.write_all(body).await.expect("writes its body");
        }
        timeout(PATIENCE, stream.read_to_end(&mut raw)).await.expect("in time").expect("reads");
        parse(&raw)
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[], b"").await
    }

    pub async fn put(&self, target: &str, body: &[u8]) -> Answer {
        self.ask("PUT", target, &[], body).await
    }

    pub async fn delete(&self, target: &str) -> Answer {
        self.ask("DELETE", target, &[], b"").await
    }

    pub async fn post(&self, target: &str, body: &Value) -> Answer {
        let headers = [("Content-Type", "application/json")];
        self.ask("POST", target, &headers, body.to_string().as_bytes()).await
    }

    /// Where peers reach the node.
    pub async fn listen(&self) -> String {
        let status = self.get("/v1/status").await.expect(200).json();
        let address = status["listen"][0].as_str().expect("listens").to_owned();
        let id = status["peer_id"].as_str().expect("has an id");
        if address.contains("/p2p/") { address } else { format!("{address}/p2p/{id}") }
    }
}

pub fn parse(raw: &[u8]) -> Answer {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Answer { status, headers, body: raw[end + 4..].to_vec() }
}

/// Nodes of a mesh of their own that are not connected, while `test` runs.
pub async fn with_nodes<const N: usize>(limits: Limits, test: impl AsyncFnOnce([Api; N])) {
    with_nodes_that(limits, |builder, _| builder, test).await;
}

/// The same, of nodes that are built in another way.
pub async fn with_nodes_that<const N: usize>(
    limits: Limits,
    are: impl Fn(Builder, &str) -> Builder,
    test: impl AsyncFnOnce([Api; N]),
) {
    let mesh = format!("test-{:016x}", rand::random::<u64>());
    let mut apis = Vec::new();
    let mut serving = Vec::new();
    for name in ["ant", "bat", "cat"].into_iter().take(N) {
        let builder = Node::builder()
            .in_memory()
            .name(name)
            .mesh(&mesh)
            .listen(vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")])
            .discovery(Discovery { mdns: false, same_host: false, same_host_directory: None })
            .membership(Membership::Open)
            .limits(limits);
        let node = are(builder, name).start().await.expect("starts");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        serving.push(Box::pin(serve(node.clone(), listener, std::future::pending())));
        apis.push(Api { node, at });
    }
    let nodes: Vec<Node> = apis.iter().map(|api| api.node.clone()).collect();
    let apis = apis.try_into().unwrap_or_else(|_| panic!("at most three"));
    tokio::select! {
        () = test(apis) => {}
        _ = futures::future::select_all(serving) => panic!("the server ended"),
    }
    for node in nodes {
        node.close().await;
    }
}

pub async fn with_node(test: impl AsyncFnOnce(Api)) {
    with_nodes(Limits::default(), async |[ant]: [Api; 1]| test(ant).await).await;
}

/// Waits for what must come about soon.
pub async fn until<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = check().await {
                return found;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_read_as_it_was_written() {
    with_node(async |ant| {
        let png = [("Content-Type", "image/png")];
        let put = ant.ask("PUT", "/v1/kv/users/1", &png, &[0, 255]).await.expect(200);
        let written = put.json();
        assert_eq!(written["key"], "users/1");
        assert_eq!(written["seq"], 1);
        let id = ant.node.id().to_string();
        assert!(written["origin"].as_str().expect("a text").starts_with(&format!("{id}.")), "{written}");
        assert!(written["hlc"].as_str().expect("a text").contains('.'), "{written}");
        assert_eq!(written["frontier"], put.headers["tidings-frontier"].as_str());

        let get = ant.get("/v1/kv/users/1").await.expect(200);
        assert_eq!(get.body, [0, 255]);
        assert_eq!(get.headers["content-type"], "image/png");
        assert_eq!(get.headers["x-content-type-options"], "nosniff");
        assert!(get.headers["content-security-policy"].contains("sandbox"));
        assert_eq!(get.headers["etag"].len(), 66, "64 hex digits in quotes");
        assert!(!get.headers["tidings-frontier"].is_empty());
        assert!(!get.headers.contains_key("tidings-siblings"));

        let head = ant.ask("HEAD", "/v1/kv/users/1", &[], b"").await.expect(200);
        assert_eq!((&*head.headers["content-length"], head.body.len()), ("2", 0));
        assert_eq!(head.headers["etag"], get.headers["etag"]);

        assert_eq!(ant.delete("/v1/kv/users/1").await.expect(200).json()["seq"], 2);
        ant.get("/v1/kv/users/1").await.refused(404, "no_such_key");
        ant.ask("HEAD", "/v1/kv/users/1", &[], b"").await.expect(404);
        ant.delete("/v1/kv/users/1").await.refused(404, "no_such_key");
        ant.delete("/v1/kv/never").await.refused(404, "no_such_key");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_type_is_json_or_text_or_octets() {
    with_node(async |ant| {
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        for (body, expected) in [
            (&b"{\"a\": 1}"[..], "application/json"),
            (b"42", "application/json"),
            (b"hello", "text/plain; charset=utf-8"),
            (b"", "text/plain; charset=utf-8"),
            (b"\xff\xfe", "application/octet-stream"),
        ] {
            for headers in [&[][..], &form] {
                ant.ask("PUT", "/v1/kv/a", headers, body).await.expect(200);
                let get = ant.get("/v1/kv/a").await.expect(200);
                assert_eq!((&get.body[..], &*get.headers["content-type"]), (body, expected));
            }
        }
        let typed = |text: &'static str| [("Content-Type", text)];
        ant.ask("PUT", "/v1/kv/b", &typed("nonsense"), b"x").await.refused(415, "bad_content_type");
        ant.ask("PUT", "/v1/kv/b", &typed("application/json"), b"{").await.refused(400, "bad_json");
        ant.get("/v1/kv/b").await.refused(404, "no_such_key");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn meta_tells_where_a_value_comes_from() {
    with_node(async |ant| {
        ant.put("/v1/kv/a", b"{\"n\": 1.50}").await.expect(200);
        let etag = ant.get("/v1/kv/a").await.headers["etag"].clone();
        let meta = ant.get("/v1/kv/a?meta=true").await.expect(200);
        assert_eq!(meta.headers["content-type"], "application/json");
        assert!(meta.text().contains("1.50"), "digits stay as they are: {}", meta.text());
        let meta = meta.json();
        for (member, value) in [
            ("key", json!("a")),
            ("content_type", json!("application/json")),
            ("size", json!(11)),
            ("seq", json!(1)),
            ("siblings", json!(1)),
            ("strategy", json!("last-write-wins")),
            ("etag", json!(etag.trim_matches('"'))),
        ] {
            assert_eq!(meta[member], value, "{member}");
        }
        ant.get("/v1/kv/a?meta=perhaps").await.refused(400, "bad_parameter");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn preconditions_are_honoured() {
    with_node(async |ant| {
        let absent = [("If-None-Match", "*")];
        let there = [("If-Match", "*")];
        ant.ask("PUT", "/v1/kv/a", &there, b"1").await.refused(412, "precondition_failed");
        ant.ask("PUT", "/v1/kv/a", &absent, b"1").await.expect(200);
        ant.ask("PUT", "/v1/kv/a", &absent, b"2").await.refused(412, "precondition_failed");
        ant.ask("PUT", "/v1/kv/a", &there, b"1").await.expect(200);

        let first = ant.get("/v1/kv/a").await.headers["etag"].clone();
        ant.ask("PUT", "/v1/kv/a", &[("If-Match", &first)], b"3").await.expect(200);
        let second = ant.get("/v1/kv/a").await.headers["etag"].clone();
        assert_ne!(first, second);
        ant.ask("PUT", "/v1/kv/a", &[("If-Match", &first)], b"4").await.refused(412, "precondition_failed");
        ant.ask("PUT", "/v1/kv/a", &[("If-Match", "\"v1\"")], b"4").await.refused(412, "precondition_failed");
        ant.ask("PUT", "/v1/kv/a", &[("If-Match", "v1")], b"4").await.refused(400, "bad_header");
        ant.ask("PUT", "/v1/kv/a", &[("If-None-Match", &second)], b"4").await.refused(400, "bad_header");
        ant.ask("PUT", "/v1/kv/a", &[("If-Match", "*"), ("If-None-Match", "*")], b"4")
            .await
            .refused(400, "bad_header");
        let either = format!("{first}, {second}");
        ant.ask("PUT", "/v1/kv/a", &[("If-Match", &either)], b"5").await.expect(200);

        let third = ant.get("/v1/kv/a").await.headers["etag"].clone();
        let unchanged = ant.ask("GET", "/v1/kv/a", &[("If-None-Match", &third)], b"").await.expect(304);
        assert!(unchanged.body.is_empty());
        assert_eq!(unchanged.headers["etag"], third);
        ant.ask("GET", "/v1/kv/a", &[("If-None-Match", &second)], b"").await.expect(200);
        ant.ask("GET", "/v1/kv/a", &[("If-Match", &second)], b"").await.refused(412, "precondition_failed");

        ant.ask("DELETE", "/v1/kv/a", &[("If-Match", &second)], b"")
            .await
            .refused(412, "precondition_failed");
        assert_eq!(ant.get("/v1/kv/a").await.expect(200).body, b"5");
        ant.ask("DELETE", "/v1/kv/a", &[("If-Match", &third)], b"").await.expect(200);
        ant.ask("PUT", "/v1/kv/a", &absent, b"again").await.expect(200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_a_path_is_decoded_once() {
    with_node(async |ant| {
        for (target, key) in [
            ("/v1/kv/a%2Fb", "a/b"),
            ("/v1/kv/a%20b+c", "a b+c"),
            ("/v1/kv/%C3%A4/%3F", "ä/?"),
            ("/v1/kv/a%252Fb", "a%2Fb"),
        ] {
            assert_eq!(ant.put(target, b"x").await.expect(200).json()["key"], key);
            ant.get(target).await.expect(200);
        }
        ant.get("/v1/kv/a/b").await.expect(200);
        let longest = "x".repeat(1_024);
        ant.put(&format!("/v1/kv/{longest}"), b"x").await.expect(200);
        let too_long = format!("/v1/kv/{longest}x");
        for target in [
            "/v1/kv/",
            "/v1/kv/a/",
            "/v1/kv//a",
            "/v1/kv/a//b",
            "/v1/kv/a%2F",
            "/v1/kv/../a",
            "/v1/kv/%2e%2e/a",
            "/v1/kv/a/.",
            "/v1/kv/%FF",
            "/v1/kv/%zz",
            "/v1/kv/a%00",
            &too_long,
        ] {
            ant.put(target, b"x").await.refused(400, "bad_key");
            ant.get(target).await.refused(400, "bad_key");
            ant.delete(target).await.refused(400, "bad_key");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_route_does_not_know_is_refused_and_not_ignored() {
    with_node(async |ant| {
        ant.put("/v1/kv/a", b"1").await.expect(200);
        for target in [
            "/v1/kv/a",
            "/v1/scan",
            "/v1/status",
            "/v1/peers",
            "/v1/sync",
            "/v1/digest",
            "/v1/dropped",
            "/v1/conflicts",
            "/v1/explain/a",
        ] {
            let answer = ant.get(&format!("{target}?colour=red")).await.refused(400, "unknown_parameter");
            assert_eq!(answer.json()["parameter"], "colour", "{target}");
            ant.get(&format!("{target}?ns=elsewhere")).await.refused(404, "no_such_namespace");
            ant.get(&format!("{target}?ns=Photos")).await.refused(400, "bad_namespace");
            ant.get(&format!("{target}?ns=default")).await.expect(200);
        }
        ant.put("/v1/kv/b?ttl=soon", b"1").await.refused(400, "bad_ttl");
        ant.ask("PUT", "/v1/kv/b", &[("Tidings-Base", "x")], b"1").await.refused(400, "bad_header");
        ant.ask("GET", "/v1/kv/a", &[("Tidings-At-Least", "x")], b"").await.refused(400, "bad_header");
        ant.get("/v1/kv/b").await.refused(404, "no_such_key");
        ant.get("/v1/nothing").await.refused(404, "not_found_route");
        ant.get("/").await.refused(404, "not_found_route");
        let options = ant.ask("OPTIONS", "/v1/kv/a", &[], b"").await.refused(405, "method_not_allowed");
        assert_eq!(options.headers["allow"], "GET,HEAD,PUT,PATCH,DELETE,POST");
        ant.get("/v1/batch").await.refused(405, "method_not_allowed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_above_the_limit_is_refused_and_changes_nothing() {
    let mut limits = Limits::default();
    limits.value_bytes_max = 2_000_000;
    with_nodes(limits, async |[ant]: [Api; 1]| {
        let body = vec![b'x'; 2_000_001];
        ant.put("/v1/kv/a", &body[1..]).await.expect(200);
        let answer = ant.put("/v1/kv/a", &body).await.refused(413, "value_too_large");
        assert_eq!(answer.json()["limit"], 2_000_000);
        assert!(answer.text().contains("value_bytes_max"));
        let waits = [("Expect", "100-continue")];
        ant.ask("PUT", "/v1/kv/b", &waits, &body).await.refused(413, "value_too_large");
        assert_eq!(ant.get("/v1/kv/a").await.expect(200).body.len(), 2_000_000);
        ant.get("/v1/kv/b").await.refused(404, "no_such_key");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_done_whole_or_not_at_all() {
    with_node(async |ant| {
        ant.put("/v1/kv/old", b"1").await.expect(200);
        let done = ant
            .post(
                "/v1/batch",
                &json!([
                    {"op": "put", "key": "a", "value": {"n": 1}},
                    {"op": "put", "key": "b", "value": "hello"},
                    {"op": "put", "key": "c", "value": "/w==", "content_type": "image/png"},
                    {"op": "put", "key": "d", "value": null},
                    {"op": "del", "key": "old"},
                ]),
            )
            .await
            .expect(200)
            .json();
        let results = done["results"].as_array().expect("a list");
        let told: Vec<_> =
            results.iter().map(|result| (result["key"].clone(), result["seq"].clone())).collect();
        let expected = [("a", 2), ("b", 3), ("c", 4), ("d", 5), ("old", 6)];
        assert_eq!(told, expected.map(|(key, seq)| (json!(key), json!(seq))));
        assert_eq!(ant.get("/v1/kv/a").await.expect(200).json(), json!({"n": 1}));
        assert_eq!(ant.get("/v1/kv/b").await.expect(200).text(), "hello");
        assert_eq!(ant.get("/v1/kv/c").await.expect(200).body, [0xff]);
        assert_eq!(ant.get("/v1/kv/d").await.expect(200).text(), "null");
        ant.get("/v1/kv/old").await.refused(404, "no_such_key");

        let missing = json!([{"op": "put", "key": "x", "value": 1}, {"op": "del", "key": "never"}]);
        let answer = ant.post("/v1/batch", &missing).await.refused(404, "no_such_key");
        assert_eq!(answer.json()["index"], 1);
        ant.get("/v1/kv/x").await.refused(404, "no_such_key");

        assert_eq!(ant.post("/v1/batch", &json!([])).await.expect(200).json(), json!({"results": []}));
        let bad = json!([{"op": "put", "key": "x", "value": 1}, {"op": "get", "key": "x"}]);
        assert_eq!(ant.post("/v1/batch", &bad).await.refused(400, "bad_batch").json()["index"], 1);
        ant.post("/v1/batch", &json!([{"op": "del", "key": "a//b"}])).await.refused(400, "bad_key");
        ant.post("/v1/batch", &json!({})).await.refused(400, "bad_json");
        ant.ask("POST", "/v1/batch", &[], b"[]").await.refused(415, "bad_content_type");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_keeps_its_limits() {
    with_node(async |ant| {
        let puts = |count: usize| {
            let put = |n| json!({"op": "put", "key": format!("k/{n}"), "value": n});
            Value::Array((0..count).map(put).collect())
        };
        ant.post("/v1/batch", &puts(1_001)).await.refused(413, "batch_too_large");
        let large = json!([{"op": "put", "key": "a", "value": "x".repeat(1024 * 1024)}]);
        ant.post("/v1/batch", &large).await.refused(413, "batch_too_large");
        let larger = json!([{"op": "put", "key": "a", "value": "x".repeat(9 * 1024 * 1024)}]);
        ant.post("/v1/batch", &larger).await.refused(413, "batch_too_large");
        assert_eq!(ant.get("/v1/scan").await.expect(200).json()["entries"], json!([]));
        ant.post("/v1/batch", &puts(1_000)).await.expect(200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_goes_through_whole_segments_in_order() {
    with_node(async |ant| {
        for key in ["users", "users/1", "users/2", "users/10", "users2/1", "gone", "users/9"] {
            ant.put(&format!("/v1/kv/{key}"), format!("\"{key}\"").as_bytes()).await.expect(200);
        }
        ant.delete("/v1/kv/gone").await.expect(200);
        ant.delete("/v1/kv/users/9").await.expect(200);
        let keys = async |target: &str| {
            let page = ant.get(target).await.expect(200).json();
            let entries = page["entries"].as_array().expect("a list");
            let keys: Vec<_> = entries.iter().map(|e| e["key"].as_str().expect("a key").to_owned()).collect();
            (keys.join(" "), page["next"].clone())
        };
        let below = "users users/1 users/10 users/2";
        assert_eq!(keys("/v1/scan/users").await, (below.to_owned(), Value::Null));
        assert_eq!(keys("/v1/scan/users/").await, (below.to_owned(), Value::Null));
        for all in ["/v1/scan", "/v1/scan/"] {
            assert_eq!(keys(all).await, (format!("{below} users2/1"), Value::Null));
        }
        assert_eq!(keys("/v1/scan/user").await, (String::new(), Value::Null));
        assert_eq!(keys("/v1/scan/users?reverse=true").await.0, "users/2 users/10 users/1 users");
        let (first, next) = keys("/v1/scan/users?limit=2").await;
        assert_eq!((&*first, next.clone()), ("users users/1", json!("users/1")));
        let next = format!("/v1/scan/users?limit=2&after={}", next.as_str().expect("a key"));
        assert_eq!(keys(&next).await, ("users/10 users/2".to_owned(), Value::Null));
        assert_eq!(keys("/v1/scan?reverse=true&after=users%2F10&limit=9").await.0, "users/1 users");

        let page = ant.get("/v1/scan/users?keys_only=true").await.expect(200).json();
        assert_eq!((&page["entries"][0]["key"], page["entries"][0].get("value")), (&json!("users"), None));
        for query in ["limit=0", "limit=10001", "limit=x", "after=a//b", "reverse=perhaps"] {
            ant.get(&format!("/v1/scan?{query}")).await.refused(400, "bad_parameter");
        }
        ant.get("/v1/scan/a//b").await.refused(400, "bad_key");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_in_a_scan_stands_as_its_type_allows() {
    with_node(async |ant| {
        let large = vec![b'x'; 65_537];
        ant.put("/v1/kv/json", b"[1]").await.expect(200);
        ant.put("/v1/kv/large", &large).await.expect(200);
        ant.put("/v1/kv/octets", &[0xff]).await.expect(200);
        ant.put("/v1/kv/text", b"hi").await.expect(200);
        let page = ant.get("/v1/scan").await.expect(200).json();
        let entries = page["entries"].as_array().expect("a list");
        assert_eq!(entries[0]["value"], json!([1]));
        assert_eq!((entries[1].get("value"), &entries[1]["size"]), (None, &json!(65_537)));
        assert_eq!(entries[1]["etag"].as_str().expect("a text").len(), 64);
        assert_eq!((&entries[2]["value"], &entries[2]["encoding"]), (&json!("/w=="), &json!("base64")));
        assert_eq!(entries[2]["content_type"], "application/octet-stream");
        assert_eq!(entries[3]["value"], "hi");
        assert_eq!(ant.get("/v1/kv/large").await.expect(200).body, large);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_tells_of_itself() {
    with_node(async |ant| {
        ant.put("/v1/kv/a", b"1").await.expect(200);
        let status = ant.get("/v1/status").await.expect(200).json();
        assert_eq!(status["peer_id"], ant.node.id().to_string());
        assert_eq!((&status["name"], &status["keys"]), (&json!("ant"), &json!(1)));
        assert_eq!(status["namespaces"], json!(["default"]));
        assert!(status["listen"][0].as_str().expect("listens").starts_with("/ip4/127.0.0.1/tcp/"));
        assert_eq!(ant.get("/v1/peers").await.expect(200).json(), json!({"peers": []}));
        let sync = ant.get("/v1/sync").await.expect(200).json();
        assert_eq!((&sync["missing"], &sync["peers"]), (&json!(0), &json!([])));
        let round = ant.ask("POST", "/v1/sync", &[], b"").await.expect(200).json();
        assert_eq!((&round["versions_in"], &round["peers"]), (&json!(0), &json!([])));
        let digest = ant.get("/v1/digest").await.expect(200).json();
        assert_eq!((digest["root"].as_str().expect("a text").len(), &digest["keys"]), (64, &json!(1)));

        assert_eq!(ant.get("/healthz").await.expect(200).text(), "ok\n");
        assert_eq!(ant.get("/readyz").await.expect(200).json()["ready"], true);
        let metrics = ant.get("/metrics").await.expect(200);
        assert!(metrics.headers["content-type"].starts_with("application/openmetrics-text"));
        assert!(metrics.text().ends_with("# EOF\n"), "{}", metrics.text());
        assert!(metrics.text().contains("\ntidings_network_dials_total "), "{}", metrics.text());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_changes_a_value_and_not_when_it_expires() {
    with_node(async |ant| {
        let expires = async || ant.get("/v1/kv/a?meta=true").await.expect(200).json()["expires_at"].as_u64();
        ant.put("/v1/kv/a?ttl=1h", b"{\"n\":1}").await.expect(200);
        let before = expires().await.expect("it has a deadline");
        let patch = [("Content-Type", "application/merge-patch+json")];
        ant.ask("PATCH", "/v1/kv/a", &patch, b"{\"m\":2}").await.expect(200);
        let after = expires().await.expect("it still has a deadline");
        assert!(before.abs_diff(after) < 5_000, "{before} and {after}");
        assert_eq!(ant.get("/v1/kv/a").await.expect(200).json(), json!({ "n": 1, "m": 2 }));
        // A put says anew how long, or for ever.
        ant.put("/v1/kv/a", b"{}").await.expect(200);
        ant.ask("PATCH", "/v1/kv/a", &patch, b"{\"m\":2}").await.expect(200);
        assert_eq!(expires().await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_over_http_is_the_one_that_is_kept_and_says_what_reading_everything_says() {
    with_nodes(Limits::default(), async |[ant, bat]: [Api; 2]| {
        ant.post("/v1/peers", &json!({ "addr": bat.listen().await })).await.expect(200);
        for n in 0..30 {
            let api = if n % 2 == 0 { &ant } else { &bat };
            api.put(&format!("/v1/kv/k/{}", n % 20), format!("{n}").as_bytes()).await.expect(200);
        }
        ant.delete("/v1/kv/k/0").await.expect(200);
        ant.put("/v1/kv/soon?ttl=1ms", b"gone").await.expect(200);
        until("all are equal", async || {
            let mut all = Vec::new();
            for api in [&ant, &bat] {
                let kept = api.get("/v1/digest").await.expect(200).json();
                let read = api.node.digest().await.expect("is read");
                let read =
                    json!({ "root": read.root, "keys": read.keys, "frontier": read.frontier.to_string() });
                all.extend([kept, read]);
            }
            all.windows(2).all(|pair| pair[0] == pair[1]).then_some(())
        })
        .await;
        assert_eq!(ant.get("/v1/digest").await.expect(200).json()["keys"], 19);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_is_of_all_namespaces_or_of_the_one_that_is_named() {
    with_nodes(Limits::default(), async |[ant, bat]: [Api; 2]| {
        ant.post("/v1/peers", &json!({ "addr": bat.listen().await })).await.expect(200);
        ant.post("/v1/namespaces", &json!({ "name": "own" })).await.expect(201);
        for api in [&ant, &bat] {
            api.post("/v1/namespaces", &json!({ "name": "both" })).await.expect(201);
        }
        until("they are linked", async || (ant.node.status().await.peers == 1).then_some(())).await;
        let round = async |query: &str| {
            let report = ant.ask("POST", &format!("/v1/sync{query}"), &[], b"").await.expect(200).json();
            let with = report["peers"].as_array().expect("a list").iter();
            let with =
                with.map(|one| (one["namespace"].as_str().expect("a name").to_owned(), one["error"].clone()));
            with.collect::<BTreeMap<_, _>>()
        };
        let not_there = json!("the peer does not carry the namespace");
        let expected = |names: &[&str]| {
            let error = |name| if name == "own" { not_there.clone() } else { Value::Null };
            names.iter().map(|name| ((*name).to_owned(), error(*name))).collect()
        };
        assert_eq!(round("").await, expected(&["both", "default", "own"]));
        assert_eq!(round("?ns=both").await, expected(&["both"]));
        assert_eq!(round("?ns=own").await, expected(&["own"]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_node_lives_and_is_not_ready() {
    with_node(async |ant| {
        ant.node.close().await;
        ant.get("/v1/kv/a").await.refused(503, "closed");
        ant.put("/v1/kv/a", b"1").await.refused(503, "closed");
        ant.get("/healthz").await.expect(200);
        ant.get("/readyz").await.refused(503, "not_ready");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_get_nothing() {
    with_node(async |ant| {
        let host = format!("localhost:{}", ant.at.port());
        let origin = format!("http://{host}");
        for headers in
            [&[("Host", &*host)][..], &[("Host", "[::1]")], &[("Host", &host), ("Origin", &origin)]]
        {
            ant.ask("PUT", "/v1/kv/a", headers, b"1").await.expect(200);
        }
        for headers in [&[("Host", "evil.example")][..], &[("Host", "192.0.2.1")], &[("Host", "")]] {
            ant.ask("GET", "/v1/status", headers, b"").await.refused(403, "bad_host");
            ant.ask("GET", "/healthz", headers, b"").await.refused(403, "bad_host");
        }
        for headers in [
            [("Host", &*host), ("Origin", "http://evil.example")],
            [("Host", &host), ("Origin", "null")],
            [("Host", &host), ("Sec-Fetch-Site", "cross-site")],
        ] {
            ant.ask("PUT", "/v1/kv/a", &headers, b"2").await.refused(403, "bad_origin");
        }
        assert_eq!(ant.get("/v1/kv/a").await.expect(200).body, b"1");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_are_connected_cut_off_and_let_back_in() {
    with_nodes(Limits::default(), async |[ant, bat]: [Api; 2]| {
        ant.post("/v1/peers", &json!({"addr": "nowhere"})).await.refused(400, "bad_address");
        ant.post("/v1/peers", &json!({"address": "x"})).await.refused(400, "bad_json");
        ant.ask("POST", "/v1/peers", &[], b"{}").await.refused(415, "bad_content_type");
        ant.post("/v1/peers/ant/block", &json!({})).await.refused(400, "bad_peer_id");

        let (ant_id, bat_id) = (ant.node.id().to_string(), bat.node.id().to_string());
        let connected = async |api: &Api, id: &str| {
            let peers = api.get("/v1/peers").await.expect(200).json();
            let peers = peers["peers"].as_array().expect("a list").clone();
            peers.iter().any(|peer| peer["peer_id"] == id && peer["connected"] == true)
        };
        ant.post("/v1/peers", &json!({"addr": bat.listen().await})).await.expect(200);
        until("ant and bat connect", async || {
            (connected(&ant, &bat_id).await && connected(&bat, &ant_id).await).then_some(())
        })
        .await;
        ant.put("/v1/kv/a", b"1").await.expect(200);
        until("bat hears of it", async || (bat.get("/v1/kv/a").await.status == 200).then_some(())).await;
        // A round with one of them, both ways or one, with which the other way nothing goes.
        for (direction, nothing) in [("pull", "versions_out"), ("push", "versions_in"), ("both", "")] {
            let target = format!("/v1/sync?peer={bat_id}&direction={direction}");
            let report = ant.ask("POST", &target, &[], b"").await.expect(200).json();
            assert_eq!(report["peers"][0]["peer_id"], *bat_id, "{report}");
            assert!(report["peers"][0]["error"].is_null(), "{report}");
            assert!(report[nothing] == 0 || direction == "both", "{report}");
        }
        for (query, status, code) in [
            (format!("peer={ant_id}"), 409, "not_connected"),
            ("peer=bat".to_owned(), 400, "bad_peer_id"),
            (format!("peer={bat_id}&direction=up"), 400, "bad_parameter"),
        ] {
            ant.ask("POST", &format!("/v1/sync?{query}"), &[], b"").await.refused(status, code);
        }

        ant.ask("POST", &format!("/v1/peers/{ant_id}/block"), &[], b"").await.refused(400, "bad_peer_id");
        let blocked = ant.ask("POST", &format!("/v1/peers/{bat_id}/block"), &[], b"").await.expect(200);
        assert_eq!(blocked.json()["blocked"], true);
        until("bat is cut off", async || (!connected(&bat, &ant_id).await).then_some(())).await;
        ant.put("/v1/kv/b", b"1").await.expect(200);
        sleep(Duration::from_millis(300)).await;
        bat.get("/v1/kv/b").await.refused(404, "no_such_key");
        ant.ask("POST", &format!("/v1/peers/{bat_id}/unblock"), &[], b"").await.expect(200);
        ant.post("/v1/peers", &json!({"addr": bat.listen().await})).await.expect(200);
        until("bat hears of the rest", async || (bat.get("/v1/kv/b").await.status == 200).then_some(()))
            .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_waits_for_what_was_written_elsewhere_or_says_what_is_missing() {
    with_nodes(Limits::default(), async |[ant, bat]: [Api; 2]| {
        ant.post("/v1/peers", &json!({ "addr": bat.listen().await })).await.expect(200);
        let put = ant.put("/v1/kv/a", b"1").await.expect(200);
        let frontier = put.headers["tidings-frontier"].clone();
        let at_least = [("Tidings-At-Least", &*frontier)];
        let got = bat.ask("GET", "/v1/kv/a?wait=20s", &at_least, b"").await.expect(200);
        assert_eq!(got.body, b"1");
        bat.ask("GET", "/v1/scan?wait=1s", &at_least, b"").await.expect(200);

        let id = ant.node.id().to_string();
        bat.ask("POST", &format!("/v1/peers/{id}/block"), &[], b"").await.expect(200);
        until("they are apart", async || {
            let sync = ant.get("/v1/sync").await.expect(200).json();
            (sync["peers"][0]["connected"] == false).then_some(())
        })
        .await;
        let put = ant.put("/v1/kv/a", b"2").await.expect(200);
        let (written, frontier) = (put.json(), put.headers["tidings-frontier"].clone());
        let at_least = [("Tidings-At-Least", &*frontier)];
        let reads = ["kv/a", "scan", "history/a", "explain/a", "conflicts", "changes", "digest"];
        for read in reads.into_iter().chain(["watch"]) {
            let target = &format!("/v1/{read}?wait=100ms");
            let problem = bat.ask("GET", target, &at_least, b"").await.refused(504, "not_seen").json();
            let missing = problem["missing"][0].as_str().expect("a dot");
            assert!(missing.starts_with(written["origin"].as_str().expect("a text")), "{problem}");
            assert_eq!(problem["count"], 1);
        }
        let sync = ant.get("/v1/sync?ns=default").await.expect(200).json();
        assert_eq!(sync["peers"][0]["state"], "unknown", "{sync}");
        bat.ask("POST", &format!("/v1/peers/{id}/unblock"), &[], b"").await.expect(200);
        let got = bat.ask("GET", "/v1/kv/a?wait=15s", &at_least, b"").await.expect(200);
        assert_eq!(got.body, b"2");
        for read in reads {
            bat.ask("GET", &format!("/v1/{read}?wait=1s"), &at_least, b"").await.expect(200);
        }

        bat.ask("GET", "/v1/kv/a?wait=26s", &at_least, b"").await.refused(400, "bad_parameter");
        let token = format!("here.{id}.0");
        let foreign = [("Tidings-At-Least", &*token)];
        bat.ask("GET", "/v1/kv/a", &foreign, b"").await.refused(400, "foreign_frontier");
    })
    .await;
}

/// A store that has seen writes of so many lives that its frontier does not fit into a header.
fn store_of_many_lives() -> Memory {
    let origin = |epoch| Origin { node: NodeId([1; 32]), epoch };
    let (store, namespace) = (Memory::new(), Namespace::default());
    let opened = Ledger::open(Arc::new(store.clone()), origin(0), std::slice::from_ref(&namespace));
    let mut ledger = opened.expect("opens").0;
    // Mixed, so that they cannot be told in a few bytes.
    let lives = (1..=1_000_u64).map(|life| Dot::new(origin(life.wrapping_mul(0x9e37_79b9_7f4a_7c15)), 1));
    ledger.absorb(&namespace, &lives.collect::<SeenSet>(), &Floors::new());
    ledger.commit(Durability::Buffer, Hlc::from_millis(1)).expect("commits");
    store
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frontier_too_long_for_a_header_becomes_a_token_of_its_node() {
    let are = |builder: Builder, name: &str| match name {
        "ant" => builder.store(Arc::new(store_of_many_lives()), Surroundings::default(), [7; 32]),
        _ => builder,
    };
    with_nodes_that(Limits::default(), are, async |[ant, bat]: [Api; 2]| {
        let put = ant.put("/v1/kv/a", b"1").await.expect(200);
        assert!(!put.headers.contains_key("tidings-frontier-scope"), "a write names its own past alone");
        let got = ant.get("/v1/kv/a").await.expect(200);
        assert_eq!(got.headers["tidings-frontier-scope"], "this-node");
        let token = got.headers["tidings-frontier"].clone();
        assert!(token.starts_with("here.") && token.len() < 200, "{token}");
        let at_least = [("Tidings-At-Least", &*token)];
        ant.ask("GET", "/v1/kv/a?wait=1s", &at_least, b"").await.expect(200);
        ant.ask("GET", "/v1/scan?wait=1s", &at_least, b"").await.expect(200);
        let refused = bat.ask("GET", "/v1/kv/a", &at_least, b"").await.refused(400, "foreign_frontier");
        assert!(refused.text().contains(&ant.node.id().to_string()), "{}", refused.text());
        let own = put.headers["tidings-frontier"].clone();
        bat.ask("GET", "/v1/kv/a?wait=0s", &[("Tidings-At-Least", &*own)], b"")
            .await
            .refused(504, "not_seen");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writes_stand_beside_each_other_until_one_is_written_over_both() {
    with_nodes(Limits::default(), async |[ant, bat]: [Api; 2]| {
        ant.put("/v1/kv/a", b"\"ant\"").await.expect(200);
        bat.put("/v1/kv/a", b"\"bat\"").await.expect(200);
        ant.post("/v1/peers", &json!({"addr": bat.listen().await})).await.expect(200);
        let digest = async |api: &Api| api.get("/v1/digest").await.expect(200).json()["root"].clone();
        until("ant and bat agree", async || {
            let round = ant.ask("POST", "/v1/sync", &[], b"").await.expect(200).json();
            let met = !round["peers"].as_array().expect("a list").is_empty();
            (met && digest(&ant).await == digest(&bat).await).then_some(())
        })
        .await;
        let (at_ant, at_bat) = (ant.get("/v1/kv/a").await, bat.get("/v1/kv/a").await);
        assert_eq!(at_ant.headers["tidings-siblings"], "2");
        assert_eq!(at_ant.headers["etag"], at_bat.headers["etag"]);
        assert_eq!(at_ant.body, at_bat.body);
        assert_eq!(ant.get("/v1/kv/a?meta=true").await.expect(200).json()["siblings"], 2);
        let etag = &at_ant.headers["etag"];
        ant.ask("PUT", "/v1/kv/a", &[("If-Match", etag)], b"\"both\"").await.expect(200);
        assert!(!ant.get("/v1/kv/a").await.headers.contains_key("tidings-siblings"));
    })
    .await;
}
