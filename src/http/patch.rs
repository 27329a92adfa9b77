//! `PATCH /v1/kv/{key}`: a JSON merge patch (RFC 7396) on the visible value.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    extract::{Request, State},
    http::HeaderMap,
};
use serde_json::value::RawValue;

use super::{
    body::{self, Limit},
    etag::{self, Condition},
    kv::{self, VALUE_LIMIT_NAME, no_such_key, precondition},
    media,
    params::{self, Params},
    problem::{Code, Problem},
    reply::{self, Answer},
    router::App,
};
use crate::{
    node::{Precondition, WriteError, WriteOptions},
    types::{ContentType, Value},
};

/// The type of the patches that are taken.
const MERGE_PATCH: &str = "application/merge-patch+json";
/// Whatever else writes the key meanwhile, a patch is tried so often.
const TRIES_MAX: usize = 16;
/// Objects within a patch, and within what is patched, are looked into so many levels deep.
const DEPTH_MAX: usize = 128;

/// `PATCH`.
pub(super) async fn patch(State(app): State<App>, request: Request) -> Answer {
    let (head, body) = request.into_parts();
    let params = Params::of(&head.uri, &[])?;
    let space = params.space(&app.node)?;
    for name in ["tidings-base", "tidings-at-least"] {
        kv::refuse_header(&head.headers, name)?;
    }
    let key = params::key(&head.uri, kv::BASE)?;
    expect_merge_patch(&head.headers)?;
    let (matches, unless) = etag::conditions(&head.headers)?;
    if unless.is_some() {
        return Err(Problem::new(Code::BadHeader, "If-None-Match means nothing for a patch"));
    }
    let bytes = app.node.limits().value_bytes_max;
    let limit = Limit { bytes, code: Code::ValueTooLarge, name: VALUE_LIMIT_NAME };
    let upload = body::read(&head.headers, body, limit, &app.large).await?;
    media::check(&ContentType::json(), &upload.bytes)?;
    for _ in 0..TRIES_MAX {
        let Some(entry) = space.get(key.clone()).await? else { return Err(no_such_key(&key)) };
        let etag = entry.etag.hash();
        if matches.as_ref().is_some_and(|condition: &Condition| !condition.fits(Some(etag), true)) {
            return Err(precondition());
        }
        if !entry.value.content_type.is_json() {
            let detail = format!("what stands there is {}: only JSON is patched", entry.value.content_type);
            return Err(Problem::new(Code::BadContentType, detail));
        }
        let value = Value::new(entry.value.content_type, merged(&entry.value.bytes, &upload.bytes)?);
        // A part of it changes, and not when it goes.
        let left = |deadline: u64| Duration::from_millis(deadline.saturating_sub(app.node.wall_ms()));
        let ttl = entry.expires_at.map(left);
        if ttl.is_some_and(|ttl| ttl.is_zero()) {
            return Err(no_such_key(&key));
        }
        let options =
            WriteOptions { precondition: Precondition::Matches(etag), ttl, ..WriteOptions::default() };
        match space.put_with(key.clone(), value, options).await {
            Ok(written) => return Ok(reply::written(&app, &written)),
            // Somebody else was quicker.
            Err(WriteError::Precondition) => {}
            Err(error) => return Err(kv::refused(&space, &key, error).await),
        }
    }
    let detail = format!("others wrote this key {TRIES_MAX} times meanwhile: try again");
    Err(Problem::new(Code::Busy, detail).retry_after(Duration::from_secs(1)))
}

fn expect_merge_patch(headers: &HeaderMap) -> Result<(), Problem> {
    let essence =
        |given: ContentType| given.as_str().split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match media::declared(headers)?.map(essence) {
        Some(essence) if essence == MERGE_PATCH => Ok(()),
        _ => Err(Problem::new(Code::BadContentType, format!("send `Content-Type: {MERGE_PATCH}`"))),
    }
}

fn merged(target: &[u8], patch: &[u8]) -> Result<String, Problem> {
    let bad =
        |what: &str, error: &dyn std::fmt::Display| Problem::new(Code::BadJson, format!("{what}: {error}"));
    let target = str::from_utf8(target).map_err(|error| bad("what stands there", &error))?;
    let patch = str::from_utf8(patch).map_err(|error| bad("the patch", &error))?;
    let mut out = String::with_capacity(target.len() + patch.len());
    merge(Some(target.trim_ascii()), patch.trim_ascii(), 0, &mut out)
        .map_err(|error| bad("the patch", &error))?;
    Ok(out)
}

type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// What RFC 7396 calls `MergePatch`. Values that no patch touches keep their digits.
fn merge(target: Option<&str>, patch: &str, depth: usize, out: &mut String) -> Result<(), String> {
    if !patch.starts_with('{') {
        out.push_str(patch);
        return Ok(());
    }
    if depth >= DEPTH_MAX {
        return Err(format!("more than {DEPTH_MAX} objects within each other"));
    }
    let fields = |text| serde_json::from_str::<Fields<'_>>(text).map_err(|error| error.to_string());
    let patches = fields(patch)?;
    let before = target.filter(|text| text.starts_with('{')).map(fields).transpose()?.unwrap_or_default();
    let mut names: Vec<&String> = before.keys().chain(patches.keys()).collect();
    names.sort_unstable();
    names.dedup();
    out.push('{');
    let mut first = true;
    for name in names {
        let patch = patches.get(name).map(|patch| patch.get());
        if patch == Some("null") {
            continue;
        }
        out.push_str(if first { "" } else { "," });
        first = false;
        out.push_str(&serde_json::to_string(name).map_err(|error| error.to_string())?);
        out.push(':');
        let before = before.get(name).map(|before| before.get());
        match (patch, before) {
            (Some(patch), before) => merge(before, patch, depth + 1, out)?,
            (None, before) => out.push_str(before.unwrap_or("null")),
        }
    }
    out.push('}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard_come_out_as_it_says() {
        // RFC 7396, appendix A.
        for (target, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r"{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            (
                r#"{"n":12345678901234567890.10}"#,
                r#" {"a": {"b" : [1, null]}} "#,
                r#"{"a":{"b":[1, null]},"n":12345678901234567890.10}"#,
            ),
        ] {
            assert_eq!(
                merged(target.as_bytes(), patch.as_bytes()).expect("lawful"),
                result,
                "{target} {patch}"
            );
        }
    }

    #[test]
    fn a_patch_that_is_too_deep_is_refused() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(5_000), "}".repeat(5_000));
        assert_eq!(merged(b"{}", deep.as_bytes()).expect_err("too deep").code(), Code::BadJson);
    }
}
