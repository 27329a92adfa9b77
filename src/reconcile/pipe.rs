//! Two exchanges piped together: any split of the bytes, any scheduling, cut anywhere.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use proptest::{collection, prelude::*};

use super::{Effect, Exchange, Input, Outcome, Parting, Report};
use crate::{
    causality::{Dot, Floors, SeenSet},
    conflict::Version,
    replica::{
        histories::{Event, Play, event, history},
        model::{TestReplica, agree},
    },
    types::Namespace,
    wire::{ExchangeFrame, FrameReader, Page, encode},
};

/// How many bytes are under way in one direction: less than a page, so that whoever only writes
/// gets stuck.
const PIPE_BYTES: usize = 150;

/// One end: the machine, and what its driver has in hand.
struct End {
    exchange: Exchange,
    snapshot: TestReplica,
    outbox: VecDeque<(Bytes, bool)>,
    reader: FrameReader,
    reads: VecDeque<(Arc<SeenSet>, Option<Dot>)>,
    pages: VecDeque<Page>,
    absorbs: VecDeque<SeenSet>,
    report: Option<Report>,
    /// What the snapshot has lost, for tests of what is not vouched for.
    lost: SeenSet,
}

/// Two ends, and the bytes under way to each.
struct Pipe {
    ends: [End; 2],
    inflight: [VecDeque<u8>; 2],
    bytes: usize,
    /// Every so manieth version cannot be applied; 0: all can.
    set_aside: usize,
}

impl End {
    fn new(replica: &TestReplica, parting: Option<Parting>) -> Self {
        let seen = replica.seen.clone();
        let (exchange, effects) =
            Exchange::after(parting, Namespace::default(), seen, Floors::new(), None, 1);
        let mut end = Self {
            exchange,
            snapshot: replica.clone(),
            outbox: VecDeque::new(),
            reader: FrameReader::new(),
            reads: VecDeque::new(),
            pages: VecDeque::new(),
            absorbs: VecDeque::new(),
            report: None,
            lost: SeenSet::new(),
        };
        end.carry_out(effects);
        end
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(frame) => {
                    let is_page = matches!(frame, ExchangeFrame::Page(_));
                    self.outbox.push_back((frame.to_bytes(), is_page));
                }
                Effect::PeerSeen(_) => {}
                Effect::ReadPage { missing, after } => self.reads.push_back((missing, after)),
                Effect::Apply(page) => self.pages.push_back(page),
                Effect::Absorb { frontier, .. } => self.absorbs.push_back(frontier),
                Effect::Done(report) => assert!(self.report.replace(report).is_none(), "done twice"),
                other => panic!("no ranges are compared here: {other:?}"),
            }
        }
    }

    fn handle(&mut self, input: Input) {
        let effects = self.exchange.handle(input).expect("both keep the rules");
        self.carry_out(effects);
    }

    /// A page of at most `most` versions of the snapshot.
    fn read_page(&mut self, most: usize) {
        let Some((missing, after)) = self.reads.pop_front() else { return };
        let lacking =
            |version: &Version| missing.contains(version.dot) && after.is_none_or(|last| last < version.dot);
        let all: Vec<Version> = self.snapshot.delta(&SeenSet::new()).into_iter().filter(lacking).collect();
        let (mut versions, mut lost) = (vec![], SeenSet::new());
        let mut rest = all.into_iter();
        while versions.len() < most
            && let Some(version) = rest.next()
        {
            if self.lost.contains(version.dot) {
                lost.insert(version.dot);
            } else {
                versions.push(version);
            }
        }
        let last = rest.next().is_none();
        self.handle(Input::PageRead { page: Page { versions }, lost, last });
    }
}

impl Pipe {
    fn new(play: &Play, lost: [SeenSet; 2], set_aside: usize) -> Self {
        let mut pipe = Self::after([None, None], play);
        for (end, lost) in pipe.ends.iter_mut().zip(lost) {
            end.lost = lost;
        }
        Self { set_aside, ..pipe }
    }

    /// One whose ends remember these partings.
    fn after(partings: [Option<Parting>; 2], play: &Play) -> Self {
        let [a, b] = partings;
        let ends = [End::new(&play.replicas[0], a), End::new(&play.replicas[1], b)];
        Self { ends, inflight: [VecDeque::new(), VecDeque::new()], bytes: 0, set_aside: 0 }
    }

    /// What its ends remember when it is over.
    fn partings(self) -> [Option<Parting>; 2] {
        self.ends.map(|end| end.exchange.into_parting())
    }

    /// One thing that one end's driver may do next; false if there is nothing of that sort to do.
    fn act(&mut self, play: &mut Play, side: usize, what: usize, amount: usize) -> bool {
        let end = &mut self.ends[side];
        let out = &mut self.inflight[1 - side];
        match what {
            0 if !end.outbox.is_empty() && out.len() < PIPE_BYTES => {
                let (frame, is_page) = &mut end.outbox[0];
                let piece = frame.split_to(frame.len().min(amount).min(PIPE_BYTES - out.len()));
                self.bytes += piece.len();
                out.extend(piece);
                if frame.is_empty() {
                    let is_page = *is_page;
                    end.outbox.pop_front();
                    if is_page {
                        end.handle(Input::PageSent);
                    }
                }
            }
            1 if end.exchange.wants_frame() => match end.reader.next_frame().expect("frames of ours") {
                Some(frame) => end.handle(Input::Frame(ExchangeFrame::from_frame(&frame).expect("lawful"))),
                None if self.inflight[side].is_empty() => return false,
                None => {
                    let inflight = &mut self.inflight[side];
                    let piece: Vec<u8> = inflight.drain(..amount.min(inflight.len())).collect();
                    end.reader.push(&piece);
                }
            },
            2 if !end.reads.is_empty() => end.read_page(amount % 3 + 1),
            3 if !end.pages.is_empty() => {
                let page = end.pages.pop_front().expect("checked");
                let mut set_aside = vec![];
                for (index, version) in page.versions.into_iter().enumerate() {
                    if self.set_aside > 0 && (index + amount).is_multiple_of(self.set_aside) {
                        set_aside.push(version.dot);
                    } else {
                        play.arrive(side, version);
                    }
                }
                self.ends[side].handle(Input::Applied { set_aside });
            }
            4 if !end.absorbs.is_empty() => {
                let frontier = end.absorbs.pop_front().expect("checked");
                let named = play.world.versions.keys().filter(|dot| frontier.contains(**dot));
                play.known[side].extend(named);
                play.replicas[side].absorb(&frontier);
                end.handle(Input::Absorbed);
            }
            _ => return false,
        }
        true
    }

    /// Runs until both are done, as `choices` say and then in turn. Panics when both wait.
    fn run(&mut self, play: &mut Play, choices: &[(usize, usize, usize)]) {
        for (side, what, amount) in choices {
            self.act(play, *side, *what, *amount);
        }
        while !self.is_done() {
            let all = (0..2).flat_map(|side| (0..5).map(move |what| (side, what)));
            let moved = all.filter(|(side, what)| self.act(play, *side, *what, 64)).count();
            assert!(moved > 0, "both wait for each other");
        }
        assert!(self.ends.iter().all(|end| end.reader.is_empty()), "all was read");
        assert!(self.inflight.iter().all(VecDeque::is_empty), "all was read");
    }

    fn is_done(&self) -> bool {
        self.ends.iter().all(|end| end.report.is_some() && end.outbox.is_empty())
    }

    fn outcomes(&self) -> [Outcome; 2] {
        [0, 1].map(|side| self.ends[side].report.as_ref().expect("done").outcome)
    }
}

/// A whole exchange between the first two replicas.
fn exchange(play: &mut Play) -> Pipe {
    let mut pipe = Pipe::new(play, Default::default(), 0);
    pipe.run(play, &[]);
    pipe
}

fn choices() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    collection::vec((0..2_usize, 0..5_usize, 1..300_usize), 0..150)
}

fn every_third_held(replica: &TestReplica) -> SeenSet {
    replica.held.keys().copied().step_by(3).collect()
}

proptest! {
    #[test]
    fn an_exchange_ends_with_equal_replicas_however_it_is_scheduled(history in history(40), choices in choices()) {
        let mut play = Play::after(&history);
        let mut pipe = Pipe::new(&play, Default::default(), 0);
        pipe.run(&mut play, &choices);
        play.check().map_err(TestCaseError::fail)?;
        agree(&play.replicas[..2]).map_err(TestCaseError::fail)?;
        let (ant, bat) = (pipe.ends[0].report.as_ref(), pipe.ends[1].report.as_ref());
        prop_assert_eq!(ant.map(|r| r.versions_in), bat.map(|r| r.versions_out));
        prop_assert_eq!(bat.map(|r| r.pages_in), ant.map(|r| r.pages_out));
        prop_assert_eq!(exchange(&mut play).outcomes(), [Outcome::Equal; 2]);
    }

    #[test]
    fn writes_and_gossip_in_the_middle_of_an_exchange_do_no_harm(
        history in history(40), choices in choices(), events in collection::vec(event(), 0..20),
    ) {
        let mut play = Play::after(&history);
        let mut pipe = Pipe::new(&play, Default::default(), 0);
        let local = events.iter().filter(|event| matches!(event, Event::Write { .. } | Event::Arrive { .. }));
        for (choices, event) in choices.chunks(7).zip(local) {
            for (side, what, amount) in choices {
                pipe.act(&mut play, *side, *what, *amount);
            }
            play.step(event).map_err(TestCaseError::fail)?;
        }
        pipe.run(&mut play, &[]);
        play.check().map_err(TestCaseError::fail)?;
        exchange(&mut play);
        play.check().map_err(TestCaseError::fail)?;
        agree(&play.replicas[..2]).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn an_exchange_that_is_cut_keeps_what_was_applied_and_the_next_one_goes_on(
        history in history(40), cuts in collection::vec(choices(), 1..4),
    ) {
        let mut play = Play::after(&history);
        for choices in cuts {
            let mut pipe = Pipe::new(&play, Default::default(), 0);
            for (side, what, amount) in choices {
                pipe.act(&mut play, side, what, amount);
                play.check().map_err(TestCaseError::fail)?;
            }
        }
        exchange(&mut play);
        play.check().map_err(TestCaseError::fail)?;
        agree(&play.replicas[..2]).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn what_is_lost_or_set_aside_is_not_taken_for_dead(history in history(40), choices in choices(), every in 0..4_usize) {
        let mut play = Play::after(&history);
        let lost = [every_third_held(&play.replicas[0]), every_third_held(&play.replicas[1])];
        let mut pipe = Pipe::new(&play, lost.clone(), every);
        // In between, a replica may know that a version is dead and lack the one that superseded it.
        pipe.run(&mut play, &choices);
        for (side, lost) in lost.iter().enumerate() {
            let peer = &play.replicas[1 - side];
            for dot in pipe.ends[side].snapshot.held.keys().filter(|dot| lost.contains(**dot)) {
                prop_assert!(!peer.seen.contains(*dot) || pipe.ends[1 - side].snapshot.seen.contains(*dot));
            }
        }
        exchange(&mut play);
        play.check().map_err(TestCaseError::fail)?;
        agree(&play.replicas[..2]).map_err(TestCaseError::fail)?;
    }
}

proptest! {
    #[test]
    fn what_two_remember_of_their_last_exchange_changes_nothing_but_the_bytes(
        history in history(40), events in collection::vec(event(), 0..30), choices in choices(), which in 0..4_usize,
    ) {
        let mut play = Play::after(&history);
        let early = exchange(&mut play).partings();
        prop_assert_eq!(&early[0], &early[1]);
        prop_assert!(early[0].is_some());
        let local: Vec<_> =
            events.iter().filter(|event| matches!(event, Event::Write { .. } | Event::Arrive { .. })).collect();
        let (first, second) = local.split_at(local.len() / 2);
        for event in first {
            play.step(event).map_err(TestCaseError::fail)?;
        }
        let late = exchange(&mut play).partings();
        for event in second {
            play.step(event).map_err(TestCaseError::fail)?;
        }
        let partings = match which {
            0 => late,
            1 => [late[0].clone(), None],
            2 => [late[0].clone(), early[1].clone()],
            _ => early,
        };
        let mut pipe = Pipe::after(partings, &play);
        pipe.run(&mut play, &choices);
        play.check().map_err(TestCaseError::fail)?;
        agree(&play.replicas[..2]).map_err(TestCaseError::fail)?;
        let partings = pipe.partings();
        prop_assert_eq!(&partings[0], &partings[1]);
    }
}

#[test]
fn a_write_after_the_last_exchange_costs_little_more_than_itself() {
    let (mut a, mut b) = (TestReplica::new(1, Default::default()), TestReplica::new(2, Default::default()));
    let mut writers: Vec<_> = (3..13).map(|n| TestReplica::new(n, Default::default())).collect();
    for (n, writer) in (0..).zip(&mut writers) {
        let version = writer.write(&format!("key/{n}").parse().expect("lawful"), Some(1), n).expect("a put");
        a.receive(version.clone());
        b.receive(version);
    }
    let first = a.write(&"first".parse().expect("lawful"), Some(1), 98).expect("a put");
    b.receive(first);
    let parting = Parting::of(&a.seen, &b.seen);
    let put = a.write(&"last".parse().expect("lawful"), Some(1), 99).expect("a put");
    let seen = |replica: &TestReplica| replica.seen.clone();
    // The greatest numbers take the most bytes.
    let begin = |seen, root, nonce| {
        let root = Some([root; 32]);
        Exchange::after(parting.clone(), Namespace::default(), seen, Floors::new(), root, nonce)
    };
    let (ours, theirs) = (begin(seen(&a), 1, u64::MAX), begin(seen(&b), 2, u64::MAX - 1));
    let ((mut ant, first), (mut bat, second)) = (ours, theirs);
    let mut bytes = 0;
    let mut under_way: VecDeque<(usize, Effect)> = first
        .into_iter()
        .map(|effect| (0, effect))
        .chain(second.into_iter().map(|effect| (1, effect)))
        .collect();
    while let Some((side, effect)) = under_way.pop_front() {
        let end = if side == 0 { &mut ant } else { &mut bat };
        let (to, input) = match effect {
            Effect::Send(frame) => {
                bytes += frame.to_bytes().len();
                if matches!(frame, ExchangeFrame::Page(_)) {
                    let effects = end.handle(Input::PageSent).expect("lawful");
                    under_way.extend(effects.into_iter().map(|effect| (side, effect)));
                }
                (1 - side, Input::Frame(frame))
            }
            Effect::ReadPage { .. } => (
                side,
                Input::PageRead {
                    page: Page { versions: vec![put.clone()] },
                    lost: SeenSet::new(),
                    last: true,
                },
            ),
            Effect::Apply(_) => (side, Input::Applied { set_aside: vec![] }),
            Effect::Absorb { .. } => (side, Input::Absorbed),
            Effect::PeerSeen(_) | Effect::Done(_) => continue,
            other => panic!("no ranges are compared here: {other:?}"),
        };
        let end = if to == 0 { &mut ant } else { &mut bat };
        let effects = end.handle(input).expect("lawful");
        under_way.extend(effects.into_iter().map(|effect| (to, effect)));
    }
    assert!(ant.is_over() && bat.is_over());
    let version = encode(&put).len();
    let most = version + version * 3 / 100 + 256 + 12;
    assert!(bytes <= most, "{bytes} bytes for a version of {version}; {most} are aimed at");
}

#[test]
fn to_find_that_both_are_equal_costs_one_round_trip_and_less_than_200_bytes() {
    let (mut a, mut b) = (TestReplica::new(1, Default::default()), TestReplica::new(2, Default::default()));
    for n in 0..2_000 {
        let key = format!("key/{n}").parse().expect("lawful");
        let version = a.write(&key, Some(1), n).expect("a put");
        b.receive(version);
    }
    let begin = |seen, nonce| {
        Exchange::new(Namespace::default(), seen, Floors::new(), Some([7; 32]), u64::MAX - nonce)
    };
    let ((mut ant, first), (mut bat, second)) = (begin(a.seen, 1), begin(b.seen, 2));
    let [Effect::Send(there)] = &first[..] else { panic!("one hello") };
    let [Effect::Send(back)] = &second[..] else { panic!("one hello") };
    for (exchange, frame) in [(&mut bat, there), (&mut ant, back)] {
        let effects = exchange.handle(Input::Frame(frame.clone())).expect("lawful");
        let report = Report { outcome: Outcome::Equal, rounds: 1, roots_matched: true, ..Report::default() };
        assert_eq!(effects, [Effect::Done(report)]);
    }
    let bytes = there.to_bytes().len() + back.to_bytes().len();
    assert!(bytes <= 200, "{bytes} bytes");
}
