//! Stores of which single entries are gone or changed: nobody vouches for what it cannot send, nothing that
//! others hold suffers, and what is counted is what is held.

use std::sync::Arc;

use super::{
    Batch, Durability, Ledger, Store,
    exchange_tests::{exchange, fill, lose},
    layout,
    ledger_tests::{Replica, ns},
    stored,
};
use crate::{
    causality::{Dot, SeenSet},
    conflict::Version,
    types::Key,
};

pub(super) fn key(text: &str) -> Key {
    text.parse().unwrap()
}

pub(super) fn commit(replica: &mut Replica) {
    replica.commit(&mut Vec::new());
}

/// Writes past the ledger, which is opened anew on what is left, and counts.
pub(super) fn damage(replica: &mut Replica, change: impl FnOnce(&Replica, &mut Batch)) {
    let mut batch = Batch::new();
    change(replica, &mut batch);
    replica.store.commit(batch, Durability::Fsync).unwrap();
    replica.ledger = Ledger::open(Arc::new(replica.store.clone()), replica.origin, &[ns()]).unwrap().0;
    while replica.ledger.tally_on().unwrap() {}
}

pub(super) fn entry_of(replica: &Replica, dot: Dot) -> bytes::Bytes {
    layout::dot(0, replica.ledger.shared.origins().number(&dot.origin).unwrap(), dot.seq)
}

pub(super) fn sibling(replica: &Replica, at: &str, put: bool) -> Version {
    let record = replica.ledger.reader().record(&ns(), &key(at)).unwrap().unwrap();
    record.siblings().iter().find(|sibling| sibling.is_delete() != put).unwrap().clone()
}

/// The record is gone, and what the dot index says of it stands.
fn lose_record_only(replica: &mut Replica, at: &str) {
    damage(replica, |_, batch| batch.remove(layout::record(0, at.as_bytes())));
}

/// The record does not hold one of its siblings any more.
fn lose_sibling_only(replica: &mut Replica, at: &str, dot: Dot) {
    damage(replica, |replica, batch| {
        let mut record = replica.ledger.reader().record(&ns(), &key(at)).unwrap().unwrap();
        record.drop_sibling(dot);
        let bytes = stored::encode_record(&record, [].iter(), &replica.ledger.shared.origins());
        batch.insert(layout::record(0, at.as_bytes()), bytes);
    });
}

/// Ant, that wrote it all, Cat, that holds it all, and Bat, a newcomer.
fn three() -> [Replica; 3] {
    let [mut ant, mut bat, mut cat] = [1, 2, 3].map(Replica::new);
    fill(&mut ant, "nest", 10);
    bat.write("nest/7", Some("of bat"));
    let beside = bat.written[0].clone();
    commit(&mut bat);
    ant.ledger.receive(&ns(), beside, None).unwrap();
    commit(&mut ant);
    exchange(&mut ant, &mut cat, &[]);
    [ant, Replica::new(4), cat]
}

fn held_by_all(replicas: &[Replica; 3], dot: Dot) {
    for replica in replicas {
        assert_eq!(replica.records(), replicas[0].records());
        assert_eq!(replica.ledger.root(&ns()), replicas[0].ledger.root(&ns()));
        assert!(replica.records().values().any(|record| record.get(dot).is_some()), "{dot} is held");
    }
}

#[test]
fn what_is_named_and_has_no_record_is_not_vouched_for_and_comes_back() {
    let [mut ant, mut bat, mut cat] = three();
    let lost = sibling(&ant, "nest/3", true).dot;
    lose_record_only(&mut ant, "nest/3");
    exchange(&mut bat, &mut ant, &[]);
    assert_eq!(bat.seen().count(), 10, "all but what did not come");
    assert!(!bat.seen().contains(lost), "nobody was sent it, so nobody takes it for dead");
    assert!(!ant.seen().contains(lost), "it is to be fetched again");
    exchange(&mut bat, &mut cat, &[]);
    exchange(&mut bat, &mut ant, &[]);
    [&ant, &bat, &cat].into_iter().for_each(Replica::audit);
    held_by_all(&[ant, bat, cat], lost);
}

#[test]
fn what_its_record_lacks_is_not_vouched_for_and_the_rest_of_the_record_is() {
    let [mut ant, mut bat, mut cat] = three();
    let lost = ant.origin;
    let record = ant.ledger.reader().record(&ns(), &key("nest/7")).unwrap().unwrap();
    let lost = record.siblings().iter().find(|sibling| sibling.dot.origin == lost).unwrap().dot;
    lose_sibling_only(&mut ant, "nest/7", lost);
    exchange(&mut ant, &mut bat, &[]);
    assert_eq!(bat.seen().count(), 10);
    assert!(!bat.seen().contains(lost) && !ant.seen().contains(lost));
    exchange(&mut ant, &mut cat, &[]);
    exchange(&mut ant, &mut bat, &[]);
    [&ant, &bat, &cat].into_iter().for_each(Replica::audit);
    held_by_all(&[ant, bat, cat], lost);
}

/// Both have seen it and neither has it: Bat wants what Ant names. What Bat has seen tells Ant nothing of it.
#[test]
fn what_was_wanted_by_ranges_and_cannot_be_sent_is_dead_to_nobody() {
    let [mut ant, mut bat, mut cat] = three();
    exchange(&mut bat, &mut cat, &[]);
    let lost = sibling(&ant, "nest/3", true).dot;
    lose_record_only(&mut ant, "nest/3");
    lose(&mut bat, "nest/3", false);
    exchange(&mut ant, &mut bat, &[]);
    assert!(!ant.seen().contains(lost), "it is to be fetched again");
    exchange(&mut ant, &mut cat, &[]);
    exchange(&mut bat, &mut cat, &[]);
    [&ant, &cat].into_iter().for_each(Replica::audit);
    held_by_all(&[ant, bat, cat], lost);
}

#[test]
fn what_is_lost_is_told_once_however_many_pages_there_are() {
    let [mut ant, ..] = three();
    let lost: SeenSet =
        [0, 3, 4, 9].map(|n| sibling(&ant, &format!("nest/{n}"), true).dot).into_iter().collect();
    for n in [0, 3, 4, 9] {
        lose_record_only(&mut ant, &format!("nest/{n}"));
    }
    let (view, seen) = (ant.ledger.reader().view(), ant.seen());
    let (mut found, mut count, mut after) = (SeenSet::new(), 0, None);
    loop {
        let page = view.versions(&ns(), &seen, after, 2, usize::MAX).unwrap();
        count += page.lost.count();
        found.union(&page.lost);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((&found, count), (&lost, 4));
    let mut down = view.versions_down(&ns(), &seen, None, usize::MAX, usize::MAX).unwrap().lost;
    assert_eq!(down, lost);
    // Whoever is suspected and found is let be.
    down.insert(sibling(&ant, "nest/1", true).dot);
    assert_eq!(ant.ledger.look_again(&ns(), &down).unwrap(), lost);
    while ant.ledger.tally_on().unwrap() {}
    ant.audit();
}

/// The dot index loses an entry that the digests count yet: they are made anew, or it would be in them twice.
#[test]
fn what_the_dot_index_lost_while_it_was_open_counts_once_when_it_comes_back() {
    let [mut ant, _, mut cat] = three();
    let lost = sibling(&ant, "nest/3", true);
    let mut batch = Batch::new();
    batch.remove(entry_of(&ant, lost.dot));
    ant.store.commit(batch, Durability::Fsync).unwrap();
    let seen = ant.seen();
    assert_eq!(ant.ledger.unsee(&ns(), &seen).unwrap().count(), 1);
    assert!(!ant.ledger.is_counted());
    while ant.ledger.tally_on().unwrap() {}
    exchange(&mut ant, &mut cat, &[]);
    ant.audit();
}
