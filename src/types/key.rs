//! A key is a path of segments; a prefix selects whole segments of it.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// The longest key, in bytes of UTF-8, separators included.
pub const KEY_BYTES_MAX: usize = 1_024;

/// Where a value stands: UTF-8 segments joined by `/`, 1 to [`KEY_BYTES_MAX`] bytes in all.
///
/// No empty segment, no leading or trailing `/`, no control characters, no segment `.` or `..`.
/// Keys are ordered by their bytes. Cloning shares the text.
///
/// ```
/// use tidings::Key;
///
/// let key: Key = "users/ant".parse()?;
/// assert_eq!(key.as_str(), "users/ant");
/// assert!("users//ant".parse::<Key>().is_err());
/// # Ok::<(), tidings::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

/// Why a text is no key. Nothing was changed; write the key as the message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text has no characters.
    #[error("a key has 1 to {KEY_BYTES_MAX} bytes, this one is empty")]
    Empty,
    /// The text is longer than [`KEY_BYTES_MAX`] bytes.
    #[error("a key has 1 to {KEY_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// Two separators meet, or one stands at an end.
    #[error("a key has no empty segment: remove the leading, trailing or doubled `/`")]
    EmptySegment,
    /// A segment is `.` or `..`.
    #[error("the segments `.` and `..` are refused in keys")]
    DotSegment,
    /// A control character, such as a line break.
    #[error("a key has no control characters, this one has U+{:04X}", *.0 as u32)]
    Control(char),
    /// The bytes are not UTF-8.
    #[error("a key is UTF-8 text, these bytes are not")]
    NotUtf8,
}

#[inline]
fn check(text: &str) -> Result<(), KeyError> {
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    if text.len() > KEY_BYTES_MAX {
        return Err(KeyError::TooLong(text.len()));
    }
    // Without a way out, the loop goes over many bytes at a time.
    let plain = text.bytes().fold(true, |plain, byte| plain & (b' '..=b'~').contains(&byte));
    if !plain && let Some(control) = text.chars().find(|c| c.is_control()) {
        return Err(KeyError::Control(control));
    }
    let bytes = text.as_bytes();
    let doubled = bytes.windows(2).any(|pair| pair == b"//");
    if doubled || bytes[0] == b'/' || bytes[bytes.len() - 1] == b'/' {
        return Err(KeyError::EmptySegment);
    }
    if bytes.contains(&b'.')
        && bytes.split(|byte| *byte == b'/').any(|segment| matches!(segment, b"." | b".."))
    {
        return Err(KeyError::DotSegment);
    }
    Ok(())
}

impl Key {
    /// Checks `text` and makes a key of it.
    ///
    /// # Errors
    /// A [`KeyError`] that names what is wrong with the text.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, KeyError> {
        let text = text.into();
        check(&text)?;
        Ok(Self(text))
    }

    /// Checks `bytes` and makes a key of them.
    ///
    /// # Errors
    /// A [`KeyError`] that names what is wrong with the bytes.
    #[inline]
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::new(std::str::from_utf8(bytes).map_err(|_| KeyError::NotUtf8)?)
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as bytes of UTF-8.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl TryFrom<&str> for Key {
    type Error = KeyError;

    fn try_from(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Key {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl From<std::convert::Infallible> for KeyError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Key, E> {
                Key::new(text).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// Selects a key and everything below it, by whole segments: `users` selects `users` and
/// `users/1`, never `users2/1`. The empty prefix selects all.
///
/// ```
/// use tidings::{Key, Prefix};
///
/// let users: Prefix = "users".parse()?;
/// assert!(users.selects(&"users/1".parse()?));
/// assert!(users.selects(&"users".parse()?));
/// assert!(!users.selects(&"users2/1".parse()?));
/// # Ok::<(), tidings::KeyError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Prefix(Option<Key>);

impl Prefix {
    /// The prefix that selects every key.
    #[must_use]
    pub fn all() -> Self {
        Self(None)
    }

    /// Checks `text` and makes a prefix of it; one trailing `/` is allowed.
    ///
    /// # Errors
    /// A [`KeyError`] that names what is wrong with the text.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        Key::new(text.strip_suffix('/').unwrap_or(text)).map(|key| Self(Some(key)))
    }

    /// The prefix as text, without a trailing `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", Key::as_str)
    }

    /// Whether `key` is the prefix itself or lies below it.
    #[must_use]
    pub fn selects(&self, key: &Key) -> bool {
        let Some(prefix) = &self.0 else { return true };
        match key.as_bytes().strip_prefix(prefix.as_bytes()) {
            Some(rest) => rest.is_empty() || rest[0] == b'/',
            None => false,
        }
    }

    /// Whether all that `other` selects is selected by this one.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        self.0.is_none() || other.0.as_ref().is_some_and(|other| self.selects(other))
    }
}

impl FromStr for Prefix {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl From<Key> for Prefix {
    fn from(key: Key) -> Self {
        Self(Some(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_path_is_no_key() {
        let cases = [
            ("", KeyError::Empty),
            ("/a", KeyError::EmptySegment),
            ("a/", KeyError::EmptySegment),
            ("a//b", KeyError::EmptySegment),
            ("a/../b", KeyError::DotSegment),
            (".", KeyError::DotSegment),
            ("a\nb", KeyError::Control('\n')),
            ("a\u{85}b", KeyError::Control('\u{85}')),
        ];
        for (text, error) in cases {
            assert_eq!(Key::new(text), Err(error), "{text:?}");
        }
        assert_eq!(Key::new("x".repeat(1_025)), Err(KeyError::TooLong(1_025)));
        assert_eq!(Key::from_bytes(&[0xff]), Err(KeyError::NotUtf8));
    }

    #[test]
    fn the_longest_key_and_odd_but_lawful_ones_are_keys() {
        for text in ["a", "...", "a/...", "ä/ö", "a b", "%2F", &"x".repeat(1_024)] {
            assert!(Key::new(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn a_prefix_selects_whole_segments() {
        let users = Prefix::new("users").expect("lawful");
        for (text, selected) in [("users", true), ("users/1", true), ("users2/1", false), ("user", false)] {
            assert_eq!(users.selects(&Key::new(text).expect("lawful")), selected, "{text}");
        }
        assert!(Prefix::all().selects(&Key::new("x").expect("lawful")));
        assert_eq!(Prefix::new("users/"), Ok(users));
    }
}
