use std::sync::Arc;

use super::*;
use crate::{
    causality::{Hlc, NodeId, Origin},
    conflict::{Body, Payload, Put},
    storage::{Store, View, Write, memory::Memory},
    types::{ContentType, Key, Prefix},
};

const ME: Origin = Origin { node: NodeId([1; 32]), epoch: 1 };

fn birds() -> Namespace {
    "birds".parse().expect("lawful")
}

fn open(store: &Memory, namespaces: &[Namespace]) -> Ledger {
    Ledger::open(Arc::new(store.clone()), ME, namespaces).expect("opens").0
}

fn put(ledger: &mut Ledger, namespace: &Namespace, key: &str, time: u64) {
    let payload = Payload::Inline(Bytes::copy_from_slice(key.as_bytes()));
    let body = Body::Put(Put { content_type: ContentType::text(), payload });
    let key = Key::new(key).expect("lawful");
    let write = Write::new(key, body);
    ledger.write(namespace, write, |_| Hlc::from_millis(time)).expect("readable").expect("taken");
}

fn commit(ledger: &mut Ledger, time: u64) {
    ledger.commit(Durability::Fsync, Hlc::from_millis(time)).expect("commits");
}

/// How many entries lie under the number of a namespace.
fn entries(store: &Memory, no: u16) -> usize {
    let snapshot = store.snapshot();
    let count = |part: &u8| {
        let from = [&[*part][..], &no.to_be_bytes()].concat();
        snapshot.range(&from, &layout::after(&from), false).count()
    };
    PARTS.iter().map(count).sum()
}

fn keys(view: &View, namespace: &Namespace) -> usize {
    view.records(namespace, &Prefix::all(), None, false).count()
}

/// A store with two namespaces, and many writes in the second.
fn filled() -> (Memory, Ledger, u16) {
    let store = Memory::new();
    let mut ledger = open(&store, &[Namespace::default(), birds()]);
    ledger.keep_history(3);
    for n in 0..400 {
        put(&mut ledger, &birds(), &format!("b/{n}"), n + 1);
    }
    put(&mut ledger, &birds(), "b/1", 1_000);
    put(&mut ledger, &Namespace::default(), "stays", 1_001);
    commit(&mut ledger, 1_001);
    let no = ledger.incarnation(&birds()).expect("carried");
    (store, ledger, no)
}

#[test]
fn what_a_namespace_held_is_removed_batch_by_batch_also_after_a_restart_and_nothing_else_is() {
    let (store, mut ledger, no) = filled();
    let root = ledger.root(&Namespace::default());
    assert!(entries(&store, no) > CLEARED_ENTRIES, "more than one batch");
    assert!(ledger.leave(&birds()).expect("leaves"));
    assert!(!ledger.leave(&birds()).expect("did already"));
    assert_eq!(ledger.reader().namespaces(), [Namespace::default()]);
    assert!(ledger.clear_left().expect("clears"), "there is more");
    assert!(entries(&store, no) > 0);

    drop(ledger);
    let store = store.reopen();
    let mut ledger = open(&store, &[]);
    while ledger.clear_left().expect("clears") {}
    assert_eq!(entries(&store, no), 0);
    assert_eq!(ledger.reader().namespaces(), [Namespace::default()]);
    assert_eq!(ledger.root(&Namespace::default()), root);
}

#[test]
fn what_is_being_removed_is_neither_damage_nor_part_of_the_digests() {
    let (store, mut ledger, no) = filled();
    ledger.leave(&birds()).expect("leaves");
    ledger.clear_left().expect("clears");
    drop(ledger);
    let mut ledger = open(&store, &[]);
    while ledger.tally_on().expect("reads") {}
    assert!(ledger.tally.borrow(no).is_none());
    let mut from = None;
    loop {
        let page = ledger.scrub(from.as_ref(), 256).expect("looks");
        assert_eq!(page.bad, Vec::<String>::new());
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    while ledger.clear_left().expect("clears") {}
    assert_eq!(entries(&store, no), 0);
    let left = left(&*store.snapshot()).expect("lawful");
    assert_eq!(left, Vec::<NsNo>::new());
}

#[test]
fn a_namespace_that_is_joined_again_is_another_one_and_its_number_is_new_for_good() {
    let (store, mut ledger, no) = filled();
    ledger.leave(&birds()).expect("leaves");
    while ledger.clear_left().expect("clears") {}
    drop(ledger);
    let mut ledger = open(&store, &[]);
    let strategies = Strategies::default();
    assert_eq!(ledger.join(&birds(), &strategies).expect("joins"), Joining::Joined);
    assert_eq!(ledger.join(&birds(), &strategies).expect("joins"), Joining::Carried);
    assert!(ledger.incarnation(&birds()).expect("carried") > no);
    let reader = ledger.reader();
    assert_eq!((reader.keys(&birds()), reader.tag(&birds()).map(|(_, known)| known)), (0, Some(true)));
    drop(ledger);
    assert_eq!(open(&store, &[]).reader().namespaces(), [birds(), Namespace::default()]);
}

#[test]
fn a_view_from_before_is_whole_after_a_namespace_was_left() {
    let (_store, mut ledger, no) = filled();
    let view = ledger.reader().view();
    ledger.leave(&birds()).expect("leaves");
    while ledger.clear_left().expect("clears") {}
    assert_eq!((keys(&view, &birds()), view.incarnation(&birds())), (400, Some(no)));
    assert_eq!(view.seen(&birds()).expect("readable").count(), 401);
    let now = ledger.reader().view();
    assert_eq!((keys(&now, &birds()), now.incarnation(&birds())), (0, None));
}

#[test]
fn no_more_are_carried_than_may_be() {
    let store = Memory::new();
    let mut ledger = open(&store, &[Namespace::default()]);
    let strategies = Strategies::default();
    for n in 1..NAMESPACES_MAX {
        let name = format!("n{n}").parse().expect("lawful");
        assert_eq!(ledger.join(&name, &strategies).expect("joins"), Joining::Joined);
    }
    assert_eq!(ledger.join(&birds(), &strategies).expect("refuses"), Joining::Full);
    ledger.leave(&"n1".parse().expect("lawful")).expect("leaves");
    assert_eq!(ledger.join(&birds(), &strategies).expect("joins"), Joining::Joined);
}
