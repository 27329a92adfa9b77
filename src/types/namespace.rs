//! Namespaces keep unrelated data apart: separate keys, sequences and gossip topics.
//!
//! A namespace with local-only prefixes has a *companion*, which holds what is below them. Its name is none that
//! anybody can write, send or read back: it is neither parsed, nor encoded, nor decoded.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, LazyLock},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use thiserror::Error;

/// The name of a keyspace of its own: `[a-z0-9][a-z0-9._-]{0,63}`.
///
/// ```
/// use tidings::Namespace;
///
/// assert_eq!(Namespace::default().as_str(), "default");
/// assert!("Photos".parse::<Namespace>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

/// The text is no name of a namespace. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no namespace: use 1 to 64 of a-z, 0-9, `.`, `_`, `-`, the first a letter or digit")]
pub struct NamespaceError(String);

/// What the name of a companion ends with. No name that can be written has a colon.
const COMPANION: &str = ":local-only";

impl Namespace {
    /// Checks `text` and makes a namespace of it.
    ///
    /// # Errors
    /// When the text is not of the form `[a-z0-9][a-z0-9._-]{0,63}`.
    pub fn new(text: &str) -> Result<Self, NamespaceError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let lawful = match text.as_bytes() {
            [first, rest @ ..] => {
                plain(*first) && rest.len() < 64 && rest.iter().all(|b| plain(*b) || b"._-".contains(b))
            }
            [] => false,
        };
        if lawful { Ok(Self(text.into())) } else { Err(NamespaceError(text.chars().take(80).collect())) }
    }

    /// The name as a store keeps it, which may be that of a companion.
    pub(crate) fn stored(text: &str) -> Result<Self, NamespaceError> {
        match text.strip_suffix(COMPANION) {
            Some(home) => Ok(Self::new(home)?.companion()),
            None => Self::new(text),
        }
    }

    /// Where the keys of this namespace lie that never leave the node.
    pub(crate) fn companion(&self) -> Self {
        Self(format!("{}{COMPANION}", self.home().0).into())
    }

    /// Whether this is where keys lie that never leave the node.
    pub(crate) fn is_companion(&self) -> bool {
        self.0.ends_with(COMPANION)
    }

    /// The namespace that users know this by.
    pub(crate) fn home(&self) -> Self {
        self.0.strip_suffix(COMPANION).map_or_else(|| self.clone(), |home| Self(home.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Namespace {
    fn default() -> Self {
        // Named by every read and write that names no other.
        static DEFAULT: LazyLock<Namespace> = LazyLock::new(|| Namespace("default".into()));
        DEFAULT.clone()
    }
}

impl FromStr for Namespace {
    type Err = NamespaceError;

    fn from_str(text: &str) -> Result<Self, NamespaceError> {
        Self::new(text)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Namespace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Whatever is encoded may leave the node: so no message can name what never does.
        if self.is_companion() {
            return Err(ser::Error::custom("what is local-only never leaves the node"));
        }
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Namespace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Namespace;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a namespace")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Namespace, E> {
                Namespace::new(text).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_their_form() {
        for text in ["a", "0", "a.b_c-d", &"x".repeat(64)] {
            assert!(Namespace::new(text).is_ok(), "{text:?}");
        }
        for text in ["", "A", ".a", "-a", "a/b", "ä", &"x".repeat(65)] {
            assert!(Namespace::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_name_of_a_companion_is_kept_by_a_store_and_neither_written_nor_sent_nor_received() {
        let birds = Namespace::new("birds").expect("lawful");
        let companion = birds.companion();
        assert_eq!(Namespace::stored(companion.as_str()), Ok(companion.clone()));
        assert_eq!(Namespace::stored("birds"), Ok(birds.clone()));
        assert!(Namespace::stored("Birds:local-only").is_err());
        assert_eq!((companion.home(), birds.home()), (birds.clone(), birds.clone()));
        assert!(companion.is_companion() && !birds.is_companion());
        assert_eq!(companion.companion(), companion);
        assert!(Namespace::new(companion.as_str()).is_err());
        let text = serde_json::to_string(companion.as_str()).expect("a text");
        assert!(serde_json::from_str::<Namespace>(&text).is_err());
        assert!(serde_json::to_string(&companion).is_err());
        assert!(bincode::serde::encode_to_vec(&companion, bincode::config::standard()).is_err());
    }
}
