//! Acceptance 17: earlier versions of a key.

use serde_json::{Value, json};
use tidings::{Limits, Namespace, Node, node::Builder};

use crate::support::{link, mesh_name, node, node_on_disk, restart, synced, until, until_equal, until_text};

/// What is kept of `key`: values, newest first.
async fn history(node: &Node, key: &str) -> Vec<String> {
    let space = node.space(&Namespace::default()).unwrap();
    let shown = |value: tidings::Value| String::from_utf8(value.bytes.to_vec()).unwrap();
    let earlier = space.history(key).await.unwrap();
    earlier.iter().map(|one| one.value().map_or("(deleted)".into(), shown)).collect()
}

async fn until_history(node: &Node, key: &str, expected: &[&str]) {
    until(&format!("{} keeps {expected:?}", node.name()), || async {
        (history(node, key).await == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_puts_with_a_cap_of_three_leave_the_previous_three_newest_first_over_restarts_and_on_two_nodes()
{
    let (mesh, directory) = (mesh_name(), tempfile::tempdir().unwrap());
    let durable = || node_on_disk(&mesh, "ant", directory.path()).history(3);
    let ant = durable().start().await.unwrap();
    let bat = node(&mesh, "bat").history(3).start().await.unwrap();
    link(&ant, &bat).await;
    for value in ["one", "two", "three", "four"] {
        ant.put("k", value).await.unwrap();
        until_text(&bat, "k", value).await;
    }
    assert_eq!(history(&ant, "k").await, ["three", "two", "one"]);
    assert_eq!(history(&bat, "k").await, ["three", "two", "one"]);

    // Over a restart, and with writes of the other.
    let ant = restart(ant, durable).await;
    assert_eq!(history(&ant, "k").await, ["three", "two", "one"]);
    link(&ant, &bat).await;
    bat.put("k", "five").await.unwrap();
    until_history(&ant, "k", &["four", "three", "two"]).await;
    bat.delete("k").await.unwrap();
    until_history(&ant, "k", &["five", "four", "three"]).await;

    // A rollback is a put, and what it replaced shows.
    let space = ant.space(&Namespace::default()).unwrap();
    let old = space.history("k").await.unwrap()[1].value().unwrap();
    ant.put("k", old).await.unwrap();
    until_text(&bat, "k", "four").await;
    for node in [&ant, &bat] {
        until_history(node, "k", &["(deleted)", "five", "four"]).await;
    }
    let ant = restart(ant, durable).await;
    assert_eq!(history(&ant, "k").await, ["(deleted)", "five", "four"]);
    let names = |node: &Node| {
        let space = node.space(&Namespace::default()).unwrap();
        async move { space.history("k").await.unwrap().into_iter().map(|one| one.version).collect::<Vec<_>>() }
    };
    assert_eq!(names(&ant).await, names(&bat).await, "origins, stamps and contents");
    assert!(history(&ant, "elsewhere").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_and_a_node_that_was_away_have_the_history_too() {
    let mesh = mesh_name();
    let small = |name| node(&mesh, name).history(2);
    let (ant, bat) = (small("ant").start().await.unwrap(), small("bat").start().await.unwrap());
    for value in ["one", "two", "three"] {
        ant.put("k", value).await.unwrap();
    }
    for value in ["uno", "due"] {
        bat.put("k", value).await.unwrap();
    }
    link(&ant, &bat).await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    // What stands beside each other is not earlier.
    let expected = history(&ant, "k").await;
    assert_eq!(expected.len(), 2, "{expected:?}");
    until_history(&bat, "k", &[&expected[0], &expected[1]]).await;
    ant.put("k", "both").await.unwrap();
    until_text(&bat, "k", "both").await;
    let cat = small("cat").start().await.unwrap();
    link(&cat, &bat).await;
    synced(&cat).await;
    until_equal(&[ant.clone(), bat.clone(), cat.clone()]).await;
    assert_eq!(history(&cat, "k").await, history(&ant, "k").await);
    let none = node(&mesh, "dog").history(0).start().await.unwrap();
    link(&none, &bat).await;
    until_text(&none, "k", "both").await;
    assert!(history(&none, "k").await.is_empty());
}

#[cfg(feature = "http")]
#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_read_over_http() {
    let three = |builder: Builder, _: &str| builder.history(3);
    crate::http::with_nodes_that(Limits::default(), three, async |[ant]: [crate::http::Api; 1]| {
        ant.put("/v1/kv/a/k", b"{\"n\": 1}").await.expect(200);
        ant.put("/v1/kv/a/k", &vec![b'x'; 70_000]).await.expect(200);
        ant.put("/v1/kv/a/k", &[0, 255]).await.expect(200);
        ant.delete("/v1/kv/a/k").await.expect(200);
        let written = ant.put("/v1/kv/a/k", b"now").await.expect(200).json();
        let answer = ant.get("/v1/history/a/k").await.expect(200).json();
        let versions = answer["versions"].as_array().expect("a list");
        assert_eq!(answer["key"], "a/k");
        assert_eq!(versions.len(), 3, "{answer}");
        assert_eq!((&versions[0]["value"], &versions[0]["deleted"]), (&Value::Null, &json!(true)));
        assert_eq!((&versions[1]["value"], &versions[1]["encoding"]), (&json!("AP8="), &json!("base64")));
        assert_eq!((versions[2].get("value"), &versions[2]["size"]), (None, &json!(70_000)), "{answer}");
        for (version, seq) in versions.iter().zip([4, 3, 2]) {
            assert_eq!((&version["origin"], &version["seq"]), (&written["origin"], &json!(seq)));
            assert!(version["hlc"].is_string() && version["etag"].is_string(), "{version}");
        }
        let nothing = ant.get("/v1/history/nothing").await.expect(200).json();
        assert_eq!(nothing["versions"], json!([]));
        ant.get("/v1/history/a//b").await.refused(400, "bad_key");
        ant.get("/v1/history/k?limit=3").await.refused(400, "unknown_parameter");
        ant.get("/v1/history/k?ns=nope").await.refused(404, "no_such_namespace");
    })
    .await;
}

#[cfg(feature = "cli")]
#[test]
fn a_version_is_brought_back_on_the_command_line() {
    use crate::cli::{Running, home, run};
    let home = home();
    let at = home.path();
    let ant = Running::start(at, "ant", &["--open", "--history", "3"]);
    let ask = |arguments: &[&str], status| run(&mut ant.ask(at, arguments), status);
    assert!(ask(&["history", "k"], 0).1.contains("no earlier versions"));
    ask(&["put", "k", "{\"n\": 1}"], 0);
    ask(&["put", "k", "two words"], 0);
    ask(&["del", "k"], 0);
    ask(&["put", "k", "three"], 0);
    let (table, hint) = ask(&["history", "k"], 0);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    for (line, value) in lines[1..].iter().zip(["(deleted)", "two words", "{\"n\": 1}"]) {
        assert!(line.contains(value), "{table}");
    }
    assert!(hint.contains("--restore"), "{hint}");
    assert_eq!(ask(&["history", "k", "--restore", "3"], 0).0, "OK\n");
    assert_eq!(ask(&["get", "k"], 0).0, "{\"n\": 1}");
    let shown: Value = serde_json::from_str(&ask(&["history", "k", "--json"], 0).0).expect("JSON");
    assert_eq!(shown["versions"][0]["value"], "three");
    assert_eq!(ask(&["history", "k", "--restore", "2"], 0).0, "OK\n");
    ask(&["get", "k"], 1);
    assert!(ask(&["history", "k", "--restore", "9"], 1).1.contains("no number 9"));
    ask(&["history", "k", "--restore", "0"], 2);
}
