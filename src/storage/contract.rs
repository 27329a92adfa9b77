//! What every store must do, run against each.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*, sample::Index, test_runner::TestRunner};

use super::{
    Batch, Durability, Pair, Snapshot, Store, StoreError,
    fjall::{Fjall, FjallOptions},
    layout,
    memory::Memory,
};

type Model = BTreeMap<Bytes, Bytes>;

/// Where a store lies: opens it, as often as one likes, one owner at a time.
struct Place(Box<dyn FnMut() -> Box<dyn Store>>);

impl Place {
    fn memory() -> Self {
        let mut store = Memory::new();
        Self(Box::new(move || {
            store = store.reopen();
            Box::new(store.clone())
        }))
    }

    /// With a memtable so small that flushes and compactions happen in small tests, too.
    fn fjall() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = FjallOptions { memtable_bytes: 4096, ..FjallOptions::default() };
        Self(Box::new(move || Box::new(Fjall::open(dir.path().join("store"), options).unwrap())))
    }

    fn open(&mut self) -> Box<dyn Store> {
        (self.0)()
    }
}

fn batch(changes: &[(&str, Option<&str>)]) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in changes {
        match value {
            Some(value) => batch.insert(key.to_string(), value.to_string()),
            None => batch.remove(key.to_string()),
        }
    }
    batch
}

fn put(store: &dyn Store, changes: &[(&str, Option<&str>)]) {
    store.commit(batch(changes), Durability::Buffer).unwrap();
}

fn value(store: &dyn Store, key: &str) -> Option<String> {
    store.get(key.as_bytes()).unwrap().map(|value| String::from_utf8(value.to_vec()).unwrap())
}

fn pairs(snapshot: &dyn Snapshot, from: &[u8], to: &[u8], reverse: bool) -> Vec<Pair> {
    snapshot.range(from, to, reverse).map(Result::unwrap).collect()
}

fn keys(snapshot: &dyn Snapshot, from: &str, to: &str, reverse: bool) -> Vec<String> {
    let pairs = pairs(snapshot, from.as_bytes(), to.as_bytes(), reverse);
    let keys = pairs.into_iter().filter(ours).map(|(key, _)| String::from_utf8(key.to_vec()).unwrap());
    keys.collect()
}

fn everything(snapshot: &dyn Snapshot) -> Model {
    pairs(snapshot, b"", &[0xff; 8], false).into_iter().filter(ours).collect()
}

/// Not the format, which a store may write for itself.
fn ours((key, _): &Pair) -> bool {
    key != layout::FORMAT_KEY
}

fn a_batch_is_applied_in_order_and_the_last_change_of_a_key_wins(place: &mut Place) {
    let changes = [
        ("twice", Some("1")),
        ("twice", Some("2")),
        ("gone", Some("1")),
        ("gone", None),
        ("back", None),
        ("back", Some("1")),
        ("never", None),
    ];
    let check = |store: &dyn Store| {
        assert_eq!(value(store, "twice").as_deref(), Some("2"));
        assert_eq!(value(store, "gone"), None);
        assert_eq!(value(store, "back").as_deref(), Some("1"));
        assert_eq!(value(store, "never"), None);
        assert_eq!(keys(&*store.snapshot(), "ba", "bb", false), ["back"]);
        assert_eq!(keys(&*store.snapshot(), "o", "z", true), ["twice"]);
    };
    let store = place.open();
    put(&*store, &changes);
    check(&*store);
    drop(store);
    let store = place.open();
    check(&*store);
    // Enough to make a store flush what came before.
    for n in 0..100 {
        put(&*store, &[("back", Some("1")), (&format!("n{n}"), Some(&"x".repeat(1000)))]);
    }
    check(&*store);
}

fn an_empty_batch_changes_nothing(place: &mut Place) {
    let store = place.open();
    for durability in [Durability::Buffer, Durability::Fsync] {
        store.commit(Batch::new(), durability).unwrap();
    }
    assert_eq!(everything(&*store.snapshot()), Model::new());
}

fn a_removed_key_is_gone_also_after_reopening(place: &mut Place) {
    let store = place.open();
    put(&*store, &[("a", Some("1")), ("b", Some("1"))]);
    drop(store);
    let store = place.open();
    put(&*store, &[("a", None)]);
    assert_eq!(value(&*store, "a"), None);
    drop(store);
    let store = place.open();
    assert_eq!(value(&*store, "a"), None);
    assert_eq!(keys(&*store.snapshot(), "a", "z", false), ["b"]);
}

fn a_range_holds_its_start_and_not_its_end_in_both_directions(place: &mut Place) {
    let store = place.open();
    put(&*store, &["a", "b", "b\0", "ba", "c"].map(|key| (key, Some("1"))));
    let snapshot = store.snapshot();
    let table: [(&str, &str, &[&str]); 9] = [
        ("a", "c", &["a", "b", "b\0", "ba"]),
        ("", "z", &["a", "b", "b\0", "ba", "c"]),
        ("b", "b\0", &["b"]),
        ("b\0", "c", &["b\0", "ba"]),
        ("aa", "b", &[]),
        ("d", "z", &[]),
        ("b", "b", &[]),
        ("c", "a", &[]),
        ("", "", &[]),
    ];
    for (from, to, expected) in table {
        assert_eq!(keys(&*snapshot, from, to, false), expected, "{from:?}..{to:?}");
        let mut reversed = expected.to_vec();
        reversed.reverse();
        assert_eq!(keys(&*snapshot, from, to, true), reversed, "{to:?} down to {from:?}");
    }
}

fn a_snapshot_stays_as_it_is_while_the_store_moves_on(place: &mut Place) {
    let store = place.open();
    for n in 0..50 {
        put(&*store, &[(&format!("k{n:02}"), Some("old"))]);
    }
    let snapshot = store.snapshot();
    let before = everything(&*snapshot);
    let mut running = snapshot.range(b"k", b"l", false);
    let mut seen: Vec<Pair> = running.by_ref().take(10).map(Result::unwrap).collect();
    for n in 0..100 {
        let change = if n % 3 == 0 { None } else { Some("new") };
        put(&*store, &[(&format!("k{n:02}"), change), ("k05x", Some(&"x".repeat(500)))]);
    }
    seen.extend(running.map(Result::unwrap));
    assert_eq!(seen.into_iter().collect::<Model>(), before);
    assert_eq!(everything(&*snapshot), before);
    assert_eq!(snapshot.get(b"k03").unwrap().as_deref(), Some(&b"old"[..]));
    assert_eq!(snapshot.get(b"k05x").unwrap(), None);
    assert_eq!(value(&*store, "k03"), None);
}

fn what_was_not_synced_is_there_when_only_the_process_died(place: &mut Place) {
    let store = place.open();
    let mut expected = Model::new();
    for n in 0..300 {
        let (key, text) = (format!("k{n}"), format!("value {n}"));
        put(&*store, &[(&key, Some(&text))]);
        expected.insert(key.into(), text.into());
    }
    drop(store);
    assert_eq!(everything(&*place.open().snapshot()), expected);
}

fn values_of_16_mib_are_kept_and_given_up_like_others(place: &mut Place) {
    const BYTES: usize = 16 << 20;
    let (one, two) = (noise(BYTES, 1), noise(BYTES, 2));
    let mut store = place.open();
    for (key, value) in [("b1", &one), ("b2", &two), ("b1", &two)] {
        let mut batch = Batch::new();
        batch.insert(key, value.clone());
        batch.insert(format!("r{key}"), "small");
        store.commit(batch, Durability::Fsync).unwrap();
    }
    for _ in 0..2 {
        assert!(store.get(b"b1").unwrap().unwrap() == two);
        assert!(store.snapshot().get(b"b2").unwrap().unwrap() == two);
        assert_eq!(keys(&*store.snapshot(), "b", "s", true), ["rb2", "rb1", "b2", "b1"]);
        drop(store);
        store = place.open();
    }
    put(&*store, &[("b1", None), ("b2", Some("small"))]);
    assert_eq!(value(&*store, "b1"), None);
    assert_eq!(value(&*store, "b2").as_deref(), Some("small"));
}

fn readers_on_other_threads_never_see_half_a_batch(place: &mut Place) {
    // Many keys, so that it takes a while to apply a batch, and enough batches for many flushes.
    const KEYS: u8 = 100;
    let store = place.open();
    let put_all = |n: u32| {
        let mut batch = Batch::new();
        for of in 0..KEYS {
            batch.insert(key(of), n.to_be_bytes().to_vec());
        }
        store.commit(batch, Durability::Buffer).unwrap();
    };
    put_all(0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for reverse in [false, true] {
            let (store, done) = (&store, &done);
            scope.spawn(move || {
                let mut last = Bytes::new();
                while !done.load(Ordering::Relaxed) {
                    let snapshot = store.snapshot();
                    let values = pairs(&*snapshot, b"k", b"l", reverse).into_iter().map(|(_, value)| value);
                    let values: BTreeSet<_> = values.collect();
                    assert_eq!(values.len(), 1, "half a batch: {values:?}");
                    assert!(values.first() >= Some(&last), "{values:?} after {last:?}");
                    last = values.into_iter().next().unwrap();
                    assert_eq!(snapshot.get(&key(0)).unwrap().as_ref(), Some(&last));
                }
            });
        }
        for n in 1..1000 {
            put_all(n);
            let expected = Some(Bytes::copy_from_slice(&n.to_be_bytes()));
            assert_eq!(store.get(&key(0)).unwrap(), expected, "a commit that returned is seen");
            assert_eq!(store.snapshot().get(&key(0)).unwrap(), expected, "and by snapshots");
        }
        done.store(true, Ordering::Relaxed);
    });
}

fn size_follows_what_is_stored(place: &mut Place) {
    const BYTES: usize = 500_000;
    let store = place.open();
    let empty = store.size_bytes();
    let mut batch = Batch::new();
    batch.insert("k", noise(BYTES, 0));
    store.commit(batch, Durability::Fsync).unwrap();
    let size = store.size_bytes();
    assert!(size > empty && size >= BYTES as u64, "{size} after {empty}");
    assert!(size < empty + (4 << 20), "{size}: a hole in a file counts as disk space");
}

/// Bytes that cannot be compressed.
fn noise(bytes: usize, seed: u32) -> Bytes {
    let word = |n: u32| blake3::hash(&[seed.to_le_bytes(), n.to_le_bytes()].concat());
    let words = (0..).flat_map(|n| *word(n).as_bytes());
    words.take(bytes).collect()
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<(u8, Option<usize>)>, bool),
    Sync,
    Snapshot,
    Range(Index, u8, u8, bool),
    Get(Index, u8),
    Forget(Index),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    // Sizes on both sides of what a store may keep in files of its own.
    let size = prop_oneof![8 => 0..200_usize, 1 => 32_000..34_000_usize];
    let changes = vec((0..12_u8, option::weighted(0.7, size)), 0..8);
    prop_oneof![
        12 => (changes, any::<bool>()).prop_map(|(changes, synced)| Step::Commit(changes, synced)),
        1 => Just(Step::Sync),
        3 => Just(Step::Snapshot),
        4 => (any::<Index>(), 0..13_u8, 0..13_u8, any::<bool>())
            .prop_map(|(at, from, to, reverse)| Step::Range(at, from, to, reverse)),
        4 => (any::<Index>(), 0..12_u8).prop_map(|(at, key)| Step::Get(at, key)),
        1 => any::<Index>().prop_map(Step::Forget),
        1 => Just(Step::Reopen),
    ]
}

fn key(n: u8) -> Bytes {
    Bytes::copy_from_slice(&[b'k', n])
}

fn run(place: &mut Place, steps: &[Step]) {
    let mut store = place.open();
    let mut model = Model::new();
    let mut snapshots: Vec<(Box<dyn Snapshot>, Model)> = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        match step {
            Step::Commit(changes, synced) => {
                let mut batch = Batch::new();
                for (of, size) in changes {
                    if let Some(size) = size {
                        let value = Bytes::from(vec![n.to_le_bytes()[0]; *size]);
                        batch.insert(key(*of), value.clone());
                        model.insert(key(*of), value);
                    } else {
                        batch.remove(key(*of));
                        model.remove(&key(*of));
                    }
                }
                let durability = if *synced { Durability::Fsync } else { Durability::Buffer };
                store.commit(batch, durability).unwrap();
                for (of, _) in changes {
                    assert_eq!(store.get(&key(*of)).unwrap(), model.get(&key(*of)).cloned());
                }
            }
            Step::Sync => store.sync().unwrap(),
            Step::Snapshot => snapshots.push((store.snapshot(), model.clone())),
            Step::Range(at, from, to, reverse) if !snapshots.is_empty() => {
                let (snapshot, model) = at.get(&snapshots);
                let (from, to) = (key(*from), key(*to));
                let mut expected: Vec<Pair> = Vec::new();
                if from < to {
                    let within = model.range(from.clone()..to.clone());
                    expected.extend(within.map(|(key, value)| (key.clone(), value.clone())));
                }
                if *reverse {
                    expected.reverse();
                }
                assert_eq!(pairs(&**snapshot, &from, &to, *reverse), expected);
            }
            Step::Get(at, of) if !snapshots.is_empty() => {
                let (snapshot, model) = at.get(&snapshots);
                assert_eq!(snapshot.get(&key(*of)).unwrap(), model.get(&key(*of)).cloned());
            }
            Step::Forget(at) if !snapshots.is_empty() => {
                snapshots.swap_remove(at.index(snapshots.len()));
            }
            Step::Range(..) | Step::Get(..) | Step::Forget(_) => {}
            Step::Reopen => {
                snapshots.clear();
                drop(store);
                store = place.open();
            }
        }
    }
    for (snapshot, model) in &snapshots {
        assert_eq!(&everything(&**snapshot), model);
    }
    assert_eq!(everything(&*store.snapshot()), model);
}

fn behaves_like_a_map(cases: u32, place: fn() -> Place) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&vec(step(), 1..60), |steps| {
        run(&mut place(), &steps);
        Ok(())
    });
    outcome.unwrap();
}

macro_rules! contract {
    ($($fact:ident)*) => {
        mod memory {
            $(#[test] fn $fact() { super::$fact(&mut super::Place::memory()); })*

            #[test]
            fn it_behaves_like_a_map() {
                super::behaves_like_a_map(500, super::Place::memory);
            }
        }
        mod fjall {
            $(#[test] fn $fact() { super::$fact(&mut super::Place::fjall()); })*

            #[test]
            fn it_behaves_like_a_map() {
                super::behaves_like_a_map(30, super::Place::fjall);
            }
        }
    };
}

contract! {
    a_batch_is_applied_in_order_and_the_last_change_of_a_key_wins
    an_empty_batch_changes_nothing
    a_removed_key_is_gone_also_after_reopening
    a_range_holds_its_start_and_not_its_end_in_both_directions
    a_snapshot_stays_as_it_is_while_the_store_moves_on
    what_was_not_synced_is_there_when_only_the_process_died
    values_of_16_mib_are_kept_and_given_up_like_others
    readers_on_other_threads_never_see_half_a_batch
    size_follows_what_is_stored
}

/// Batches that overwrite each other, a third of them synced; the state after each, and which of
/// them was the last synced one.
fn history(store: &Memory, durabilities: &[Durability]) -> (Vec<Model>, usize) {
    let mut states = vec![Model::new()];
    let mut synced = 0;
    for (n, durability) in durabilities.iter().enumerate() {
        let (shared, own) = (n.to_string(), format!("k{n}"));
        let gone = format!("k{}", n.saturating_sub(2));
        let changes = [("shared", Some(&*shared)), (&gone, None), (&own, Some("1"))];
        store.commit(batch(&changes), *durability).unwrap();
        states.push(everything(&*store.snapshot()));
        if *durability == Durability::Fsync {
            synced = n + 1;
        }
    }
    (states, synced)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_loss_of_power_at_any_boundary_leaves_a_prefix_with_all_that_was_synced(
        synced in vec(any::<bool>(), 0..20), lost in 0..25_usize
    ) {
        let durabilities: Vec<_> =
            synced.iter().map(|synced| if *synced { Durability::Fsync } else { Durability::Buffer }).collect();
        let store = Memory::new();
        let (states, last_synced) = history(&store, &durabilities);
        let unsynced = states.len() - 1 - last_synced;
        prop_assert_eq!(store.unsynced(), unsynced);
        store.crash_losing(lost);
        let expected = &states[states.len() - 1 - lost.min(unsynced)];
        let store = store.reopen();
        prop_assert_eq!(&everything(&*store.snapshot()), expected);
        store.crash();
        let store = store.reopen();
        prop_assert_eq!(&everything(&*store.snapshot()), expected, "what was left is on the disk");
    }
}

#[test]
fn a_crash_takes_all_that_was_not_synced_however_much_it_is() {
    let store = Memory::new();
    let (states, _) = history(&store, &[Durability::Fsync; 3]);
    history(&store, &[Durability::Buffer; 200]);
    store.crash();
    assert_eq!(Some(&everything(&*store.reopen().snapshot())), states.last());
    history(&store.reopen(), &[Durability::Buffer; 200]);
    let store = store.reopen();
    store.sync().unwrap();
    let before = everything(&*store.snapshot());
    store.crash();
    assert_eq!(everything(&*store.reopen().snapshot()), before);
}

#[test]
fn power_can_be_cut_at_every_boundary() {
    for boundary in 0..5 {
        let store = Memory::new();
        store.cut_power_after(Some(boundary));
        let commit = |n: u64| store.commit(batch(&[(&n.to_string(), Some("1"))]), Durability::Fsync);
        let done = (0..10).take_while(|n| commit(*n).is_ok()).count() as u64;
        assert_eq!(done, boundary);
        assert!(store.sync().is_err());
        store.crash();
        assert_eq!(everything(&*store.reopen().snapshot()).len() as u64, boundary);
    }
}

#[test]
fn a_refused_commit_changes_nothing_and_a_denied_one_is_there() {
    let store = Memory::new();
    let full = || Some(StoreError::Full("full".into()));
    store.fail_commits(full());
    store.commit(batch(&[("a", Some("1"))]), Durability::Fsync).unwrap_err();
    store.sync().unwrap_err();
    store.fail_commits(None);
    assert_eq!(value(&store, "a"), None);
    store.fail_acknowledgements(full());
    store.commit(batch(&[("a", Some("1"))]), Durability::Fsync).unwrap_err();
    let store = store.reopen();
    assert_eq!(value(&store, "a").as_deref(), Some("1"));
    put(&store, &[("a", Some("2"))]);
}

#[test]
fn a_handle_of_before_a_crash_writes_no_more() {
    let old = Memory::new();
    put(&old, &[("a", Some("1"))]);
    let new = old.reopen();
    let refused = old.commit(batch(&[("a", Some("2"))]), Durability::Buffer).unwrap_err();
    assert!(matches!(refused, StoreError::Poisoned(_)), "{refused}");
    old.sync().unwrap_err();
    put(&new, &[("a", Some("3"))]);
    assert_eq!(value(&new, "a").as_deref(), Some("3"));
    new.crash();
    new.commit(batch(&[("a", Some("4"))]), Durability::Buffer).unwrap_err();
}
