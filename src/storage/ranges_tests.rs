//! Comparisons of ranges between two ledgers: how many round trips they take, and what happens in the middle.

use proptest::{collection::vec, prelude::*};

use super::{
    exchange_tests::{
        End, apart, exchange, exchange_until, exchange_while, fill, forget, keys, lose, outcome, pair, root,
    },
    ledger_tests::{Replica, ns},
};
use crate::{
    reconcile::{Exchange, Outcome},
    wire::Way,
};

/// How many half round trips it takes if each end does all it can with what has come before it answers. The first
/// opens the stream.
fn flights(a: &mut Replica, b: &mut Replica) -> usize {
    let mut ends =
        [End::new(a, Exchange::nonce(9, true), Way::Both), End::new(b, Exchange::nonce(9, false), Way::Both)];
    let (mut flights, mut flight) = (0, vec![ends[0].out.pop_front().unwrap()]);
    while !flight.is_empty() {
        flights += 1;
        let (end, replica) = if flights % 2 == 1 { (&mut ends[1], &mut *b) } else { (&mut ends[0], &mut *a) };
        end.came.extend(flight.drain(..).map(|(bytes, _)| bytes));
        loop {
            let acted = end.act(replica);
            end.sent += end.out.iter().filter(|(_, page)| *page).count();
            flight.extend(end.out.drain(..));
            if !acted {
                break;
            }
        }
    }
    assert!(ends.iter().all(|end| outcome(end) == Outcome::Ranges), "both are done");
    for (end, replica) in ends.iter().zip([a, b]) {
        replica.ledger.close_ranges(end.ranges.unwrap());
    }
    flights
}

#[test]
fn ranges_take_as_long_as_the_descent_and_one_and_a_half_round_trips() {
    // Hellos, the first step with the second of them: at a million writes the descent takes five.
    let descent = 3;
    for (at_a, at_b) in [(1, 0), (0, 1), (1, 1), (40, 0), (0, 40), (40, 40)] {
        let (mut a, mut b) = pair(4_000);
        (0..at_a).for_each(|n| lose(&mut a, &format!("ant/{}", n * 97), false));
        (0..at_b).for_each(|n| lose(&mut b, &format!("bat/{}", n * 89), false));
        let flights = flights(&mut a, &mut b);
        assert!(flights <= 1 + descent + 2, "{at_a} and {at_b} lost: {flights} half round trips");
        assert_eq!(root(&a), root(&b));
    }
}

/// Ant learns of a write by gossip while it compares ranges with Bat, who knows that it was deleted, and has
/// forgotten that: what became live late is asked about before the frontier is taken over, also where Bat
/// has said before that it asks nothing more.
#[test]
fn what_became_live_while_ranges_were_compared_is_asked_about() {
    let mut asked = 0;
    for when in 0..40 {
        let [mut ant, mut bat, mut cat] = [1, 2, 3].map(Replica::new);
        fill(&mut ant, "ant", 3);
        let mut written = Vec::new();
        for n in 0..5 {
            cat.write(&format!("cat/{n}"), Some("mouse"));
        }
        cat.commit(&mut written);
        exchange(&mut bat, &mut cat, &[]);
        (0..5).for_each(|n| bat.write(&format!("cat/{n}"), None));
        bat.commit(&mut Vec::new());
        forget(&mut bat);
        let ends = exchange_while(Way::Both, &mut ant, &mut bat, &[], |turn, ant, _| {
            if turn == when {
                for version in &written {
                    ant.ledger.receive(&ns(), version.clone(), None).unwrap();
                }
                ant.commit(&mut Vec::new());
            }
        });
        asked += ends[0].report.as_ref().unwrap().dropped;
        let back = keys(&ant).iter().any(|key| key.starts_with("cat"));
        assert!(!back, "what was deleted came back, at turn {when}: {:?}", ends[0].report);
        assert_eq!(root(&ant), root(&bat), "at turn {when}");
    }
    assert!(asked > 5, "gossip came between the snapshot and the frontier");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_else_happens_in_the_middle_and_wherever_it_is_cut_both_end_equal(
        lost in vec((any::<bool>(), 0..60_usize), 0..12),
        deleted in vec((any::<bool>(), 0..60_usize), 0..12),
        forget in any::<(bool, bool)>(),
        events in vec((0..60_usize, any::<bool>(), 0..12_usize), 0..12),
        turns in vec(any::<bool>(), 0..60),
        cut in prop_oneof![1..80_usize, Just(usize::MAX)],
    ) {
        let (mut a, mut b) = apart([3, 3], &deleted, &lost, forget);
        // A third one writes, and one of both has all of that, deletes half of it, and forgets that or not.
        let (mut eel, mut written) = (Replica::new(9), Vec::new());
        (0..12).for_each(|n| eel.write(&format!("eel/{n}"), Some("crab")));
        eel.commit(&mut written);
        exchange(&mut b, &mut eel, &[]);
        (0..6).for_each(|n| b.write(&format!("eel/{n}"), None));
        b.commit(&mut Vec::new());
        if forget.1 {
            self::forget(&mut b);
        }
        let mut meanwhile = |turn: usize, a: &mut Replica, b: &mut Replica| {
            for (_, at_a, n) in events.iter().filter(|(when, ..)| *when == turn) {
                let replica = if *at_a { a as &mut Replica } else { b as &mut Replica };
                replica.ledger.receive(&ns(), written[*n].clone(), None).unwrap();
                replica.write(&format!("bat/{n}"), (n % 3 > 0).then_some("fly"));
                replica.commit(&mut Vec::new());
            }
        };
        exchange_until(Way::Both, &mut a, &mut b, &turns, cut, &mut meanwhile);
        for _ in 0..2 {
            exchange(&mut a, &mut b, &[]);
        }
        prop_assert_eq!(root(&a), root(&b));
        let live = |n: usize| {
            let record = a.ledger.reader().record(&ns(), &format!("eel/{n}").parse().unwrap()).unwrap();
            // What was dropped leaves a record of nothing.
            record.is_some_and(|record| record.siblings().iter().any(|sibling| sibling.put().is_some()))
        };
        prop_assert!(!(0..6).any(live), "what was deleted came back");
        prop_assert!((6..12).all(live), "what was never deleted is gone");
        let ends = exchange(&mut a, &mut b, &[]);
        prop_assert!(ends.iter().all(|end| outcome(end) == Outcome::Equal));
    }
}
