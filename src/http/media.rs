//! What kind of bytes a value is, and how it stands inside JSON.

use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Serialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::problem::{Code, Problem};
use crate::types::{ContentType, Value};

/// The largest value that stands inside JSON.
pub(super) const SHOWN_BYTES_MAX: usize = 64 * 1024;

/// What `curl --data` sends when nobody has said what the body is.
const CURL_DEFAULT: &str = "application/x-www-form-urlencoded";

/// The type that a request gives its body; nothing if it gives none that means anything.
pub(super) fn declared(headers: &HeaderMap) -> Result<Option<ContentType>, Problem> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::new(Code::BadContentType, "there are several content types"));
    }
    let text = value.to_str().map_err(|_| Problem::new(Code::BadContentType, "it is not ASCII"))?.trim();
    if text.is_empty() || text.eq_ignore_ascii_case(CURL_DEFAULT) {
        return Ok(None);
    }
    match ContentType::new(text) {
        Ok(content_type) => Ok(Some(content_type)),
        Err(error) => Err(Problem::new(Code::BadContentType, error.to_string())),
    }
}

/// Refuses a request whose body is not said to be JSON. This also keeps out the forms of other
/// sites, which a browser sends without asking.
pub(super) fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    match declared(headers)? {
        Some(content_type) if content_type.is_json() => Ok(()),
        _ => Err(Problem::new(Code::BadContentType, "send `Content-Type: application/json`")),
    }
}

/// The type of bytes that nobody has named: JSON if they parse, else text if they are UTF-8, else
/// octets.
pub(super) fn detect(bytes: &[u8]) -> ContentType {
    match str::from_utf8(bytes) {
        Ok(text) if json(text).is_ok() => ContentType::json(),
        Ok(_) => ContentType::text(),
        Err(_) => ContentType::octets(),
    }
}

/// Refuses bytes that are said to be JSON and are not.
pub(super) fn check(content_type: &ContentType, bytes: &[u8]) -> Result<(), Problem> {
    if !content_type.is_json() {
        return Ok(());
    }
    let refuse = |why: String| {
        let detail = format!("the content type says JSON, and the value is none: {why}");
        Problem::new(Code::BadJson, detail)
    };
    let text = str::from_utf8(bytes).map_err(|error| refuse(error.to_string()))?;
    json(text).map_err(|error| refuse(error.to_string()))
}

fn json(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<IgnoredAny>(text).map(|_| ())
}

/// A value inside JSON: two members, either of which may be absent.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Form<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Form<'a> {
    Json(&'a RawValue),
    Text(&'a str),
    Base64(String),
}

impl<'a> Shown<'a> {
    /// How `value` stands inside JSON.
    pub(super) fn of(value: &'a Value) -> Self {
        if value.bytes.len() > SHOWN_BYTES_MAX {
            return Self::nothing();
        }
        let text = str::from_utf8(&value.bytes).ok();
        let form = match text {
            Some(text) if value.content_type.is_json() => serde_json::from_str(text).ok().map(Form::Json),
            Some(text) if value.content_type.is_text() => Some(Form::Text(text)),
            _ => None,
        };
        match form {
            Some(form) => Self { value: Some(form), encoding: None },
            None => {
                Self { value: Some(Form::Base64(STANDARD.encode(&value.bytes))), encoding: Some("base64") }
            }
        }
    }

    /// `value` as one text: base64 where it is none.
    pub(super) fn text_of(value: &Value) -> String {
        str::from_utf8(&value.bytes).map_or_else(|_| STANDARD.encode(&value.bytes), str::to_owned)
    }

    /// A value that is left out.
    pub(super) const fn nothing() -> Self {
        Self { value: None, encoding: None }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn with(text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(text))])
    }

    fn shown(value: &Value) -> String {
        serde_json::to_string(&Shown::of(value)).expect("serialises")
    }

    #[test]
    fn a_type_is_taken_as_given_and_curls_default_is_not_given() {
        assert_eq!(declared(&HeaderMap::new()).expect("lawful"), None);
        assert_eq!(declared(&with("")).expect("lawful"), None);
        assert_eq!(declared(&with("application/x-www-form-urlencoded")).expect("lawful"), None);
        let given = declared(&with("image/png")).expect("lawful").expect("given");
        assert_eq!(given.as_str(), "image/png");
        assert_eq!(declared(&with("nonsense")).expect_err("no type").code(), Code::BadContentType);
    }

    #[test]
    fn only_json_is_json() {
        assert!(expect_json(&with("application/json")).is_ok());
        assert!(expect_json(&with("Application/JSON; charset=utf-8")).is_ok());
        for text in ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonl"] {
            assert_eq!(expect_json(&with(text)).expect_err("other").code(), Code::BadContentType, "{text}");
        }
        assert!(expect_json(&HeaderMap::new()).is_err());
    }

    #[test]
    fn unnamed_bytes_are_json_or_text_or_octets() {
        for text in ["{}", "[1, 2]", "42", "\"a\"", "null", " true\n"] {
            assert_eq!(detect(text.as_bytes()), ContentType::json(), "{text}");
        }
        for text in ["", "hello", "{a}", "1 2", "01", "ä"] {
            assert_eq!(detect(text.as_bytes()), ContentType::text(), "{text}");
        }
        assert_eq!(detect(&[0xff, 0xfe]), ContentType::octets());
        assert_eq!(detect(b"\"\xff\""), ContentType::octets());
    }

    #[test]
    fn what_is_said_to_be_json_must_be() {
        let json = ContentType::json();
        assert!(check(&json, b"{\"a\":1}").is_ok());
        for bytes in [&b"{"[..], b"", b"\"\xff\"", b"{} x"] {
            assert_eq!(check(&json, bytes).expect_err("no json").code(), Code::BadJson);
        }
        assert!(check(&ContentType::text(), b"{").is_ok());
    }

    #[test]
    fn a_value_in_json_is_json_or_a_string_or_base64() {
        assert_eq!(
            shown(&Value::json(r#" {"b":1,"a":12345678901234567890.10} "#)),
            r#"{"value":{"b":1,"a":12345678901234567890.10}}"#,
            "digits and order stay as they were stored"
        );
        assert_eq!(shown(&Value::text("a \"b\"")), r#"{"value":"a \"b\""}"#);
        assert_eq!(shown(&Value::octets(vec![0xff])), r#"{"value":"/w==","encoding":"base64"}"#);
    }

    #[test]
    fn a_value_that_is_not_what_its_type_says_is_base64() {
        let broken = Value::json("{");
        assert_eq!(shown(&broken), r#"{"value":"ew==","encoding":"base64"}"#);
        let latin = Value::new(ContentType::text(), vec![0xe4]);
        assert_eq!(shown(&latin), r#"{"value":"5A==","encoding":"base64"}"#);
    }

    #[test]
    fn a_large_value_is_left_out() {
        assert!(shown(&Value::text("x".repeat(SHOWN_BYTES_MAX))).len() > SHOWN_BYTES_MAX);
        assert_eq!(shown(&Value::text("x".repeat(SHOWN_BYTES_MAX + 1))), "{}");
    }
}
