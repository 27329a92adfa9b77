//! Who has which place, and how far it is.

use super::*;
use crate::causality::Origin;

fn origin(n: u8) -> Origin {
    Origin { node: NodeId([n; 32]), epoch: 1 }
}

/// 5,000 writes.
fn missing() -> Arc<SeenSet> {
    let mut set = SeenSet::new();
    set.insert_range(origin(1), 1, 5_000);
    Arc::new(set)
}

fn dot(seq: u64) -> Dot {
    Dot::new(origin(1), seq)
}

fn ns() -> Namespace {
    Namespace::default()
}

#[tokio::test(start_paused = true)]
async fn one_peer_fills_at_a_time_until_it_ends_or_stands_still() {
    let (fills, [ant, bat]) = (Fills::default(), [1, 2].map(|n| NodeId([n; 32])));
    let first = fills.begin(&ns(), ant, missing()).expect("nobody was there");
    assert!(fills.begin(&ns(), bat, missing()).is_none());
    assert_eq!(fills.other_than(&bat, &ns()), Some(ant));
    assert_eq!(fills.other_than(&ant, &ns()), None, "it may go on");
    time::advance(STANDSTILL / 2).await;
    assert!(fills.update(&ns(), first, |fill| fill.moved = Instant::now()));
    time::advance(STANDSTILL / 2).await;
    assert!(fills.begin(&ns(), bat, missing()).is_none(), "it moved meanwhile");
    time::advance(STANDSTILL / 2).await;
    let second = fills.begin(&ns(), bat, missing()).expect("the first stands still");
    assert!(!fills.update(&ns(), first, |_| ()), "its place is taken");
    assert!(fills.end(&ns(), first).is_none() && fills.is_filling(&ns()));
    let again = fills.begin(&ns(), bat, missing()).expect("the same peer begins anew");
    assert!(!fills.update(&ns(), second, |_| ()), "it has given that one up");
    assert!(fills.end(&ns(), again).is_some() && !fills.is_filling(&ns()));
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_told_of_the_end_and_finds_a_standstill_by_itself() {
    let (fills, [ant, bat]) = (Fills::default(), [1, 2].map(|n| NodeId([n; 32])));
    let number = fills.begin(&ns(), ant, missing()).expect("nobody was there");
    let began = Instant::now();
    let space = ns();
    let (_, ()) = tokio::join!(
        async {
            time::sleep(Duration::from_secs(1)).await;
            fills.end(&ns(), number)
        },
        fills.until_free_for(&bat, &space)
    );
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    fills.begin(&ns(), ant, missing()).expect("it ended");
    fills.until_free_for(&bat, &ns()).await;
    assert_eq!(began.elapsed(), Duration::from_secs(1) + STANDSTILL);
}

#[tokio::test(start_paused = true)]
async fn progress_says_how_long_it_takes_by_what_is_passed() {
    let (fills, ant) = (Fills::default(), NodeId([1; 32]));
    let number = fills.begin(&ns(), ant, missing()).expect("nobody was there");
    assert_eq!(fills.shown(|_| true)[0].seconds_left, None);
    time::advance(Duration::from_secs(2)).await;
    fills.update(&ns(), number, |fill| (fill.versions, fill.passed) = (600, 1_000));
    let shown = fills.shown(|_| true).remove(0);
    assert_eq!((shown.per_second, shown.seconds_left, shown.expected), (300, Some(8), 5_000));
    assert!(fills.shown(|namespace| *namespace != ns()).is_empty());
}

#[test]
fn what_is_passed_is_counted_once_over_all_origins() {
    let mut set = SeenSet::new();
    set.insert_range(origin(1), 1, 10);
    set.insert_range(origin(2), 5, 8);
    set.insert_range(origin(2), 20, 29);
    set.insert_range(origin(4), 1, 100);
    let stops = [(1, 4), (1, 10), (2, 6), (2, 25), (4, 100)].map(|(n, seq)| Dot::new(origin(n), seq));
    let mut after = None;
    let counts = stops.map(|to| {
        let count = count_between(&set, after, to);
        after = Some(to);
        count
    });
    assert_eq!(counts, [4, 6, 2, 8, 104]);
    assert_eq!(count_between(&set, None, stops[4]), set.count());
    assert_eq!(count_between(&set, None, stops[2]), 12, "also those that were passed over at once");
}

/// As an exchange does when a page came and is stored.
fn main_stores(fills: &Fills, number: u64, last: Dot) {
    fills.update(&ns(), number, |fill| {
        fill.passed += count_between(&fill.missing, fill.last, last);
        (fill.coming, fill.last) = (Some(last), Some(last));
    });
}

fn passed(fills: &Fills) -> u64 {
    fills.shown(|_| true)[0].passed
}

#[test]
fn a_second_peer_lends_until_it_meets_the_first_and_a_third_waits() {
    let (fills, [ant, bat, cat]) = (Fills::default(), [1, 2, 3].map(|n| NodeId([n; 32])));
    assert!(fills.begin_second(&ns(), bat, None).is_none(), "nothing is filled");
    let number = fills.begin(&ns(), ant, missing()).expect("nobody was there");
    assert!(fills.begin_second(&ns(), ant, None).is_none(), "it has the first place");
    let (fill, place, wanted) = fills.begin_second(&ns(), bat, None).expect("free");
    assert_eq!((fill, &wanted), (number, &missing()));
    assert!(fills.begin_second(&ns(), cat, None).is_none(), "there is one second place");
    let second = (fill, place);
    main_stores(&fills, number, dot(1_000));
    assert_eq!((fills.left(&ns(), second), passed(&fills)), (5_000, 1_000));
    let seen: SeenSet = [dot(4_000), dot(4_700)].into_iter().collect();
    assert!(fills.lent(&ns(), second, &seen, (2, dot(4_000))));
    assert_eq!((fills.left(&ns(), second), passed(&fills)), (2_999, 2_001));
    assert_eq!(fills.shown(|_| true)[0].also_from, Some(bat.to_string()));
    let mut told = SeenSet::new();
    fills.update(&ns(), number, |fill| told = fill.lent.take());
    assert_eq!(told, seen, "and only that, not all behind it");
    fills.update(&ns(), number, |fill| fill.coming = Some(dot(4_001)));
    assert_eq!(fills.left(&ns(), second), 0, "they have met");
    main_stores(&fills, number, dot(4_700));
    assert_eq!(passed(&fills), 5_000);
    fills.end_second(&ns(), second);
    assert!(fills.begin_second(&ns(), bat, Some(fill)).is_none(), "it has brought what it could");
    let (_, next, _) = fills.begin_second(&ns(), cat, None).expect("free again");
    fills.end_second(&ns(), second);
    assert!(
        fills.begin_second(&ns(), bat, None).is_none(),
        "who is gone does not give up the place of another"
    );
    fills.update(&ns(), number, |fill| fill.coming = None);
    assert!(fills.left(&ns(), (fill, next)) > 0);
    fills.update(&ns(), number, |fill| fill.lent.enough());
    assert_eq!(fills.left(&ns(), (fill, next)), 0, "the first has sent all there was");
}

#[test]
fn who_lends_for_a_fill_that_is_over_is_of_no_use() {
    let (fills, [ant, bat]) = (Fills::default(), [1, 2].map(|n| NodeId([n; 32])));
    let number = fills.begin(&ns(), ant, missing()).expect("nobody was there");
    let (fill, place, _) = fills.begin_second(&ns(), bat, None).expect("free");
    assert!(fills.end(&ns(), number).is_some());
    assert!(!fills.lent(&ns(), (fill, place), &SeenSet::new(), (1, dot(9))));
    fills.begin(&ns(), ant, missing()).expect("it is free");
    assert!(!fills.lent(&ns(), (fill, place), &SeenSet::new(), (1, dot(9))), "nor for the next one");
    assert!(fills.begin_second(&ns(), bat, Some(fill)).is_some(), "but it may lend for that");
}
