//! What is kept of keys, held to a naive model: of all that came to a replica and was superseded there, the
//! greatest.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{collection::vec, prelude::*};

use super::{
    Batch, Durability, Ledger, Received, Store,
    ledger_tests::{Replica, ns},
};
use crate::{
    causality::{Dot, Floors, Hlc},
    conflict::{Body, Payload, Version},
    types::Key,
};

const KEYS: [&str; 2] = ["ant", "bat"];

impl Replica {
    fn history(&self, key: &str) -> Vec<Version> {
        let view = self.ledger.reader().view();
        let earlier = view.history(&ns(), &Key::new(key).unwrap(), 0).unwrap();
        earlier.into_iter().map(|one| one.version).collect()
    }

    fn values(&self, key: &str) -> Vec<String> {
        self.history(key).iter().map(shown).collect()
    }

    fn put(&mut self, key: &str, value: &str) -> Version {
        self.write(key, Some(value));
        self.commit_one()
    }

    fn puts(&mut self, key: &str, values: &[&str]) {
        for value in values {
            self.put(key, value);
        }
    }

    fn commit_one(&mut self) -> Version {
        let mut acknowledged = Vec::new();
        self.commit(&mut acknowledged);
        acknowledged.pop().expect("one write")
    }

    fn reopen(&mut self, cap: usize) {
        self.ledger = Ledger::open(Arc::new(self.store.clone()), self.origin, &[ns()]).unwrap().0;
        self.ledger.keep_history(cap);
    }

    /// Keys of the store under a tag.
    fn lying(&self, tag: u8) -> Vec<bytes::Bytes> {
        let (from, to) = super::layout::all(tag);
        self.store.snapshot().range(&from, &to, false).map(|pair| pair.unwrap().0).collect()
    }

    /// Everything that another has and this one has not, as a delta brings it.
    fn fill_from(&mut self, other: &Self, cut: Option<usize>) -> Vec<Version> {
        let view = other.ledger.reader().view();
        let seen = view.seen(&ns()).unwrap();
        let missing = seen.difference(&self.seen());
        let mut versions = view.versions(&ns(), &missing, None, usize::MAX, usize::MAX).unwrap().versions;
        assert!(versions.is_sorted_by_key(|version| version.dot), "in dot order");
        versions.truncate(cut.unwrap_or(usize::MAX));
        for version in &versions {
            self.ledger.receive(&ns(), version.clone(), None).unwrap();
        }
        if cut.is_none() {
            self.ledger.absorb(&ns(), &seen, &Floors::new());
        }
        self.commit(&mut Vec::new());
        versions
    }
}

fn shown(version: &Version) -> String {
    match version.put().map(|put| &put.payload) {
        Some(Payload::Inline(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Payload::Blob { size, .. }) => format!("{size} bytes"),
        None => "deleted".to_owned(),
    }
}

fn replica(n: u8, cap: usize) -> Replica {
    let mut replica = Replica::new(n);
    replica.ledger.keep_history(cap);
    replica
}

#[test]
fn four_puts_with_a_cap_of_three_leave_the_previous_three_newest_first() {
    let mut ant = replica(1, 3);
    ant.puts("k", &["one", "two", "three", "four"]);
    assert_eq!(ant.values("k"), ["three", "two", "one"]);
    ant.put("k", "five");
    assert_eq!(ant.values("k"), ["four", "three", "two"]);
    assert_eq!(ant.lying(b'k').len(), 3, "what is not in the history lies nowhere");
    ant.reopen(3);
    assert_eq!(ant.values("k"), ["four", "three", "two"]);
    ant.write("k", None);
    ant.commit_one();
    ant.put("k", "six");
    assert_eq!(ant.values("k"), ["deleted", "five", "four"]);
    ant.audit();
    // Fewer from now on.
    ant.reopen(1);
    ant.put("k", "seven");
    assert_eq!(ant.values("k"), ["six"]);
    ant.reopen(0);
    ant.put("k", "eight");
    assert_eq!(ant.values("k"), [""; 0]);
    assert_eq!(ant.lying(b'k').len(), 0);
}

#[test]
fn without_history_a_store_has_not_one_key_more() {
    let [mut with, mut without] = [replica(1, 0), Replica::new(1)];
    for replica in [&mut with, &mut without] {
        replica.puts("k", &["one", "two", "three"]);
    }
    let all = |replica: &Replica| (0..=255_u8).map(|tag| replica.lying(tag.min(254))).collect::<Vec<_>>();
    assert_eq!(all(&with), all(&without));
}

#[test]
fn many_writes_of_one_key_in_one_commit_store_what_stays() {
    let mut ant = replica(1, 2);
    for value in ["one", "two", "three", "four", "five"] {
        ant.write("k", Some(value));
    }
    ant.commit(&mut Vec::new());
    assert_eq!(ant.values("k"), ["four", "three"]);
    assert_eq!(ant.lying(b'k').len(), 2);
    ant.audit();
}

#[test]
fn what_comes_late_is_part_of_the_history() {
    let (mut ant, mut bat) = (replica(1, 3), replica(2, 3));
    let first = ant.put("k", "one");
    let second = ant.put("k", "two");
    assert_eq!(bat.ledger.receive(&ns(), second, None).unwrap(), Received::Held);
    assert_eq!(bat.ledger.receive(&ns(), first, None).unwrap(), Received::Superseded);
    bat.commit(&mut Vec::new());
    assert_eq!(bat.history("k"), ant.history("k"));
    assert_eq!(bat.values("k"), ["one"]);
    bat.audit();
}

#[test]
fn a_newcomer_gets_the_history_too_and_a_cut_delta_does_no_harm() {
    let (mut ant, mut bat) = (replica(1, 3), replica(2, 3));
    for value in ["one", "two", "three", "four", "five"] {
        ant.put("k", value);
    }
    bat.fill_from(&ant, Some(2));
    assert_eq!(bat.values("k"), ["two"], "an older state, not a wrong one");
    let rest = bat.fill_from(&ant, None);
    assert_eq!(rest.len(), 2, "{rest:?}");
    assert_eq!(bat.history("k"), ant.history("k"));
    assert_eq!(bat.ledger.root(&ns()), ant.ledger.root(&ns()));
    assert_eq!(bat.seen(), ant.seen());
    bat.audit();
}

#[test]
fn a_delete_that_is_forgotten_takes_the_history_with_it() {
    let mut ant = replica(1, 3);
    ant.put("k", "one");
    ant.put("k", "two");
    ant.write("k", None);
    ant.commit_one();
    assert_eq!(ant.values("k"), ["two", "one"]);
    let swept = ant.ledger.forget(&ns(), Hlc(u64::MAX >> 1), None, 100).unwrap();
    assert_eq!(swept.forgotten, 1);
    ant.commit(&mut Vec::new());
    assert_eq!((ant.values("k").len(), ant.lying(b'k').len(), ant.lying(b'r').len()), (0, 0, 0));
    ant.audit();
    // What is written anew begins a history of its own.
    ant.put("k", "three");
    ant.put("k", "four");
    assert_eq!(ant.values("k"), ["three"]);
}

#[test]
fn a_large_value_leaves_its_size_and_not_its_bytes() {
    let (mut ant, mut bat) = (replica(1, 3), replica(2, 3));
    let bytes = bytes::Bytes::from(vec![7; 100_000]);
    let payload = Payload::Blob { hash: *blake3::hash(&bytes).as_bytes(), size: 100_000 };
    ant.put("k", "small");
    let put = crate::conflict::Put { content_type: crate::types::ContentType::octets(), payload };
    let write = super::Write {
        key: Key::new("k").unwrap(),
        body: Body::Put(put),
        blob: Some(bytes),
        precondition: crate::replica::Precondition::None,
        made_from: None,
    };
    let clock = &mut ant.clock;
    let _version = ant
        .ledger
        .write(&ns(), write, |superseded| clock.tick(1_000, superseded.iter().map(|version| version.hlc)))
        .unwrap()
        .unwrap();
    ant.commit(&mut Vec::new());
    assert_eq!(ant.lying(b'b').len(), 1);
    ant.put("k", "small again");
    assert_eq!(ant.values("k"), ["100000 bytes", "small"]);
    assert_eq!(ant.lying(b'b').len(), 0);
    // A neighbour is sent what has its bytes.
    bat.fill_from(&ant, None);
    assert_eq!(bat.values("k"), ["small"]);
    assert_eq!(bat.ledger.root(&ns()), ant.ledger.root(&ns()));
}

#[test]
fn a_damaged_earlier_version_is_reported_and_dropped_and_nothing_else_suffers() {
    for damage in 0..3 {
        let mut ant = replica(1, 3);
        ant.puts("k", &["one", "two", "three", "four"]);
        let root = ant.ledger.root(&ns());
        let at = ant.lying(b'k')[1].clone();
        let bytes = ant.store.get(&at).unwrap().unwrap();
        let mut batch = Batch::new();
        match damage {
            0 => {
                let mut rotten = bytes.to_vec();
                *rotten.last_mut().unwrap() ^= 1;
                batch.insert(at.clone(), rotten);
            }
            1 => batch.remove(at.clone()),
            _ => batch.insert(super::layout::kept(0, 0, 99), bytes),
        }
        ant.store.commit(batch, Durability::Fsync).unwrap();
        let left = if damage == 2 { vec!["three", "two", "one"] } else { vec!["three", "one"] };
        assert_eq!(ant.values("k"), left, "{damage}: readers pass it over");
        let mut bat = replica(2, 3);
        bat.fill_from(&ant, None);
        assert_eq!(bat.values("k"), left, "{damage}: it is sent to nobody");
        let (mut from, mut bad) = (None, Vec::new());
        loop {
            let page = ant.ledger.scrub(from.as_ref(), 2).unwrap();
            assert!(page.lost.is_empty(), "{damage}: {page:?}");
            bad.extend(page.bad);
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert!(!bad.is_empty(), "{damage}");
        assert_eq!(ant.values("k"), left);
        assert_eq!(ant.lying(b'k').len(), left.len());
        let page = ant.ledger.scrub(None, 100).unwrap();
        assert!(page.bad.is_empty(), "{damage}: healed: {page:?}");
        assert_eq!(ant.ledger.root(&ns()), root);
        ant.audit();
        ant.put("k", "five");
        assert_eq!(ant.values("k")[..2], ["four", "three"]);
    }
}

#[test]
fn a_record_that_was_lost_keeps_its_history() {
    let mut ant = replica(1, 3);
    ant.puts("k", &["one", "two", "three"]);
    let mut batch = Batch::new();
    let at = ant.lying(b'd')[0].clone();
    batch.insert(at, &b"rotten"[..]);
    ant.store.commit(batch, Durability::Fsync).unwrap();
    let mut from = None;
    let mut lost = 0;
    loop {
        let page = ant.ledger.scrub(from.as_ref(), 100).unwrap();
        lost += page.lost.iter().map(|(_, lost)| lost.count()).sum::<u64>();
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(lost, 1);
    assert_eq!(ant.values("k"), ["two", "one"]);
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize, usize),
    Delete(usize, usize),
    Receive(usize, proptest::sample::Index),
    Fill(usize, usize, Option<usize>),
    Commit(usize),
    Reopen(usize),
}

fn steps() -> impl Strategy<Value = (usize, Vec<Step>)> {
    let at = 0..3_usize;
    let step = prop_oneof![
        5 => (at.clone(), 0..KEYS.len()).prop_map(|(r, k)| Step::Put(r, k)),
        2 => (at.clone(), 0..KEYS.len()).prop_map(|(r, k)| Step::Delete(r, k)),
        6 => (at.clone(), any::<proptest::sample::Index>()).prop_map(|(r, v)| Step::Receive(r, v)),
        2 => (at.clone(), at.clone(), proptest::option::of(0..4_usize)).prop_map(|(a, b, c)| Step::Fill(a, b, c)),
        3 => at.clone().prop_map(Step::Commit),
        1 => at.prop_map(Step::Reopen),
    ];
    (0..4_usize, vec(step, 1..80))
}

/// A replica, and all versions that ever came to it.
struct Known(Replica, BTreeMap<Dot, Version>);

impl Known {
    /// Of all that came, and that another one that came superseded, the greatest.
    fn check(&self, cap: usize, all: &BTreeMap<Dot, Version>) {
        for key in KEYS {
            let record = self.0.ledger.reader().record(&ns(), &Key::new(key).unwrap()).unwrap();
            let held = |dot| record.as_ref().is_some_and(|record| record.get(dot).is_some());
            let mut superseded: Vec<&Version> =
                self.1.values().filter(|version| version.key.as_str() == key && !held(version.dot)).collect();
            for version in &superseded {
                let superseder = |other: &Version| other.key == version.key && other.supersedes(version.dot);
                assert!(all.values().any(superseder), "only what is superseded is not held");
            }
            superseded.sort_by_key(|version| std::cmp::Reverse(version.rank()));
            superseded.truncate(cap);
            let expected: Vec<Version> = superseded.into_iter().cloned().collect();
            assert_eq!(self.0.history(key), expected);
        }
    }

    fn commit(&mut self, all: &mut BTreeMap<Dot, Version>) {
        let mut acknowledged = Vec::new();
        self.0.commit(&mut acknowledged);
        for version in acknowledged {
            self.1.insert(version.dot, version.clone());
            all.insert(version.dot, version);
        }
    }
}

fn two<T>(all: &mut [T], a: usize, b: usize) -> Option<(&mut T, &T)> {
    let [a, b] = all.get_disjoint_mut([a, b]).ok()?;
    Some((a, b))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_replica_keeps_the_greatest_of_all_superseded_versions_that_came_to_it((cap, steps) in steps()) {
        let mut replicas: Vec<Known> =
            (1..=3).map(|n| Known(replica(n, cap), BTreeMap::new())).collect();
        let mut all: BTreeMap<Dot, Version> = BTreeMap::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Put(at, key) => replicas[at].0.write(KEYS[key], Some(&number.to_string())),
                Step::Delete(at, key) => replicas[at].0.write(KEYS[key], None),
                Step::Receive(at, which) if !all.is_empty() => {
                    let version = all.values().nth(which.index(all.len())).unwrap().clone();
                    let Known(replica, known) = &mut replicas[at];
                    if !replica.ledger.is_seen(&ns(), version.dot) {
                        known.insert(version.dot, version.clone());
                    }
                    replica.ledger.receive(&ns(), version, None).unwrap();
                }
                Step::Receive(..) => {}
                Step::Fill(a, b, cut) => {
                    replicas[a].commit(&mut all);
                    if let Some((to, from)) = two(&mut replicas, a, b) {
                        for version in to.0.fill_from(&from.0, cut) {
                            to.1.insert(version.dot, version);
                        }
                    }
                }
                Step::Commit(at) => replicas[at].commit(&mut all),
                Step::Reopen(at) => {
                    replicas[at].commit(&mut all);
                    replicas[at].0.reopen(cap);
                }
            }
        }
        for replica in &mut replicas {
            replica.commit(&mut all);
        }
        for replica in &replicas {
            replica.check(cap, &all);
            replica.0.audit();
        }
        // Replicas that have seen the same writes keep the same, of all that came to both.
        for (a, b) in [(0, 1), (1, 2), (2, 0), (0, 1), (1, 2)] {
            if let Some((to, from)) = two(&mut replicas, a, b) {
                for version in to.0.fill_from(&from.0, None) {
                    to.1.insert(version.dot, version);
                }
            }
        }
        for replica in &replicas {
            replica.check(cap, &all);
            replica.0.audit();
            prop_assert_eq!(replica.0.lying(b'k').len(), KEYS.iter().map(|key| replica.0.history(key).len()).sum::<usize>());
            prop_assert_eq!(replica.0.ledger.root(&ns()), replicas[0].0.ledger.root(&ns()));
        }
    }
}

#[test]
fn names_that_cannot_be_read_stop_no_writer_and_are_swept_up() {
    for write in [true, false] {
        let mut ant = replica(1, 3);
        ant.puts("k", &["one", "two", "three"]);
        let at = ant.lying(b'r')[0].clone();
        let mut rotten = ant.store.get(&at).unwrap().unwrap().to_vec();
        // The number of an origin that there is not: behind format, length, count and the stamp.
        let origin = 1 + 2 + 1 + 5;
        assert_eq!(rotten[origin], 0, "ant's own");
        rotten[origin] = 77;
        let mut batch = Batch::new();
        batch.insert(at, rotten);
        ant.store.commit(batch, Durability::Fsync).unwrap();
        ant.reopen(3);
        if write {
            ant.put("k", "four");
            assert_eq!(ant.values("k"), ["three"]);
        }
        for pass in 0..2 {
            let (mut from, mut bad) = (None, 0);
            loop {
                let page = ant.ledger.scrub(from.as_ref(), 100).unwrap();
                assert!(page.lost.is_empty(), "{page:?}");
                bad += page.bad.len();
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
            assert_eq!(bad > 0, pass == 0, "pass {pass}");
        }
        assert_eq!(ant.lying(b'k').len(), usize::from(write));
        ant.audit();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_first_kept_version_is_found_whatever_was_asked_for_before(
        writes in vec(0..KEYS.len(), 1..60),
        asked in vec((1..70_u64, 1..70_u64), 1..40),
    ) {
        let mut ant = Replica::new(1);
        ant.ledger.keep_history(2);
        writes.iter().for_each(|key| drop(ant.put(KEYS[*key], "a value")));
        let kept: Vec<u64> = ant.lying(b'k').iter().map(|key| super::view::seq_of(key).unwrap()).collect();
        let view = ant.ledger.reader().view();
        for (first, last) in asked {
            let naive = kept.iter().copied().find(|seq| (first..=last).contains(seq));
            prop_assert_eq!(view.first_kept(0, &ant.origin, first, last).unwrap(), naive, "{}..={}", first, last);
        }
    }
}
