//! What a peer may not do, one by one; and bounds.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{
    ABSORB_DOTS_MAX, Effect, Exchange, Input, Outcome, PAGES_UNAPPLIED_MAX, Parting, SEEN_PART_BYTES,
    Violation, parts,
};
use crate::{
    causality::{Context, Dot, Floors, Hlc, Intervals, NodeId, Origin, SEQ_MAX, SeenSet},
    conflict::{Body, Version},
    types::Namespace,
    wire::{End, ExchangeFrame, Got, Hello, PAGE_VERSIONS, Page, SeenPart, SeenSince, encode},
};

fn origin(n: u8) -> Origin {
    Origin { node: NodeId([n; 32]), epoch: u64::MAX }
}

fn up_to(n: u8, last: u64) -> SeenSet {
    let mut seen = SeenSet::new();
    seen.insert_range(origin(n), 1, last);
    seen
}

fn version(n: u8, seq: u64) -> Version {
    let key = "k".parse().expect("lawful");
    let dot = Dot::new(origin(n), seq);
    Version { dot, hlc: Hlc(1), base: None, context: Context::new(), key, body: Body::Delete }
}

fn page(seqs: &[u64]) -> ExchangeFrame {
    ExchangeFrame::Page(Page { versions: seqs.iter().map(|seq| version(2, *seq)).collect() })
}

fn hello(seen: &SeenSet) -> ExchangeFrame {
    ExchangeFrame::Hello(Hello::new(Namespace::default(), seen, &Floors::new(), None, 1))
}

fn seen(set: SeenSet) -> ExchangeFrame {
    ExchangeFrame::Seen(SeenPart { set, more: false, floors: Some(Floors::new()) })
}

fn since() -> ExchangeFrame {
    ExchangeFrame::SeenSince(SeenSince { fresh: up_to(2, 5_000), ..SeenSince::default() })
}

fn got(seen: SeenSet) -> ExchangeFrame {
    ExchangeFrame::Got(Got { seen })
}

fn end() -> ExchangeFrame {
    ExchangeFrame::End(End::default())
}

/// What comes of frames from a peer that has seen 5,000 writes of its own, at one that has none.
fn after(frames: Vec<ExchangeFrame>) -> Result<(Exchange, Vec<Effect>), Violation> {
    let (mut exchange, mut effects) =
        Exchange::new(Namespace::default(), SeenSet::new(), Floors::new(), None, 2);
    for frame in frames {
        for effect in exchange.handle(Input::Frame(frame))? {
            if matches!(effect, Effect::Apply(_)) {
                effects.extend(exchange.handle(Input::Applied { set_aside: vec![] })?);
            }
            effects.push(effect);
        }
    }
    Ok((exchange, effects))
}

fn violation(frames: Vec<ExchangeFrame>) -> Violation {
    after(frames).expect_err("a violation")
}

#[test]
fn what_breaks_the_rules_is_named() {
    let peer = || up_to(2, 5_000);
    let start = || vec![hello(&peer()), seen(peer())];
    let then = |more: &[ExchangeFrame]| [&start(), more].concat();
    let dot = |seq| Dot::new(origin(2), seq);
    let elsewhere = Namespace::new("elsewhere").expect("lawful");
    let wrong = ExchangeFrame::Hello(Hello::new(elsewhere.clone(), &peer(), &Floors::new(), None, 1));
    let many: Vec<u64> = (1..=PAGE_VERSIONS as u64 + 1).collect();
    let cases = [
        (vec![wrong], Violation::Namespace { expected: Namespace::default(), got: elsewhere }),
        (vec![hello(&peer()), hello(&peer())], Violation::SecondHello),
        (vec![page(&[1])], Violation::BeforeHello("a page")),
        (vec![hello(&peer()), page(&[1])], Violation::BeforeSeen("a page")),
        (vec![hello(&peer()), end()], Violation::BeforeSeen("an end")),
        (then(&[seen(peer())]), Violation::SecondSeen),
        (then(&[page(&[])]), Violation::EmptyPage),
        (then(&[page(&many)]), Violation::PageTooLarge(PAGE_VERSIONS + 1)),
        (then(&[page(&[2, 1])]), Violation::Order { dot: dot(1), after: dot(2) }),
        (then(&[page(&[1, 2]), page(&[2])]), Violation::Order { dot: dot(2), after: dot(2) }),
        (then(&[page(&[5_001])]), Violation::Unannounced(dot(5_001))),
        (then(&[ExchangeFrame::End(End { lost: up_to(3, 1) })]), Violation::LostUnannounced),
        (then(&[ExchangeFrame::Busy]), Violation::LateRefusal("that it is busy")),
        (vec![hello(&peer()), since()], Violation::NoParting),
        (then(&[since()]), Violation::SecondSeen),
        (vec![hello(&peer()), got(up_to(2, 1))], Violation::BeforeSeen("what it has seen meanwhile")),
    ];
    for (frames, expected) in cases {
        assert_eq!(violation(frames), expected);
    }
}

#[test]
fn what_differs_from_a_parting_must_come_to_what_the_hello_said() {
    let parting = Parting::of(&up_to(2, 9), &up_to(3, 9)).expect("little");
    let peer = || up_to(2, 12);
    let lawful = parting.since(&peer()).expect("little");
    let begin = |tag: Option<[u8; 8]>, since: SeenSince| {
        let (mut exchange, _) = Exchange::after(
            Some(parting.clone()),
            Namespace::default(),
            SeenSet::new(),
            Floors::new(),
            None,
            2,
        );
        let hello =
            Hello { parting: tag, ..Hello::new(Namespace::default(), &peer(), &Floors::new(), None, 1) };
        let sent = exchange.handle(Input::Frame(ExchangeFrame::Hello(hello)))?;
        let told = matches!(sent[..], [Effect::Send(ExchangeFrame::SeenSince(_))]);
        assert_eq!(
            told,
            tag == Some(parting.tag()),
            "everything is shown where both do not remember the same"
        );
        exchange.handle(Input::Frame(ExchangeFrame::SeenSince(since)))
    };
    let both = Some(parting.tag());
    let effects = begin(both, lawful.clone()).expect("lawful");
    assert!(matches!(&effects[0], Effect::PeerSeen(seen) if **seen == peer()));
    assert_eq!(begin(None, lawful.clone()), Err(Violation::NoParting));
    assert_eq!(begin(Some([9; 8]), lawful.clone()), Err(Violation::NoParting));
    let elsewhere = SeenSince { more: vec![(2, Intervals::up_to(1))], ..lawful.clone() };
    assert_eq!(begin(both, elsewhere), Err(Violation::NoParting));
    let wrong = SeenSince { fresh: up_to(4, 1), ..lawful };
    assert_eq!(begin(both, wrong), Err(Violation::SeenMismatch));
}

#[test]
fn nothing_may_come_after_the_end() {
    let peer = || up_to(2, 5);
    for (late, name) in [(end(), "an end"), (page(&[5]), "a page"), (seen(peer()), "a seen set")] {
        let frames = vec![hello(&peer()), seen(peer()), page(&[4]), end()];
        let (mut exchange, _) = after(frames).expect("lawful");
        assert!(!exchange.wants_frame());
        assert_eq!(exchange.handle(Input::Frame(late.clone())), Err(Violation::AfterEnd(name)));
        assert_eq!(exchange.handle(Input::Frame(late)), Err(Violation::Over(name)), "and then it is over");
    }
}

#[test]
fn a_refusal_in_the_place_of_a_hello_is_an_outcome() {
    for (frame, outcome) in
        [(ExchangeFrame::Busy, Outcome::Busy), (ExchangeFrame::NotCarried, Outcome::NotCarried)]
    {
        let (exchange, effects) = after(vec![frame]).expect("lawful");
        assert!(exchange.is_over());
        assert!(matches!(effects.last(), Some(Effect::Done(report)) if report.outcome == outcome));
    }
}

#[test]
fn the_frontier_waits_for_the_last_page_to_be_applied() {
    let (mut exchange, _) = Exchange::new(Namespace::default(), SeenSet::new(), Floors::new(), None, 2);
    let peer = up_to(2, 9);
    for frame in [hello(&peer), seen(peer.clone()), page(&[3]), page(&[7])] {
        exchange.handle(Input::Frame(frame)).expect("lawful");
    }
    let applied = |set_aside: &[Dot]| Input::Applied { set_aside: set_aside.to_vec() };
    assert_eq!(exchange.handle(Input::Frame(end())), Ok(vec![]));
    assert_eq!(exchange.handle(applied(&[])), Ok(vec![]));
    let aside = Dot::new(origin(2), 7);
    let mut frontier = peer;
    frontier.remove(aside);
    assert_eq!(
        exchange.handle(applied(&[aside])),
        Ok(vec![Effect::Absorb { frontier, floors: Some(Floors::new()), settled: None, drop: vec![] }])
    );
    let done = exchange.handle(Input::Absorbed).expect("lawful");
    assert!(matches!(&done[..], [Effect::Done(report)] if report.set_aside == 1 && report.versions_in == 2));
}

#[test]
fn what_was_seen_meanwhile_is_told_once_and_is_no_part_of_the_frontier() {
    let (mut exchange, _) = Exchange::new(Namespace::default(), SeenSet::new(), Floors::new(), None, 2);
    let peer = up_to(2, 9);
    for frame in [hello(&peer), seen(peer.clone()), page(&[3])] {
        exchange.handle(Input::Frame(frame)).expect("lawful");
    }
    let mut both = up_to(3, 5);
    both.insert_range(origin(2), 7, 12);
    let mut told = SeenSet::new();
    told.insert_range(origin(2), 7, 9);
    assert_eq!(exchange.handle(Input::Got(both.clone())), Ok(vec![Effect::Send(got(told.clone()))]));
    assert_eq!(exchange.handle(Input::Got(both)), Ok(vec![]));
    exchange.handle(Input::Frame(end())).expect("lawful");
    assert_eq!(exchange.handle(Input::Got(up_to(2, 1))), Ok(vec![]), "the peer has sent all there was");
    let absorb = exchange.handle(Input::Applied { set_aside: vec![] }).expect("lawful");
    let frontier = peer.difference(&told);
    assert!(matches!(&absorb[..], [Effect::Absorb { frontier: absorbed, .. }] if *absorbed == frontier));
}

#[test]
fn what_the_peer_has_seen_meanwhile_is_not_read_any_more() {
    let (mut exchange, _) = Exchange::new(Namespace::default(), up_to(1, 9), Floors::new(), None, 2);
    exchange.handle(Input::Frame(hello(&up_to(2, 1)))).expect("lawful");
    let reads = exchange.handle(Input::Frame(seen(up_to(2, 1)))).expect("lawful");
    assert!(matches!(&reads[..], [_, Effect::ReadPage { .. }]));
    exchange.handle(Input::Frame(end())).expect("lawful");
    exchange.handle(Input::Absorbed).expect("lawful");
    assert!(exchange.wants_frame(), "it has taken over all, and still listens while it sends");
    let mut middle = SeenSet::new();
    middle.insert_range(origin(1), 4, 6);
    assert_eq!(exchange.handle(Input::Frame(got(middle.clone()))), Ok(vec![]));
    let page = Page { versions: vec![version(1, 2)] };
    let more = Input::PageRead { page, lost: SeenSet::new(), last: false };
    let effects = exchange.handle(more).expect("lawful");
    let [Effect::Send(_), Effect::ReadPage { missing, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(**missing, up_to(1, 9).difference(&middle));
}

/// A newcomer has nothing to send, so its end comes at once.
#[test]
fn ranges_are_opened_when_all_pages_are_sent_and_not_when_all_have_come() {
    let deletes = [Dot::new(origin(1), 9)].into_iter().collect();
    let floors = Floors { deletes, ..Floors::new() };
    let (root, other) = (Some([7; 32]), Some([8; 32]));
    let (mut exchange, _) = Exchange::new(Namespace::default(), up_to(1, 9), floors, root, 2);
    let nothing = SeenSet::new();
    let hello = Hello::new(Namespace::default(), &nothing, &Floors::new(), other, 1);
    exchange.handle(Input::Frame(ExchangeFrame::Hello(hello))).expect("lawful");
    exchange.handle(Input::Frame(seen(nothing))).expect("lawful");
    assert_eq!(exchange.handle(Input::Frame(end())), Ok(vec![]), "it still sends");
    let page = Page { versions: vec![version(1, 9)] };
    let effects = exchange.handle(Input::PageRead { page, lost: SeenSet::new(), last: true });
    let effects = effects.expect("lawful");
    let sent =
        matches!(effects[..2], [Effect::Send(ExchangeFrame::Page(_)), Effect::Send(ExchangeFrame::End(_))]);
    assert!(sent && effects[2..] == [Effect::OpenRanges], "{effects:?}");
}

#[test]
fn no_frame_is_wanted_while_too_many_pages_wait() {
    let (mut exchange, _) = Exchange::new(Namespace::default(), SeenSet::new(), Floors::new(), None, 2);
    let peer = up_to(2, 100);
    for frame in [hello(&peer), seen(peer)] {
        exchange.handle(Input::Frame(frame)).expect("lawful");
    }
    for seq in 1..=PAGES_UNAPPLIED_MAX as u64 {
        assert!(exchange.wants_frame());
        exchange.handle(Input::Frame(page(&[seq]))).expect("lawful");
    }
    assert!(!exchange.wants_frame());
    exchange.handle(Input::Applied { set_aside: vec![] }).expect("lawful");
    assert!(exchange.wants_frame());
}

#[test]
fn a_frontier_of_any_size_is_taken_over_in_bounded_batches() {
    let peer = up_to(2, SEQ_MAX);
    let frames = vec![hello(&peer), seen(peer), end()];
    let (mut exchange, mut effects) = after(frames).expect("lawful");
    for _ in 0..3 {
        let Some(Effect::Absorb { frontier: part, .. }) = effects.pop() else { panic!("more to absorb") };
        assert_eq!(part.count(), ABSORB_DOTS_MAX);
        effects = exchange.handle(Input::Absorbed).expect("lawful");
    }
}

proptest! {
    #[test]
    fn a_seen_set_of_any_size_travels_in_parts(origins in 0..4_u8, stride in 2..9_u64, intervals in 0..9_000_u64) {
        let mut set = SeenSet::new();
        for n in 0..origins {
            let mut seqs = Intervals::new();
            (0..intervals).for_each(|i| _ = seqs.insert(SEQ_MAX - i * stride));
            set.set(origin(n), seqs);
        }
        let parts = parts::for_frames(&set);
        let mut whole = SeenSet::new();
        for part in &parts {
            prop_assert!(encode(part).len() <= SEEN_PART_BYTES + 16);
            whole.union(part);
        }
        prop_assert_eq!(whole, set);
        prop_assert!(parts.len() == 1 || parts.iter().all(|part| !part.is_empty()));
    }

    #[test]
    fn dots_are_taken_in_order_and_none_twice(seqs in proptest::collection::vec((0..3_u8, 1..60_u64), 0..40), most in 1..20_u64) {
        let all: BTreeSet<Dot> = seqs.iter().map(|(n, seq)| Dot::new(origin(*n), *seq)).collect();
        let mut rest: SeenSet = all.iter().copied().collect();
        let mut taken = SeenSet::new();
        while !rest.is_empty() {
            let (before, part) = (rest.count(), parts::take_dots(&mut rest, most));
            prop_assert_eq!(part.count(), most.min(before));
            prop_assert_eq!(part.count() + rest.count(), before);
            taken.union(&part);
        }
        prop_assert_eq!(taken, all.iter().copied().collect());
    }
}
