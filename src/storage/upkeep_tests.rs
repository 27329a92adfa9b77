//! What a store keeps follows what is live, however much was written.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{collection::vec, prelude::*};

use crate::{
    causality::{DeadSet, Hlc},
    conflict::{Base, Record},
    storage::{
        Batch, Durability, Ledger, Store, View, layout,
        ledger_tests::{Replica, ns},
    },
    types::Prefix,
};

const KEYS: [&str; 4] = ["ant", "bat", "cat", "dog"];
const FAR: Hlc = Hlc(u64::MAX >> 1);

fn count(store: &dyn Store, tag: u8) -> usize {
    let (from, to) = layout::all(tag);
    store.snapshot().range(&from, &to, false).count()
}

fn commit(replica: &mut Replica) {
    replica.commit(&mut Vec::new());
}

fn forget(replica: &mut Replica) {
    replica.ledger.forget(&ns(), FAR, None, 100).unwrap();
    commit(replica);
}

fn collect(replica: &mut Replica) {
    while replica.ledger.collect_bases(2).unwrap() {}
}

fn reopen(replica: &mut Replica) {
    replica.ledger = Ledger::open(Arc::new(replica.store.clone()), replica.origin, &[ns()]).unwrap().0;
}

/// Every version can be read, by who opens the store afresh, too; and memory and disk agree.
fn audit(replica: &Replica) {
    replica.audit();
    let view = View::open(&replica.store).unwrap();
    let afresh: BTreeMap<_, _> =
        view.records(&ns(), &Prefix::all(), None, false).map(Result::unwrap).collect();
    assert_eq!(afresh, replica.records());
    let resolved = |base: &Base| base.covers().is_some();
    assert!(afresh.values().flat_map(Record::siblings).filter_map(|v| v.base.as_ref()).all(resolved));
    let mut dead = DeadSet::new();
    let origins = [replica.origin, other().origin];
    let (from, to) = layout::all(b'x');
    for pair in replica.store.snapshot().range(&from, &to, false) {
        let (key, value) = pair.unwrap();
        let block = u64::from_be_bytes(*key.last_chunk().unwrap());
        crate::storage::dead_runs::read(&mut dead, origins[usize::from(key[6])], block, &value).unwrap();
    }
    let kept = replica.ledger.dead.get(&0).cloned().unwrap_or_default();
    assert_eq!(dead, kept, "the dead on disk are those in memory");
}

/// The base of a local write leaves out the own past: only what others forgot makes for a new one.
fn other() -> Replica {
    Replica::new(9)
}

/// One more write and delete of `author` is seen and forgotten by `replica`.
fn foreign_round(replica: &mut Replica, author: &mut Replica, key: &str) {
    for value in [Some("x"), None] {
        author.write("fleeting", value);
        let version = author.written.last().unwrap().clone();
        replica.ledger.receive(&ns(), version, None).unwrap();
    }
    commit(author);
    commit(replica);
    forget(replica);
    replica.write(key, Some("x"));
    commit(replica);
}

#[test]
fn bases_that_no_version_has_any_more_go_and_nothing_else_changes() {
    let (mut replica, mut author) = (Replica::new(1), other());
    foreign_round(&mut replica, &mut author, "kept");
    let mut most = 0;
    let mut views = Vec::new();
    for n in 0..400 {
        foreign_round(&mut replica, &mut author, KEYS[n % 3]);
        if n % 40 == 0 {
            views.push((replica.ledger.reader().view(), replica.records()));
        }
        let root = replica.ledger.root(&ns());
        collect(&mut replica);
        assert_eq!(replica.ledger.root(&ns()), root);
        most = most.max(count(&replica.store, b'h'));
    }
    assert!((60..80).contains(&most), "{most} bases at most, for 4 records");
    // Whoever looks at an earlier time finds what there was then.
    for (view, records) in views {
        let found: BTreeMap<_, _> =
            view.records(&ns(), &Prefix::all(), None, false).map(Result::unwrap).collect();
        assert_eq!(found, records);
    }
    assert_eq!(replica.records().len(), 4);
    reopen(&mut replica);
    let records = replica.records();
    assert!(records.values().all(|record| record.siblings()[0].base.is_some()));
}

#[test]
fn what_is_kept_of_a_history_keeps_its_base() {
    let (mut replica, mut author) = (Replica::new(1), other());
    replica.ledger.keep_history(2);
    for _ in 0..3 {
        foreign_round(&mut replica, &mut author, "ant");
    }
    for n in 0..40 {
        foreign_round(&mut replica, &mut author, KEYS[1 + n % 3]);
        replica.ledger.bases_enough = 0;
        // It becomes history in the middle of a search, too.
        replica.ledger.collect_bases(1).unwrap();
        if n == 20 {
            foreign_round(&mut replica, &mut author, "ant");
        }
        collect(&mut replica);
        let kept = replica.ledger.reader().view().history(&ns(), &"ant".parse().unwrap(), 0).unwrap();
        assert_eq!(kept.len(), 2);
    }
    replica.ledger.keep_history(0);
    replica.write("ant", Some("x"));
    commit(&mut replica);
    replica.ledger.bases_enough = 0;
    let before = count(&replica.store, b'h');
    collect(&mut replica);
    assert!(count(&replica.store, b'h') < before, "and no longer than it is kept");
}

#[test]
fn a_base_that_was_taken_out_is_stored_again_when_it_is_needed_again() {
    let (mut replica, mut author) = (Replica::new(1), other());
    foreign_round(&mut replica, &mut author, "ant");
    let old = replica.records().values().next().unwrap().siblings()[0].clone();
    foreign_round(&mut replica, &mut author, "ant");
    replica.ledger.bases_enough = 0;
    collect(&mut replica);
    let hash = old.base.clone().unwrap().hash();
    assert!(replica.store.get(&layout::base(&hash)).unwrap().is_none());
    // Another one forgot as much and wrote then.
    let mut cat = Replica::new(3);
    cat.write("cat", Some("x"));
    let mut version = cat.written[0].clone();
    version.base = old.base;
    replica.ledger.receive(&ns(), version, None).unwrap();
    commit(&mut replica);
    assert!(replica.store.get(&layout::base(&hash)).unwrap().is_some());
    reopen(&mut replica);
    assert_eq!(replica.records().len(), 2);
}

#[test]
fn dead_dots_take_room_by_what_is_held_and_not_by_what_was_written() {
    let mut replica = Replica::new(1);
    replica.write("kept", Some("x"));
    for n in 0..20_000 {
        replica.write(KEYS[n % 4], Some("x"));
        if n % 7 == 0 {
            commit(&mut replica);
        }
        if n == 10_000 {
            replica.write("kept too", Some("x"));
        }
    }
    commit(&mut replica);
    assert!(count(&replica.store, b'x') <= 6, "{} entries", count(&replica.store, b'x'));
    replica.audit();
    reopen(&mut replica);
    audit(&replica);
}

#[test]
fn a_store_of_the_second_format_has_its_dead_blocks_joined() {
    let mut replica = Replica::new(1);
    for _ in 0..1_000 {
        replica.write("ant", Some("x"));
    }
    commit(&mut replica);
    let dead = replica.ledger.dead[&0].clone();
    let mut old = Batch::new();
    old.insert(layout::FORMAT_KEY, 2_u32.to_be_bytes().to_vec());
    for block in 0..=15 {
        old.insert(layout::dead(0, 0, block), dead.block(&replica.origin, block).to_le_bytes().to_vec());
    }
    replica.store.commit(old, Durability::Fsync).unwrap();
    assert_eq!(count(&replica.store, b'x'), 16);
    reopen(&mut replica);
    assert!(count(&replica.store, b'x') <= 3);
    audit(&replica);
    let format = replica.store.get(layout::FORMAT_KEY).unwrap();
    assert_eq!(format.as_deref(), Some(&layout::FORMAT.to_be_bytes()[..]));
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize, bool),
    Many(usize, u16),
    Foreign(usize),
    Commit,
    Forget,
    /// So many records of a search.
    Collect(usize),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..KEYS.len();
    let step = prop_oneof![
        6 => (key.clone(), any::<bool>()).prop_map(|(key, put)| Step::Write(key, put)),
        2 => (key.clone(), 50..300_u16).prop_map(|(key, times)| Step::Many(key, times)),
        4 => key.prop_map(Step::Foreign),
        2 => Just(Step::Commit),
        3 => Just(Step::Forget),
        4 => (1..4_usize).prop_map(Step::Collect),
        1 => Just(Step::Reopen),
    ];
    vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn upkeep_takes_nothing_away_that_is_needed(steps in steps()) {
        let (mut replica, mut author) = (Replica::new(1), other());
        for step in steps {
            replica.ledger.bases_enough = 0;
            match step {
                Step::Write(key, true) => replica.write(KEYS[key], Some("x")),
                Step::Write(key, false) => replica.write(KEYS[key], None),
                Step::Many(key, times) => (0..times).for_each(|_| replica.write(KEYS[key], Some("x"))),
                Step::Foreign(key) => {
                    commit(&mut replica);
                    foreign_round(&mut replica, &mut author, KEYS[key]);
                }
                Step::Commit => commit(&mut replica),
                Step::Forget => {
                    commit(&mut replica);
                    forget(&mut replica);
                }
                Step::Collect(count) => {
                    commit(&mut replica);
                    replica.ledger.collect_bases(count).unwrap();
                }
                Step::Reopen => {
                    commit(&mut replica);
                    reopen(&mut replica);
                }
            }
        }
        commit(&mut replica);
        audit(&replica);
        // A search that was under way keeps what it met, needed or not; the next one does not.
        for _ in 0..2 {
            replica.ledger.bases_enough = 0;
            collect(&mut replica);
            audit(&replica);
        }
        let left = count(&replica.store, b'h');
        assert!(left <= KEYS.len() + 2, "{left} bases, {:?} {:?}", replica.ledger.marking, replica.ledger.bases_enough);
    }
}
