//! Companions: made, listed nowhere, kept, and left with their namespaces; prefixes that come and go.

use std::sync::Arc;

use super::*;
use crate::{
    causality::Origin,
    conflict::{Body, Payload, Put},
    storage::{
        Joining, Reader, Store, Write,
        ledger_tests::{Replica, ns},
    },
    types::{ContentType, NAMESPACES_MAX},
};

const NOW: u64 = 1_000;

fn prefixes(texts: &[&str]) -> LocalPrefixes {
    let mut table = LocalPrefixes::default();
    for text in texts {
        table.add(&ns(), Prefix::new(text).expect("lawful")).expect("there is room");
    }
    table
}

/// A replica opened with these prefixes.
fn opened(texts: &[&str]) -> Replica {
    let mut replica = Replica::new(1);
    reopen(&mut replica, texts);
    replica
}

fn reopen(replica: &mut Replica, texts: &[&str]) {
    let (store, origin) = (Arc::new(replica.store.clone()), replica.origin);
    replica.ledger = Ledger::open(store, origin, &[ns()]).expect("opens").0;
    replica.ledger.keep_local(&prefixes(texts), &Strategies::default()).expect("kept");
}

fn put(replica: &mut Replica, space: &Namespace, key: &str, value: Option<&str>) {
    let put = |value: &str| Put {
        content_type: ContentType::text(),
        payload: Payload::Inline(value.to_owned().into()),
    };
    let write =
        Write::new(Key::new(key).expect("lawful"), value.map_or(Body::Delete, |value| Body::Put(put(value))));
    let clock = &mut replica.clock;
    let stamp = |seen: &[crate::conflict::Version]| clock.tick(NOW, seen.iter().map(|version| version.hlc));
    replica.ledger.write(space, write, stamp).expect("planned").expect("not refused");
}

fn commit(replica: &mut Replica) {
    replica.ledger.commit(Durability::Fsync, replica.clock.last()).expect("committed");
}

fn reader(replica: &Replica) -> Reader {
    replica.ledger.reader()
}

/// What stands in the way of these prefixes: whether that one is new, its name, the first key, how many.
fn in_the_way(replica: &Replica, texts: &[&str]) -> Option<(bool, String, String, usize)> {
    let found = reader(replica).view().in_the_way(&prefixes(texts), NOW).expect("readable")?;
    let first = found.first.expect("there are few").to_string();
    Some((found.new, found.prefix.as_str().to_owned(), first, found.count))
}

#[test]
fn a_companion_is_kept_over_restarts_and_is_on_no_list_of_what_is_exchanged() {
    let mut ant = opened(&["drafts"]);
    put(&mut ant, &ns().companion(), "drafts/1", Some("x"));
    put(&mut ant, &ns(), "users/1", Some("y"));
    commit(&mut ant);
    for _ in 0..2 {
        let reader = reader(&ant);
        assert_eq!(reader.namespaces(), [ns()]);
        assert_eq!(reader.spaces(), [ns(), ns().companion()]);
        assert_eq!(reader.keys(&ns()), 2);
        let seen = |space| reader.view().seen(space).expect("readable").count();
        assert_eq!((seen(&ns()), seen(&ns().companion())), (1, 1));
        let local = reader.view().local_prefixes(&ns()).expect("readable");
        assert_eq!(local, [Prefix::new("drafts").expect("lawful")]);
        reopen(&mut ant, &["drafts"]);
    }
}

#[test]
fn a_write_that_never_leaves_has_a_name_that_no_other_write_has_and_names_are_counted_on_both_sides() {
    let mut ant = opened(&["drafts"]);
    put(&mut ant, &ns(), "users/1", Some("y"));
    put(&mut ant, &ns().companion(), "drafts/1", Some("x"));
    put(&mut ant, &ns().companion(), "drafts/2", Some("x"));
    commit(&mut ant);
    let of = |ant: &Replica, space: &Namespace| {
        let seen = reader(ant).view().seen(space).expect("readable");
        seen.iter().map(|(origin, seqs)| (*origin, seqs.count())).collect::<Vec<_>>()
    };
    for _ in 0..2 {
        assert_eq!(of(&ant, &ns()), [(ant.origin, 1)]);
        assert_eq!(of(&ant, &ns().companion()), [(ant.origin.aside(), 2)]);
        assert_eq!(ant.ledger.issued().writes, 3);
        let store = Arc::new(ant.store.clone());
        assert_eq!(Ledger::peek(store, ant.origin).expect("readable").2, 3);
        reopen(&mut ant, &["drafts"]);
    }
    // A new life has new names on both sides.
    ant.ledger.set_origin(Origin { epoch: 9, ..ant.origin });
    put(&mut ant, &ns().companion(), "drafts/3", Some("x"));
    commit(&mut ant);
    assert_eq!(of(&ant, &ns().companion()).len(), 2);
    assert_eq!(ant.ledger.issued().writes, 1);
}

#[test]
fn writes_on_both_sides_are_of_one_commit_and_a_crash_takes_both_or_none() {
    let mut ant = opened(&["drafts"]);
    put(&mut ant, &ns(), "users/1", Some("y"));
    put(&mut ant, &ns().companion(), "drafts/1", Some("x"));
    let keys = |ant: &Replica| reader(ant).keys(&ns());
    ant.store.crash();
    ant.store = ant.store.reopen();
    reopen(&mut ant, &["drafts"]);
    assert_eq!(keys(&ant), 0);
    put(&mut ant, &ns(), "users/1", Some("y"));
    put(&mut ant, &ns().companion(), "drafts/1", Some("x"));
    commit(&mut ant);
    ant.store.crash();
    ant.store = ant.store.reopen();
    reopen(&mut ant, &["drafts"]);
    assert_eq!(keys(&ant), 2);
}

#[test]
fn replicated_keys_stand_in_the_way_of_a_new_prefix_and_local_ones_of_one_that_goes() {
    let mut ant = opened(&["drafts"]);
    for key in ["users/1", "users/2", "users2", "gone"] {
        put(&mut ant, &ns(), key, Some("x"));
    }
    put(&mut ant, &ns(), "gone", None);
    for key in ["drafts/1", "drafts/a/1"] {
        put(&mut ant, &ns().companion(), key, Some("x"));
    }
    commit(&mut ant);
    let way = |texts: &[&str]| in_the_way(&ant, texts);
    let of = |new, prefix: &str, first: &str, count| Some((new, prefix.to_owned(), first.to_owned(), count));
    assert_eq!(way(&["drafts"]), None);
    assert_eq!(way(&["drafts", "gone", "user"]), None, "no value lies below");
    assert_eq!(way(&["drafts", "users"]), of(true, "users", "users/1", 2));
    assert_eq!(way(&["drafts", "users/2"]), of(true, "users/2", "users/2", 1));
    assert_eq!(way(&[""]), of(true, "", "users/1", 3), "what was local stays so");
    assert_eq!(way(&[]), of(false, "drafts", "drafts/1", 2));
    assert_eq!(way(&["drafts/a"]), of(false, "drafts", "drafts/1", 1));
    assert_eq!(way(&["drafts/1", "drafts/a"]), None, "nothing would come out");
}

#[test]
fn what_peers_write_below_a_prefix_that_is_known_stands_in_nobodys_way() {
    let mut ant = opened(&["drafts"]);
    // As a merge would have it: in the namespace itself.
    put(&mut ant, &ns(), "drafts/theirs", Some("x"));
    commit(&mut ant);
    assert_eq!(in_the_way(&ant, &["drafts"]), None);
    assert_eq!(in_the_way(&ant, &[""]), None);
    assert_eq!(in_the_way(&ant, &[]), None, "it comes out, which hides nothing");
    reopen(&mut ant, &[]);
    assert_eq!(in_the_way(&ant, &["drafts"]).map(|(new, ..)| new), Some(true), "readers saw it meanwhile");
}

#[test]
fn a_namespace_is_left_with_its_companion_and_comes_back_without_what_was_local() {
    let mut ant = opened(&["drafts"]);
    put(&mut ant, &ns().companion(), "drafts/1", Some("x"));
    commit(&mut ant);
    assert!(ant.ledger.has_written(&ns()), "numbers were given");
    assert!(ant.ledger.leave(&ns()).expect("left"));
    assert!(reader(&ant).spaces().is_empty());
    while ant.ledger.clear_left().expect("cleared") {}
    let (from, to) = layout::all(b'r');
    assert_eq!(ant.store.snapshot().range(&from, &to, false).count(), 0);
    assert_eq!(ant.ledger.join(&ns(), &Strategies::default()).expect("joined"), Joining::Joined);
    ant.ledger.keep_local(&prefixes(&["drafts"]), &Strategies::default()).expect("kept");
    assert_eq!(reader(&ant).keys(&ns()), 0);
}

#[test]
fn companions_take_no_room_from_namespaces() {
    let mut ant = opened(&["drafts"]);
    for n in 1..NAMESPACES_MAX {
        let name = Namespace::new(&format!("n{n}")).expect("lawful");
        assert_eq!(ant.ledger.join(&name, &Strategies::default()).expect("joined"), Joining::Joined);
    }
    let full = ant.ledger.join(&Namespace::new("one-more").expect("lawful"), &Strategies::default());
    assert_eq!(full.expect("answered"), Joining::Full);
}
