//! What a commit changed of what readers see: what subscribers are told.

use super::shared::SpaceState;
use crate::{
    causality::{Dot, Hlc, SeenSet},
    conflict::{Payload, Put, Record, Version, Visible},
    types::{Key, Namespace},
};

/// What readers see of one key after a write became part of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Where the key is.
    pub namespace: Namespace,
    /// The key.
    pub key: Key,
    /// The write that was merged; or, where nothing new is held, the one that went.
    pub dot: Dot,
    /// Its stamp.
    pub hlc: Hlc,
    /// What readers see now, and the write that it comes from.
    pub shown: Option<(Dot, Put)>,
    /// Whether that is another value, or another type, than they saw before.
    pub news: bool,
    /// Whether the write was seen before: a version was dropped on a peer's word, or came back.
    pub again: bool,
}

/// What whoever watches a store is told of one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sights {
    /// What readers see of the keys written to, in the order of the writes.
    pub keys: Vec<Sight>,
    /// Per namespace, the writes that were seen with it, and not before.
    pub fresh: Vec<(Namespace, SeenSet)>,
}

/// How readers look at a namespace, and when.
pub(super) struct Seeing<'a> {
    pub(super) space: &'a SpaceState,
    /// What the wall clock shows, in milliseconds since 1970.
    pub(super) now: u64,
}

impl Seeing<'_> {
    /// What readers see of `record`, which is that of `key`.
    pub(super) fn shown<'a>(&self, key: &Key, record: &'a Record) -> Option<Visible<'a>> {
        record.visible(self.space.strategy(key), self.now)
    }
}

/// What the step from what was seen to `after` means to readers; nothing where nothing new is held and they see
/// the same. `held` is what the write `dot` added, if it did; `gone` what it took.
pub(super) fn sight(
    seeing: &Seeing<'_>,
    namespace: &Namespace,
    was: Option<&Put>,
    after: &Record,
    dot: Dot,
    held: Option<&Version>,
    gone: Option<&Version>,
) -> Option<Sight> {
    let key = &held.or(gone)?.key;
    let is = seeing.shown(key, after);
    let news = was != is.as_ref().map(|seen| &*seen.put);
    let version = held.or(gone.filter(|_| news))?;
    Some(Sight {
        namespace: namespace.clone(),
        key: version.key.clone(),
        dot,
        hlc: version.hlc,
        shown: is.map(|seen| (seen.version.dot, seen.put.into_owned())),
        news,
        again: held.is_none(),
    })
}

impl Sight {
    /// Roughly how many bytes it keeps in memory.
    #[must_use]
    pub fn size_hint(&self) -> usize {
        let inline = match self.shown.as_ref().map(|(_, put)| &put.payload) {
            Some(Payload::Inline(bytes)) => bytes.len(),
            _ => 0,
        };
        self.key.as_bytes().len() + inline + size_of::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{
        Durability,
        ledger_tests::{Replica, ns},
    };

    fn sights(replica: &mut Replica) -> Sights {
        let clock = replica.clock.last();
        replica.ledger.commit(Durability::Fsync, clock).expect("a store in memory commits").sights
    }

    /// What each write meant: whether it was news, what readers see, and whether it was seen before.
    fn told(sights: &Sights) -> Vec<(bool, bool, bool)> {
        sights.keys.iter().map(|sight| (sight.news, sight.shown.is_some(), sight.again)).collect()
    }

    #[test]
    fn what_readers_see_changes_or_does_not() {
        let mut ant = Replica::new(1);
        ant.write("k", Some("nobody watches"));
        assert_eq!(sights(&mut ant), Sights::default());
        ant.ledger.set_watched(true);
        ant.write("k", Some("a"));
        ant.write("k", Some("a"));
        ant.write("k", Some("b"));
        ant.write("k", None);
        let sights = sights(&mut ant);
        let (put, same, delete) = ((true, true, false), (false, true, false), (true, false, false));
        assert_eq!(told(&sights), [put, same, put, delete]);
        let fresh: Vec<u64> = sights.fresh.iter().map(|(_, seen)| seen.count()).collect();
        assert_eq!(fresh, [4]);
    }

    #[test]
    fn what_loses_is_no_news_and_what_is_dropped_is() {
        let (mut ant, mut bat) = (Replica::new(1), Replica::new(2));
        ant.write("k", Some("first"));
        bat.write("k", Some("second"));
        bat.write("k", Some("third"));
        bat.ledger.set_watched(true);
        let (first, third) = (ant.written[0].clone(), bat.written[1].clone());
        assert!(first.rank() < third.rank());
        bat.ledger.receive(&ns(), first.clone(), None).expect("received");
        let told_of = told(&sights(&mut bat));
        assert_eq!(
            told_of.last(),
            Some(&(false, true, false)),
            "it stands beside, and readers see no difference"
        );
        let now = Hlc::from_millis(5_000);
        assert!(bat.ledger.drop_dead(&ns(), first.dot, &first.key, now).expect("dropped"));
        assert!(sights(&mut bat).keys.is_empty(), "nobody saw it");
        assert!(bat.ledger.drop_dead(&ns(), third.dot, &third.key, now).expect("dropped"));
        let sights = sights(&mut bat);
        assert_eq!(told(&sights), [(true, false, true)]);
        assert_eq!(sights.keys[0].dot, third.dot);
    }
}
