//! Keys that never leave their node, over HTTP and on the command line.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use tidings::{Limits, Namespace, node::Builder};

use crate::{
    http::{Api, with_nodes_that},
    support::{link, until_equal},
};

fn ant_has_drafts(builder: Builder, name: &str) -> Builder {
    match name {
        "ant" => builder.local_only(Namespace::default(), "drafts".parse().unwrap()),
        _ => builder,
    }
    .sync_interval(Duration::from_millis(500))
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_a_local_key_is_a_key_and_what_others_wait_for_never_names_it() {
    with_nodes_that(Limits::default(), ant_has_drafts, async |[ant, bat]: [Api; 2]| {
        link(&ant.node, &bat.node).await;
        ant.put("/v1/kv/users/1", b"1").await.expect(200);
        let put = ant.put("/v1/kv/drafts/1?ttl=1h", b"{\"a\":1}").await.expect(200);
        let patch = [("Content-Type", "application/merge-patch+json")];
        ant.ask("PATCH", "/v1/kv/drafts/1", &patch, b"{\"b\":2}").await.expect(200);
        let made = ant.ask("POST", "/v1/kv/drafts/", &[], b"made").await.expect(201);
        assert!(made.headers["location"].starts_with("/v1/kv/drafts/"));
        let read = ant.get("/v1/kv/drafts/1?meta=true").await.expect(200);
        let meta = read.json();
        assert_eq!((&meta["value"], &meta["local_only"]), (&json!({ "a": 1, "b": 2 }), &json!(true)));
        assert_eq!(ant.get("/v1/kv/users/1?meta=true").await.json().get("local_only"), None);
        assert_eq!(ant.get("/v1/history/drafts/1").await.json()["versions"][0]["value"], json!({ "a": 1 }));
        assert_eq!(ant.get("/v1/explain/drafts/1").await.expect(200).json()["key"], "drafts/1");

        // What was seen here others see, too; a local write is nothing to wait for.
        until_equal(&[ant.node.clone(), bat.node.clone()]).await;
        for answer in [&put, &read, &ant.get("/v1/scan/").await, &ant.get("/v1/kv/drafts/1").await] {
            let frontier = [("Tidings-At-Least", answer.headers["tidings-frontier"].as_str())];
            bat.ask("GET", "/v1/kv/users/1?wait=100ms", &frontier, b"").await.expect(200);
            bat.ask("GET", "/v1/kv/drafts/1?wait=100ms", &frontier, b"").await.refused(404, "no_such_key");
        }
        let digest = async |api: &Api| api.get("/v1/digest").await.json();
        assert_eq!(digest(&ant).await, digest(&bat).await);

        let batch = json!([
            { "op": "put", "key": "drafts/2", "value": 2 },
            { "op": "put", "key": "users/2", "value": 2 },
            { "op": "del", "key": "drafts/none" },
        ]);
        ant.post("/v1/batch", &batch).await.refused(404, "no_such_key");
        ant.get("/v1/kv/drafts/2").await.refused(404, "no_such_key");
        let keys = |page: Value| page["entries"].as_array().unwrap().len();
        assert_eq!(keys(ant.get("/v1/scan/").await.json()), 3);

        let listed = ant.get("/v1/namespaces").await.json();
        assert_eq!(listed["namespaces"], json!([{ "name": "default", "keys": 3, "local_only": ["drafts"] }]));
        let status = async |api: &Api| api.get("/v1/status").await.json()["local_only"].clone();
        assert_eq!(status(&ant).await, json!({ "default": ["drafts"] }));
        assert_eq!(status(&bat).await, json!({}));
        ant.get("/v1/kv/drafts/1?ns=default:local-only").await.refused(400, "bad_namespace");
        ant.delete("/v1/kv/drafts/1").await.expect(200);
        ant.get("/v1/kv/drafts/1").await.refused(404, "no_such_key");
    })
    .await;
}

#[cfg(feature = "cli")]
#[test]
fn the_command_line_takes_local_prefixes_shows_where_they_come_from_and_refuses_to_hide_keys() {
    use crate::cli::{Running, home, run, tidings};

    let home = home();
    let at = home.path();
    let file = "local-only = [\"drafts\", \"cache/tmp\"]\n[namespaces.birds]\nlocal-only = [\"nests\"]\n";
    fs::write(at.join("t.toml"), file).expect("writes");
    let show = |more: &[&str]| {
        let mut command = tidings(at);
        run(command.args(["config", "show", "--config", "t.toml"]).args(more), 0).0
    };
    let shown = show(&["--origin"]);
    assert!(shown.contains("local-only = [\"drafts\",\"cache/tmp\"]"), "{shown}");
    assert!(shown.contains("# file t.toml:1") && shown.contains("\nlocal-only = [\"nests\"]"), "{shown}");
    assert!(show(&["--origin", "--local-only", "other"]).contains("local-only = [\"other\"]"));
    fs::write(at.join("shown.toml"), show(&[])).expect("writes");
    let (again, _) = run(tidings(at).args(["config", "show", "--config", "shown.toml"]), 0);
    assert_eq!(again, show(&[]), "what is shown is a file of settings");
    let (_, stderr) = run(tidings(at).args(["node", "--local-only", "a//b"]), 2);
    assert!(stderr.contains("--local-only: \"a//b\": "), "{stderr}");

    let mut ant = Running::start(at, "ant", &["--open", "--config", "t.toml"]);
    let ask = |ant: &Running, arguments: &[&str]| run(&mut ant.ask(at, arguments), 0).0;
    ask(&ant, &["put", "drafts/1", "x"]);
    ask(&ant, &["put", "--ns", "birds", "nests/1", "x"]);
    assert_eq!(ask(&ant, &["scan"]), "drafts/1\tx\n");
    assert!(ask(&ant, &["namespaces"]).contains("\"cache/tmp\" \"drafts\""));
    assert!(ask(&ant, &["status"]).contains("default: \"cache/tmp\" \"drafts\""));
    ant.signal(rustix::process::Signal::TERM);
    assert_eq!(ant.ended(), Some(0));
    let mut command = tidings(at);
    command.args(["node", "--open", "--no-discovery", "--http", "off", "--listen", "/ip4/127.0.0.1/tcp/0"]);
    let (_, stderr) = run(command.args(["--data-dir", "ant", "--local-only", "drafts"]), 1);
    assert!(stderr.contains("\"nests\" of the namespace birds is not local-only any more"), "{stderr}");
}
