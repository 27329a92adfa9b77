//! Resolving by a function of the program's own.

use std::{
    borrow::Cow,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use super::{
    Payload, Put, Version, Visible,
    strategy::{greatest_put, seen},
};
use crate::{causality::Dot, types::Value};

/// A resolver that took longer than this for one record is not asked for a while.
pub const RESOLVER_TIME_MAX: Duration = Duration::from_millis(100);

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
/// siblings is read, on the thread of the reader or of Storage, so it must be quick; it must not depend
/// on the order of the siblings, on time, chance or anything outside. Large values are given by hash and
/// size alone.
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
    /// It was late a moment ago, and is not asked now.
    Resting,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked => f.write_str("it panicked"),
            Self::NoSuchVersion => f.write_str("it named a version that is none of the siblings"),
            Self::Resting => f.write_str("it is not asked now, since it was slow"),
        }
    }
}

/// What watches over resolvers: it has a clock, and is told of failures.
pub trait Guard: Send + Sync + 'static {
    /// Time that only rises.
    fn now(&self) -> Duration;
    /// Whether the resolver is asked at all.
    fn trusts(&self, name: &str) -> bool;
    /// A resolver took longer than [`RESOLVER_TIME_MAX`] for a record of `version`'s key. Its answer stands.
    fn late(&self, name: &str, version: &Version);
    /// A resolver was not followed for a record of `version`'s key.
    fn failed(&self, name: &str, version: &Version, why: Failure);
}

/// A function of the program's own, by its name.
#[derive(Clone)]
pub struct Custom {
    name: Arc<str>,
    bound: Option<(Arc<dyn Resolver>, Arc<dyn Guard>)>,
}

impl Custom {
    /// A function that is yet to be given.
    pub(super) fn named(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), bound: None }
    }

    /// The same with the function itself, and who watches over it.
    #[must_use]
    pub fn bound(&self, resolver: Arc<dyn Resolver>, guard: Arc<dyn Guard>) -> Self {
        Self { name: self.name.clone(), bound: Some((resolver, guard)) }
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
    let (Some((resolver, guard)), Some(first)) = (&custom.bound, siblings.first()) else {
        return greatest_put(siblings, now);
    };
    let answer = ask(&custom.name, &**resolver, &**guard, siblings, first);
    match answer.and_then(|resolution| follow(resolution, siblings, now)) {
        Ok(visible) => visible,
        Err(why) => {
            guard.failed(&custom.name, first, why);
            greatest_put(siblings, now)
        }
    }
}

fn ask(
    name: &str,
    resolver: &dyn Resolver,
    guard: &dyn Guard,
    siblings: &[Version],
    first: &Version,
) -> Result<Resolution, Failure> {
    if !guard.trusts(name) {
        return Err(Failure::Resting);
    }
    let start = guard.now();
    // The time of a panic is not the resolver's: the host's panic hook may print a backtrace.
    let answer =
        catch_unwind(AssertUnwindSafe(|| resolver.resolve(siblings))).map_err(|_| Failure::Panicked)?;
    if guard.now().saturating_sub(start) > RESOLVER_TIME_MAX {
        guard.late(name, first);
    }
    Ok(answer)
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
