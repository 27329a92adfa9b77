//! The media type that a value carries with it.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

const CONTENT_TYPE_BYTES_MAX: usize = 255;

/// The media type of a value, as in HTTP: `type/subtype`, with parameters; at most 255 bytes of
/// visible ASCII and spaces.
///
/// ```
/// use tidings::ContentType;
///
/// assert!(ContentType::new("text/plain; charset=utf-8")?.is_text());
/// assert!(ContentType::new("no type").is_err());
/// # Ok::<(), tidings::ContentTypeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentType(Repr);

/// The three that nearly all values have cost no allocation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    Octets,
    Text,
    Json,
    Other(Arc<str>),
}

const OCTETS: &str = "application/octet-stream";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// The text is no media type. Nothing was changed; write it as `type/subtype`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no content type: write `type/subtype` in at most {CONTENT_TYPE_BYTES_MAX} bytes of ASCII")]
pub struct ContentTypeError(String);

impl ContentType {
    /// Checks `text` and makes a content type of it.
    ///
    /// # Errors
    /// When the text is not of the form `type/subtype`, too long, or not visible ASCII.
    pub fn new(text: &str) -> Result<Self, ContentTypeError> {
        let repr = match text {
            OCTETS => Repr::Octets,
            TEXT => Repr::Text,
            JSON => Repr::Json,
            other => {
                check(other)?;
                Repr::Other(other.into())
            }
        };
        Ok(Self(repr))
    }

    /// `application/octet-stream`.
    #[must_use]
    pub const fn octets() -> Self {
        Self(Repr::Octets)
    }

    /// `text/plain; charset=utf-8`.
    #[must_use]
    pub const fn text() -> Self {
        Self(Repr::Text)
    }

    /// `application/json`.
    #[must_use]
    pub const fn json() -> Self {
        Self(Repr::Json)
    }

    /// The type as text, parameters included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Octets => OCTETS,
            Repr::Text => TEXT,
            Repr::Json => JSON,
            Repr::Other(text) => text,
        }
    }

    /// Whether values of this type are JSON (`application/json`, with or without parameters).
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.essence().eq_ignore_ascii_case(JSON)
    }

    /// Whether values of this type are text (`text/*`).
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.essence().get(..5).is_some_and(|start| start.eq_ignore_ascii_case("text/"))
    }

    fn essence(&self) -> &str {
        let text = self.as_str();
        text.split(';').next().unwrap_or(text).trim()
    }
}

fn check(text: &str) -> Result<(), ContentTypeError> {
    let visible = text.bytes().all(|b| (0x20..0x7f).contains(&b));
    let essence = text.split(';').next().unwrap_or("").trim();
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+*'`|~%".contains(&b))
    };
    let shaped = essence.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub));
    if visible && shaped && text.len() <= CONTENT_TYPE_BYTES_MAX {
        Ok(())
    } else {
        Err(ContentTypeError(text.chars().take(80).collect()))
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ContentType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ContentType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ContentType;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a content type")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ContentType, E> {
                ContentType::new(text).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_know_what_they_are() {
        let of = |text| ContentType::new(text).expect("lawful");
        assert!(of("application/json").is_json());
        assert!(of("application/json; charset=utf-8").is_json());
        assert!(!of("application/jsonl").is_json());
        assert!(of("text/html").is_text());
        assert!(!of("textile/x").is_text());
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for text in ["", "json", "/", "a/", "a b/c", "text/plain\n", "text/pläin"] {
            assert!(ContentType::new(text).is_err(), "{text:?}");
        }
        assert!(ContentType::new(&format!("text/{}", "x".repeat(300))).is_err());
    }
}
