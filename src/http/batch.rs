//! `/v1/batch`: several writes, all or none.

use axum::{
    extract::{Request, State},
    response::Response,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::{
    authorize::Asker,
    body::{self, Limit},
    media,
    params::Params,
    problem::{Code, Problem},
    reply::{Answer, WrittenView, json, set_frontier},
    router::App,
    tokens::Grant,
    ttl,
};
use crate::{
    node::{BatchOp, Frontier, WriteError, Written},
    types::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, ContentType, Key, Value},
};

/// The largest body: escapes and base64 make more of a batch than it holds.
const BODY_BYTES_MAX: usize = 8 * BATCH_BYTES_MAX;
const LIMIT: Limit = Limit { bytes: BODY_BYTES_MAX, code: Code::BatchTooLarge, name: "batch_body_bytes_max" };

/// `POST`.
pub(super) async fn batch(State(app): State<App>, request: Request) -> Answer {
    let (head, body) = request.into_parts();
    let space = Params::of(&head.uri, &[])?.space(&app.node)?;
    media::expect_json(&head.headers)?;
    let upload = body::read(&head.headers, body, LIMIT, &app.large).await?;
    let operations = parse(&upload.bytes)?;
    if operations.is_empty() {
        return Ok(answer(&app, &[]));
    }
    if let Some(grant) = head.extensions.get::<Grant>() {
        operations.iter().try_for_each(|operation| grant.covers(key_of(operation)))?;
    }
    if let Some(asker) = head.extensions.get::<Asker>() {
        let may = |operation| asker.may_write(&app.node, space.namespace(), key_of(operation));
        operations.iter().try_for_each(may)?;
    }
    let keys: Vec<Key> = operations.iter().map(|operation| key_of(operation).clone()).collect();
    match space.batch(operations).await {
        Ok(written) => Ok(answer(&app, &written)),
        Err(WriteError::NothingThere { index }) => Err(nothing_there(index, keys.get(index))),
        Err(error) => Err(error.into()),
    }
}

fn answer(app: &App, written: &[Written]) -> Response {
    #[derive(Serialize)]
    struct Results<'a> {
        results: Vec<WrittenView<'a>>,
    }
    let mut frontier = Frontier::default();
    for one in written {
        frontier.0.union(&one.frontier.0);
    }
    let results = written.iter().map(|written| WrittenView::of(app, written)).collect();
    let mut response = json(&Results { results });
    if !written.is_empty() {
        set_frontier(app, response.headers_mut(), &frontier);
    }
    response
}

fn key_of(operation: &BatchOp) -> &Key {
    match operation {
        BatchOp::Put(key, _) | BatchOp::Expiring(key, ..) | BatchOp::Delete(key) => key,
    }
}

fn nothing_there(index: usize, key: Option<&Key>) -> Problem {
    let key = key.map_or("", Key::as_str);
    let detail = format!("operation {index}: nothing stands under {key}; nothing of the batch was done");
    Problem::new(Code::NoSuchKey, detail).with("index", index).with("key", key)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Operation {
    op: Name,
    key: String,
    /// Absent is one thing, `null` is a value.
    #[serde(default, deserialize_with = "present")]
    value: Option<Box<RawValue>>,
    content_type: Option<String>,
    ttl: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    Put,
    Del,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

fn parse(bytes: &[u8]) -> Result<Vec<BatchOp>, Problem> {
    let raw: Vec<&RawValue> = serde_json::from_slice(bytes)
        .map_err(|error| Problem::new(Code::BadJson, format!("a batch is a list of operations: {error}")))?;
    if raw.len() > BATCH_OPERATIONS_MAX {
        let error = WriteError::BatchTooLarge { operations: raw.len(), bytes: bytes.len() };
        return Err(error.into());
    }
    let mut held = 0;
    let mut operations = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let operation = operation(raw).map_err(|(code, why)| {
            Problem::new(code, format!("operation {index}: {why}")).with("index", index)
        })?;
        held += match &operation {
            BatchOp::Put(key, value) | BatchOp::Expiring(key, value, _) => {
                key.as_bytes().len() + value.bytes.len()
            }
            BatchOp::Delete(key) => key.as_bytes().len(),
        };
        operations.push(operation);
    }
    if held > BATCH_BYTES_MAX {
        return Err(WriteError::BatchTooLarge { operations: operations.len(), bytes: held }.into());
    }
    Ok(operations)
}

fn operation(raw: &RawValue) -> Result<BatchOp, (Code, String)> {
    let bad = |why: &str| (Code::BadBatch, why.to_owned());
    let operation: Operation = serde_json::from_str(raw.get()).map_err(|error| bad(&error.to_string()))?;
    let key = Key::new(operation.key).map_err(|error| (Code::BadKey, error.to_string()))?;
    match (operation.op, operation.value) {
        (Name::Put, Some(value)) => {
            let value = value_of(&value, operation.content_type)?;
            Ok(match operation.ttl {
                None => BatchOp::Put(key, value),
                Some(ttl) => BatchOp::Expiring(key, value, ttl::of(&ttl).map_err(|why| (Code::BadTtl, why))?),
            })
        }
        (Name::Put, None) => Err(bad("a put needs a `value`")),
        (Name::Del, None) if operation.content_type.is_none() && operation.ttl.is_none() => {
            Ok(BatchOp::Delete(key))
        }
        (Name::Del, _) => Err(bad("a del has no `value`, `content_type` or `ttl`")),
    }
}

fn value_of(raw: &RawValue, content_type: Option<String>) -> Result<Value, (Code, String)> {
    let bad = |why: &str| (Code::BadBatch, why.to_owned());
    let string = || serde_json::from_str::<String>(raw.get());
    let Some(content_type) = content_type else {
        return Ok(string().map_or_else(|_| Value::json(raw.get()), Value::text));
    };
    let content_type =
        ContentType::new(&content_type).map_err(|error| (Code::BadContentType, error.to_string()))?;
    if content_type.is_json() {
        return Ok(Value::new(content_type, raw.get().to_owned()));
    }
    let text = string().map_err(|_| bad("a value that is not JSON is a string: text, or base64"))?;
    if content_type.is_text() {
        return Ok(Value::new(content_type, text));
    }
    let bytes = STANDARD.decode(text).map_err(|error| bad(&format!("the value is no base64: {error}")))?;
    Ok(Value::new(content_type, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::new(text).expect("lawful")
    }

    fn code(text: &str) -> &'static str {
        parse(text.as_bytes()).expect_err("refused").code().as_str()
    }

    #[test]
    fn operations_say_what_they_mean() {
        let text = r#"[
            {"op":"put","key":"a","value":{"n": 1.50}},
            {"op":"put","key":"b","value":"hello"},
            {"op":"put","key":"c","value":null},
            {"op":"put","key":"d","value":"hello","content_type":"application/json"},
            {"op":"put","key":"e","value":"/w==","content_type":"image/png"},
            {"op":"put","key":"f","value":"x","content_type":"text/html"},
            {"op":"del","key":"g/h"}
        ]"#;
        let typed = |text, bytes: &[u8]| Value::new(ContentType::new(text).expect("lawful"), bytes.to_vec());
        assert_eq!(
            parse(text.as_bytes()).expect("lawful"),
            vec![
                BatchOp::Put(key("a"), Value::json(r#"{"n": 1.50}"#)),
                BatchOp::Put(key("b"), Value::text("hello")),
                BatchOp::Put(key("c"), Value::json("null")),
                BatchOp::Put(key("d"), Value::json("\"hello\"")),
                BatchOp::Put(key("e"), typed("image/png", &[0xff])),
                BatchOp::Put(key("f"), typed("text/html", b"x")),
                BatchOp::Delete(key("g/h")),
            ]
        );
    }

    #[test]
    fn what_is_malformed_is_named_by_its_place() {
        assert_eq!(code("{}"), "bad_json");
        assert_eq!(code("[1,"), "bad_json");
        for operation in [
            "1",
            r#"{"op":"put","key":"a"}"#,
            r#"{"op":"get","key":"a"}"#,
            r#"{"op":"del","key":"a","value":1}"#,
            r#"{"op":"del","key":"a","ttl":"30s"}"#,
            r#"{"op":"put","key":"a","value":1,"content_type":"text/plain"}"#,
            r#"{"op":"put","key":"a","value":"?","content_type":"image/png"}"#,
        ] {
            assert_eq!(code(&format!("[{operation}]")), "bad_batch", "{operation}");
        }
        assert_eq!(code(r#"[{"op":"del","key":"a//b"}]"#), "bad_key");
        assert_eq!(code(r#"[{"op":"put","key":"a","value":1,"content_type":"x"}]"#), "bad_content_type");
        for ttl in [r#""0s""#, r#""36526d""#, r#""soon""#] {
            let put = format!(r#"[{{"op":"put","key":"a","value":1,"ttl":{ttl}}}]"#);
            assert_eq!(code(&put), "bad_ttl", "{ttl}");
        }
        let problem = parse(br#"[{"op":"del","key":"a"},{"op":"del","key":""}]"#).expect_err("refused");
        assert!(format!("{problem:?}").contains("operation 1: "), "{problem:?}");
    }

    #[test]
    fn a_batch_keeps_its_limits() {
        let operation = r#"{"op":"del","key":"a"}"#;
        let list = |count| format!("[{}]", vec![operation; count].join(","));
        assert_eq!(parse(list(1_000).as_bytes()).expect("within").len(), 1_000);
        assert_eq!(code(&list(1_001)), "batch_too_large");
        let put = |bytes: usize| format!(r#"[{{"op":"put","key":"a","value":"{}"}}]"#, "x".repeat(bytes));
        assert!(parse(put(BATCH_BYTES_MAX - 1).as_bytes()).is_ok());
        assert_eq!(code(&put(BATCH_BYTES_MAX)), "batch_too_large");
    }
}
