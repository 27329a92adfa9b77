//! Two descents beside each other, held to what a look at both sets tells; and what a peer may not do
//! while ranges are compared.

use std::collections::BTreeMap;

use proptest::{collection::btree_map, prelude::*};

use super::{
    Effect, Exchange, Input, STEP_RANGES_MAX, Violation,
    descent::{Descending, Stepped},
};
use crate::{
    causality::{Dot, Floors, NodeId, Origin, SEQ_MAX, SeenSet},
    digest::Digests,
    types::Namespace,
    wire::{
        Claim, Claims, Descent, ExchangeFrame, Held, Hello, Parts, Range, RangeHeld, Verdict, Verdicts,
        Wants, encode,
    },
};

type Contents = BTreeMap<Dot, u8>;

fn origin(n: u8) -> Origin {
    Origin { node: NodeId([n; 32]), epoch: 1 }
}

fn digests(contents: &Contents) -> Digests {
    let mut digests = Digests::new();
    for item in contents {
        digests.insert(*item.0, blake3::hash(&encode(&item)).as_bytes(), true);
    }
    digests
}

fn blocks(dots: impl IntoIterator<Item = Dot>) -> Vec<(Origin, u64)> {
    let mut blocks: Vec<_> = dots.into_iter().map(|dot| (dot.origin, dot.seq / 64)).collect();
    blocks.dedup();
    blocks
}

/// Both ends of a descent that is over, and how many steps it took.
fn descend(contents: [&Contents; 2]) -> ([Descending; 2], usize) {
    let mut seen = SeenSet::new();
    contents.iter().flat_map(|all| all.keys()).for_each(|dot| _ = seen.insert(*dot));
    let end =
        |nonces| move |all: &Contents| Descending::new(digests(all), &seen.clone(), &SeenSet::new(), nonces);
    let mut ends = [end.clone()((1, 2))(contents[0]), end((2, 1))(contents[1])];
    let (mut step, mut steps, mut through) = (ends[0].first(), 0, [false, false]);
    while through != [true, true] {
        steps += 1;
        let side = steps % 2;
        let mut answer = Vec::new();
        for frame in step {
            assert!(encode(&frame).len() <= 64 * 1024, "a frame of a step is of the size of a page");
            match ends[side].on_step(frame).expect("both keep the rules") {
                Stepped::More => {}
                Stepped::Answer(frames) => answer = frames,
                Stepped::Through(frames) => (answer, through[side]) = (frames, true),
            }
        }
        assert!(through[side] || !answer.is_empty(), "an answer, or the end of it");
        step = answer;
    }
    (ends, steps)
}

/// What the other end said it lacks.
fn learned(end: &Descending) -> SeenSet {
    let range = |((origin, index), writes): (&(u32, u64), &Held)| RangeHeld {
        origin: *origin,
        index: *index,
        writes: *writes,
    };
    end.names(&end.learned.iter().map(range).collect::<Vec<_>>())
}

/// What only this end holds.
fn mine(end: &Descending) -> SeenSet {
    let mut mine = end.mine.clone();
    mine.union(&learned(end));
    mine
}

fn contents() -> impl Strategy<Value = Contents> {
    // Clusters, whole blocks, and writes far apart.
    let seq = prop_oneof![1..200_u64, 1_000..1_100_u64, 4_000..4_200_u64, 1..3_000_000_u64];
    btree_map((1..20_u8, seq).prop_map(|(n, seq)| Dot::new(origin(n), seq)), 0..3_u8, 0..300)
}

proptest! {
    #[test]
    fn each_end_learns_what_only_it_holds(mut a in contents(), b in contents(), shared in 0..3_usize) {
        if shared > 0 {
            a.extend(b.iter().map(|(dot, content)| (*dot, *content)));
        }
        if shared > 1 {
            a.retain(|dot, _| b.contains_key(dot));
        }
        let ([mut one, other], _) = descend([&a, &b]);
        let only = |mine: &Contents, theirs: &Contents| -> SeenSet {
            mine.keys().filter(|dot| !theirs.contains_key(dot)).copied().collect()
        };
        prop_assert_eq!(&mine(&one), &only(&a, &b));
        prop_assert_eq!(&mine(&other), &only(&b, &a));
        // What one learns of the other's bits, and what the other says it lacks, is the same.
        prop_assert_eq!(one.learned.values().filter(|held| !held.is_empty()).count(), other.lacked.len());
        let (learns, lacks) = (learned(&one), other.names(&other.lacked));
        prop_assert_eq!(&learns, &lacks);
        prop_assert_eq!(blocks(one.collisions()), blocks(other.collisions()));
        let wanted: SeenSet = only(&a, &b).iter().flat_map(|(origin, seqs)| {
            let seqs = seqs.iter().flat_map(|(first, last)| first..=last);
            seqs.filter(|seq| seq % 3 == 0).map(|seq| Dot::new(*origin, seq)).collect::<Vec<_>>()
        }).collect();
        let (mut offered, mut rest) = (SeenSet::new(), SeenSet::new());
        for wants in other.wants(&other.lacked, &wanted) {
            for said in &wants.ranges {
                one.on_wants(said, &mut offered, &mut rest).expect("both keep the rules");
            }
        }
        prop_assert!(one.learned.is_empty(), "each range is decided");
        prop_assert!(lacks.includes(&offered) && wanted.includes(&offered));
        prop_assert_eq!(rest, lacks.difference(&wanted));
        prop_assert_eq!(offered, lacks.difference(&lacks.difference(&wanted)));
        if a.keys().eq(b.keys()) {
            let differing = a.iter().filter(|(dot, content)| b[dot] != **content).map(|(dot, _)| *dot);
            prop_assert_eq!(blocks(one.collisions()), blocks(differing));
        }
    }
}

#[test]
fn where_nothing_was_ever_seen_nothing_differs() {
    let ([one, other], _) = descend([&Contents::new(), &Contents::new()]);
    assert_eq!((mine(&one).count(), mine(&other).count()), (0, 0));
}

#[test]
fn a_million_writes_of_ten_origins_take_five_steps() {
    let all: Contents =
        (0..10).flat_map(|n| (1..100_000).map(move |seq| (Dot::new(origin(n), seq), 0))).collect();
    let mut less = all.clone();
    for n in 0..10 {
        less.remove(&Dot::new(origin(n), 7_777 * u64::from(n + 1)));
    }
    let ([one, other], steps) = descend([&all, &less]);
    assert_eq!((mine(&one).count(), mine(&other).count(), steps), (10, 0, 5));
}

fn seen() -> SeenSet {
    let mut seen = SeenSet::new();
    seen.insert_range(origin(2), 1, 9_000);
    seen
}

/// An exchange with a peer that has seen the same and holds something else, after its frames.
fn after(nonce: u64, frames: Vec<ExchangeFrame>) -> Result<(Exchange, Vec<Effect>), Violation> {
    let hello = |nonce, root| Hello::new(Namespace::default(), &seen(), &Floors::new(), Some(root), nonce);
    let (mut exchange, _) = Exchange::new(Namespace::default(), seen(), Floors::new(), Some([1; 32]), 5);
    let effects = exchange.handle(Input::Frame(ExchangeFrame::Hello(hello(nonce, [2; 32]))))?;
    assert!(matches!(effects[..], [Effect::PeerSeen(_), Effect::OpenRanges]), "at once");
    assert!(!exchange.wants_frame(), "until they are open");
    let held = (1..9_000).step_by(100).map(|seq| (Dot::new(origin(2), seq), 7)).collect();
    let mut effects = exchange.handle(Input::RangesOpened(digests(&held)))?;
    for frame in frames {
        effects.extend(exchange.handle(Input::Frame(frame))?);
    }
    Ok((exchange, effects))
}

fn violation(frame: ExchangeFrame) -> Violation {
    after(9, vec![frame]).expect_err("a violation")
}

#[test]
fn ranges_that_there_are_not_are_refused() {
    let origins = |level, index| Range::Origins { level, index };
    let blocks = |origin, level, index| Range::Blocks { origin, level, index };
    let parts = |range, present: u16, digests| Descent {
        ranges: vec![Parts { range, present, digests: vec![[0; 8]; digests] }],
        ..Descent::default()
    };
    let writes = |bit: u64| {
        let mut held = Held::default();
        held.0[0] = 1 << bit;
        held
    };
    let range = |origin, index, bit| vec![RangeHeld { origin, index, writes: writes(bit) }];
    let bad = [
        parts(origins(0, 0), 1, 1),
        parts(origins(9, 0), 1, 1),
        parts(origins(1, 1), 1, 1),
        parts(origins(1, 0), 0b10, 1),
        parts(origins(1, 0), 1, 2),
        parts(blocks(1, 1, 0), 1, 1),
        parts(blocks(0, 3, 0), 1, 1),
        parts(blocks(0, 2, 1), 1, 1),
        parts(blocks(0, u32::MAX, u64::MAX), 1, 1),
        parts(blocks(0, 0, 0), 1, 1),
        Descent { held: range(1, 0, 1), ..Descent::default() },
        Descent { held: range(0, 16, 1), ..Descent::default() },
        Descent { lacking: range(0, u64::MAX, 1), ..Descent::default() },
        // The receiver holds write 1 and not write 2.
        Descent { lacking: range(0, 0, 2), ..Descent::default() },
        Descent { colliding: vec![(0, 256)], ..Descent::default() },
        Descent { colliding: vec![(7, 0)], ..Descent::default() },
    ];
    for step in bad {
        assert_eq!(violation(ExchangeFrame::Descent(step.clone())), Violation::DescentMalformed, "{step:?}");
    }
    let lawful = Descent { lacking: range(0, 0, 1), ..Descent::default() };
    assert!(after(9, vec![ExchangeFrame::Descent(lawful)]).is_ok());
}

#[test]
fn a_step_without_end_is_refused() {
    let part = Descent { colliding: vec![(0, 0); 400], more: true, ..Descent::default() };
    let frames = vec![ExchangeFrame::Descent(part); STEP_RANGES_MAX / 400 + 1];
    assert_eq!(after(9, frames).expect_err("a violation"), Violation::DescentTooLarge(STEP_RANGES_MAX));
}

#[test]
fn claims_and_verdicts_out_of_place_are_refused() {
    let key: crate::types::Key = "k".parse().expect("lawful");
    let claim =
        |origin, seq| ExchangeFrame::Claims(Claims { claims: vec![Claim { origin, seq, key: key.clone() }] });
    for bad in [claim(1, 1), claim(u32::MAX, 1), claim(0, 0), claim(0, SEQ_MAX + 1)] {
        assert_eq!(violation(bad), Violation::ClaimMalformed);
    }
    assert!(
        matches!(&after(9, vec![claim(0, 5)]).expect("lawful").1[..], [.., Effect::Judge(claims)] if claims.len() == 1)
    );
    let verdicts = ExchangeFrame::Verdicts(Verdicts { verdicts: vec![Verdict::Dead] });
    assert_eq!(violation(verdicts), Violation::VerdictsUnasked);
    assert_eq!(after(5, vec![]).expect_err("a violation"), Violation::SameNonce);
    assert_eq!(violation(ExchangeFrame::Sent), Violation::SentUnasked);
    assert_eq!(violation(ExchangeFrame::Bye), Violation::NotThrough("a bye"));
}

#[test]
fn wants_are_of_what_was_said_to_be_lacking_and_come_before_the_bye() {
    let writes = |bits: u64| {
        let mut held = Held::default();
        held.0[0] = bits;
        RangeHeld { origin: 0, index: 0, writes: held }
    };
    let lacking = ExchangeFrame::Descent(Descent { lacking: vec![writes(0b10)], ..Descent::default() });
    let wants = |bits| ExchangeFrame::Wants(Wants { ranges: vec![writes(bits)] });
    assert_eq!(violation(wants(0b10)), Violation::WantsUnasked);
    let then = |frames: &[ExchangeFrame]| after(9, [std::slice::from_ref(&lacking), frames].concat());
    assert_eq!(then(&[wants(0b110)]).expect_err("it holds no such write"), Violation::WantsUnasked);
    assert_eq!(then(&[wants(0b10), wants(0b10)]).expect_err("twice"), Violation::WantsUnasked);
    assert_eq!(then(&[ExchangeFrame::Bye]).expect_err("early"), Violation::NotThrough("a bye"));
    let (_, effects) = then(&[wants(0b10), ExchangeFrame::Bye]).expect("lawful");
    assert!(matches!(&effects[..], [.., Effect::ReadItems { dots, after: None }] if dots.count() == 1));
    let (_, effects) = then(&[wants(0), ExchangeFrame::Bye]).expect("lawful");
    assert!(
        matches!(&effects[..], [.., Effect::ReadClaims(dots)] if dots.count() == 1),
        "claimed all the same"
    );
    // After its bye a peer answers and asks nothing.
    let late = then(&[wants(0), ExchangeFrame::Bye, ExchangeFrame::Claims(Claims::default())]);
    assert_eq!(late.expect_err("a violation"), Violation::AfterEnd("claims"));
}
