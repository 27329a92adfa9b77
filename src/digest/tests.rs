//! Digests against a plain set of items.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::causality::{Dot, NodeId, Origin};

fn origin(n: u8) -> Origin {
    Origin { node: NodeId([n; 32]), epoch: n.into() }
}

fn hash(dot: Dot, content: u8) -> [u8; 32] {
    *blake3::hash(&[&dot.origin.node.0[..], &dot.seq.to_le_bytes(), &[content]].concat()).as_bytes()
}

fn seqs() -> impl Strategy<Value = u64> {
    prop_oneof![1..40_u64, 1..70_000_u64, 1..(1_u64 << 62)]
}

type Items = BTreeMap<Dot, (u8, bool)>;

fn sum_of<'a>(items: impl Iterator<Item = (&'a Dot, &'a (u8, bool))>) -> Sum {
    let mut sum = Sum::ZERO;
    items.filter(|(_, item)| item.1).for_each(|(dot, item)| sum.insert(&hash(*dot, item.0)));
    sum
}

fn check(digests: &Digests, items: &Items) {
    assert_eq!(digests.root(), sum_of(items.iter()));
    for n in 0..3 {
        let mine = |(dot, _): &(&Dot, &(u8, bool))| dot.origin == origin(n);
        assert_eq!(digests.origin(&origin(n)), sum_of(items.iter().filter(mine)));
    }
    for dot in items.keys() {
        for level in 0..LEVELS_MAX {
            let index = |seq: u64| seq / 64 / GROUP.pow(level);
            let beside = |(other, _): &(&Dot, &(u8, bool))| {
                other.origin == dot.origin && index(other.seq) == index(dot.seq)
            };
            let expected = sum_of(items.iter().filter(beside));
            assert_eq!(digests.range(&dot.origin, level, index(dot.seq)), expected, "{dot:?} {level}");
        }
        let bit = 1 << (dot.seq % 64);
        assert!(digests.held(&dot.origin, dot.seq / 64) & bit != 0);
        assert_eq!(digests.live(&dot.origin, dot.seq / 64) & bit != 0, items[dot].1);
    }
}

proptest! {
    #[test]
    fn digests_are_those_of_the_items_after_every_change(
        changes in vec((0..3_u8, seqs(), any::<u8>(), any::<bool>()), 1..60),
    ) {
        let (mut digests, mut items) = (Digests::new(), Items::new());
        let (mut copy, mut copied) = (digests.clone(), items.clone());
        for (nth, (n, seq, content, compared)) in changes.into_iter().enumerate() {
            let dot = Dot::new(origin(n), seq);
            match items.remove(&dot) {
                Some((content, compared)) => digests.remove(dot, &hash(dot, content), compared),
                None => {
                    digests.insert(dot, &hash(dot, content), compared);
                    items.insert(dot, (content, compared));
                }
            }
            if nth == 20 {
                (copy, copied) = (digests.clone(), items.clone());
            }
        }
        check(&digests, &items);
        check(&copy, &copied);
        let mut restored = Digests::new();
        for (origin, block, held, live, sum) in digests.blocks() {
            restored.restore(origin, block, held, live, sum);
        }
        check(&restored, &items);
        for (dot, (content, compared)) in items {
            digests.remove(dot, &hash(dot, content), compared);
        }
        prop_assert_eq!(digests.root(), Sum::ZERO);
        prop_assert_eq!(digests.blocks().count(), 0);
    }
}

#[test]
fn a_sum_carries_over_all_its_limbs() {
    let (mut sum, ones) = (Sum::ZERO, [0xff; 32]);
    let mut one = [0; 32];
    one[0] = 1;
    sum.insert(&ones);
    sum.insert(&one);
    assert_eq!(sum.to_bytes()[8..], [0; 32], "2^256 - 1 and 1");
    sum.remove(&one);
    sum.remove(&ones);
    assert_eq!(sum, Sum::ZERO);
}
