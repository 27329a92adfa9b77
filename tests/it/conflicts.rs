//! Conflicts over HTTP: nobody loses what they wrote, and everybody can see why they do not see it.

use serde_json::{Value, json};
use tidings::{Limits, Prefix, node::Strategy};

use crate::http::{Answer, Api, with_nodes_that};

async fn with_node(test: impl AsyncFnOnce(Api)) {
    let strategies = |builder: tidings::node::Builder, _: &str| {
        [Strategy::MergeFields, Strategy::KeepAll, Strategy::FirstWriteWins]
            .into_iter()
            .fold(builder, |builder, strategy| {
                builder.strategy(Prefix::new(&strategy.to_string()).unwrap(), strategy)
            })
    };
    with_nodes_that(Limits::default(), strategies, async |[ant]: [Api; 1]| test(ant).await).await;
}

async fn etag(ant: &Api, key: &str) -> String {
    ant.get(&format!("/v1/kv/{key}")).await.expect(200).headers["etag"].clone()
}

async fn put_from(ant: &Api, key: &str, base: &str, body: &str) -> Answer {
    ant.ask("PUT", &format!("/v1/kv/{key}"), &[("Tidings-Base", base)], body.as_bytes()).await
}

async fn patch(ant: &Api, key: &str, body: &str) -> Answer {
    let headers = [("Content-Type", "application/merge-patch+json")];
    ant.ask("PATCH", &format!("/v1/kv/{key}"), &headers, body.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_listed_explained_and_settled_by_a_new_write() {
    with_node(async |ant| {
        ant.put("/v1/kv/nest", b"empty").await.expect(200);
        let base = etag(&ant, "nest").await;
        ant.put("/v1/kv/nest", b"three eggs").await.expect(200);
        ant.put("/v1/kv/quiet", b"nothing").await.expect(200);
        put_from(&ant, "nest", &base, "for rent").await.expect(200);
        let get = ant.get("/v1/kv/nest").await.expect(200);
        assert_eq!((&*get.headers["tidings-siblings"], &*get.text()), ("2", "for rent"));

        let meta = ant.get("/v1/kv/nest?meta=true").await.expect(200).json();
        assert_eq!(
            (&meta["strategy"], meta["versions"].as_array().unwrap().len()),
            (&json!("last-write-wins"), 2)
        );
        let list = ant.get("/v1/conflicts").await.expect(200).json();
        assert_eq!(list["conflicts"].as_array().unwrap().len(), 1);
        let conflict = &list["conflicts"][0];
        assert_eq!((&conflict["key"], &conflict["merged"]), (&json!("nest"), &json!(false)));
        assert!(conflict["why"].as_str().unwrap().contains("greatest"));
        let versions = conflict["versions"].as_array().unwrap();
        let loser = versions.iter().find(|version| version["seen_by_readers"] == false).unwrap();
        assert_eq!(loser["value"], "three eggs");
        assert_eq!(list["next"], Value::Null);
        ant.get("/v1/conflicts/nest").await.expect(200);
        let none = ant.get("/v1/conflicts/quiet").await.expect(200).json();
        assert_eq!(none["conflicts"], json!([]));

        let story = ant.get("/v1/explain/nest").await.expect(200).json();
        assert_eq!(story["versions"], conflict["versions"]);
        assert_eq!(story["accounted"].as_array().unwrap().len(), 2, "two pens of one node: {story}");
        let written =
            |version: &Value| version["arrived"]["by"] == "written" && version["arrived"]["at"].is_u64();
        assert!(versions.iter().all(written), "{story}");
        assert!(story["arrivals"].as_str().unwrap().contains("since the node started"));
        ant.get("/v1/explain/nobody").await.refused(404, "no_such_key");

        // The loser comes back as a new write, and then there is no conflict.
        ant.put("/v1/kv/nest", loser["value"].as_str().unwrap().as_bytes()).await.expect(200);
        assert_eq!(ant.get("/v1/kv/nest").await.text(), "three eggs");
        assert_eq!(ant.get("/v1/conflicts").await.json()["conflicts"], json!([]));
        // A delete is part of the story, too.
        ant.delete("/v1/kv/nest").await.expect(200);
        let story = ant.get("/v1/explain/nest").await.expect(200).json();
        assert_eq!((&story["versions"][0]["deleted"], &story["shown"]), (&json!(true), &Value::Null));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_come_in_pages() {
    with_node(async |ant| {
        for n in 0..5 {
            let key = format!("k/{n}");
            ant.put(&format!("/v1/kv/{key}"), b"1").await.expect(200);
            let base = etag(&ant, &key).await;
            ant.put(&format!("/v1/kv/{key}"), b"2").await.expect(200);
            put_from(&ant, &key, &base, "3").await.expect(200);
            ant.put(&format!("/v1/kv/plain/{n}"), b"1").await.expect(200);
        }
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page = ant.get(&format!("/v1/conflicts/?limit=2{after}")).await.expect(200).json();
            found.extend(page["conflicts"].as_array().unwrap().iter().map(|one| one["key"].clone()));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!(found, ["k/0", "k/1", "k/2", "k/3", "k/4"]);
        for query in ["limit=0", "limit=1001", "limit=x", "after=a//b"] {
            ant.get(&format!("/v1/conflicts?{query}")).await.refused(400, "bad_parameter");
        }
        ant.get("/v1/conflicts/a//b").await.refused(400, "bad_key");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_means_nothing_here_changes_nothing() {
    with_node(async |ant| {
        ant.put("/v1/kv/a", b"1").await.expect(200);
        ant.put("/v1/kv/b", b"1").await.expect(200);
        let of_b = etag(&ant, "b").await;
        put_from(&ant, "a", &of_b, "2").await.refused(412, "unknown_base");
        put_from(&ant, "a", &format!("\"{}\"", "0".repeat(64)), "2").await.refused(412, "unknown_base");
        put_from(&ant, "a", "\"v1\"", "2").await.refused(412, "unknown_base");
        put_from(&ant, "a", "nonsense", "2").await.refused(400, "bad_header");
        put_from(&ant, "a", &format!("W/{of_b}"), "2").await.refused(400, "bad_header");
        put_from(&ant, "new", &of_b, "2").await.refused(412, "unknown_base");
        ant.ask("DELETE", "/v1/kv/a", &[("Tidings-Base", &of_b)], b"").await.refused(412, "unknown_base");
        assert_eq!(ant.get("/v1/kv/a").await.text(), "1");
        // One that stands, or stood, is good.
        let of_a = etag(&ant, "a").await;
        put_from(&ant, "a", &of_a, "2").await.expect(200);
        assert!(!ant.get("/v1/kv/a").await.headers.contains_key("tidings-siblings"));
        ant.ask("DELETE", "/v1/kv/a", &[("Tidings-Base", &of_a)], b"").await.expect(200);
        let story = ant.get("/v1/explain/a").await.expect(200).json();
        assert_eq!(story["versions"].as_array().unwrap().len(), 2, "the delete knew of 1 only: {story}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_browser_tabs_keep_what_they_changed_in_one_object() {
    with_node(async |ant| {
        let key = "merge-fields/profile";
        ant.put(&format!("/v1/kv/{key}"), br#"{"name":"a","eggs":1,"old":0}"#).await.expect(200);
        let base = etag(&ant, key).await;
        put_from(&ant, key, &base, r#"{"name":"b","eggs":1,"old":0}"#).await.expect(200);
        put_from(&ant, key, &base, r#"{"name":"a","eggs":2}"#).await.expect(200);
        let shown = ant.get(&format!("/v1/kv/{key}")).await.expect(200);
        assert_eq!(shown.json(), json!({"name": "b", "eggs": 2}));
        let list = ant.get("/v1/conflicts").await.expect(200).json();
        let conflict = &list["conflicts"][0];
        assert_eq!(conflict["merged"], true);
        assert!(
            conflict["versions"].as_array().unwrap().iter().all(|version| version["seen_by_readers"] == true)
        );
        let scan = ant.get("/v1/scan").await.expect(200).json();
        assert_eq!(scan["entries"][0]["value"], json!({"name": "b", "eggs": 2}));
        assert_eq!(ant.get("/v1/status").await.json()["keys"], 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_write_wins_and_is_shown_to_whoever_comes_second() {
    with_node(async |ant| {
        let path = "/v1/kv/first-write-wins/leader";
        ant.put(path, b"\"ant\"").await.expect(200);
        let refused = ant.put(path, b"\"bat\"").await.refused(409, "already_set").json();
        assert_eq!((&refused["current"]["value"], &refused["current"]["seq"]), (&json!("ant"), &json!(1)));
        assert_eq!(ant.get(path).await.text(), "\"ant\"");
        patch(&ant, "first-write-wins/leader", "1").await.refused(409, "already_set");
        ant.delete(path).await.expect(200);
        ant.put(path, b"\"bat\"").await.expect(200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_changes_what_it_names_and_nothing_else() {
    with_node(async |ant| {
        ant.put("/v1/kv/a", br#"{"x":1,"y":{"z":12345678901234567890.10,"w":2}}"#).await.expect(200);
        let written = patch(&ant, "a", r#"{"x":null,"y":{"w":3},"n":[null]}"#).await.expect(200).json();
        assert_eq!((&written["key"], &written["seq"]), (&json!("a"), &json!(2)));
        assert_eq!(
            ant.get("/v1/kv/a").await.text(),
            r#"{"n":[null],"y":{"w":3,"z":12345678901234567890.10}}"#
        );
        patch(&ant, "nothing", "{}").await.refused(404, "no_such_key");
        patch(&ant, "a", "{").await.refused(400, "bad_json");
        let json = [("Content-Type", "application/json")];
        ant.ask("PATCH", "/v1/kv/a", &json, b"{}").await.refused(415, "bad_content_type");
        let stale = [
            ("Content-Type", "application/merge-patch+json"),
            ("If-Match", "\"0000000000000000000000000000000000000000000000000000000000000000\""),
        ];
        ant.ask("PATCH", "/v1/kv/a", &stale, b"{}").await.refused(412, "precondition_failed");
        ant.put("/v1/kv/t", b"words").await.expect(200);
        patch(&ant, "t", "{}").await.refused(415, "bad_content_type");
        // Many at once lose nothing.
        ant.put("/v1/kv/many", b"{}").await.expect(200);
        let patches: Vec<String> = (0..8).map(|n| format!("{{\"f{n}\":{n}}}")).collect();
        let answers = futures::future::join_all(patches.iter().map(|body| patch(&ant, "many", body))).await;
        answers.into_iter().for_each(|answer| drop(answer.expect(200)));
        let all = ant.get("/v1/kv/many").await.json();
        assert_eq!(all.as_object().unwrap().len(), 8, "{all}");
    })
    .await;
}
