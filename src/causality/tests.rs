//! Seen sets, contexts and dead sets against plain sets of dots.

use std::collections::BTreeSet;

use proptest::{collection, prelude::*};

use super::*;
use crate::wire::{decode, encode};

fn origin(n: u8) -> Origin {
    Origin { node: NodeId([n / 2; 32]), epoch: u64::from(n % 2) }
}

fn dots(seqs: std::ops::Range<u64>) -> impl Strategy<Value = BTreeSet<Dot>> {
    let dot = (0..4_u8, seqs).prop_map(|(n, seq)| Dot::new(origin(n), seq));
    collection::btree_set(dot, 0..60)
}

fn seen(dots: &BTreeSet<Dot>) -> SeenSet {
    dots.iter().copied().collect()
}

fn listed(set: &SeenSet) -> BTreeSet<Dot> {
    let of = |(origin, seqs): (&Origin, &Intervals)| {
        let origin = *origin;
        let all: Vec<u64> = seqs.iter().flat_map(|(first, last)| first..=last).collect();
        all.into_iter().map(move |seq| Dot::new(origin, seq))
    };
    set.iter().flat_map(of).collect()
}

fn context(dots: &BTreeSet<Dot>) -> Context {
    dots.iter().copied().collect()
}

proptest! {
    #[test]
    fn a_seen_set_does_what_a_plain_set_does(a in dots(1..30), b in dots(1..30)) {
        let (set_a, set_b) = (seen(&a), seen(&b));
        let mut both = set_a.clone();
        both.union(&set_b);
        prop_assert_eq!(listed(&both), &a | &b);
        prop_assert_eq!(listed(&set_a.difference(&set_b)), &a - &b);
        prop_assert_eq!(set_a.includes(&set_b), a.is_superset(&b));
        prop_assert_eq!(set_a.count(), a.len() as u64);
        prop_assert_eq!(set_a.is_empty(), a.is_empty());
        let gaps = listed(&set_a.gaps());
        for dot in (0..4).flat_map(|n| (1..30).map(move |seq| Dot::new(origin(n), seq))) {
            let later = a.iter().any(|other| other.origin == dot.origin && other.seq > dot.seq);
            prop_assert_eq!(gaps.contains(&dot), later && !a.contains(&dot));
            prop_assert_eq!(set_a.contains(dot), a.contains(&dot));
        }
    }

    #[test]
    fn what_is_put_into_a_seen_set_and_taken_out_leaves_no_trace(a in dots(1..30), b in dots(1..30)) {
        let mut set = seen(&a);
        for dot in &b {
            prop_assert_eq!(set.insert(*dot), !a.contains(dot));
        }
        for dot in &b - &a {
            prop_assert!(set.remove(dot) && !set.remove(dot));
        }
        prop_assert_eq!(set.hash(), seen(&a).hash());
        prop_assert_eq!(set, seen(&a));
    }

    #[test]
    fn union_of_seen_sets_is_commutative_associative_and_idempotent(a in dots(1..30), b in dots(1..30), c in dots(1..30)) {
        let (a, b, c) = (seen(&a), seen(&b), seen(&c));
        let join = |x: &SeenSet, y: &SeenSet| {
            let mut out = x.clone();
            out.union(y);
            out
        };
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
        prop_assert_eq!(join(&a, &a), a);
    }

    #[test]
    fn seen_sets_and_contexts_read_as_they_are_written(a in dots(1..30)) {
        prop_assert_eq!(decode::<SeenSet>(&encode(&seen(&a))), Ok(seen(&a)));
        prop_assert_eq!(decode::<Context>(&encode(&context(&a))), Ok(context(&a)));
    }

    #[test]
    fn equal_hashes_are_equal_seen_sets(a in dots(1..6), b in dots(1..6)) {
        prop_assert_eq!(seen(&a).hash() == seen(&b).hash(), a == b);
        prop_assert_eq!(seen(&a).tag() == seen(&b).tag(), a == b);
    }

    #[test]
    fn a_context_covers_what_is_not_later_than_what_it_was_made_of(a in dots(1..12), b in dots(1..12)) {
        let mut joined = context(&a);
        joined.extend(&context(&b));
        let covered = |set: &BTreeSet<Dot>, dot: Dot| {
            set.iter().any(|other| other.origin == dot.origin && other.seq >= dot.seq)
        };
        for dot in (0..4).flat_map(|n| (1..14).map(move |seq| Dot::new(origin(n), seq))) {
            prop_assert_eq!(context(&a).covers(dot), covered(&a, dot));
            prop_assert_eq!(joined.covers(dot), covered(&(&a | &b), dot));
        }
        prop_assert_eq!(joined.clone(), context(&(&a | &b)));
        prop_assert!(joined.includes(&context(&a)));
        prop_assert_eq!(context(&a).includes(&context(&b)), b.iter().all(|dot| covered(&a, *dot)));
        let without = joined.clone().without(&origin(0));
        prop_assert_eq!(without.get(&origin(0)), 0);
        prop_assert_eq!(without.get(&origin(1)), joined.get(&origin(1)));
    }

    #[test]
    fn join_of_contexts_is_commutative_associative_and_idempotent(a in dots(1..12), b in dots(1..12), c in dots(1..12)) {
        let (a, b, c) = (context(&a), context(&b), context(&c));
        let join = |x: &Context, y: &Context| {
            let mut out = x.clone();
            out.extend(y);
            out
        };
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
        prop_assert_eq!(join(&a, &a), a);
    }

    #[test]
    fn a_dead_set_does_what_a_plain_set_does(
        ranges in collection::vec((0..4_u8, 1..400_u64, 0..300_u64), 0..5),
        a in dots(1..300), b in dots(1..300), counted in (1..300_u64, 0..300_u64),
    ) {
        let (mut dead, mut naive) = (DeadSet::new(), BTreeSet::new());
        let mut mirror = DeadSet::new();
        for (n, first, more) in ranges {
            dead.insert_range(origin(n), first, first + more, |index, bits| mirror.set_block(origin(n), index, bits));
            naive.extend((first..=first + more).map(|seq| Dot::new(origin(n), seq)));
        }
        prop_assert_eq!(&mirror, &dead, "each change was told");
        for dot in a {
            prop_assert_eq!(dead.insert(dot), dead.block(&dot.origin, DeadSet::block_of(dot.seq)));
            naive.insert(dot);
        }
        for dot in b {
            prop_assert_eq!(dead.remove(dot), dead.block(&dot.origin, DeadSet::block_of(dot.seq)));
            naive.remove(&dot);
        }
        prop_assert_eq!(dead.count(), naive.len() as u64);
        let within = Intervals::from_range(counted.0, counted.0 + counted.1);
        for n in 0..4 {
            let count = naive.iter().filter(|dot| dot.origin == origin(n) && within.contains(dot.seq)).count();
            prop_assert_eq!(dead.count_within(&origin(n), &within), count as u64);
            for seq in 1..720 {
                let dot = Dot::new(origin(n), seq);
                prop_assert_eq!(dead.contains(dot), naive.contains(&dot), "{:?}", dot);
            }
        }
        for dot in &naive {
            dead.remove(*dot);
        }
        prop_assert_eq!(dead, DeadSet::new(), "what is emptied is equal to what is new");
    }
}

#[test]
fn a_context_or_seen_set_that_is_not_canonical_is_refused() {
    let (ant, bat) = (origin(0), origin(2));
    for entries in
        [vec![(bat, 1), (ant, 1)], vec![(ant, 1), (ant, 2)], vec![(ant, 0)], vec![(ant, SEQ_MAX + 1)]]
    {
        assert!(decode::<Context>(&encode(&entries)).is_err(), "{entries:?}");
    }
    let one = Intervals::up_to(1);
    for entries in [
        vec![(bat, one.clone()), (ant, one.clone())],
        vec![(ant, one.clone()), (ant, one)],
        vec![(ant, Intervals::new())],
    ] {
        assert!(decode::<SeenSet>(&encode(&entries)).is_err(), "{entries:?}");
    }
}

#[test]
fn number_zero_is_no_write() {
    let zero = Dot::new(origin(0), 0);
    let mut seen = SeenSet::new();
    assert!(!seen.insert(zero) && !seen.contains(zero) && seen.is_empty());
    let mut context = Context::new();
    context.insert(zero);
    assert!(context.is_empty());
    let mut dead = DeadSet::new();
    dead.insert_range(origin(0), 0, 0, |_, _| panic!("nothing changes"));
    assert_eq!(dead, DeadSet::new());
}

#[test]
fn blocks_that_are_all_dead_take_no_room_of_their_own() {
    let mut dead = DeadSet::new();
    dead.insert_range(origin(0), 1, 6_400_000, |_, _| ());
    assert_eq!(dead.0[&origin(0)].partial.len(), 2, "the first, which has no number 0, and the last");
    assert_eq!(dead.count(), 6_400_000);
}
