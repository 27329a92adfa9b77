//! Which of several concurrent versions a reader sees.

use std::{borrow::Cow, fmt, str::FromStr};

use thiserror::Error;

use super::{Custom, Put, Version, custom, fields};

/// How siblings are resolved for readers. A pure function of the set of siblings: the same on every
/// replica, in any order. Nothing resolved is written back: replicas that resolve differently still hold
/// equal data.
///
/// ```
/// use tidings::conflict::Strategy;
///
/// assert_eq!("merge-fields".parse::<Strategy>()?, Strategy::MergeFields);
/// assert_eq!(Strategy::default().to_string(), "last-write-wins");
/// # Ok::<(), tidings::conflict::StrategyError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// The greatest by stamp, origin, sequence; a delete counts as a value.
    #[default]
    LastWriteWins,
    /// The smallest that is not a delete. A put where a value is seen is refused; a delete opens the key
    /// again.
    FirstWriteWins,
    /// JSON objects field by field, to any depth: of each field the write that changed it last. Arrays and
    /// scalars are whole. What is no object, or too large to travel with its version, is resolved as by
    /// [`Self::LastWriteWins`].
    MergeFields,
    /// All siblings are for readers to look at. The greatest that is no delete stands for them.
    KeepAll,
    /// Nothing where a delete is among the siblings; else the greatest.
    DeleteWins,
    /// The greatest that is no delete.
    UpdateWins,
    /// A function of the program's own.
    Custom(Custom),
}

/// The text names no strategy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no strategy: write last-write-wins, first-write-wins, merge-fields, keep-all, delete-wins, update-wins, \
     or custom:NAME where a program registers a resolver of that name"
)]
pub struct StrategyError(String);

/// What readers see of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visible<'a> {
    /// The sibling seen; the greatest of those where several were merged.
    pub version: &'a Version,
    /// Its value, or what the values were merged to.
    pub put: Cow<'a, Put>,
}

impl<'a> Visible<'a> {
    /// Nothing of a delete, nor of what has expired at `now`.
    fn of(version: &'a Version, now: u64) -> Option<Self> {
        let put = version.put().filter(|_| version.shows_value(now));
        put.map(|put| Self { version, put: Cow::Borrowed(put) })
    }
}

impl Strategy {
    /// Those that are known by their names alone, as in a file of settings: all but [`Self::Custom`].
    ///
    /// ```
    /// use tidings::conflict::Strategy;
    ///
    /// assert!(Strategy::NAMED.iter().all(|strategy| strategy.to_string().parse().as_ref() == Ok(strategy)));
    /// ```
    pub const NAMED: [Self; 6] = [
        Self::LastWriteWins,
        Self::FirstWriteWins,
        Self::MergeFields,
        Self::KeepAll,
        Self::DeleteWins,
        Self::UpdateWins,
    ];

    /// The function that a program registers under `name` with its node.
    #[must_use]
    pub fn custom(name: impl Into<std::sync::Arc<str>>) -> Self {
        Self::Custom(Custom::named(name))
    }

    /// What readers see of `siblings` at `now`, in milliseconds since 1970: a version with its value, or
    /// nothing. What has expired by then is a delete to them.
    #[must_use]
    pub fn visible<'a>(&self, siblings: &'a [Version], now: u64) -> Option<Visible<'a>> {
        let seen = |version| Visible::of(version, now);
        if let [only] = siblings {
            return seen(only);
        }
        match self {
            Self::FirstWriteWins => puts(siblings, now).min_by_key(|version| version.rank()).and_then(seen),
            Self::KeepAll | Self::UpdateWins => greatest_put(siblings, now),
            Self::DeleteWins if puts(siblings, now).count() < siblings.len() => None,
            Self::LastWriteWins | Self::DeleteWins => greatest(siblings).and_then(seen),
            Self::MergeFields => match fields::merge_readable(siblings) {
                Some((version, put)) => Some(Visible { version, put: Cow::Owned(put) }),
                None => greatest(siblings).and_then(seen),
            },
            Self::Custom(custom) => custom::visible(custom, siblings, now),
        }
    }

    /// Whether readers see a value of `siblings`; answers sooner than [`Self::visible`].
    #[must_use]
    pub fn shows(&self, siblings: &[Version], now: u64) -> bool {
        match self {
            Self::LastWriteWins | Self::MergeFields => {
                greatest(siblings).is_some_and(|version| version.shows_value(now))
            }
            Self::FirstWriteWins | Self::KeepAll | Self::UpdateWins => puts(siblings, now).next().is_some(),
            Self::DeleteWins => !siblings.is_empty() && puts(siblings, now).count() == siblings.len(),
            Self::Custom(_) => self.visible(siblings, now).is_some(),
        }
    }

    /// Why readers see what they see of several siblings, in a few words for people.
    #[must_use]
    pub fn why(&self) -> &'static str {
        match self {
            Self::LastWriteWins => "the greatest by stamp, origin and sequence",
            Self::FirstWriteWins => "the smallest by stamp, origin and sequence that is no delete",
            Self::MergeFields => {
                "objects are merged field by field, the last change of each; else the greatest by stamp, origin and sequence"
            }
            Self::KeepAll => "all are kept for readers; the greatest that is no delete stands for them",
            Self::DeleteWins => "a concurrent delete wins; else the greatest by stamp, origin and sequence",
            Self::UpdateWins => "the greatest by stamp, origin and sequence that is no delete",
            Self::Custom(_) => "what the program's own function says",
        }
    }
}

fn greatest(siblings: &[Version]) -> Option<&Version> {
    siblings.iter().max_by_key(|version| version.rank())
}

fn puts(siblings: &[Version], now: u64) -> impl Iterator<Item = &Version> {
    siblings.iter().filter(move |version| version.shows_value(now))
}

pub(super) fn greatest_put(siblings: &[Version], now: u64) -> Option<Visible<'_>> {
    puts(siblings, now).max_by_key(|version| version.rank()).and_then(|version| Visible::of(version, now))
}

pub(super) fn seen(version: &Version, now: u64) -> Option<Visible<'_>> {
    Visible::of(version, now)
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LastWriteWins => "last-write-wins",
            Self::FirstWriteWins => "first-write-wins",
            Self::MergeFields => "merge-fields",
            Self::KeepAll => "keep-all",
            Self::DeleteWins => "delete-wins",
            Self::UpdateWins => "update-wins",
            Self::Custom(custom) => return write!(f, "custom:{}", custom.name()),
        })
    }
}

impl FromStr for Strategy {
    type Err = StrategyError;

    fn from_str(text: &str) -> Result<Self, StrategyError> {
        if let Some(name) = text.strip_prefix("custom:").filter(|name| !name.is_empty()) {
            return Ok(Self::custom(name));
        }
        let named = Self::NAMED.into_iter().find(|strategy| strategy.to_string() == text);
        named.ok_or_else(|| StrategyError(text.chars().take(80).collect()))
    }
}
