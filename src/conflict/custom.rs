//! Resolving by a function of the program's own.

use std::{borrow::Cow, fmt, sync::Arc};

use super::{
    Payload, Put, Version, Visible,
    strategy::{greatest_put, seen},
};
use crate::{causality::Dot, types::Value};

/// What readers are to see of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// This sibling; nothing, if it is a delete.
    Version(Dot),
    /// This value, made of the siblings.
    Value(Value),
    /// Nothing.
    Nothing,
}

/// Resolves siblings: a **pure** function of their set. It is asked whenever a record with several
/// siblings is read, while the reader or Storage waits, so it must be quick; it must not depend
/// on the order of the siblings, on time, chance or anything outside. Large values are given by hash and
/// size alone. A node asks it on a thread of its own, one question after the other.
///
/// ```
/// use tidings::conflict::{Resolution, Resolver, Version};
///
/// /// The longest value.
/// struct Longest;
///
/// impl Resolver for Longest {
///     fn resolve(&self, siblings: &[Version]) -> Resolution {
///         let size = |version: &Version| version.put().map(|put| put.payload.size());
///         let longest = siblings.iter().max_by_key(|version| (size(version), version.rank()));
///         longest.map_or(Resolution::Nothing, |version| Resolution::Version(version.dot))
///     }
/// }
/// ```
pub trait Resolver: Send + Sync + 'static {
    /// What readers see of `siblings`, of which there are two at least.
    fn resolve(&self, siblings: &[Version]) -> Resolution;
}

/// Why a resolver was not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It panicked.
    Panicked,
    /// It named a version that is none of the siblings.
    NoSuchVersion,
    /// It did not answer for so long that nobody waited any more.
    Silent,
    /// It was late or silent a moment ago, and is not asked now.
    Resting,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked => f.write_str("it panicked"),
            Self::NoSuchVersion => f.write_str("it named a version that is none of the siblings"),
            Self::Silent => f.write_str("it did not answer"),
            Self::Resting => f.write_str("it is not asked now, since it was slow"),
        }
    }
}

/// Asks a resolver for those who read, and keeps from them what it does wrong.
pub trait Ask: Send + Sync + 'static {
    /// What the resolver says of `siblings`, of which there are two at least.
    ///
    /// # Errors
    /// When it panics, does not answer in time, or is not asked at present.
    fn ask(&self, siblings: &[Version]) -> Result<Resolution, Failure>;
    /// The resolver was not followed for a record of `version`'s key.
    fn failed(&self, version: &Version, why: Failure);
}

/// A function of the program's own, by its name.
#[derive(Clone)]
pub struct Custom {
    name: Arc<str>,
    bound: Option<Arc<dyn Ask>>,
}

impl Custom {
    /// A function that is yet to be given.
    pub(super) fn named(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), bound: None }
    }

    /// The same with who asks the function itself.
    #[must_use]
    pub fn bound(&self, asked: Arc<dyn Ask>) -> Self {
        Self { name: self.name.clone(), bound: Some(asked) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Custom({})", self.name)
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Custom {}

/// What readers see of several siblings: what the function says; where it fails, as under `keep-all`.
pub(super) fn visible<'a>(custom: &Custom, siblings: &'a [Version], now: u64) -> Option<Visible<'a>> {
    let (Some(bound), Some(first)) = (&custom.bound, siblings.first()) else {
        return greatest_put(siblings, now);
    };
    match bound.ask(siblings).and_then(|resolution| follow(resolution, siblings, now)) {
        Ok(visible) => visible,
        Err(why) => {
            bound.failed(first, why);
            greatest_put(siblings, now)
        }
    }
}

fn follow(resolution: Resolution, siblings: &[Version], now: u64) -> Result<Option<Visible<'_>>, Failure> {
    match resolution {
        Resolution::Nothing => Ok(None),
        Resolution::Version(dot) => {
            let named = siblings.iter().find(|version| version.dot == dot);
            named.map(|version| seen(version, now)).ok_or(Failure::NoSuchVersion)
        }
        Resolution::Value(Value { content_type, bytes }) => {
            let put = Put { content_type, payload: Payload::Inline(bytes) };
            let greatest = siblings.iter().max_by_key(|version| version.rank());
            Ok(greatest.map(|version| Visible { version, put: Cow::Owned(put) }))
        }
    }
}
