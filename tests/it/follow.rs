//! Changes, made keys, `/api` and tokens over HTTP, with real nodes.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use tidings::{
    Limits,
    http::serve_with,
    node::{Builder, Dot, Frontier},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{
    http::{Answer, Api, until, with_node, with_nodes, with_nodes_that},
    support::{PATIENCE, metric},
};

/// Server-sent events as they come.
struct Events {
    lines: BufReader<TcpStream>,
    last: String,
}

impl Events {
    /// HTTP/1.0: without chunks between the events.
    async fn open(api: &Api, target: &str, last_event_id: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(api.at).await.unwrap();
        let back = last_event_id.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        let head = format!("GET {target} HTTP/1.0\r\nHost: {}\r\n{back}\r\n", api.at);
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut events = Self { lines: BufReader::new(stream), last: String::new() };
        assert!(events.line().await.starts_with("HTTP/1.0 200"), "{target}");
        let mut is_stream = false;
        loop {
            let line = events.line().await;
            is_stream |= line.eq_ignore_ascii_case("content-type: text/event-stream");
            if line.is_empty() {
                break;
            }
        }
        assert!(is_stream);
        // Where to come back to stands there before anything has happened.
        assert!(events.line().await.starts_with("retry: "));
        events.last = events.line().await.strip_prefix("id: ").expect("a cursor").to_owned();
        events
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(PATIENCE, self.lines.read_line(&mut line)).await.expect("in time").unwrap();
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Name and data of the next event.
    async fn next(&mut self) -> (String, Value) {
        let (mut name, mut data) = (String::new(), String::new());
        loop {
            let line = self.line().await;
            match line.split_once(": ") {
                Some(("event", text)) => text.clone_into(&mut name),
                Some(("id", text)) => text.clone_into(&mut self.last),
                Some(("data", text)) => data.push_str(text),
                _ if line.is_empty() && !data.is_empty() => {
                    return (name, serde_json::from_str(&data).unwrap());
                }
                _ => {}
            }
        }
    }

    async fn change(&mut self) -> (String, Value) {
        let (name, data) = self.next().await;
        assert_eq!(name, "change", "{data}");
        (data["key"].as_str().unwrap().to_owned(), data["value"].clone())
    }
}

async fn link(ant: &Api, bat: &Api) {
    bat.post("/v1/peers", &json!({ "addr": ant.listen().await })).await;
    until("they are linked", async || (bat.node.status().await.peers == 1).then_some(())).await;
}

async fn until_equal(ant: &Api, bat: &Api) {
    until("both hold the same", async || {
        let (a, b) = (ant.node.digest().await.unwrap(), bat.node.digest().await.unwrap());
        (a.root == b.root && a.frontier == b.frontier).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_on_at_another_node_where_they_were_cut_off() {
    with_nodes(Limits::default(), async |[ant, bat]: [Api; 2]| {
        link(&ant, &bat).await;
        let mut events = Events::open(&ant, "/v1/watch/users", None).await;
        ant.put("/v1/kv/users2/1", b"no").await.expect(200);
        ant.put("/v1/kv/users/1", b"{\n \"n\": 1\n}").await.expect(200);
        assert_eq!(events.change().await, ("users/1".into(), json!({ "n": 1 })));
        let cut = events.last.clone();
        drop(events);
        ant.put("/v1/kv/users/2", b"two").await.expect(200);
        ant.delete("/v1/kv/users/1").await.expect(200);
        until_equal(&ant, &bat).await;
        let mut events = Events::open(&bat, "/v1/watch/users", Some(&cut)).await;
        let told: BTreeSet<String> = [events.change().await, events.change().await]
            .map(|(key, value)| format!("{key}={value}"))
            .into();
        assert_eq!(told, BTreeSet::from(["users/1=null".into(), "users/2=\"two\"".into()]));
        bat.put("/v1/kv/users/3", b"3").await.expect(200);
        assert_eq!(events.change().await, ("users/3".into(), json!(3)));
        // The same as a parameter, with all that stands there first.
        let mut all = Events::open(&ant, "/v1/watch?snapshot=true", None).await;
        let mut keys = BTreeSet::new();
        while keys.len() < 3 {
            keys.insert(all.change().await.0);
        }
        assert_eq!(keys, ["users/2", "users/3", "users2/1"].map(str::to_owned).into());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_too_old_is_told_reset_or_gone_with_a_cursor_to_go_on_from() {
    let forgets = |builder: Builder, _: &str| builder.delete_retention(Duration::ZERO);
    with_nodes_that(Limits::default(), forgets, async |[ant, bat]: [Api; 2]| {
        link(&ant, &bat).await;
        ant.put("/v1/kv/a/1", b"1").await.expect(200);
        let old = ant.get("/v1/changes/a").await.expect(200).json()["cursor"].as_str().unwrap().to_owned();
        ant.delete("/v1/kv/a/1").await.expect(200);
        ant.put("/v1/kv/a/2", b"2").await.expect(200);
        until_equal(&ant, &bat).await;
        for api in [&ant, &bat] {
            until("the delete is forgotten", async || {
                (metric(&api.node, "tidings_forgotten_total") > 0).then_some(())
            })
            .await;
            let gone = api.get(&format!("/v1/changes/a?since={old}")).await.refused(410, "cursor_too_old");
            let newer = gone.json()["cursor"].as_str().expect("where to go on").to_owned();
            let nothing = api.get(&format!("/v1/changes/a?since={newer}")).await.expect(200).json();
            assert_eq!((&nothing["changes"], &nothing["more"]), (&json!([]), &json!(false)), "{nothing}");

            // The same as a parameter and as an `EventSource` says it.
            until_equal(&ant, &bat).await;
            for (target, id) in
                [(format!("/v1/watch/a?since={old}"), None), ("/v1/watch/a".into(), Some(&*old))]
            {
                let mut events = Events::open(api, &target, id).await;
                let (name, data) = events.next().await;
                assert_eq!(name, "reset", "{data}");
                assert!(data["detail"].as_str().is_some_and(|text| text.contains("scan")), "{data}");
                assert_ne!(events.last, old, "it comes with the cursor after it");
                api.put("/v1/kv/a/3", target.as_bytes()).await.expect(200);
                assert_eq!(events.change().await, ("a/3".into(), json!(target)));
                // Whoever comes back with that cursor misses nothing, and is not told to begin anew again.
                let mut again = Events::open(api, "/v1/watch/a", Some(&events.last)).await;
                api.put("/v1/kv/a/4", target.as_bytes()).await.expect(200);
                assert_eq!(again.change().await, ("a/4".into(), json!(target)));
            }
        }
        // Who begins has nothing that could have been deleted.
        ant.get("/v1/changes/a").await.expect(200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_in_pages_and_cursors_that_are_none_are_refused() {
    with_nodes(Limits::default(), async |[ant, bat]: [Api; 2]| {
        link(&ant, &bat).await;
        for n in 0..5 {
            ant.put(&format!("/v1/kv/a/{n}"), b"x").await.expect(200);
        }
        until_equal(&ant, &bat).await;
        let (mut cursor, mut keys) = (String::new(), Vec::new());
        for api in [&ant, &bat, &ant] {
            let page = api.get(&format!("/v1/changes?limit=2&since={cursor}")).await.expect(200).json();
            let changes = page["changes"].as_array().unwrap();
            keys.extend(changes.iter().map(|change| change["key"].as_str().unwrap().to_owned()));
            assert_eq!(changes[0]["content_type"], "text/plain; charset=utf-8", "{page}");
            cursor = page["cursor"].as_str().unwrap().to_owned();
            assert_eq!(page["more"], keys.len() < 5);
        }
        keys.sort();
        assert_eq!(keys, ["a/0", "a/1", "a/2", "a/3", "a/4"]);
        let nothing = bat.get(&format!("/v1/changes?since={cursor}")).await.expect(200).json();
        assert_eq!(nothing["changes"], json!([]));
        let below = ant.get("/v1/changes/a/0").await.expect(200).json();
        assert_eq!(below["changes"].as_array().unwrap().len(), 1);
        let narrow = below["cursor"].as_str().unwrap();
        ant.get(&format!("/v1/changes?since={narrow}")).await.refused(400, "bad_cursor");
        for garbage in ["c1.AAAA", "here.x.y", "nonsense", "null", &cursor[..cursor.len() - 1]] {
            ant.get(&format!("/v1/changes?since={garbage}")).await.refused(400, "bad_cursor");
            ant.get(&format!("/v1/watch?since={garbage}")).await.refused(400, "bad_cursor");
        }
        ant.get("/v1/changes?limit=0").await.refused(400, "bad_parameter");
        // From the future of the node that is asked: what is written until then would never be told.
        let frontier =
            ant.get("/v1/digest").await.expect(200).json()["frontier"].as_str().unwrap().to_owned();
        let mut future: Frontier = frontier.parse().unwrap();
        let (own, _) = future.0.iter().next().map(|(origin, seqs)| (*origin, seqs.max())).unwrap();
        future.0.insert(Dot::new(own, 1_000));
        ant.get(&format!("/v1/changes?since={frontier}")).await.expect(200);
        for path in ["/v1/changes", "/v1/watch"] {
            let refused = ant.get(&format!("{path}?since={future}")).await.refused(400, "bad_cursor").json();
            assert!(refused["detail"].as_str().unwrap().contains("write 1000 of this node"), "{refused}");
        }
        ant.get(&format!("/v1/export?since={future}")).await.refused(400, "bad_parameter");
        // Elsewhere: the node may well have made it since.
        assert_eq!(
            bat.get(&format!("/v1/changes?since={future}")).await.expect(200).json()["changes"],
            json!([])
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_key_is_nobody_elses_and_sorts_by_its_time() {
    with_nodes(Limits::default(), async |[ant, bat]: [Api; 2]| {
        let mut keys = Vec::new();
        for n in 0..50 {
            let answer = ant.post("/v1/kv/notes/", &json!({ "n": n })).await.expect(201);
            let key = answer.json()["key"].as_str().unwrap().to_owned();
            assert_eq!(answer.headers["location"], format!("/v1/kv/{key}"));
            assert_eq!(ant.get(&answer.headers["location"]).await.expect(200).json(), json!({ "n": n }));
            keys.push(key);
        }
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{keys:?}");
        assert!(keys.iter().all(|key| key.len() == "notes/".len() + 36));
        let other = bat.post("/v1/kv/", &json!(1)).await.expect(201).json();
        assert_eq!(other["key"].as_str().unwrap().len(), 36);
        ant.post("/v1/kv/notes", &json!(1)).await.refused(400, "bad_key");
        ant.post("/v1/kv/notes//", &json!(1)).await.refused(400, "bad_key");
        ant.post(&format!("/v1/kv/{}/", "x".repeat(1_000)), &json!(1)).await.refused(400, "bad_key");
        let conditional = [("If-None-Match", "*")];
        ant.ask("POST", "/v1/kv/notes/", &conditional, b"1").await.refused(400, "bad_header");
    })
    .await;
}

/// The quick start of the Node.js seed: `server1.put`, `setTimeout`, `server2.get`, by its HTTP routes.
#[tokio::test(flavor = "multi_thread")]
async fn the_quick_start_of_the_node_js_server_runs_against_two_nodes() {
    with_nodes(Limits::default(), async |[server1, server2]: [Api; 2]| {
        // peers: ["http://localhost:3001"], // Connect to server1
        link(&server1, &server2).await;
        let json_body = [("Content-Type", "application/json")];
        let message = json!({ "message": "Hello P2P World!" });
        let body = message.to_string();
        let put = server1.ask("PUT", "/api/test/key", &json_body, body.as_bytes()).await.expect(200).json();
        assert_eq!((&put["path"], &put["value"]), (&json!("test/key"), &message));
        assert!(put["timestamp"].as_u64().unwrap() > 1_600_000_000_000, "milliseconds: {put}");
        let origin = put["vectorClock"].as_object().unwrap().keys().next().unwrap().clone();
        assert_eq!(put["vectorClock"][&origin], 1);
        let data = until("it is synchronised", async || {
            let answer = server2.get("/api/test/key").await;
            (answer.status == 200).then(|| answer.json())
        })
        .await;
        assert_eq!(data, json!({ "path": "test/key", "data": message }));

        // "Basic Operations": put, get, del, scan, subscribe.
        let mut subscribed = Events::open(&server2, "/v1/watch/users", None).await;
        let alice = json!({ "name": "Alice", "age": 30 });
        server1.ask("PUT", "/api/users/user1", &json_body, alice.to_string().as_bytes()).await.expect(200);
        assert_eq!(subscribed.change().await, ("users/user1".into(), alice.clone()));
        let users = server2.get("/api/scan/users/?limit=10").await.expect(200).json();
        assert_eq!(users.as_array().unwrap().len(), 1);
        assert_eq!((&users[0]["path"], &users[0]["value"]), (&json!("users/user1"), &alice));
        assert_eq!((&users[0]["origin"], &users[0]["vectorClock"][&origin]), (&json!(origin), &json!(2)));
        let gone = server2.delete("/api/users/user1").await.expect(200).json();
        assert_eq!(gone, json!({ "success": true, "path": "users/user1" }));
        assert_eq!(subscribed.change().await, ("users/user1".into(), Value::Null));
        until_equal(&server1, &server2).await;
        for server in [&server1, &server2] {
            let missing = server.get("/api/users/user1").await.expect(404);
            assert_eq!(missing.json(), json!({ "error": "Not found" }));
            assert_eq!(missing.headers["content-type"], "application/json");
        }
        server1.delete("/api/users/user1").await.expect(404);
        let newer = json!("newer");
        server1.ask("PUT", "/api/test/key", &json_body, newer.to_string().as_bytes()).await.expect(200);
        let history = server1.get("/api/history/test/key").await.expect(200).json();
        assert_eq!((&history["path"], history["history"].as_array().unwrap().len()), (&json!("test/key"), 1));
        let earlier = &history["history"][0];
        assert_eq!((&earlier["value"], &earlier["origin"]), (&message, &json!(origin)));
        assert!(earlier["timestamp"].is_number() && earlier["vectorClock"][&origin] == 1, "{earlier}");
        let status = server1.get("/api/status").await.expect(200).json();
        assert_eq!(status["serverID"], server1.node.id().to_string());
        assert_eq!(status["port"], server1.at.port());
        assert_eq!(status["peers"], json!([server2.node.id().to_string()]));
        assert!(status["uptime"].is_number() && status["vectorClock"][&origin] == 3, "{status}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_of_old_refuses_it_refuses_with_an_error() {
    with_node(async |ant| {
        let error = |answer: Answer| answer.json()["error"].as_str().expect("an error").to_owned();
        let json_body = [("Content-Type", "application/json")];
        error(ant.ask("PUT", "/api/a", &json_body, b"{").await.expect(400));
        error(ant.ask("PUT", "/api/a", &[("Content-Type", "text/plain")], b"1").await.expect(415));
        error(ant.ask("PUT", "/api/a//b", &json_body, b"1").await.expect(400));
        error(ant.ask("PUT", "/api/status/x", &json_body, b"1").await.expect(400));
        error(ant.get("/api/scan?limit=0").await.expect(400));
        error(ant.get("/api/a?ns=none").await.expect(404));
        ant.put("/v1/kv/text", b"plain").await.expect(200);
        assert_eq!(ant.get("/api/text").await.expect(200).json()["data"], "plain");
    })
    .await;
}

const TOKENS: &str = "
    reads-everything    read
    writes-users-only   read,write   prefix=users
    changes-the-node!   admin
    was-good-for-once   read         expires=2001-01-01
";

#[tokio::test(flavor = "multi_thread")]
async fn who_bears_no_token_or_one_for_something_else_is_refused() {
    with_node(async |ant| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let guarded = Api { node: ant.node.clone(), at: listener.local_addr().unwrap() };
        let serving =
            serve_with(ant.node.clone(), listener, Some(TOKENS.parse().unwrap()), std::future::pending());
        let asking = async {
            let ask = async |token: &str, method: &str, target: &str, body: &[u8]| {
                let bearer = format!("Bearer {token}");
                let headers = [("Authorization", &*bearer), ("Content-Type", "application/json")];
                guarded.ask(method, target, &headers, body).await
            };
            let refused = guarded.get("/v1/kv/users/1").await.refused(401, "token_missing");
            assert_eq!(refused.headers["www-authenticate"], "Bearer");
            ask("nobody-has-this-one", "GET", "/v1/kv/users/1", b"").await.refused(401, "token_unknown");
            ask("was-good-for-once", "GET", "/v1/kv/users/1", b"").await.refused(401, "token_expired");
            ask("writes-users-only", "PUT", "/v1/kv/users/1", b"1").await.expect(200);
            ask("reads-everything", "GET", "/v1/kv/users/1", b"").await.expect(200);
            ask("reads-everything", "PUT", "/v1/kv/users/1", b"2").await.refused(403, "token_scope");
            ask("reads-everything", "POST", "/v1/sync", b"").await.refused(403, "token_scope");
            ask("changes-the-node!", "POST", "/v1/sync", b"").await.expect(200);
            ask("writes-users-only", "PUT", "/v1/kv/birds/1", b"1").await.refused(403, "token_prefix");
            ask("writes-users-only", "GET", "/v1/watch", b"").await.refused(403, "token_prefix");
            let batch = |key: &str| json!([{ "op": "put", "key": key, "value": 1 }]).to_string();
            let (inside, outside) = (batch("users/2"), batch("birds/2"));
            ask("writes-users-only", "POST", "/v1/batch", inside.as_bytes()).await.expect(200);
            let answer = ask("writes-users-only", "POST", "/v1/batch", outside.as_bytes()).await;
            answer.refused(403, "token_prefix");
            assert!(ant.node.get("birds/2").await.unwrap().is_none());
            guarded.get("/healthz").await.expect(200);
        };
        tokio::select! {
            () = asking => {}
            _ = serving => panic!("the server ended"),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_whose_answer_would_not_fit_into_memory_is_refused_and_says_how_many_fit() {
    with_node(async |ant| {
        let value = vec![b'x'; 14 * 1024 * 1024];
        for n in 0..5 {
            ant.put(&format!("/v1/kv/large/{n}"), &value).await.expect(200);
        }
        let refused = ant.get("/api/scan/large").await.expect(400).json();
        assert!(refused["error"].as_str().unwrap().contains("1 to 4 here"), "{refused}");
        let few = ant.get("/api/scan/large?limit=1").await.expect(200).json();
        assert_eq!(few.as_array().unwrap().len(), 1);
    })
    .await;
}
