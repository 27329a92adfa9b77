//! Whatever is damaged, taken out and put back: what is counted is what is held, or nobody is told.

use std::sync::Arc;

use super::{
    Batch, Ledger, Store,
    checkpoint::CHECKPOINT,
    damage_tests::{commit, damage, entry_of, key, sibling},
    layout,
    ledger_tests::{Replica, ns},
    stored,
};
use crate::{
    causality::Hlc,
    conflict::{Body, Payload, Put, Version},
    types::ContentType,
};

/// Ant holds a put and a delete beside each other, which bat made; the put first.
fn beside() -> (Replica, [Version; 2]) {
    let [mut ant, mut bat] = [1, 2].map(Replica::new);
    ant.write("nest", Some("egg"));
    commit(&mut ant);
    bat.write("nest", Some("twig"));
    bat.write("nest", None);
    let [put, delete] = [bat.written[0].clone(), bat.written[1].clone()];
    for version in [put, delete.clone()] {
        ant.ledger.receive(&ns(), version, None).unwrap();
    }
    commit(&mut ant);
    let put = sibling(&ant, "nest", true);
    (ant, [put, delete])
}

fn forgettable(replica: &Replica) -> usize {
    let (from, to) = (layout::forgettable(0, 0, 0, 0), layout::forgettable(0, u64::MAX, 0, 0));
    replica.store.snapshot().range(&from, &to, false).count()
}

/// Goes through the store until it finds nothing more. Returns how much it found.
fn scrub(replica: &mut Replica) -> usize {
    let (mut from, mut bad) = (None, 0);
    loop {
        let page = replica.ledger.scrub(from.as_ref(), 2).unwrap();
        bad += page.bad.len();
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    while replica.ledger.tally_on().unwrap() {}
    bad
}

#[test]
fn a_delete_counts_once_when_the_put_beside_it_is_healed_and_comes_back() {
    let (mut ant, [put, delete]) = beside();
    let root = ant.ledger.root(&ns());
    damage(&mut ant, |ant, batch| {
        let other = stored::encode_dot(delete.hash(), &key("nest"), true);
        batch.insert(entry_of(ant, put.dot), other);
    });
    assert_eq!(scrub(&mut ant), 1);
    ant.audit();
    assert_eq!(scrub(&mut ant), 0, "the delete that stays is indexed as one that stands alone");
    assert_eq!(forgettable(&ant), 1, "and is one that may be forgotten");
    ant.ledger.receive(&ns(), put, None).unwrap();
    commit(&mut ant);
    ant.audit();
    assert_eq!(ant.ledger.root(&ns()), root);
    assert_eq!((scrub(&mut ant), forgettable(&ant)), (0, 0));
}

#[test]
fn a_delete_counts_once_when_the_large_put_beside_it_is_healed_and_comes_back() {
    let (mut ant, [_, delete]) = beside();
    let mut bat = Replica::new(2);
    let bytes = bytes::Bytes::from(vec![7; 100_000]);
    let payload = Payload::Blob { hash: *blake3::hash(&bytes).as_bytes(), size: 100_000 };
    let body = Body::Put(Put { content_type: ContentType::octets(), payload });
    let write = super::Write { blob: Some(bytes.clone()), ..super::Write::new(key("den"), body) };
    let put = ant.ledger.write(&ns(), write, |_| Hlc(1)).unwrap().unwrap();
    for value in [Some("a"), None, Some("b"), None] {
        bat.write("den", value);
    }
    for version in bat.written.clone().split_off(2) {
        assert_ne!(version.dot, delete.dot);
        ant.ledger.receive(&ns(), version, None).unwrap();
    }
    commit(&mut ant);
    let root = ant.ledger.root(&ns());
    damage(&mut ant, |ant, batch| {
        let no = ant.ledger.shared.origins().number(&put.dot.origin).unwrap();
        batch.insert(layout::blob(0, no, put.dot.seq), b"rot".to_vec());
    });
    assert_eq!(scrub(&mut ant), 1);
    ant.ledger.receive(&ns(), put, Some(bytes)).unwrap();
    commit(&mut ant);
    ant.audit();
    assert_eq!(ant.ledger.root(&ns()), root);
    assert_eq!(scrub(&mut ant), 0);
}

#[test]
fn a_delete_counts_once_when_the_dot_index_lost_the_put_beside_it() {
    let (mut ant, [put, _]) = beside();
    let root = ant.ledger.root(&ns());
    damage(&mut ant, |ant, batch| batch.remove(entry_of(ant, put.dot)));
    assert!(!ant.seen().contains(put.dot), "noticed at the opening");
    ant.ledger.receive(&ns(), put, None).unwrap();
    commit(&mut ant);
    ant.audit();
    assert_eq!(ant.ledger.root(&ns()), root);
    assert_eq!((scrub(&mut ant), forgettable(&ant)), (0, 0));
}

/// They stand in their record yet, where they count for nothing.
#[test]
fn what_the_dot_index_lost_comes_back_one_by_one_or_is_written_over() {
    for order in [[0, 1], [1, 0]] {
        let (mut ant, versions) = beside();
        let root = ant.ledger.root(&ns());
        damage(&mut ant, |ant, batch| {
            versions.iter().for_each(|version| batch.remove(entry_of(ant, version.dot)));
        });
        for n in order {
            ant.ledger.receive(&ns(), versions[n].clone(), None).unwrap();
            commit(&mut ant);
        }
        ant.audit();
        assert_eq!(ant.ledger.root(&ns()), root);
        assert_eq!(scrub(&mut ant), 0);
    }
    let (mut ant, versions) = beside();
    damage(&mut ant, |ant, batch| {
        versions.iter().for_each(|version| batch.remove(entry_of(ant, version.dot)));
    });
    ant.write("nest", Some("new"));
    commit(&mut ant);
    ant.audit();
}

fn reopen(replica: &mut Replica) {
    replica.ledger = Ledger::open(Arc::new(replica.store.clone()), replica.origin, &[ns()]).unwrap().0;
    while replica.ledger.tally_on().unwrap() {}
}

/// A clean stop, after which the checkpoint is changed.
fn stop_and(change: impl FnOnce(&Replica, &mut Batch)) {
    let (mut ant, _) = beside();
    for n in 0..200 {
        ant.write(&format!("nest/{n}"), Some("egg"));
    }
    commit(&mut ant);
    let root = ant.ledger.root(&ns());
    ant.ledger.checkpoint().unwrap();
    damage(&mut ant, change);
    ant.audit();
    assert_eq!(ant.ledger.root(&ns()), root);
    assert_eq!(scrub(&mut ant), 0);
    // And the next stop leaves a sound one.
    ant.ledger.checkpoint().unwrap();
    reopen(&mut ant);
    ant.audit();
}

#[test]
fn a_checkpoint_that_is_not_whole_is_made_anew() {
    let part = || layout::checkpoint(0, 0);
    stop_and(|_, _| {});
    stop_and(|_, batch| batch.remove(part()));
    // One that counts for another namespace, or says something else.
    stop_and(|ant, batch| batch.insert(layout::checkpoint(7, 0), ant.store.get(&part()).unwrap().unwrap()));
    stop_and(|ant, batch| {
        let mut bytes = ant.store.get(&part()).unwrap().unwrap().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        batch.insert(part(), bytes);
    });
    // What programs before this one left: it says nothing of its parts.
    stop_and(|_, batch| batch.insert(layout::fact(CHECKPOINT), Vec::new()));
    stop_and(|_, batch| {
        batch.insert(layout::fact(CHECKPOINT), Vec::new());
        batch.remove(part());
    });
}

#[test]
fn while_digests_are_made_anew_nobody_is_told_what_is_held() {
    let (mut ant, [put, _]) = beside();
    let knows = |ant: &Replica| {
        let reader = ant.ledger.reader();
        let (tagged, tag) = (reader.tagged(&ns()).unwrap().2, reader.tag(&ns()).unwrap().1);
        assert_eq!(tagged, tag);
        assert_eq!(tagged, reader.rooted(&ns()).is_some());
        tag
    };
    damage(&mut ant, |ant, batch| {
        batch.insert(entry_of(ant, put.dot), stored::encode_dot(put.hash(), &key("elsewhere"), true));
    });
    assert!(knows(&ant));
    let page = ant.ledger.scrub(None, 10).unwrap();
    assert!(!page.bad.is_empty());
    assert!(!knows(&ant), "the digests are being made");
    ant.ledger.receive(&ns(), put, None).unwrap();
    commit(&mut ant);
    assert!(!knows(&ant), "and are while writes go on");
    while ant.ledger.tally_on().unwrap() {}
    assert!(knows(&ant));
    ant.audit();
}
