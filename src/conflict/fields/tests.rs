//! What people expect of objects that are merged.

use bytes::Bytes;

use crate::{
    causality::{Dot, Hlc, NodeId, Origin},
    conflict::{Body, Payload, Put, Record, Strategy, Version},
    replica::{Precondition, Rules, plan_write},
    types::{ContentType, Key},
    wire,
};

/// What stamps are made of: the writes, what they changed, what they removed.
type Parts = (Vec<super::Stamp>, Vec<(Vec<Box<str>>, u32)>, Vec<(Vec<Box<str>>, u32)>);

/// Writes under `merge-fields`, each by another writer, at a stamp of its own.
#[derive(Default)]
struct Desk(u8);

impl Desk {
    fn write(&mut self, seen: &Record, stamp: u64, body: Body) -> Version {
        self.0 += 1;
        let dot = Dot::new(Origin { node: NodeId([self.0; 32]), epoch: 0 }, 1);
        let rules = Rules { strategy: &Strategy::MergeFields, ..Rules::default() };
        let (key, none) = (Key::new("k").expect("a key"), Precondition::None);
        let current = Some(seen).filter(|record| !record.siblings().is_empty());
        plan_write(current, key, dot, body, none, None, rules, |_| Hlc(stamp)).expect("lawful").version
    }

    fn put(&mut self, seen: &Record, stamp: u64, text: &str) -> Version {
        let payload = Payload::Inline(Bytes::from(text.to_owned()));
        self.write(seen, stamp, Body::Put(Put { content_type: ContentType::json(), payload }))
    }

    fn text(&mut self, seen: &Record, stamp: u64) -> Version {
        let payload = Payload::Inline(Bytes::from_static(b"words"));
        self.write(seen, stamp, Body::Put(Put { content_type: ContentType::text(), payload }))
    }

    fn delete(&mut self, seen: &Record, stamp: u64) -> Version {
        self.write(seen, stamp, Body::Delete)
    }
}

fn record(versions: &[&Version]) -> Record {
    let mut record = Record::default();
    for version in versions {
        record.merge((*version).clone());
    }
    record
}

fn shown(versions: &[&Version]) -> Option<String> {
    let record = record(versions);
    let seen = record.visible(&Strategy::MergeFields, 0)?;
    let Payload::Inline(bytes) = &seen.put.payload else { panic!("small") };
    Some(String::from_utf8(bytes.to_vec()).expect("text"))
}

/// Two change the same object concurrently; what everybody sees then, and what they see the other way round.
fn merged(base: &str, early: &str, late: &str) -> String {
    let mut desk = Desk::default();
    let base = desk.put(&Record::default(), 1, base);
    let seen = record(&[&base]);
    let (early, late) = (desk.put(&seen, 2, early), desk.put(&seen, 3, late));
    let all = shown(&[&base, &early, &late]).expect("an object");
    assert_eq!(shown(&[&late, &early, &base]), Some(all.clone()));
    all
}

#[test]
fn concurrent_changes_of_one_object_are_merged_as_the_table_says() {
    for (base, early, late, expected) in [
        // Different fields.
        (r#"{"a":1,"b":1}"#, r#"{"a":2,"b":1}"#, r#"{"a":1,"b":3}"#, r#"{"a":2,"b":3}"#),
        // The same field: the later write.
        (r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#, r#"{"a":3}"#),
        // New fields.
        ("{}", r#"{"a":2}"#, r#"{"b":3}"#, r#"{"a":2,"b":3}"#),
        // A removed field stays removed against a write that did not touch it, whichever is later.
        (r#"{"a":1,"b":1}"#, r#"{"b":1}"#, r#"{"a":1,"b":3}"#, r#"{"b":3}"#),
        (r#"{"a":1,"b":1}"#, r#"{"a":1,"b":2}"#, r#"{"b":1}"#, r#"{"b":2}"#),
        // Against a change of that field, the later one wins.
        (r#"{"a":1,"b":1}"#, r#"{"b":1}"#, r#"{"a":3,"b":1}"#, r#"{"a":3,"b":1}"#),
        (r#"{"a":1,"b":1}"#, r#"{"a":2,"b":1}"#, r#"{"b":1}"#, r#"{"b":1}"#),
        // To any depth.
        (
            r#"{"o":{"a":1,"b":1}}"#,
            r#"{"o":{"a":2,"b":1}}"#,
            r#"{"o":{"a":1,"b":3}}"#,
            r#"{"o":{"a":2,"b":3}}"#,
        ),
        // A removed object, against a change within it.
        (r#"{"o":{"a":1,"b":1}}"#, "{}", r#"{"o":{"a":3,"b":1}}"#, r#"{"o":{"a":3}}"#),
        (r#"{"o":{"a":1,"b":1}}"#, r#"{"o":{"a":2,"b":1}}"#, "{}", "{}"),
        (r#"{"o":{"a":1}}"#, r#"{"o":{"a":1,"n":2}}"#, "{}", "{}"),
        // Arrays and scalars are whole.
        (r#"{"l":[1]}"#, r#"{"l":[1,2]}"#, r#"{"l":[1,3]}"#, r#"{"l":[1,3]}"#),
        // An object in the place of a scalar, and the other way round.
        (r#"{"a":1}"#, r#"{"a":{"x":2}}"#, r#"{"a":3}"#, r#"{"a":3}"#),
        (r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":{"x":3}}"#, r#"{"a":{"x":3}}"#),
        (r#"{"a":{"x":1}}"#, r#"{"a":2}"#, r#"{"a":{"x":1,"y":3}}"#, r#"{"a":{"y":3}}"#),
        // White space and the order of fields are no changes.
        (
            r#"{"a":[1,2],"b":1}"#,
            r#"{ "b": 1, "a": [1, 2] }"#,
            r#"{"a":[1,2],"b":3}"#,
            r#"{"a":[1,2],"b":3}"#,
        ),
        // Digits are.
        (r#"{"a":1,"b":1}"#, r#"{"a":1.0,"b":1}"#, r#"{"a":1,"b":3}"#, r#"{"a":1.0,"b":3}"#),
    ] {
        assert_eq!(merged(base, early, late), expected, "{base} {early} {late}");
    }
}

#[test]
fn a_removed_field_comes_back_only_by_being_written_again() {
    let mut desk = Desk::default();
    let base = desk.put(&Record::default(), 1, r#"{"a":1,"b":1}"#);
    let bat = desk.put(&record(&[&base]), 9, r#"{"a":1,"b":9}"#);
    let removed = desk.put(&record(&[&base]), 2, r#"{"b":1}"#);
    let seen = record(&[&base, &removed, &bat]);
    assert_eq!(shown(&[&removed, &bat]).as_deref(), Some(r#"{"b":9}"#));
    // Whoever writes on does not bring it back; who writes it does.
    let on = desk.put(&seen, 10, r#"{"b":10}"#);
    assert_eq!(shown(&[&on, &bat]).as_deref(), Some(r#"{"b":10}"#));
    let again = desk.put(&record(&[&on]), 11, r#"{"a":2,"b":10}"#);
    assert_eq!(shown(&[&again, &bat, &on]).as_deref(), Some(r#"{"a":2,"b":10}"#));
    // By a writer with a clock that is behind, too.
    let slow = desk.put(&record(&[&on]), 1, r#"{"a":3,"b":10}"#);
    assert_eq!(shown(&[&slow, &on, &bat]).as_deref(), Some(r#"{"a":3,"b":10}"#));
    let beside = desk.put(&record(&[&on]), 12, r#"{"b":10,"c":1}"#);
    assert_eq!(shown(&[&slow, &beside]).as_deref(), Some(r#"{"a":3,"b":10,"c":1}"#));
}

#[test]
fn a_field_of_a_removed_object_that_is_written_again_by_a_slow_clock_is_seen() {
    let mut desk = Desk::default();
    let base = desk.put(&Record::default(), 1, r#"{"o":{"a":1},"x":1}"#);
    let removed = desk.put(&record(&[&base]), 9, r#"{"x":1}"#);
    let again = desk.put(&record(&[&removed]), 2, r#"{"o":{"a":2},"x":1}"#);
    let beside = desk.put(&record(&[&removed]), 10, r#"{"x":10}"#);
    assert_eq!(shown(&[&again, &beside]).as_deref(), Some(r#"{"o":{"a":2},"x":10}"#));
}

#[test]
fn what_is_no_object_is_resolved_as_a_whole() {
    let mut desk = Desk::default();
    let base = desk.put(&Record::default(), 1, r#"{"a":1,"b":1}"#);
    let seen = record(&[&base]);
    let (a, b) = (desk.put(&seen, 2, r#"{"a":2,"b":1}"#), desk.put(&seen, 4, r#"{"a":1,"b":4}"#));
    let both = Some(r#"{"a":2,"b":4}"#.to_owned());
    let (deleted, late) = (desk.delete(&seen, 3), desk.delete(&seen, 5));
    assert_eq!(shown(&[&a, &b, &deleted]), both);
    assert_eq!(shown(&[&a, &b, &late]), None);
    let (text, later) = (desk.text(&seen, 3), desk.text(&seen, 5));
    assert_eq!(shown(&[&a, &b, &text]), both);
    assert_eq!(shown(&[&a, &b, &later]).as_deref(), Some("words"));
    let array = desk.put(&seen, 5, "[1]");
    assert_eq!(shown(&[&a, &b, &array]).as_deref(), Some("[1]"));
    // What is made after a delete has nothing of what was before.
    let again = desk.put(&record(&[&late, &a]), 6, r#"{"c":6}"#);
    assert_eq!(shown(&[&again, &late, &a, &b]).as_deref(), Some(r#"{"b":4,"c":6}"#));
}

#[test]
fn a_put_that_changes_one_field_of_twenty_stores_one_stamp() {
    let fields = |changed: u32| {
        let fields: Vec<String> =
            (0..20).map(|n| format!("\"f{n}\":{}", if n == 7 { changed } else { 0 })).collect();
        format!("{{{}}}", fields.join(","))
    };
    let mut desk = Desk::default();
    let first = desk.put(&Record::default(), 1, &fields(0));
    assert!(matches!(first.body, Body::Put(_)), "all of it is its own");
    let second = desk.put(&record(&[&first]), 2, &fields(1));
    let Body::Fields(_, stamps) = &second.body else { panic!("{second:?}") };
    assert_eq!(stamps.len(), 1);
    let more = wire::encode(&second).len() - wire::encode(&first).len();
    // The context names the first write, too: 33 bytes and a number.
    assert!(more < 110, "{more} bytes more");
    // And so it stays: each field has the stamp of its last change, and most have the same.
    let mut last = second;
    for n in 2..50 {
        last = desk.put(&record(&[&last]), u64::from(n) + 1, &fields(n));
        let Body::Fields(_, stamps) = &last.body else { panic!("{last:?}") };
        assert_eq!(stamps.len(), 1);
    }
}

#[test]
fn removals_that_are_remembered_are_bounded() {
    let mut desk = Desk::default();
    let fields: Vec<String> = (0..100).map(|n| format!("\"f{n}\":0")).collect();
    let first = desk.put(&Record::default(), 1, &format!("{{{},\"x\":1}}", fields.join(",")));
    let second = desk.put(&record(&[&first]), 2, r#"{"x":1}"#);
    assert!(wire::encode(&second).len() < 500);
    let beside = desk.put(&record(&[&first]), 3, &format!("{{{},\"x\":3}}", fields.join(",")));
    assert_eq!(shown(&[&second, &beside]).as_deref(), Some(r#"{"x":3}"#), "removed all the same");
}

#[test]
fn stamps_that_break_a_rule_are_refused() {
    let mut desk = Desk::default();
    let first = desk.put(&Record::default(), 1, r#"{"a":1,"b":1}"#);
    let second = desk.put(&record(&[&first]), 2, r#"{"a":2,"b":1}"#);
    let Body::Fields(put, stamps) = &second.body else { panic!("{second:?}") };
    let good = wire::encode(&**stamps);
    assert_eq!(wire::decode(&good), Ok((**stamps).clone()));
    let stamp = super::Stamp { hlc: first.hlc, dot: first.dot };
    let path = |name: &str| vec![Box::<str>::from(name)];
    let deep = vec![Box::<str>::from("a"); super::DEPTH_MAX + 1];
    let wrong: [Parts; 6] = [
        (vec![stamp, stamp], vec![], vec![]),
        (vec![stamp], vec![(path("a"), 2)], vec![]),
        (vec![stamp], vec![(path("b"), 1), (path("a"), 1)], vec![]),
        (vec![stamp], vec![], vec![(path("a"), 1), (path("a"), 0)]),
        (vec![stamp], vec![(deep, 1)], vec![]),
        (vec![stamp], vec![(path(&"x".repeat(super::STAMPS_BYTES_MAX)), 1)], vec![]),
    ];
    for parts in wrong {
        assert!(wire::decode::<super::Stamps>(&wire::encode(&parts)).is_err());
    }
    let payload = Payload::Blob { hash: [0; 32], size: 70_000 };
    let body = Body::Fields(Put { payload, ..put.clone() }, stamps.clone());
    assert!(wire::decode::<Version>(&wire::encode(&Version { body, ..second.clone() })).is_err());
}
