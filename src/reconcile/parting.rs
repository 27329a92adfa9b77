//! What two replicas need not tell each other again.

use crate::{
    causality::{Intervals, Origin, SeenSet},
    wire::SeenSince,
};

use super::parts;

/// What two replicas had seen between them when an exchange of theirs ended, as both showed it. The next
/// one tells only how far each differs from that.
///
/// It vouches for nothing and is no seen set of anybody's: whoever does not remember it, or remembers
/// another one, is shown everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parting {
    seen: SeenSet,
    tag: [u8; 8],
}

/// A seen set of more intervals is not remembered …
pub const PARTING_FRAGMENTS_MAX: usize = 1_024;
/// … and a difference of more is not told: the whole is.
const SINCE_FRAGMENTS_MAX: usize = 512;

impl Parting {
    /// After one had shown `seen` and the other `theirs`; nothing if that is too much to remember.
    #[must_use]
    pub fn of(seen: &SeenSet, theirs: &SeenSet) -> Option<Self> {
        let mut both = seen.clone();
        both.union(theirs);
        if both.origins() + parts::fragments(&both) > PARTING_FRAGMENTS_MAX {
            return None;
        }
        let mut tag = [0; 8];
        tag.copy_from_slice(&both.hash()[..8]);
        Some(Self { seen: both, tag })
    }

    /// What tells whether both remember the same.
    #[must_use]
    pub const fn tag(&self) -> [u8; 8] {
        self.tag
    }

    /// How `seen` differs, without floors; nothing if to tell so takes more than it saves.
    #[must_use]
    pub fn since(&self, seen: &SeenSet) -> Option<SeenSince> {
        let mut since = SeenSince::default();
        for (place, (origin, before)) in (0..).zip(self.seen.iter()) {
            let nothing = Intervals::new();
            let now = seen.get(origin).unwrap_or(&nothing);
            if now != before {
                let (more, fewer) = (now.difference(before), before.difference(now));
                since.more.extend((!more.is_empty()).then_some((place, more)));
                since.fewer.extend((!fewer.is_empty()).then_some((place, fewer)));
            }
        }
        for (origin, seqs) in seen.iter().filter(|(origin, _)| self.seen.get(origin).is_none()) {
            since.fresh.set(*origin, seqs.clone());
        }
        let pieces = [&since.more, &since.fewer].into_iter().flatten();
        let fragments = pieces.map(|(_, seqs)| 1 + seqs.fragments()).sum::<usize>();
        let fresh = since.fresh.origins() + parts::fragments(&since.fresh);
        (fragments + fresh <= SINCE_FRAGMENTS_MAX).then_some(since)
    }

    /// The seen set that differs so; nothing if it speaks of origins that there are not.
    #[must_use]
    pub fn restore(&self, since: &SeenSince) -> Option<SeenSet> {
        let origins: Vec<Origin> = self.seen.iter().map(|(origin, _)| *origin).collect();
        let mut seen = self.seen.clone();
        let named = |place: u32| origins.get(usize::try_from(place).ok()?).copied();
        for (place, fewer) in &since.fewer {
            let origin = named(*place)?;
            let rest = seen.get(&origin)?.difference(fewer);
            seen.set(origin, rest);
        }
        for (place, more) in &since.more {
            let origin = named(*place)?;
            let mut all = seen.get(&origin).cloned().unwrap_or_default();
            all.union(more);
            seen.set(origin, all);
        }
        seen.union(&since.fresh);
        Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*};

    use super::*;
    use crate::{
        causality::{Dot, NodeId},
        wire::{decode, encode},
    };

    fn seen() -> impl Strategy<Value = SeenSet> {
        let dots = collection::vec((0..6_u8, 1..30_u64), 0..60);
        dots.prop_map(|dots| {
            let origin = |n| Origin { node: NodeId([n; 32]), epoch: u64::MAX - u64::from(n) };
            dots.into_iter().map(|(n, seq)| Dot::new(origin(n), seq)).collect()
        })
    }

    proptest! {
        #[test]
        fn a_seen_set_comes_as_it_was_whatever_it_is_told_against(ours in seen(), theirs in seen(), now in seen()) {
            let parting = Parting::of(&ours, &theirs).expect("little");
            prop_assert_eq!(Parting::of(&theirs, &ours), Some(parting.clone()), "both remember the same");
            let since = parting.since(&now).expect("little");
            let since: SeenSince = decode(&encode(&since)).expect("of ours");
            prop_assert_eq!(parting.restore(&since), Some(now));
        }
    }

    #[test]
    fn one_more_write_of_one_of_ten_takes_few_bytes() {
        let origin = |n| Origin { node: NodeId([n; 32]), epoch: u64::MAX };
        let mut seen: SeenSet = SeenSet::new();
        (0..10).for_each(|n| seen.insert_range(origin(n), 1, 100_000));
        let parting = Parting::of(&seen, &SeenSet::new()).expect("little");
        seen.insert(Dot::new(origin(3), 100_001));
        let bytes = encode(&parting.since(&seen).expect("little")).len();
        assert!(bytes <= 20, "{bytes} bytes");
    }

    #[test]
    fn what_is_too_much_is_neither_remembered_nor_told() {
        let origin = Origin { node: NodeId([1; 32]), epoch: 1 };
        let odd = |count: u64| (0..count).map(|n| Dot::new(origin, 2 * n + 1)).collect::<SeenSet>();
        let most = PARTING_FRAGMENTS_MAX as u64;
        assert!(Parting::of(&odd(most), &SeenSet::new()).is_none());
        let parting = Parting::of(&odd(most - 1), &SeenSet::new()).expect("just not too much");
        assert!(parting.since(&SeenSet::new()).is_none(), "all of it, turned round");
        assert!(parting.since(&odd(most - 9)).is_some());
    }

    #[test]
    fn what_speaks_of_an_origin_that_there_is_not_is_nothing() {
        let parting = Parting::of(&SeenSet::new(), &SeenSet::new()).expect("little");
        let piece = || vec![(0, Intervals::up_to(1))];
        for since in [
            SeenSince { more: piece(), ..SeenSince::default() },
            SeenSince { fewer: piece(), ..SeenSince::default() },
        ] {
            assert_eq!(parting.restore(&since), None);
        }
    }
}
