//! Which keys never leave the node.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{ByPrefix, Key, Namespace, Prefix};

/// The most prefixes that are local-only, in all namespaces together.
pub const LOCAL_PREFIXES_MAX: usize = 256;

/// The table of local-only prefixes is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "more than {LOCAL_PREFIXES_MAX} prefixes are local-only: declare one above them, it includes what lies below"
)]
pub struct LocalPrefixesError;

/// The prefixes of each namespace whose keys never leave the node.
///
/// ```
/// use tidings::{Namespace, Prefix, types::LocalPrefixes};
///
/// let mut table = LocalPrefixes::default();
/// table.add(&Namespace::default(), Prefix::new("drafts")?)?;
/// let locals = table.of(&Namespace::default()).expect("it has one");
/// assert!(locals.holds(&"drafts/1".parse()?) && !locals.holds(&"drafts2".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalPrefixes(BTreeMap<Namespace, Locals>);

/// The prefixes of one namespace whose keys never leave the node; there is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locals {
    prefixes: ByPrefix<()>,
    companion: Namespace,
}

impl LocalPrefixes {
    /// Keeps the keys below `prefix` of `namespace` on this node.
    ///
    /// # Errors
    /// When there are [`LOCAL_PREFIXES_MAX`] prefixes already.
    pub fn add(&mut self, namespace: &Namespace, prefix: Prefix) -> Result<(), LocalPrefixesError> {
        let full = self.0.values().map(|locals| locals.prefixes.len()).sum::<usize>() >= LOCAL_PREFIXES_MAX;
        let known = self.0.get(namespace).is_some_and(|locals| locals.prefixes.has(&prefix));
        if full && !known {
            return Err(LocalPrefixesError);
        }
        let companion = namespace.companion();
        let locals = || Locals { prefixes: ByPrefix::default(), companion };
        self.0.entry(namespace.clone()).or_insert_with(locals).prefixes.set(prefix, ());
        Ok(())
    }

    /// Those of `namespace`, if it has any.
    #[must_use]
    pub fn of(&self, namespace: &Namespace) -> Option<&Locals> {
        self.0.get(namespace)
    }

    /// Where `key` of `namespace` lies: there, or in its companion.
    #[must_use]
    pub fn home<'a>(&'a self, namespace: &'a Namespace, key: &Key) -> &'a Namespace {
        match self.of(namespace) {
            Some(locals) if locals.holds(key) => &locals.companion,
            _ => namespace,
        }
    }

    /// The namespaces that have some, and these.
    pub fn iter(&self) -> impl Iterator<Item = (&Namespace, &Locals)> {
        self.0.iter()
    }
}

impl Locals {
    /// Whether `key` never leaves the node.
    #[must_use]
    pub fn holds(&self, key: &Key) -> bool {
        self.prefixes.of(key).is_some()
    }

    /// Whether no key below `prefix` leaves the node.
    #[must_use]
    pub fn hold_all(&self, prefix: &Prefix) -> bool {
        self.prefixes().any(|local| local.includes(prefix))
    }

    /// Whether a key below `prefix` may be one that never leaves the node.
    #[must_use]
    pub fn touch(&self, prefix: &Prefix) -> bool {
        self.prefixes().any(|local| local.includes(prefix) || prefix.includes(local))
    }

    /// Where these keys lie. Its name is none that users can write.
    pub(crate) fn companion(&self) -> &Namespace {
        &self.companion
    }

    /// A short hash of all of them: where it is another one, keys may have gone from one side to the other.
    #[must_use]
    pub fn tag(&self) -> u64 {
        let mut hasher = blake3::Hasher::new();
        for prefix in self.prefixes() {
            // No key has this byte.
            hasher.update(prefix.as_str().as_bytes()).update(&[0]);
        }
        let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// The prefixes, the longest first.
    pub fn prefixes(&self) -> impl Iterator<Item = &Prefix> {
        self.prefixes.iter().map(|(prefix, ())| prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        Prefix::new(text).expect("lawful")
    }

    fn table(prefixes: &[&str]) -> LocalPrefixes {
        let mut table = LocalPrefixes::default();
        for text in prefixes {
            table.add(&Namespace::default(), prefix(text)).expect("there is room");
        }
        table
    }

    #[test]
    fn a_key_lies_in_the_companion_if_a_prefix_selects_it_by_whole_segments() {
        let (table, default) = (table(&["drafts", "cache/tmp"]), Namespace::default());
        let home = |key: &str| table.home(&default, &Key::new(key).expect("lawful")).clone();
        for key in ["drafts", "drafts/1", "cache/tmp/a/b"] {
            assert_eq!(home(key), default.companion(), "{key}");
        }
        for key in ["drafts-1", "drafts2/1", "cache", "cache/tmp2", "a/drafts"] {
            assert_eq!(home(key), default, "{key}");
        }
        let birds = Namespace::new("birds").expect("lawful");
        assert_eq!(table.home(&birds, &Key::new("drafts").expect("lawful")), &birds);
    }

    #[test]
    fn what_is_asked_for_touches_local_prefixes_above_and_below_it() {
        let table = table(&["drafts", "cache/tmp"]);
        let locals = table.of(&Namespace::default()).expect("it has some");
        let how = |text: &str| (locals.touch(&prefix(text)), locals.hold_all(&prefix(text)));
        assert_eq!(how(""), (true, false));
        assert_eq!(how("cache"), (true, false));
        assert_eq!(how("cache/tmp"), (true, true));
        assert_eq!(how("drafts/1"), (true, true));
        assert_eq!(how("cache/tm"), (false, false));
        assert_eq!(how("users"), (false, false));
        let tag = |prefixes: &[&str]| self::table(prefixes).of(&Namespace::default()).map(Locals::tag);
        assert_eq!(tag(&["cache/tmp", "drafts"]), Some(locals.tag()), "in whatever order");
        assert_ne!(tag(&["cache", "tmp/drafts"]), Some(locals.tag()));
    }

    #[test]
    fn there_is_a_bound_and_a_prefix_given_twice_counts_once() {
        let mut table = LocalPrefixes::default();
        for n in 0..LOCAL_PREFIXES_MAX {
            table.add(&Namespace::default(), prefix(&format!("p/{n}"))).expect("there is room");
        }
        let birds = Namespace::new("birds").expect("lawful");
        assert_eq!(table.add(&birds, prefix("p")), Err(LocalPrefixesError));
        assert_eq!(table.of(&birds), None, "a refusal leaves nothing behind");
        assert_eq!(table.add(&Namespace::default(), prefix("p/0")), Ok(()));
    }
}
