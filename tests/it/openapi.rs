//! What nodes answer, held to what `/openapi.json` says of it.

use serde_json::{Value, json};

use crate::http::{Answer, Api, with_node};

/// The document, and the node that gave it.
struct Checked<'a> {
    api: &'a Api,
    document: Value,
}

impl Checked<'_> {
    /// What the document says of the route that `target` goes to: that with the fewest parameters that fits.
    fn route(&self, target: &str) -> &Value {
        let path = target.split('?').next().unwrap();
        let fits = |template: &str| match template.split_once('{') {
            None => template == path,
            Some((start, rest)) => {
                let end = rest.split_once('}').unwrap().1;
                path.len() > start.len() + end.len() && path.starts_with(start) && path.ends_with(end)
            }
        };
        let paths = self.document["paths"].as_object().unwrap();
        let found = paths.iter().filter(|(template, _)| fits(template));
        let literal = |template: &str| template.split('{').next().unwrap().len();
        found.max_by_key(|(template, _)| literal(template)).unwrap_or_else(|| panic!("no route {path}")).1
    }

    async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let answer = self.api.ask(method, target, headers, body).await;
        let said = &self.route(target)[method.to_ascii_lowercase()]["responses"][answer.status.to_string()];
        assert!(
            !said.is_null(),
            "{method} {target}: {} is not in the document: {}",
            answer.status,
            answer.text()
        );
        let content = &said["content"];
        let media = answer.headers.get("content-type").map(|text| text.split(';').next().unwrap().to_owned());
        match (content.as_object(), media) {
            (None, _) => assert!(answer.body.is_empty(), "{method} {target}: {}", answer.text()),
            (Some(types), Some(media)) => {
                let shape = types.get(&media).or_else(|| types.get("*/*"));
                let shape =
                    shape.unwrap_or_else(|| panic!("{method} {target}: {media} is not in the document"));
                if media.ends_with("json") && !shape["schema"].is_null() {
                    self.check(&shape["schema"], &answer.json(), &format!("{method} {target}"));
                }
                if media == "application/problem+json" {
                    let code = answer.json()["code"].as_str().unwrap().to_owned();
                    let codes = said["description"].as_str().unwrap();
                    assert!(
                        codes.split(", ").any(|one| one == code),
                        "{method} {target}: {code} is not in {codes}"
                    );
                }
            }
            (Some(_), None) => panic!("{method} {target}: no content type"),
        }
        answer
    }

    /// What the schemas here use of JSON Schema; members that they do not name are no part of an answer.
    fn check(&self, schema: &Value, value: &Value, at: &str) {
        if let Some(name) = schema["$ref"].as_str() {
            return self.check(self.document.pointer(&name[1..]).unwrap(), value, at);
        }
        if let Some(allowed) = schema["enum"].as_array() {
            assert!(allowed.contains(value), "{at}: {value}");
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(all) => all.iter().map(|one| one.as_str().unwrap()).collect(),
            _ => vec![],
        };
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let fits = types.contains(&kind) || (kind == "integer" && types.contains(&"number"));
        assert!(types.is_empty() || fits, "{at}: {value} is {kind}, not {types:?}");
        for name in schema["required"].as_array().into_iter().flatten() {
            assert!(
                !value[name.as_str().unwrap()].is_null() || value.get(name.as_str().unwrap()).is_some(),
                "{at}: {name}"
            );
        }
        if let (Some(known), Some(members)) = (schema["properties"].as_object(), value.as_object()) {
            for (name, member) in members {
                match known.get(name) {
                    Some(schema) => self.check(schema, member, &format!("{at}.{name}")),
                    None => assert_eq!(
                        schema["additionalProperties"], true,
                        "{at}: {name} is not in the document"
                    ),
                }
            }
        }
        for item in value.as_array().into_iter().flatten() {
            self.check(&schema["items"], item, &format!("{at}[]"));
        }
    }
}

const JSON: (&str, &str) = ("Content-Type", "application/json");
const PATCH: (&str, &str) = ("Content-Type", "application/merge-patch+json");

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_answers_is_in_its_document() {
    with_node(async |api| {
        let document = api.get("/openapi.json").await.expect(200).json();
        assert_eq!(document["openapi"], "3.1.0");
        let checked = Checked { api: &api, document };
        let get = async |target: &str| checked.ask("GET", target, &[], b"").await.status;
        let ask = async |method: &str, target: &str, headers: &[(&str, &str)], body: &str| {
            checked.ask(method, target, headers, body.as_bytes()).await.status
        };

        // Writes.
        assert_eq!(ask("PUT", "/v1/kv/a/b", &[JSON], r#"{"n":1}"#).await, 200);
        assert_eq!(ask("PUT", "/v1/kv/a/c?ttl=1h", &[], "text").await, 200);
        assert_eq!(ask("PUT", "/v1/kv/a/b", &[JSON], r#"{"n":2}"#).await, 200);
        assert_eq!(ask("PUT", "/v1/kv/a/c?ttl=0s", &[], "text").await, 400);
        assert_eq!(ask("PUT", "/v1/kv/a/b", &[JSON], "{").await, 400);
        assert_eq!(ask("PUT", "/v1/kv/a/b", &[("If-None-Match", "*")], "x").await, 412);
        assert_eq!(ask("PUT", "/v1/kv/a/b", &[("Tidings-Base", "\"x\"")], "x").await, 412);
        assert_eq!(ask("PUT", "/v1/kv/a/b", &[("Content-Type", "x")], "x").await, 415);
        assert_eq!(ask("PATCH", "/v1/kv/a/b", &[PATCH], r#"{"m":1}"#).await, 200);
        assert_eq!(ask("PATCH", "/v1/kv/none", &[PATCH], r#"{"m":1}"#).await, 404);
        assert_eq!(ask("PATCH", "/v1/kv/a/b", &[JSON], r#"{"m":1}"#).await, 415);
        assert_eq!(ask("POST", "/v1/kv/notes/", &[], "x").await, 201);
        assert_eq!(ask("POST", "/v1/kv/", &[], "x").await, 201);
        assert_eq!(ask("POST", "/v1/kv/notes", &[], "x").await, 400);
        let batch = r#"[{"op":"put","key":"x","value":1},{"op":"put","key":"y","value":"2"}]"#;
        assert_eq!(ask("POST", "/v1/batch", &[JSON], batch).await, 200);
        assert_eq!(ask("POST", "/v1/batch", &[JSON], r#"[{"op":"del","key":"none"}]"#).await, 404);
        assert_eq!(ask("POST", "/v1/batch", &[JSON], r#"[{"op":"put","key":"x"}]"#).await, 400);
        assert_eq!(ask("POST", "/v1/batch", &[], "[]").await, 415);
        assert_eq!(ask("DELETE", "/v1/kv/x", &[], "").await, 200);
        assert_eq!(ask("DELETE", "/v1/kv/x", &[], "").await, 404);
        assert_eq!(ask("DELETE", "/v1/kv/a/b", &[("If-Match", "\"0\"")], "").await, 412);

        // Reads.
        for path in ["/v1/kv/a/b", "/v1/kv/a/b?meta=true", "/v1/kv/a/c", "/v1/history/a/b", "/v1/explain/a/b"]
        {
            assert_eq!(get(path).await, 200, "{path}");
        }
        let etag = api.get("/v1/kv/a/b").await.headers["etag"].clone();
        assert_eq!(ask("GET", "/v1/kv/a/b", &[("If-None-Match", &etag)], "").await, 304);
        assert_eq!(ask("GET", "/v1/kv/a/b", &[("Tidings-At-Least", "?")], "").await, 400);
        for path in ["/v1/kv/none", "/v1/explain/none", "/v1/kv/a?ns=none", "/v1/scan?ns=none"] {
            assert_eq!(get(path).await, 404, "{path}");
        }
        for base in ["scan", "changes", "conflicts"] {
            for target in
                [base.to_owned(), format!("{base}/"), format!("{base}/a"), format!("{base}?limit=1")]
            {
                assert_eq!(get(&format!("/v1/{target}")).await, 200, "{target}");
            }
            for target in [format!("{base}/a//b"), format!("{base}?limit=0"), format!("{base}?x=1")] {
                assert_eq!(get(&format!("/v1/{target}")).await, 400, "{target}");
            }
        }
        assert_eq!(get("/v1/changes?since=x").await, 400);
        assert_eq!(get("/v1/watch?since=x").await, 400);
        assert_eq!(get("/v1/kv/").await, 400);

        // The node.
        for path in ["/v1/status", "/v1/peers", "/v1/sync", "/v1/digest", "/v1/dropped", "/v1/namespaces"] {
            assert_eq!(get(path).await, 200, "{path}");
            assert_eq!(get(&format!("{path}?ns=Bad!")).await, 400, "{path}");
            assert_eq!(get(&format!("{path}?ns=none")).await, 404, "{path}");
        }
        for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
            assert_eq!(get(path).await, 200, "{path}");
            assert_eq!(get(&format!("{path}?x=1")).await, 400, "{path}");
        }
        assert_eq!(ask("POST", "/v1/sync", &[], "").await, 200);
        let address = r#"{"addr":"/ip4/127.0.0.1/tcp/1"}"#;
        assert_eq!(ask("POST", "/v1/peers", &[JSON], address).await, 200);
        assert_eq!(ask("POST", "/v1/peers", &[JSON], r#"{"addr":"x"}"#).await, 400);
        let id = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo";
        for action in ["block", "unblock"] {
            assert_eq!(ask("POST", &format!("/v1/peers/{id}/{action}"), &[], "").await, 200);
            assert_eq!(ask("POST", &format!("/v1/peers/x/{action}"), &[], "").await, 400);
        }
        let birds = json!({ "name": "birds" }).to_string();
        assert_eq!(ask("POST", "/v1/namespaces", &[JSON], &birds).await, 201);
        assert_eq!(ask("POST", "/v1/namespaces", &[JSON], &birds).await, 200);
        assert_eq!(ask("DELETE", "/v1/namespaces/birds", &[], "").await, 200);
        assert_eq!(ask("DELETE", "/v1/namespaces/default", &[], "").await, 409);
        let bundle = checked.ask("GET", "/v1/export", &[], b"").await;
        assert_eq!(bundle.status, 200);
        assert_eq!(get("/v1/export?since=x").await, 400);
        let media = ("Content-Type", "application/vnd.tidings.bundle");
        assert_eq!(ask("POST", "/v1/import", &[media], "no bundle").await, 400);
        assert_eq!(ask("POST", "/v1/import", &[], "no bundle").await, 415);

        // The routes of a server of old.
        assert_eq!(ask("PUT", "/api/o/1", &[JSON], "1").await, 200);
        assert_eq!(ask("PUT", "/api/o/1", &[JSON], "{").await, 400);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_routes_of_a_server_of_old_and_refusals_at_the_door_are_in_the_document() {
    with_node(async |api| {
        let document = api.get("/openapi.json").await.expect(200).json();
        let checked = Checked { api: &api, document };
        let ask = async |method: &str, target: &str, headers: &[(&str, &str)]| {
            checked.ask(method, target, headers, b"").await.status
        };
        checked.ask("PUT", "/api/o/1", &[JSON], b"1").await.expect(200);
        for path in ["/api/o/1", "/api/scan", "/api/scan/", "/api/scan/o", "/api/history/o/1", "/api/status"]
        {
            assert_eq!(ask("GET", path, &[]).await, 200, "{path}");
            assert_eq!(ask("GET", &format!("{path}?x=1"), &[]).await, 400, "{path}");
            assert_eq!(ask("GET", path, &[("Host", "evil.example")]).await, 403, "{path}");
        }
        assert_eq!(ask("DELETE", "/api/o/1", &[]).await, 200);
        assert_eq!(ask("DELETE", "/api/o/1", &[]).await, 404);
        assert_eq!(ask("GET", "/api/o/1", &[]).await, 404);
        for path in ["/v1/status", "/healthz", "/v1/kv/a"] {
            assert_eq!(ask("GET", path, &[("Origin", "http://evil.example")]).await, 403, "{path}");
        }
    })
    .await;
}
