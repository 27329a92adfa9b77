//! What holds for the keys below a prefix.

use super::{Key, Prefix};

/// Something for each of some prefixes; of a key, that of the longest prefix that selects it, by whole
/// segments.
///
/// Looked through in order, the longest first: whoever fills it bounds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByPrefix<T>(Vec<(Prefix, T)>);

impl<T> Default for ByPrefix<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> ByPrefix<T> {
    /// What holds for `key`, and the prefix it stands under.
    #[must_use]
    pub fn of(&self, key: &Key) -> Option<(&Prefix, &T)> {
        self.0.iter().find(|(prefix, _)| prefix.selects(key)).map(|(prefix, one)| (prefix, one))
    }

    /// How many prefixes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is something for exactly this prefix.
    #[must_use]
    pub fn has(&self, prefix: &Prefix) -> bool {
        self.0.iter().any(|(other, _)| other == prefix)
    }

    /// Gives `prefix` something, in the place of what it had.
    pub fn set(&mut self, prefix: Prefix, one: T) {
        if let Some((_, held)) = self.0.iter_mut().find(|(other, _)| *other == prefix) {
            *held = one;
            return;
        }
        self.0.push((prefix, one));
        // Among equally long ones none selects what another does.
        self.0.sort_by(|(a, _), (b, _)| {
            b.as_str().len().cmp(&a.as_str().len()).then(a.as_str().cmp(b.as_str()))
        });
    }

    /// All of them, the longest prefix first.
    pub fn iter(&self) -> impl Iterator<Item = (&Prefix, &T)> {
        self.0.iter().map(|(prefix, one)| (prefix, one))
    }

    /// All of them, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, one)| one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_holds_whatever_the_order_they_were_given_in() {
        let all = ["users/log", "", "users", "zoo"];
        for turn in 0..all.len() {
            let mut table = ByPrefix::default();
            for at in 0..all.len() {
                let text = all[(turn + at) % all.len()];
                table.set(Prefix::new(text).expect("lawful"), text);
            }
            let of = |key: &str| table.of(&Key::new(key).expect("lawful")).map(|(_, one)| *one);
            let found = ["users/log/1", "users/1", "users", "users2", "zoo/x"].map(of);
            assert_eq!(found, [Some("users/log"), Some("users"), Some("users"), Some(""), Some("zoo")]);
            assert_eq!(table.len(), 4);
            table.set(Prefix::all(), "other");
            assert!(table.has(&Prefix::all()) && table.len() == 4, "it takes the place of what it had");
        }
    }

    #[test]
    fn nothing_holds_where_no_prefix_selects() {
        let mut table = ByPrefix::default();
        let key = Key::new("users").expect("lawful");
        assert_eq!(table.of(&key), None);
        table.set(Prefix::new("users/1").expect("lawful"), ());
        assert_eq!(table.of(&key), None);
    }
}
