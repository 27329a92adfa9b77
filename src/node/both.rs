//! What stands in a namespace: what nodes exchange and what never leaves this one, as one.

use super::Space;
use crate::{
    conflict::Reading,
    storage::{StoreError, View},
    types::{Key, Prefix},
};

/// A record as readers see it, under its key.
type Read = Result<(Key, Reading), StoreError>;

impl Space {
    /// What `view` shows of the records that `prefix` selects, in the order of their keys, from behind `after` on:
    /// below a local-only prefix what lies in the companion, elsewhere what lies in the namespace itself.
    pub(super) fn readings<'a>(
        &'a self,
        view: &'a View,
        prefix: &Prefix,
        after: Option<&Key>,
        reverse: bool,
    ) -> Box<dyn Iterator<Item = Read> + Send + 'a> {
        let shared = || view.readings(&self.namespace, prefix, after, reverse);
        let Some(locals) = self.locals().filter(|locals| locals.touch(prefix)) else {
            return Box::new(shared());
        };
        let local = view.readings(locals.companion(), prefix, after, reverse);
        if locals.hold_all(prefix) {
            return Box::new(local);
        }
        let shared = shared().filter(|read| !matches!(read, Ok((key, _)) if locals.holds(key)));
        Box::new(merged(shared, local, reverse))
    }
}

/// Two streams in the order of their keys, as one; no key is in both. What cannot be read comes first, to be told.
fn merged<T, E>(
    one: impl Iterator<Item = Result<(Key, T), E>>,
    other: impl Iterator<Item = Result<(Key, T), E>>,
    reverse: bool,
) -> impl Iterator<Item = Result<(Key, T), E>> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(Ok((a, _))), Some(Ok((b, _)))) if (a < b) == reverse => other.next(),
        (Some(Ok(_)), Some(Err(_))) | (None, _) => other.next(),
        _ => one.next(),
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, convert::Infallible};

    use proptest::{collection::btree_map, prelude::*};

    use super::*;
    use crate::types::{LocalPrefixes, Namespace};

    /// Segments that lie around the separator in the order of bytes.
    fn keys() -> impl Strategy<Value = String> {
        let segment = prop::sample::select(vec!["a", "a-b", "a0", "b", "a.b"]);
        prop::collection::vec(segment, 1..4).prop_map(|segments| segments.join("/"))
    }

    type Side = BTreeMap<Key, u32>;

    /// What a reader of one side is shown: below the prefix, behind `after`, in order.
    fn page(side: &Side, prefix: &Prefix, after: Option<&Key>, reverse: bool) -> Vec<(Key, u32)> {
        let behind = |key: &&Key| after.is_none_or(|after| if reverse { *key < after } else { *key > after });
        let mut all: Vec<_> = side.keys().filter(|key| prefix.selects(key)).filter(behind).cloned().collect();
        if reverse {
            all.reverse();
        }
        all.into_iter().map(|key| (key.clone(), side[&key])).collect()
    }

    proptest! {
        #[test]
        fn two_sides_are_read_as_one_map_in_pages_both_ways(
            all in btree_map(keys(), any::<u32>(), 0..40),
            locals in prop::collection::vec(keys(), 0..4),
            prefix in prop_oneof![Just(String::new()), keys()],
            reverse: bool,
            limit in 1..5_usize,
        ) {
            let (mut table, default) = (LocalPrefixes::default(), Namespace::default());
            for local in &locals {
                table.add(&default, Prefix::new(local).expect("lawful")).expect("there is room");
            }
            let prefix = Prefix::new(&prefix).expect("lawful");
            let whole: Side = all.into_iter().map(|(key, n)| (Key::new(key).expect("lawful"), n)).collect();
            let (shared, local): (Side, Side) =
                whole.clone().into_iter().partition(|(key, _)| table.home(&default, key) == &default);
            let (mut read, mut after) = (Vec::new(), None);
            loop {
                let of = |side| page(side, &prefix, after.as_ref(), reverse).into_iter().map(Ok::<_, Infallible>);
                let page: Vec<_> = merged(of(&shared), of(&local), reverse).take(limit).map(Result::unwrap).collect();
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                read.extend(page);
            }
            prop_assert_eq!(read, page(&whole, &prefix, None, reverse));
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_and_hides_nothing() {
        let key = |text: &str| Key::new(text).expect("lawful");
        let one = vec![Ok((key("a"), 1)), Err("broken"), Ok((key("c"), 3))];
        let other = vec![Err("broken, too"), Ok((key("b"), 2))];
        let read: Vec<_> = merged(one.into_iter(), other.into_iter(), false).collect();
        let expected =
            [Err("broken, too"), Ok((key("a"), 1)), Err("broken"), Ok((key("b"), 2)), Ok((key("c"), 3))];
        assert_eq!(read, expected);
    }
}
