//! Old copies of stores that go on in their old life, and so give names a second time, under whatever
//! keys: all end equal, and no acknowledged value is lost.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{collection::vec, prelude::*};

use super::{
    Ledger, Received,
    exchange_tests::{exchange, exchange_until, fill, root},
    ledger_tests::{Replica, ns},
    memory::Memory,
};
use crate::{
    causality::{Dot, Intervals, Origin},
    conflict::{Body, Payload, Put, Version},
    types::{ContentType, Key},
    wire::Way,
};

impl Replica {
    /// A version comes, by a delta or by ranges, and what loses its dot is written again, as Storage does it.
    pub(super) fn take(&mut self, version: Version, by_ranges: bool) {
        let ours = self.ledger.writes_as(&version.dot.origin);
        if ours
            && (!self.ledger.is_seen(&ns(), version.dot) || self.ledger.collides(&ns(), &version).unwrap())
        {
            self.begin_epoch();
        }
        let received = if by_ranges {
            self.ledger.settle(&ns(), version, None).unwrap()
        } else {
            self.ledger.receive(&ns(), version, None).unwrap()
        };
        if let Received::Collision(Some(lost)) = received
            && self.ledger.write_again(&ns(), &lost, None).unwrap().is_err()
        {
            self.begin_epoch();
            self.ledger.write_again(&ns(), &lost, None).unwrap().unwrap();
        }
    }

    fn begin_epoch(&mut self) {
        self.commit(&mut Vec::new());
        let me = self.ledger.origin();
        self.ledger.set_origin(Origin { epoch: me.epoch + 1_000, ..me });
        self.commit(&mut Vec::new());
    }

    /// Back to an old copy, in the life that wrote it: nothing told that time went on.
    fn roll_back(&mut self, to: &Memory) {
        self.store = to.reopen();
        self.written.clear();
        let history = self.ledger.history;
        let me = self.ledger.origin();
        self.ledger = Ledger::open(Arc::new(self.store.clone()), me, &[ns()]).unwrap().0;
        self.ledger.keep_history(history);
    }

    /// What a hello tells: who has seen more of our writes than we have makes us begin a new life.
    fn meet(&mut self, other: &Self) {
        let me = self.ledger.origin();
        let last = |replica: &Self| replica.seen().get(&me).map_or(0, Intervals::max);
        if last(other) > last(self) {
            self.begin_epoch();
        }
    }

    fn value(&self, key: &str) -> Option<String> {
        let record = self.ledger.reader().record(&ns(), &key.parse().unwrap()).unwrap()?;
        let visible = record.visible(&crate::conflict::Strategy::default(), 0)?;
        let Body::Put(Put { payload: Payload::Inline(bytes), .. }) = &visible.version.body else {
            panic!("a small value")
        };
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }
}

fn meet_until_equal(a: &mut Replica, b: &mut Replica) {
    for _ in 0..6 {
        a.meet(b);
        b.meet(a);
        exchange(a, b, &[]);
    }
    for replica in [&*a, &*b] {
        replica.audit();
    }
    assert_eq!(root(a), root(b));
    assert_eq!(a.ledger.reader().keys(&ns()), b.ledger.reader().keys(&ns()));
    assert_eq!(a.seen(), b.seen());
}

#[test]
fn what_a_rolled_back_store_writes_under_names_that_a_peer_has_is_kept_on_both() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    fill(&mut a, "k", 5);
    let backup = a.store.copy();
    fill(&mut a, "later", 5);
    exchange(&mut a, &mut b, &[]);
    a.roll_back(&backup);
    fill(&mut a, "new", 3);
    meet_until_equal(&mut a, &mut b);
    for replica in [&a, &b] {
        for (prefix, count) in [("k", 5), ("later", 5), ("new", 3)] {
            for n in 0..count {
                assert_eq!(replica.value(&format!("{prefix}/{n}")).as_deref(), Some("worm"), "{prefix}/{n}");
            }
        }
        assert_eq!(replica.ledger.reader().keys(&ns()), 13);
    }
}

/// The rolled-back one wrote more than the peer has: nobody has seen more of it than it has itself.
#[test]
fn a_rolled_back_store_that_wrote_more_than_it_lost_is_found_out_by_ranges() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let backup = a.store.copy();
    fill(&mut a, "old", 70);
    exchange(&mut a, &mut b, &[]);
    a.roll_back(&backup);
    fill(&mut a, "new", 90);
    meet_until_equal(&mut a, &mut b);
    for replica in [&a, &b] {
        assert!((0..70).all(|n| replica.value(&format!("old/{n}")).is_some()));
        assert!((0..90).all(|n| replica.value(&format!("new/{n}")).is_some()));
    }
}

/// One content of a dot died where the other one was never heard of.
#[test]
fn a_content_is_not_taken_for_dead_because_another_one_of_its_dot_is() {
    for who in 0..2 {
        let (mut a, mut b) = (Replica::new(1), Replica::new(2));
        let backup = a.store.copy();
        fill(&mut a, "old", 130);
        exchange(&mut a, &mut b, &[]);
        a.roll_back(&backup);
        fill(&mut a, "new", 130);
        let mut cat = Replica::new(3);
        let overwrite = |replica: &mut Replica, prefix: &str| {
            for n in 0..130 {
                replica.write(&format!("{prefix}/{n}"), Some("moth"));
            }
            replica.commit(&mut Vec::new());
        };
        let (alive, gone) = if who == 0 {
            // A third one, so that the names of the old life are not used up.
            exchange(&mut b, &mut cat, &[]);
            overwrite(&mut cat, "old");
            exchange(&mut b, &mut cat, &[]);
            ("new", "old")
        } else {
            exchange(&mut a, &mut cat, &[]);
            overwrite(&mut cat, "new");
            exchange(&mut a, &mut cat, &[]);
            ("old", "new")
        };
        meet_until_equal(&mut a, &mut b);
        meet_until_equal(&mut b, &mut cat);
        meet_until_equal(&mut a, &mut cat);
        for replica in [&a, &b, &cat] {
            for n in 0..130 {
                assert_eq!(replica.value(&format!("{alive}/{n}")).as_deref(), Some("worm"), "{alive}/{n}");
                assert_eq!(replica.value(&format!("{gone}/{n}")).as_deref(), Some("moth"), "{gone}/{n}");
            }
        }
        // What was dead in a row and is so no more is read back the same.
        let mut again = Replica::new(9);
        again.ledger = Ledger::open(Arc::new(b.store.reopen()), b.ledger.origin(), &[ns()]).unwrap().0;
        assert_eq!(again.ledger.dead, b.ledger.dead);
    }
}

#[test]
fn what_is_written_again_supersedes_nothing_that_its_author_did_not_see() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let backup = a.store.copy();
    a.write("nest", Some("first"));
    a.commit(&mut Vec::new());
    exchange(&mut a, &mut b, &[]);
    a.roll_back(&backup);
    // Of another key, and so that it wins.
    let nest: Key = "nest".parse().unwrap();
    let first = b.ledger.reader().record(&ns(), &nest).unwrap().unwrap().siblings()[0].clone();
    let winner = (0..).map(|n| Version {
        key: "hill".parse().unwrap(),
        body: Body::Put(Put {
            content_type: ContentType::text(),
            payload: Payload::Inline(format!("hill {n}").into()),
        }),
        ..first.clone()
    });
    let winner = winner.into_iter().find(|version| version.hash() > first.hash()).unwrap();
    // Bat has written of that key in its own name, beside it.
    let mut cat = Replica::new(2);
    cat.write("nest", Some("beside"));
    let mut beside = Vec::new();
    cat.commit(&mut beside);
    b.ledger.receive(&ns(), beside[0].clone(), None).unwrap();
    b.commit(&mut Vec::new());
    b.take(winner, true);
    b.commit(&mut Vec::new());
    b.audit();
    let held: Vec<Dot> = b.records()[&nest].siblings().iter().map(|sibling| sibling.dot).collect();
    assert_eq!(held.len(), 2, "{held:?}");
    assert!(held.contains(&beside[0].dot) && !held.contains(&first.dot));
    assert_eq!(b.value("hill").unwrap().split(' ').next(), Some("hill"));
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    Overwrite(usize, usize),
    Delete(usize, usize),
    Forget(usize),
    Backup(usize),
    RollBack(usize),
    Exchange(usize, usize, usize, Vec<bool>),
}

const REPLICAS: usize = 3;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = || 0..REPLICAS;
    let step = prop_oneof![
        8 => at().prop_map(Step::Write),
        2 => (at(), 0..40_usize).prop_map(|(r, n)| Step::Overwrite(r, n)),
        1 => (at(), 0..40_usize).prop_map(|(r, n)| Step::Delete(r, n)),
        1 => at().prop_map(Step::Forget),
        2 => at().prop_map(Step::Backup),
        2 => at().prop_map(Step::RollBack),
        4 => (at(), at(), prop_oneof![0..40_usize, Just(usize::MAX)], vec(any::<bool>(), 0..40))
            .prop_map(|(a, b, most, turns)| Step::Exchange(a, b, most, turns)),
    ];
    vec(step, 1..60)
}

fn two(replicas: &mut [Replica], a: usize, b: usize) -> (&mut Replica, &mut Replica) {
    let (low, high) = replicas.split_at_mut(a.max(b));
    (&mut low[a.min(b)], &mut high[0])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("TIDINGS_HISTORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
    ))]

    #[test]
    fn stores_that_are_rolled_back_end_equal_and_lose_no_value_that_nobody_wrote_over(steps in steps()) {
        let mut replicas: Vec<_> = (1..).take(REPLICAS).map(Replica::new).collect();
        let mut backups: BTreeMap<usize, Memory> = BTreeMap::new();
        // What was acknowledged and never touched again, and who has it: a value that only the one that was
        // rolled back had is gone with its disk.
        let mut written: Vec<String> = Vec::new();
        let mut touched = vec![];
        let mut forgot = false;
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Write(r) => {
                    let key = format!("k/{n}");
                    replicas[r].write(&key, Some(&key));
                    replicas[r].commit(&mut Vec::new());
                    written.push(key);
                }
                Step::Overwrite(r, which) | Step::Delete(r, which) if !written.is_empty() => {
                    let key = written[which % written.len()].clone();
                    let put = matches!(step, Step::Overwrite(..));
                    replicas[r].write(&key, put.then_some("over"));
                    replicas[r].commit(&mut Vec::new());
                    touched.push(key);
                }
                Step::Forget(r) => {
                    forgot = true;
                    replicas[r].ledger.forget(&ns(), crate::causality::Hlc(u64::MAX >> 1), None, 100).unwrap();
                    replicas[r].commit(&mut Vec::new());
                }
                Step::Backup(r) => drop(backups.insert(r, replicas[r].store.copy())),
                Step::RollBack(r) => if let Some(backup) = backups.get(&r) {
                    let elsewhere = |key: &String| {
                        let mut others = replicas.iter().enumerate().filter(|(other, _)| *other != r);
                        others.any(|(_, replica)| replica.value(key).is_some())
                    };
                    let kept: Vec<bool> = written.iter().map(elsewhere).collect();
                    replicas[r].roll_back(&backup.copy());
                    let mut kept = kept.into_iter();
                    written.retain(|key| kept.next().unwrap() || replicas[r].value(key).is_some());
                },
                Step::Exchange(a, b, most, turns) if a != b => {
                    let (a, b) = two(&mut replicas, a, b);
                    a.meet(b);
                    b.meet(a);
                    exchange_until(Way::Both, a, b, &turns, most, &mut |_, _, _| {});
                }
                Step::Overwrite(..) | Step::Delete(..) | Step::Exchange(..) => {}
            }
            replicas.iter().for_each(Replica::audit);
        }
        for _ in 0..6 {
            for (a, b) in [(0, 1), (1, 2), (0, 2)] {
                let (a, b) = two(&mut replicas, a, b);
                a.meet(b);
                b.meet(a);
                exchange(a, b, &[]);
            }
        }
        // Where a delete was forgotten its name says nothing of its key any more: who has given that name again
        // is told that it is dead, and keeps what it drops aside.
        let dropped = |replica: &Replica| replica.ledger.reader().view().dropped(&ns(), usize::MAX).unwrap();
        let aside: Vec<Key> =
            replicas.iter().filter(|_| forgot).flat_map(dropped).map(|dropped| dropped.version.key).collect();
        let to_be_read = |key: &&String| !touched.contains(key) && !aside.iter().any(|aside| aside.as_str() == **key);
        for replica in &replicas {
            replica.audit();
            prop_assert_eq!(replica.seen(), replicas[0].seen());
            prop_assert_eq!(root(replica), root(&replicas[0]));
            prop_assert_eq!(replica.ledger.reader().keys(&ns()), replicas[0].ledger.reader().keys(&ns()));
            for key in written.iter().filter(to_be_read) {
                let value = replica.value(key);
                prop_assert_eq!(value.as_ref(), Some(key), "{} is lost", key);
            }
        }
    }
}
