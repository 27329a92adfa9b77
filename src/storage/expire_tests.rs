//! Values that expire: what is counted, what is forgotten, what is compared.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{collection::vec, prelude::*};

use super::{
    Ledger, Sights, Write, layout,
    ledger_tests::{Replica, ns},
};
use crate::{
    causality::{Hlc, MAX_DRIFT},
    conflict::{Body, Payload, Put, Record},
    replica::Refused,
    types::{ContentType, Key, Namespace, Prefix},
};

const KEYS: [&str; 3] = ["ant", "bat", "cat"];

impl Replica {
    fn keys(&self) -> u64 {
        self.ledger.reader().keys(&ns())
    }

    fn expire(&mut self, now: u64, count_max: usize) -> Option<u64> {
        let next = self.ledger.expire(&ns(), now, count_max).unwrap();
        self.commit(&mut Vec::new());
        next
    }

    fn deadlines(&self) -> usize {
        let (from, to) = layout::all(b'e');
        super::Store::snapshot(&self.store).range(&from, &to, false).count()
    }

    /// Keys with a value at `now`, by looking at all.
    fn visible(&self, now: u64) -> u64 {
        let view = self.ledger.reader().view();
        let readings = view.readings(&ns(), &Prefix::all(), None, false).map(|one| one.unwrap().1);
        let shown = readings.filter(|reading| reading.visible(&Default::default(), now).is_some());
        shown.count() as u64
    }

    /// What readers see at `now`, by looking at all.
    fn shown(&self, now: u64) -> Shown {
        let records = self.records();
        let shown = |(key, record): (Key, Record)| {
            let put = record.visible(&Default::default(), now)?.put.into_owned();
            Some((key, put))
        };
        records.into_iter().filter_map(shown).collect()
    }

    fn store_until(&mut self, key: &str, until: u64) {
        self.write_until(key, "soon gone", until);
        self.commit(&mut Vec::new());
    }

    fn delete_at(&mut self, key: &str, now: u64) -> Result<(), Refused> {
        self.ledger.tell_time(now);
        let write = Write::new(Key::new(key).unwrap(), Body::Delete);
        let clock = &mut self.clock;
        self.ledger
            .write(&ns(), write, |superseded| clock.tick(1_000, superseded.iter().map(|version| version.hlc)))
            .unwrap()
            .map(drop)
    }
}

#[test]
fn what_has_expired_is_counted_out_at_its_deadline_and_only_once() {
    let mut ant = Replica::new(1);
    ant.store_until("ant", 100);
    ant.store_until("bat", 100);
    ant.store_until("cat", 300);
    ant.write("dog", Some("stays"));
    ant.commit(&mut Vec::new());
    assert_eq!((ant.keys(), ant.deadlines()), (4, 3));
    assert_eq!(ant.expire(99, 10), Some(100));
    assert_eq!(ant.keys(), 4);
    assert_eq!(ant.expire(100, 1), Some(300), "all of one deadline at once");
    assert_eq!((ant.keys(), ant.deadlines()), (2, 1));
    assert_eq!(ant.expire(200, 10), Some(300));
    // Written again: a key again, once.
    ant.write("ant", Some("again"));
    ant.commit(&mut Vec::new());
    assert_eq!(ant.keys(), 3);
    // What is late already is no key, and has no deadline to wait for.
    ant.store_until("late", 50);
    assert_eq!((ant.keys(), ant.deadlines()), (3, 1));
    // Overwritten before its deadline: that passes without effect.
    ant.write("cat", Some("stays"));
    ant.commit(&mut Vec::new());
    assert_eq!((ant.expire(1_000, 10), ant.keys(), ant.deadlines()), (None, 3, 0));
    ant.ledger = Ledger::open(Arc::new(ant.store.clone()), ant.origin, &[ns()]).unwrap().0;
    assert_eq!((ant.expire(1_000, 10), ant.keys()), (None, 3));
    assert_eq!(ant.visible(1_000), 3);
}

#[test]
fn what_has_expired_cannot_be_deleted_nor_counts_as_there() {
    let mut ant = Replica::new(1);
    ant.store_until("ant", 100);
    assert_eq!(ant.delete_at("ant", 100), Err(Refused::NothingThere));
    assert_eq!(ant.delete_at("ant", 99), Ok(()));
}

#[test]
fn what_expires_is_a_delete_for_what_is_compared_and_forgotten_but_not_before_its_deadline_and_the_drift() {
    let (mut ant, empty) = (Replica::new(1), Replica::new(2));
    let drift = u64::try_from(MAX_DRIFT.as_millis()).unwrap();
    ant.store_until("ant", 1_000_000);
    assert_eq!(ant.ledger.root(&ns()), empty.ledger.root(&ns()), "as a delete alone");
    let forget = |ant: &mut Replica, until: u64| {
        let swept = ant.ledger.forget(&ns(), Hlc::from_millis(until), None, 10).unwrap();
        ant.commit(&mut Vec::new());
        swept.forgotten
    };
    assert_eq!(forget(&mut ant, 1_000_000 + drift - 1), 0);
    assert_eq!((ant.keys(), ant.visible(999_999)), (1, 1));
    assert_eq!(ant.expire(1_000_000, 10), None);
    assert_eq!(forget(&mut ant, 1_000_000 + drift), 1);
    assert_eq!((ant.keys(), ant.records().len(), ant.deadlines()), (0, 0, 0));
    assert_eq!(ant.ledger.floors(&ns()).deletes.len(), 1, "forgotten as a delete is");
    ant.audit();
}

#[test]
fn what_was_forgotten_before_it_was_counted_out_is_counted_out() {
    let mut ant = Replica::new(1);
    ant.store_until("ant", 100);
    assert_eq!(ant.ledger.forget(&ns(), Hlc(u64::MAX >> 1), None, 10).unwrap().forgotten, 1);
    ant.commit(&mut Vec::new());
    assert_eq!((ant.keys(), ant.deadlines()), (0, 0));
}

/// Writes of two namespaces have the same names: each counts its own.
#[test]
fn what_nobody_has_to_be_told_of_one_namespace_is_told_of_another() {
    let (mut ant, birds) = (Replica::new(1), Namespace::new("birds").unwrap());
    let store = Arc::new(ant.store.clone());
    ant.ledger = Ledger::open(store, ant.origin, &[ns(), birds.clone()]).unwrap().0;
    ant.ledger.set_watched(true);
    ant.ledger.tell_time(200);
    // It was late as it came, so whoever follows was never told that it is there.
    ant.store_until("egg", 100);
    let put = Put { content_type: ContentType::text(), payload: Payload::Inline("an egg".into()) };
    let write = Write::new(Key::new("egg").unwrap(), Body::Expiring { put, until: 300 });
    let written = ant.ledger.write(&birds, write, |_| Hlc::from_millis(1)).unwrap().unwrap();
    assert_eq!(ant.commit(&mut Vec::new()).keys.len(), 1);
    assert!(ant.ledger.reader().with_seen(&ns(), |seen| seen.contains(written.dot)).unwrap(), "one name");
    ant.ledger.tell_time(300);
    ant.ledger.expire(&birds, 300, 10).unwrap();
    let told = ant.commit(&mut Vec::new()).keys;
    assert_eq!(told.len(), 1, "it is gone");
    assert!(told[0].news && told[0].shown.is_none());
}

/// What somebody takes to be there.
type Shown = BTreeMap<Key, Put>;

/// Each news is of something that was not so before.
fn hear(follower: &mut Shown, sights: Sights) -> Result<(), TestCaseError> {
    for sight in sights.keys.into_iter().filter(|sight| sight.news) {
        let is = sight.shown.map(|(_, put)| put);
        prop_assert_ne!(follower.get(&sight.key), is.as_ref(), "no news of {}", sight.key);
        match is {
            Some(put) => drop(follower.insert(sight.key, put)),
            None => drop(follower.remove(&sight.key)),
        }
    }
    Ok(())
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize, usize),
    PutUntil(usize, usize, u64),
    Delete(usize, usize),
    Receive(usize, proptest::sample::Index),
    Pass(u64),
    Expire(usize, usize),
    Reopen(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = 0..2_usize;
    let step = prop_oneof![
        2 => (at.clone(), 0..KEYS.len()).prop_map(|(r, k)| Step::Put(r, k)),
        4 => (at.clone(), 0..KEYS.len(), 0..30_u64).prop_map(|(r, k, t)| Step::PutUntil(r, k, t)),
        2 => (at.clone(), 0..KEYS.len()).prop_map(|(r, k)| Step::Delete(r, k)),
        4 => (at.clone(), any::<proptest::sample::Index>()).prop_map(|(r, v)| Step::Receive(r, v)),
        3 => (1..20_u64).prop_map(Step::Pass),
        3 => (at.clone(), 1..3_usize).prop_map(|(r, n)| Step::Expire(r, n)),
        1 => at.prop_map(Step::Reopen),
    ];
    vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_count_of_keys_is_that_of_the_values_there_are_once_deadlines_were_gone_through(steps in steps()) {
        let mut replicas = [Replica::new(1), Replica::new(2)];
        replicas.iter_mut().for_each(|replica| replica.ledger.set_watched(true));
        // Who follows each of them from the beginning, and is told nothing else.
        let mut followers = [Shown::new(), Shown::new()];
        let (mut now, mut versions) = (1, Vec::new());
        for step in steps {
            replicas.iter_mut().for_each(|replica| replica.ledger.tell_time(now));
            match step {
                Step::Put(at, key) => replicas[at].write(KEYS[key], Some("stays")),
                Step::PutUntil(at, key, ttl) => replicas[at].write_until(KEYS[key], "goes", now + ttl),
                Step::Delete(at, key) => replicas[at].write(KEYS[key], None),
                Step::Receive(at, which) if !versions.is_empty() => {
                    let version: &crate::conflict::Version = which.get(&versions);
                    replicas[at].ledger.receive(&ns(), version.clone(), None).unwrap();
                }
                Step::Receive(..) => {}
                Step::Pass(time) => now += time,
                Step::Expire(at, count) => {
                    replicas[at].ledger.expire(&ns(), now, count).unwrap();
                }
                Step::Reopen(at) => {
                    let replica = &mut replicas[at];
                    replica.ledger = Ledger::open(Arc::new(replica.store.clone()), replica.origin, &[ns()]).unwrap().0;
                    // As a node does at once; whoever follows then begins anew, with what is there.
                    replica.expire(now, usize::MAX);
                    replica.ledger.set_watched(true);
                    followers[at] = replica.shown(now);
                }
            }
            for (replica, follower) in replicas.iter_mut().zip(&mut followers) {
                hear(follower, replica.commit(&mut versions))?;
            }
        }
        for (replica, follower) in replicas.iter_mut().zip(&mut followers) {
            loop {
                let next = replica.ledger.expire(&ns(), now, 2).unwrap();
                hear(follower, replica.commit(&mut versions))?;
                if next.is_none_or(|next| next > now) {
                    break;
                }
            }
            prop_assert_eq!(&*follower, &replica.shown(now), "whoever follows has what readers see");
            prop_assert_eq!(replica.keys(), replica.visible(now));
            prop_assert!(replica.expire(u64::MAX, 1_000).is_none());
            prop_assert_eq!(replica.keys(), replica.visible(u64::MAX));
            prop_assert_eq!(replica.deadlines(), 0);
        }
    }
}
