//! Exchanges in which versions go one way only, between two ledgers.

use proptest::{collection::vec, prelude::*};

use super::{
    exchange_tests::{apart, exchange, exchange_going, fill, forget, keys, lose, outcome, pair, root},
    ledger_tests::{Replica, ns},
};
use crate::{
    causality::{Floors, SeenSet},
    reconcile::{Effect, Exchange, Input, Outcome, Violation},
    wire::{ExchangeFrame, Items, Page, Way},
};

/// All that a replica holds and knows, and others would find out.
fn state(replica: &Replica) -> impl PartialEq + std::fmt::Debug + use<> {
    let view = replica.ledger.reader().view();
    (view.seen(&ns()).unwrap(), replica.ledger.floors(&ns()), root(replica), keys(replica))
}

/// What the giver has seen is seen by the taker, too.
fn knows_all_of(taker: &Replica, giver: &Replica) -> bool {
    let seen = |replica: &Replica| replica.ledger.reader().view().seen(&ns()).unwrap();
    seen(taker).includes(&seen(giver))
}

#[test]
fn the_taker_gets_all_and_the_giver_stays_as_it_was() {
    for way in [Way::Take, Way::Give] {
        let (mut a, mut b) = (Replica::new(1), Replica::new(2));
        fill(&mut a, "ant", 1_500);
        fill(&mut b, "bat", 1_500);
        let before = [state(&a), state(&b)];
        let ends = exchange_going(way, &mut a, &mut b, &[]);
        assert!(ends.iter().all(|end| outcome(end) == Outcome::Delta));
        let (taker, giver) = if way == Way::Take { (0, 1) } else { (1, 0) };
        let (got, gave) = (ends[taker].report.as_ref().unwrap(), ends[giver].report.as_ref().unwrap());
        assert_eq!((got.versions_in, got.versions_out), (1_500, 0));
        assert_eq!((gave.versions_in, gave.versions_out), (0, 1_500));
        let mut replicas = [a, b];
        assert_eq!(state(&replicas[giver]), before[giver]);
        assert_eq!(keys(&replicas[taker]).len(), 3_000);
        let [a, b] = &mut replicas;
        let again = exchange_going(way, a, b, &[]);
        assert_eq!(again[giver].report.as_ref().unwrap().versions_out, 0, "nothing comes twice");
        exchange(a, b, &[]);
        assert_eq!(root(a), root(b));
    }
}

#[test]
fn deletes_that_the_giver_has_forgotten_are_taken_over_and_nothing_is_given_back() {
    let (mut a, mut b) = pair(20);
    let mut away = Replica::new(3);
    exchange(&mut b, &mut away, &[]);
    a.write("bat/7", None);
    a.commit(&mut Vec::new());
    exchange(&mut a, &mut b, &[]);
    forget(&mut a);
    away.write("bat/8", Some("moth"));
    away.commit(&mut Vec::new());
    let before = state(&a);
    let ends = exchange_going(Way::Take, &mut away, &mut a, &[]);
    assert_eq!(outcome(&ends[0]), Outcome::Ranges);
    assert_eq!(ends[0].report.as_ref().unwrap().dropped, 1, "bat/7, on the giver's word");
    assert_eq!(state(&a), before);
    assert!(!keys(&away).contains(&"bat/7".to_owned()) && knows_all_of(&away, &a));
    // The other way round: the taker knows of the delete and the giver does not.
    let mut stale = Replica::new(5);
    let (mut c, mut d) = pair(5);
    exchange(&mut c, &mut stale, &[]);
    c.write("ant/1", None);
    c.commit(&mut Vec::new());
    exchange(&mut c, &mut d, &[]);
    forget(&mut c);
    let before = state(&stale);
    let ends = exchange_going(Way::Take, &mut c, &mut stale, &[]);
    assert_eq!(outcome(&ends[0]), Outcome::Delta, "what the taker has forgotten says nothing of the giver's");
    assert_eq!(state(&stale), before, "the giver drops nothing, though it is dead to the taker");
    assert!(!keys(&c).contains(&"ant/1".to_owned()), "it does not come back");
}

#[test]
fn what_the_taker_lost_comes_back_by_ranges_and_what_the_giver_lost_stays_lost() {
    let (mut a, mut b) = pair(300);
    lose(&mut a, "ant/17", false);
    lose(&mut b, "bat/200", false);
    let before = state(&b);
    let ends = exchange_going(Way::Take, &mut a, &mut b, &[]);
    assert!(ends.iter().all(|end| outcome(end) == Outcome::Ranges));
    assert_eq!((keys(&a).len(), state(&b)), (600, before));
    exchange(&mut a, &mut b, &[]);
    assert_eq!(root(&a), root(&b));
}

#[test]
fn versions_the_wrong_way_break_the_rules() {
    let replica = pair(3).0;
    let view = replica.ledger.reader().view();
    let begin = |seen: &SeenSet, root: u8, nonce| {
        Exchange::new(ns(), seen.clone(), Floors::new(), Some([root; 32]), nonce)
    };
    let hello = |effects: &[Effect]| match effects {
        [Effect::Send(hello)] => Input::Frame(hello.clone()),
        other => panic!("a hello, not {other:?}"),
    };
    let seen = view.seen(&ns()).unwrap();
    // Something else was seen by the other: it would be a delta.
    let mut giver = begin(&seen, 1, 1).0.going(Way::Give);
    giver.handle(hello(&begin(&SeenSet::new(), 2, 2).1)).unwrap();
    let page = Page { versions: view.versions(&ns(), &seen, None, 1, usize::MAX).unwrap().versions };
    let wrong = giver.handle(Input::Frame(ExchangeFrame::Page(page.clone())));
    assert_eq!(wrong.unwrap_err(), Violation::WrongWay("a page"));
    // The same was seen: ranges are compared.
    let mut giver = begin(&seen, 1, 1).0.going(Way::Give);
    giver.handle(hello(&begin(&seen, 2, 2).1)).unwrap();
    giver.handle(Input::RangesOpened(replica.ledger.digests(&ns()).unwrap())).unwrap();
    let items = ExchangeFrame::Items(Items { versions: page.versions });
    assert_eq!(giver.handle(Input::Frame(items)).unwrap_err(), Violation::WrongWay("items"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_differs_the_giver_stays_as_it_was_and_both_end_equal_after_an_exchange_both_ways(
        only_a in 0..40_usize,
        only_b in 0..40_usize,
        lost in vec((any::<bool>(), 0..60_usize), 0..12),
        deleted in vec((any::<bool>(), 0..60_usize), 0..12),
        forgets in any::<(bool, bool)>(),
        takes in any::<bool>(),
        turns in vec(any::<bool>(), 0..200),
    ) {
        let (mut a, mut b) = apart([only_a, only_b], &deleted, &lost, forgets);
        let way = if takes { Way::Take } else { Way::Give };
        let before = if takes { state(&b) } else { state(&a) };
        let ends = exchange_going(way, &mut a, &mut b, &turns);
        let (taker, giver) = if takes { (&a, &b) } else { (&b, &a) };
        prop_assert_eq!(state(giver), before);
        prop_assert!(knows_all_of(taker, giver) || ends.iter().any(|end| end.report.as_ref().unwrap().late));
        // Where both have seen the same by now, ranges find what the taker lost and nobody has noticed.
        let again = exchange_going(way, &mut a, &mut b, &[]);
        let given = again[usize::from(takes)].report.as_ref().unwrap();
        prop_assert!(given.versions_out == 0 || given.outcome == Outcome::Ranges, "nothing is left to be given");
        let again = exchange_going(way, &mut a, &mut b, &[]);
        let given = again[usize::from(takes)].report.as_ref().unwrap();
        prop_assert_eq!(given.versions_out, 0, "nothing at all");
        // The second one compares ranges, where something was lost that nobody has noticed.
        exchange(&mut a, &mut b, &[]);
        exchange(&mut a, &mut b, &[]);
        prop_assert_eq!(root(&a), root(&b));
        prop_assert!(keys(&a).len() >= 120 + only_a + only_b - 24);
        let ends = exchange(&mut a, &mut b, &[]);
        prop_assert!(ends.iter().all(|end| outcome(end) == Outcome::Equal));
    }
}
