//! Whole exchanges between two ledgers, by the machines that nodes use, over encoded frames.

use std::collections::VecDeque;

use proptest::{collection::vec, prelude::*};

use super::{
    Judgement, View,
    ledger_tests::{Replica, ns},
};
use crate::{
    causality::{Hlc, SeenSet},
    reconcile::{Effect, Exchange, Input, Outcome, Report},
    types::Prefix,
    wire::{ExchangeFrame, FrameReader, Items, PAGE_BYTES, PAGE_VERSIONS, Page, Verdict, Way},
};

pub(super) struct End {
    exchange: Exchange,
    view: View,
    pub(super) ranges: Option<u64>,
    /// Frames to the other end: bytes, and whether a page.
    pub(super) out: VecDeque<(bytes::Bytes, bool)>,
    inputs: VecDeque<Input>,
    reader: FrameReader,
    pub(super) came: VecDeque<bytes::Bytes>,
    /// Frames of versions that are on their way, which this end learns of late: a stream may be slow.
    pub(super) sent: usize,
    bytes: usize,
    pages: usize,
    /// The most versions in one page.
    pub(super) page_versions: usize,
    pub(super) report: Option<Report>,
}

impl End {
    pub(super) fn new(replica: &Replica, nonce: u64, way: Way) -> Self {
        let view = replica.ledger.reader().view();
        let root = replica.ledger.digests(&ns()).map(|digests| digests.root().hash());
        let (exchange, effects) =
            Exchange::new(ns(), view.seen(&ns()).unwrap(), replica.ledger.floors(&ns()), root, nonce);
        let mut end = Self {
            exchange: exchange.going(way),
            view,
            ranges: None,
            out: VecDeque::new(),
            inputs: VecDeque::new(),
            reader: FrameReader::new(),
            came: VecDeque::new(),
            sent: 0,
            bytes: 0,
            pages: 0,
            page_versions: PAGE_VERSIONS,
            report: None,
        };
        for effect in effects {
            end.send(effect);
        }
        end
    }

    fn send(&mut self, effect: Effect) {
        let Effect::Send(frame) = effect else { panic!("an exchange begins with a hello") };
        self.bytes += frame.to_bytes().len();
        self.out.push_back((frame.to_bytes(), false));
    }

    pub(super) fn handle(&mut self, replica: &mut Replica, input: Input) {
        let effects = self.exchange.handle(input).expect("both keep the rules");
        for effect in effects {
            self.carry_out(replica, effect);
        }
    }

    fn carry_out(&mut self, replica: &mut Replica, effect: Effect) {
        let commit = |replica: &mut Replica| replica.commit(&mut Vec::new());
        let input = match effect {
            Effect::Send(frame) => {
                let page = frame.brings_versions();
                let bytes = frame.to_bytes();
                if page {
                    self.pages += bytes.len();
                }
                self.bytes += bytes.len();
                self.out.push_back((bytes, page));
                return;
            }
            Effect::PeerSeen(_) => return,
            Effect::ReadPage { missing, after } => {
                let page =
                    self.view.versions(&ns(), &missing, after, self.page_versions, PAGE_BYTES).unwrap();
                let last = page.next.is_none();
                let mut lost = page.lost;
                if last {
                    lost.union(&self.view.unaccounted(&ns(), &missing).unwrap());
                }
                look_again(replica, &lost);
                Input::PageRead { page: Page { versions: page.versions }, lost, last }
            }
            Effect::Apply(page) => {
                page.versions.into_iter().for_each(|version| replica.take(version, false));
                commit(replica);
                Input::Applied { set_aside: vec![] }
            }
            Effect::Absorb { frontier, floors, settled, drop } => {
                let late = self
                    .ranges
                    .zip(settled)
                    .map(|(watch, settled)| replica.ledger.late(watch, &frontier, &settled))
                    .unwrap_or_default();
                if late.is_empty() {
                    for (dot, key) in drop {
                        replica.ledger.drop_dead(&ns(), dot, &key, Hlc::from_millis(5_000)).unwrap();
                    }
                    replica.ledger.absorb(&ns(), &frontier, &floors.unwrap_or_default());
                    commit(replica);
                    Input::Absorbed
                } else {
                    Input::Late(late)
                }
            }
            Effect::OpenRanges => {
                self.ranges = Some(replica.ledger.open_ranges(&ns()));
                Input::RangesOpened(replica.ledger.digests(&ns()).unwrap())
            }
            Effect::ReadClaims(dots) => {
                Input::ClaimsRead(replica.ledger.reader().view().claims(&ns(), &dots).unwrap())
            }
            Effect::Judge(claims) => {
                let mut items = Vec::new();
                let verdicts =
                    claims.iter().map(|(dot, key)| match replica.ledger.judge(&ns(), *dot, key).unwrap() {
                        Judgement::Want => Verdict::Want,
                        Judgement::Held => Verdict::Held,
                        Judgement::Dead => Verdict::Dead,
                        Judgement::Collides(held) => {
                            items.push(*held);
                            Verdict::Want
                        }
                        Judgement::Superseded(by) => {
                            items.push(*by);
                            Verdict::Superseded
                        }
                    });
                Input::Judged { verdicts: verdicts.collect(), items: Items::fitted(items) }
            }
            Effect::Sift(dots) => Input::Sifted(replica.ledger.reader().lacks(&ns(), &dots).unwrap()),
            Effect::ReadItems { dots, after } => {
                let view = replica.ledger.reader().view();
                let page = view.versions(&ns(), &dots, after, PAGE_VERSIONS, PAGE_BYTES).unwrap();
                look_again(replica, &page.lost);
                Input::ItemsRead { items: Items { versions: page.versions }, next: page.next }
            }
            Effect::Settle(items) => {
                items.versions.into_iter().for_each(|version| replica.take(version, true));
                commit(replica);
                Input::Settled
            }
            Effect::Done(report) => {
                self.report = Some(report);
                return;
            }
        };
        self.inputs.push_back(input);
    }

    /// One thing that this end may do; false if there is nothing.
    pub(super) fn act(&mut self, replica: &mut Replica) -> bool {
        if let Some(input) = self.inputs.pop_front() {
            self.handle(replica, input);
            return true;
        }
        if self.read(replica) {
            return true;
        }
        let more = self.sent > 0;
        if more {
            self.sent -= 1;
            self.handle(replica, Input::PageSent);
        }
        more
    }

    /// Takes in a frame, if one came and is wanted.
    pub(super) fn read(&mut self, replica: &mut Replica) -> bool {
        if !self.exchange.wants_frame() {
            return false;
        }
        if let Some(bytes) = self.came.pop_front() {
            self.reader.push(&bytes);
        }
        let Some(frame) = self.reader.next_frame().unwrap() else { return false };
        self.handle(replica, Input::Frame(ExchangeFrame::from_frame(&frame).unwrap()));
        true
    }

    /// Moves what each has sent to the other; whether there was anything.
    pub(super) fn carry(ends: &mut [Self; 2]) -> bool {
        let mut moved = false;
        for side in 0..2 {
            for (bytes, page) in std::mem::take(&mut ends[side].out) {
                moved = true;
                ends[1 - side].came.push_back(bytes);
                ends[side].sent += usize::from(page);
            }
        }
        moved
    }

    /// Nothing is watched for it any more.
    pub(super) fn close(&self, replica: &mut Replica) {
        if let Some(watch) = self.ranges {
            replica.ledger.close_ranges(watch);
        }
    }
}

/// As Storage is told of what a reader did not find.
fn look_again(replica: &mut Replica, lost: &SeenSet) {
    if !lost.is_empty() {
        replica.ledger.look_again(&ns(), lost).unwrap();
        while replica.ledger.tally_on().unwrap() {}
    }
}

/// Carries out an exchange; `turns` says who is to act, for as long as it goes.
pub(super) fn exchange(a: &mut Replica, b: &mut Replica, turns: &[bool]) -> [End; 2] {
    exchange_going(Way::Both, a, b, turns)
}

/// The same, with versions going one way, as `a` sees it.
pub(super) fn exchange_going(way: Way, a: &mut Replica, b: &mut Replica, turns: &[bool]) -> [End; 2] {
    exchange_while(way, a, b, turns, |_, _, _| {})
}

/// The same, and before each turn, which are counted, something else happens to the two.
pub(super) fn exchange_while(
    way: Way,
    a: &mut Replica,
    b: &mut Replica,
    turns: &[bool],
    mut meanwhile: impl FnMut(usize, &mut Replica, &mut Replica),
) -> [End; 2] {
    exchange_until(way, a, b, turns, usize::MAX, &mut meanwhile)
}

/// The same, cut after so many turns.
pub(super) fn exchange_until(
    way: Way,
    a: &mut Replica,
    b: &mut Replica,
    turns: &[bool],
    most: usize,
    meanwhile: &mut dyn FnMut(usize, &mut Replica, &mut Replica),
) -> [End; 2] {
    let mut ends = [End::new(a, 7, way), End::new(b, 3, way.turned())];
    let mut turns = turns.iter().copied();
    let (mut idle, mut turn) = (0, 0);
    while turn < most && ends.iter().any(|end| end.report.is_none()) {
        meanwhile(turn, a, b);
        turn += 1;
        let side = usize::from(turns.next().unwrap_or(idle % 2 == 1));
        let replica = if side == 0 { &mut *a } else { &mut *b };
        let acted = ends[side].act(replica);
        let moved = End::carry(&mut ends);
        idle = if acted || moved { side + 1 } else { idle + 1 };
        assert!(idle < 100, "neither end has anything to do, and they are not done");
    }
    for (end, replica) in ends.iter().zip([a, b]) {
        end.close(replica);
    }
    ends
}

pub(super) fn keys(replica: &Replica) -> Vec<String> {
    let view = replica.ledger.reader().view();
    let records = view.records(&ns(), &Prefix::all(), None, false).map(Result::unwrap);
    records.filter(|(_, record)| !record.siblings().is_empty()).map(|(key, _)| key.to_string()).collect()
}

pub(super) fn fill(replica: &mut Replica, prefix: &str, count: usize) {
    for n in 0..count {
        replica.write(&format!("{prefix}/{n}"), Some("worm"));
        if n % 100 == 99 {
            replica.commit(&mut Vec::new());
        }
    }
    replica.commit(&mut Vec::new());
}

pub(super) fn pair(count: usize) -> (Replica, Replica) {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    fill(&mut a, "ant", count);
    fill(&mut b, "bat", count);
    exchange(&mut a, &mut b, &[]);
    (a, b)
}

pub(super) fn outcome(end: &End) -> Outcome {
    end.report.as_ref().unwrap().outcome
}

pub(super) fn root(replica: &Replica) -> [u8; 32] {
    replica.ledger.digests(&ns()).unwrap().root().hash()
}

pub(super) fn lose(replica: &mut Replica, key: &str, noticed: bool) {
    replica.lose_record(&key.parse().unwrap(), noticed);
}

#[test]
fn equal_replicas_part_after_one_round_trip_and_200_bytes() {
    let (mut a, mut b) = pair(50);
    let ends = exchange(&mut a, &mut b, &[]);
    assert!(
        ends.iter().all(|end| outcome(end) == Outcome::Equal && end.report.as_ref().unwrap().roots_matched)
    );
    let bytes: usize = ends.iter().map(|end| end.bytes).sum();
    assert!(bytes <= 200, "{bytes}");
}

#[test]
fn what_was_lost_here_is_noticed_at_the_opening_and_taken_back() {
    let (mut a, mut b) = pair(300);
    lose(&mut a, "ant/17", true);
    lose(&mut b, "bat/200", true);
    assert_ne!(root(&a), root(&b));
    let ends = exchange(&mut a, &mut b, &[]);
    // It has left the seen sets, so it is missing like anything unseen.
    assert!(ends.iter().all(|end| outcome(end) == Outcome::Delta));
    assert_eq!(root(&a), root(&b));
    assert_eq!((keys(&a).len(), keys(&b).len()), (600, 600));
    let ends = exchange(&mut a, &mut b, &[]);
    assert!(ends.iter().all(|end| outcome(end) == Outcome::Equal));
}

#[test]
fn what_was_lost_here_and_not_noticed_is_found_by_ranges_and_taken_back() {
    let (mut a, mut b) = pair(300);
    lose(&mut a, "ant/17", false);
    lose(&mut b, "bat/200", false);
    assert_ne!(root(&a), root(&b));
    let ends = exchange(&mut a, &mut b, &[]);
    assert!(ends.iter().all(|end| outcome(end) == Outcome::Ranges));
    assert_eq!(root(&a), root(&b));
    assert_eq!((keys(&a).len(), keys(&b).len()), (600, 600));
    let ends = exchange(&mut a, &mut b, &[]);
    assert!(ends.iter().all(|end| outcome(end) == Outcome::Equal));
}

/// Dog saw a delete and wrote anew, which made the delete dead; then it lost the record, and took in what the delete had superseded. Only Bat can tell it, by the delete that is dead to it.
#[test]
fn what_is_dead_here_supersedes_all_the_same() {
    let [mut bat, mut cat, mut dog] = [1, 2, 3].map(Replica::new);
    let mut written = Vec::new();
    bat.write("nest", Some("old"));
    bat.commit(&mut written);
    bat.write("nest", None);
    bat.commit(&mut written);
    let [old, gone] = &written[..] else { panic!("two writes") };
    for (replica, version) in [(&mut dog, gone), (&mut cat, old)] {
        replica.ledger.receive(&ns(), version.clone(), None).unwrap();
        replica.commit(&mut Vec::new());
    }
    dog.write("nest", Some("new"));
    dog.commit(&mut Vec::new());
    lose(&mut dog, "nest", true);
    exchange(&mut cat, &mut dog, &[]);
    for _ in 0..2 {
        exchange(&mut bat, &mut dog, &[]);
        exchange(&mut cat, &mut dog, &[]);
    }
    for replica in [&bat, &cat, &dog] {
        let record = replica.ledger.reader().record(&ns(), &"nest".parse().unwrap()).unwrap();
        let held = record.is_some_and(|record| record.get(old.dot).is_some());
        assert!(!held, "what was deleted is held");
    }
    assert_eq!(root(&bat), root(&dog));
    assert_eq!(root(&bat), root(&cat));
}

#[test]
fn what_everybody_else_deleted_and_forgot_stays_deleted_when_the_last_one_comes_back() {
    let (mut a, mut b) = pair(20);
    let mut away = Replica::new(3);
    exchange(&mut b, &mut away, &[]);
    a.write("bat/7", None);
    a.write("ant/7", None);
    a.commit(&mut Vec::new());
    exchange(&mut a, &mut b, &[]);
    for replica in [&mut a, &mut b] {
        let swept = replica.ledger.forget(&ns(), Hlc(u64::MAX >> 1), None, 100).unwrap();
        assert_eq!(swept.forgotten, 2);
        replica.commit(&mut Vec::new());
    }
    assert_eq!((keys(&a).len(), keys(&away).len()), (38, 40));
    away.write("bat/8", Some("moth"));
    away.commit(&mut Vec::new());
    let ends = exchange(&mut a, &mut away, &[]);
    assert_eq!(outcome(&ends[1]), Outcome::Ranges);
    assert_eq!(ends[1].report.as_ref().unwrap().dropped, 2);
    let dropped = |replica: &Replica| replica.ledger.reader().view().dropped(&ns(), 10).unwrap();
    let mut given_up: Vec<_> = dropped(&away).iter().map(|one| one.version.key.to_string()).collect();
    given_up.sort();
    assert_eq!(given_up, ["ant/7", "bat/7"], "it can be looked at, and written anew");
    assert_eq!(dropped(&a), []);
    let at = dropped(&away)[0].at;
    assert_eq!(away.ledger.sweep_dropped(&ns(), at, 10).unwrap(), 0, "not before its time");
    assert_eq!(away.ledger.sweep_dropped(&ns(), Hlc(u64::MAX), 10).unwrap(), 2);
    away.commit(&mut Vec::new());
    assert_eq!(dropped(&away), []);
    exchange(&mut b, &mut away, &[]);
    exchange(&mut a, &mut b, &[]);
    assert_eq!(keys(&away), keys(&a));
    assert_eq!(keys(&away), keys(&b));
    assert!(!keys(&away).iter().any(|key| key.ends_with("/7")));
    // Written anew without a context, it supersedes what it never saw.
    a.write("bat/7", Some("new"));
    a.commit(&mut Vec::new());
    exchange(&mut a, &mut away, &[]);
    assert_eq!(keys(&away), keys(&a));
}

#[test]
fn a_newcomer_is_filled_although_deletes_were_forgotten() {
    // In more pages than are read ahead: ranges begin when the last of them is sent.
    let (mut a, mut b) = pair(2_000);
    a.write("bat/7", None);
    a.commit(&mut Vec::new());
    exchange(&mut a, &mut b, &[]);
    a.ledger.forget(&ns(), Hlc(u64::MAX >> 1), None, 100).unwrap();
    a.commit(&mut Vec::new());
    let mut newcomer = Replica::new(3);
    exchange(&mut newcomer, &mut a, &[]);
    assert_eq!(root(&newcomer), root(&a));
    assert!(exchange(&mut newcomer, &mut a, &[]).iter().all(|end| outcome(end) == Outcome::Equal));
}

#[test]
fn ranges_cost_as_much_as_differs() {
    for (lost, most) in [(1, 800), (10, 2_500), (100, 8_000)] {
        let (mut a, mut b) = pair(10_000);
        for n in 0..lost {
            lose(&mut a, &format!("ant/{}", n * 97), false);
        }
        let ends = exchange(&mut a, &mut b, &[]);
        let bytes: usize = ends.iter().map(|end| end.bytes - end.pages).sum();
        let rounds = ends[0].report.as_ref().unwrap().rounds;
        assert!(bytes < most && rounds <= 4, "{lost} lost: {bytes} bytes, {rounds} rounds");
        assert_eq!(root(&a), root(&b));
    }
}

/// Forgets all deletes.
pub(super) fn forget(replica: &mut Replica) {
    replica.ledger.forget(&ns(), Hlc(u64::MAX >> 1), None, 1_000).unwrap();
    replica.commit(&mut Vec::new());
}

/// Two that held the same 120 keys, until each got keys of its own, deleted some of the other's, lost some of its
/// own (those with an odd number unnoticed), and forgot its deletes or not. Whether it is the first is said first.
pub(super) fn apart(
    only: [usize; 2],
    deleted: &[(bool, usize)],
    lost: &[(bool, usize)],
    forgets: (bool, bool),
) -> (Replica, Replica) {
    let (mut a, mut b) = pair(60);
    fill(&mut a, "cat", only[0]);
    fill(&mut b, "dog", only[1]);
    for (at_a, n) in deleted {
        if *at_a {
            a.write(&format!("bat/{n}"), None);
        } else {
            b.write(&format!("ant/{n}"), None);
        }
        a.commit(&mut Vec::new());
        b.commit(&mut Vec::new());
    }
    for (at_a, n) in lost {
        let (replica, kind) = if *at_a { (&mut a, "ant") } else { (&mut b, "bat") };
        lose(replica, &format!("{kind}/{n}"), n & 1 == 0);
    }
    for (replica, forgets) in [(&mut a, forgets.0), (&mut b, forgets.1)] {
        if forgets {
            forget(replica);
        }
    }
    (a, b)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_differs_and_whoever_acts_first_both_end_equal(
        only_a in 0..40_usize,
        only_b in 0..40_usize,
        lost in vec((any::<bool>(), 0..60_usize), 0..12),
        deleted in vec((any::<bool>(), 0..60_usize), 0..12),
        forget in any::<(bool, bool)>(),
        turns in vec(any::<bool>(), 0..200),
    ) {
        let (mut a, mut b) = apart([only_a, only_b], &deleted, &lost, forget);
        exchange(&mut a, &mut b, &turns);
        exchange(&mut a, &mut b, &[]);
        prop_assert_eq!(root(&a), root(&b));
        prop_assert_eq!(keys(&a).len() >= 120 + only_a + only_b - 24, true);
        let ends = exchange(&mut a, &mut b, &[]);
        prop_assert!(ends.iter().all(|end| outcome(end) == Outcome::Equal));
    }
}
