use super::*;
use crate::causality::{Dot, NodeId, Origin};

const AGE_MAX: Duration = Duration::from_secs(60);

fn seen(writer: u8, count: u64) -> SeenSet {
    let mut seen = SeenSet::new();
    seen.insert_range(Origin { node: NodeId([writer; 32]), epoch: 1 }, 1, count);
    seen
}

fn ours(seen: &SeenSet) -> Ours {
    Ours { seen: seen.clone(), tag: seen.tag(), settled: true }
}

fn state(standing: &Standing, ours: &Ours, reachable: bool) -> Agreement {
    standing.judge(Namespace::default(), ours, reachable, AGE_MAX).state
}

#[tokio::test(start_paused = true)]
async fn each_thing_that_may_make_a_match_old_ends_it() {
    let (held, more) = (seen(1, 5), seen(1, 6));
    let mut standing = Standing::default();
    assert_eq!(state(&standing, &ours(&held), true), Agreement::Unknown, "never compared");
    standing.matched(held.tag(), &held, 7);
    let told = standing.judge(Namespace::default(), &ours(&held), true, AGE_MAX);
    assert_eq!((told.state, told.in_sync), (Agreement::InSync, Some(true)));
    assert_eq!((told.behind, told.ahead, told.matched_at, told.since), (Some(0), Some(0), Some(7), Some(7)));

    assert_eq!(state(&standing, &ours(&held), false), Agreement::Unknown, "it is away");
    let unsettled = Ours { settled: false, ..ours(&held) };
    assert_eq!(state(&standing, &unsettled, true), Agreement::Unknown, "something heard is not stored");
    let told = standing.judge(Namespace::default(), &ours(&more), true, AGE_MAX);
    assert_eq!((told.state, told.ahead, told.since), (Agreement::Unknown, Some(1), None), "a write here");
    let mut doubted = standing.clone();
    doubted.doubt();
    assert_eq!(state(&doubted, &ours(&held), true), Agreement::Unknown, "something heard was shed");
    let mut told = standing.clone();
    told.differs(held.tag(), 8);
    assert_eq!(state(&told, &ours(&held), true), Agreement::Behind, "it says so");
    assert_eq!(state(&told, &ours(&more), true), Agreement::Unknown, "it said so of another state");
    tokio::time::advance(AGE_MAX + Duration::from_secs(1)).await;
    assert_eq!(state(&standing, &ours(&held), true), Agreement::Unknown, "too long ago");
    standing.matched(held.tag(), &held, 9);
    let told = standing.judge(Namespace::default(), &ours(&held), true, AGE_MAX);
    assert_eq!((told.matched_at, told.since), (Some(9), Some(7)), "it never stopped being so");
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_has_shown_counts_until_it_is_here() {
    let (held, shown) = (seen(1, 5), seen(2, 3));
    let mut standing = Standing::default();
    standing.show(&shown);
    standing.differs(held.tag(), 1);
    let told = standing.judge(Namespace::default(), &ours(&held), true, AGE_MAX);
    assert_eq!((told.in_sync, told.behind, told.ahead), (Some(false), Some(3), Some(5)));
    assert_eq!(standing.lacking(&held), shown);
    let mut both = held;
    both.union(&shown);
    let told = standing.judge(Namespace::default(), &ours(&both), true, AGE_MAX);
    assert_eq!((told.in_sync, told.behind), (None, Some(0)), "what it makes of ours is not known yet");
}

/// A peer whose words take their time, against one who knows what both hold.
#[tokio::test(start_paused = true)]
async fn in_sync_is_never_said_of_what_has_changed_since() {
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = move |sides: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % sides
    };
    let mut agreed = 0_u32;
    for _ in 0..500 {
        let (mut here, mut there, mut connected, mut now) = (SeenSet::new(), SeenSet::new(), true, 0_u64);
        let mut standing = Standing::default();
        // The truth: what the last word of the peer on this connection was, when it came, and
        // whether it was what this node held and still holds.
        let mut truth: Option<(SeenSet, u64)> = None;
        let mut under_way: Vec<SeenSet> = Vec::new();
        for step in 0..60 {
            match roll(8) {
                0 => drop(here.insert(Dot::new(Origin { node: NodeId([1; 32]), epoch: 1 }, step + 1))),
                1 => drop(there.insert(Dot::new(Origin { node: NodeId([2; 32]), epoch: 1 }, step + 1))),
                2 if connected => under_way.push(there.clone()),
                3 | 4 if connected && !under_way.is_empty() => {
                    let word = under_way.remove(0);
                    if word == here {
                        standing.matched(here.tag(), &here, now);
                    } else {
                        standing.differs(here.tag(), now);
                    }
                    truth = Some((word, now));
                }
                5 => {
                    here.union(&there);
                    there = here.clone();
                }
                6 => {
                    connected = !connected;
                    standing.doubt();
                    (truth, under_way) = (None, Vec::new());
                }
                _ => {
                    let wait = roll(40);
                    now += wait * 1_000;
                    tokio::time::advance(Duration::from_secs(wait)).await;
                }
            }
            let told = standing.judge(Namespace::default(), &ours(&here), connected, AGE_MAX);
            if told.in_sync == Some(true) {
                let (word, at) = truth.as_ref().expect("it has spoken on this connection");
                assert_eq!((word, Some(*at)), (&here, told.matched_at));
                assert!(now - at <= 60_000 && connected);
                agreed += 1;
            }
        }
    }
    assert!(agreed > 500, "it is said often enough to mean something: {agreed}");
}
