//! A value is bytes with a content type.

use bytes::Bytes;

use super::ContentType;

/// Bytes with their content type. Cloning shares the bytes.
///
/// ```
/// use tidings::Value;
///
/// let greeting = Value::text("hello");
/// assert_eq!(&greeting.bytes[..], b"hello");
/// assert!(greeting.content_type.is_text());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// What the bytes are.
    pub content_type: ContentType,
    /// The bytes themselves.
    pub bytes: Bytes,
}

impl Value {
    /// A value of the given type.
    #[must_use]
    pub fn new(content_type: ContentType, bytes: impl Into<Bytes>) -> Self {
        Self { content_type, bytes: bytes.into() }
    }

    /// Bytes of no particular type (`application/octet-stream`).
    #[must_use]
    pub fn octets(bytes: impl Into<Bytes>) -> Self {
        Self::new(ContentType::octets(), bytes)
    }

    /// Text (`text/plain; charset=utf-8`).
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(ContentType::text(), text.into())
    }

    /// Text that is JSON already (`application/json`); it is not checked.
    #[must_use]
    pub fn json(text: impl Into<String>) -> Self {
        Self::new(ContentType::json(), text.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::octets(bytes)
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::octets(bytes)
    }
}
