//! What readers see, for every strategy and every way in which writes can stand beside each other.

use bytes::Bytes;

use super::{Body, Payload, Put, Record, Strategy, Version};
use crate::{
    causality::{Context, Dot, Hlc, NodeId, Origin},
    types::{ContentType, Key},
};

fn dot(node: u8, seq: u64) -> Dot {
    Dot::new(Origin { node: NodeId([node; 32]), epoch: 0 }, seq)
}

/// A write whose text is its stamp.
fn version(dot: Dot, stamp: u64, put: bool, context: &[Dot]) -> Version {
    let payload = Payload::Inline(Bytes::from(stamp.to_string()));
    let body = if put { Body::Put(Put { content_type: ContentType::text(), payload }) } else { Body::Delete };
    let context: Context = context.iter().copied().collect();
    Version { dot, hlc: Hlc(stamp), base: None, context, key: Key::new("k").expect("a key"), body }
}

fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![vec![]];
    }
    let shorter = orders(count - 1);
    let with = |order: Vec<usize>| {
        (0..count).map(move |at| {
            let mut order = order.clone();
            order.insert(at, count - 1);
            order
        })
    };
    shorter.into_iter().flat_map(with).collect()
}

/// What readers see of `versions` under each strategy, whatever the order in which they arrive.
fn seen(versions: &[Version]) -> [Option<u64>; 6] {
    let reads = |record: &Record| {
        Strategy::NAMED.map(|strategy| {
            let seen = record.visible(&strategy, 0).map(|seen| seen.version.hlc.0);
            assert_eq!(strategy.shows(record.siblings(), 0), seen.is_some(), "{strategy}");
            seen
        })
    };
    let mut all = orders(versions.len()).into_iter().map(|order| {
        let mut record = Record::default();
        for at in order {
            record.merge(versions[at].clone());
            // Again, which changes nothing.
            record.merge(versions[at].clone());
        }
        reads(&record)
    });
    let first = all.next().expect("one order at least");
    assert!(all.all(|reads| reads == first), "the order of arrival shows");
    first
}

#[test]
fn concurrent_writes_are_seen_as_the_table_says() {
    // P and D stand for puts and deletes at the stamps 1, 2, 3, each by another writer. Columns: last-write-wins,
    // first-write-wins, merge-fields (no objects here), keep-all, delete-wins, update-wins; 0 is nothing.
    for (writes, expected) in [
        ("PP", [2, 1, 2, 2, 2, 2]),
        ("PD", [0, 1, 0, 1, 0, 1]),
        ("DP", [2, 2, 2, 2, 0, 2]),
        ("DD", [0, 0, 0, 0, 0, 0]),
        ("PPP", [3, 1, 3, 3, 3, 3]),
        ("PPD", [0, 1, 0, 2, 0, 2]),
        ("PDP", [3, 1, 3, 3, 0, 3]),
        ("DPP", [3, 2, 3, 3, 0, 3]),
        ("PDD", [0, 1, 0, 1, 0, 1]),
        ("DPD", [0, 2, 0, 2, 0, 2]),
        ("DDP", [3, 3, 3, 3, 0, 3]),
        ("DDD", [0, 0, 0, 0, 0, 0]),
    ] {
        for order in orders(writes.len()) {
            // Which writer has which stamp must not matter.
            let versions: Vec<Version> = writes
                .chars()
                .zip(1_u64..)
                .zip(order)
                .map(|((kind, stamp), writer)| {
                    version(dot(u8::try_from(writer).expect("three"), 1), stamp, kind == 'P', &[])
                })
                .collect();
            assert_eq!(
                seen(&versions),
                expected.map(|stamp| Some(stamp).filter(|stamp| *stamp > 0)),
                "{writes}"
            );
        }
    }
}

#[test]
fn of_writes_that_knew_of_each_other_the_last_is_seen_under_every_strategy() {
    for kinds in 0..8_u8 {
        let puts = [kinds & 1 > 0, kinds & 2 > 0, kinds & 4 > 0];
        for writers in [[1, 1, 1], [1, 2, 1], [1, 2, 3], [1, 1, 2]] {
            for stamps in [[1, 2, 3], [3, 2, 1]] {
                let dots = [dot(writers[0], 1), dot(writers[1], 2), dot(writers[2], 3)];
                let versions: Vec<Version> = (0..3)
                    .map(|at| {
                        let context: Context = dots[..at].iter().copied().collect();
                        let context = context.without(&dots[at].origin);
                        Version { context, ..version(dots[at], stamps[at], puts[at], &[]) }
                    })
                    .collect();
                let last = Some(stamps[2]).filter(|_| puts[2]);
                assert_eq!(seen(&versions), [last; 6], "{puts:?} {writers:?} {stamps:?}");
            }
        }
    }
}

#[test]
fn what_was_deleted_and_made_again_stands_beside_a_concurrent_write_like_a_put() {
    // Ant puts, deletes and puts again (1, 2, 4); bat, who saw the first, writes concurrently.
    let ant = [
        version(dot(1, 1), 1, true, &[]),
        version(dot(1, 2), 2, false, &[]),
        version(dot(1, 3), 4, true, &[]),
    ];
    for (stamp, put, expected) in [
        (3, true, [4, 3, 4, 4, 4, 4]),
        (5, true, [5, 4, 5, 5, 5, 5]),
        (3, false, [4, 4, 4, 4, 0, 4]),
        (5, false, [0, 4, 0, 4, 0, 4]),
    ] {
        let bat = version(dot(2, 1), stamp, put, &[dot(1, 1)]);
        let versions = [ant[0].clone(), ant[1].clone(), ant[2].clone(), bat];
        assert_eq!(seen(&versions), expected.map(|stamp| Some(stamp).filter(|stamp| *stamp > 0)));
        // Before ant made it again.
        let deleted = [ant[0].clone(), ant[1].clone(), versions[3].clone()];
        let seen_last = Some(stamp).filter(|_| put);
        let expected = [seen_last, seen_last, seen_last, seen_last, None, seen_last];
        assert_eq!(seen(&deleted), expected);
    }
}

#[test]
fn names_are_read_as_they_are_shown() {
    for strategy in Strategy::NAMED.into_iter().chain([Strategy::custom("cart")]) {
        assert_eq!(strategy.to_string().parse(), Ok(strategy));
    }
    for text in ["", "LAST-WRITE-WINS", "custom:", "custom", "lww"] {
        let error = text.parse::<Strategy>().expect_err(text);
        assert!(error.to_string().contains("merge-fields"), "{error}");
    }
}
