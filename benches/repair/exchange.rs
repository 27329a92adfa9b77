//! A whole exchange between two replicas by the machines that nodes use, over encoded frames, one
//! flight of frames after the other: what is sent on a flight is what all flights before it tell.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tidings::{
    causality::{Hlc, SeenSet},
    conflict::Version,
    reconcile::{Effect, Exchange, Input, Report},
    storage::{Judgement, View},
    wire::{ExchangeFrame, FrameReader, Items, PAGE_BYTES, PAGE_VERSIONS, Page, Verdict, encode},
};

use super::replica::{Replica, ns};

/// What an exchange cost.
#[derive(Default)]
pub struct Cost {
    /// Bytes of all frames, both ways.
    pub bytes: usize,
    /// Of these, the encoded versions.
    pub versions: usize,
    /// Bytes by kind of frame.
    pub kinds: BTreeMap<&'static str, usize>,
    /// Half round trips until both ends were done.
    pub flights: usize,
    /// Half round trips from the first frame that compares ranges until the last one was there.
    pub comparing: usize,
    /// How long both ends computed, their stores included.
    pub took: Duration,
    pub report: Report,
}

impl Cost {
    pub fn metadata(&self) -> usize {
        self.bytes - self.versions
    }
}

struct End<'a> {
    replica: &'a mut Replica,
    exchange: Exchange,
    view: View,
    ranges: Option<u64>,
    out: Vec<(Bytes, bool)>,
    inputs: VecDeque<Input>,
    reader: FrameReader,
    report: Option<Report>,
}

impl<'a> End<'a> {
    fn new(replica: &'a mut Replica, nonce: u64, cost: &mut Cost) -> Self {
        let reader = replica.ledger.reader();
        let (view, seen) = (reader.view(), reader.with_seen(&ns(), SeenSet::clone).unwrap());
        let (root, floors) = (Some(replica.root()), replica.ledger.floors(&ns()));
        let parting = replica.parting.take();
        let (exchange, effects) = Exchange::after(parting, ns(), seen, floors, root, nonce);
        let (out, inputs, reader) = (vec![], VecDeque::new(), FrameReader::new());
        let mut end = Self { replica, exchange, view, ranges: None, out, inputs, reader, report: None };
        effects.into_iter().for_each(|effect| end.carry_out(effect, cost));
        end
    }

    /// Does all that can be done until the next flight comes.
    fn work(&mut self, came: &[Bytes], cost: &mut Cost) {
        let started = Instant::now();
        came.iter().for_each(|bytes| self.reader.push(bytes));
        loop {
            let input = match self.inputs.pop_front() {
                Some(input) => input,
                None if self.exchange.wants_frame() => match self.reader.next_frame().unwrap() {
                    Some(frame) => Input::Frame(ExchangeFrame::from_frame(&frame).unwrap()),
                    None => break,
                },
                None => break,
            };
            for effect in self.exchange.handle(input).unwrap() {
                self.carry_out(effect, cost);
            }
        }
        cost.took += started.elapsed();
    }

    fn carry_out(&mut self, effect: Effect, cost: &mut Cost) {
        let input = match effect {
            Effect::Send(frame) => return self.send(&frame, cost),
            Effect::PeerSeen(_) => return,
            Effect::ReadPage { missing, after } => {
                let page = self.view.versions(&ns(), &missing, after, PAGE_VERSIONS, PAGE_BYTES).unwrap();
                let last = page.next.is_none();
                let lost =
                    if last { self.view.unaccounted(&ns(), &missing).unwrap() } else { SeenSet::new() };
                Input::PageRead { page: Page { versions: page.versions }, lost, last }
            }
            Effect::Apply(page) => {
                for version in page.versions {
                    self.replica.ledger.receive(&ns(), version, None).unwrap();
                }
                self.replica.commit();
                Input::Applied { set_aside: vec![] }
            }
            Effect::Absorb { frontier, floors, settled, drop } => {
                let watch = self.ranges.zip(settled);
                let late = watch.map(|(watch, settled)| self.replica.ledger.late(watch, &frontier, &settled));
                assert!(late.unwrap_or_default().is_empty(), "nobody writes meanwhile");
                for (dot, key) in drop {
                    self.replica.ledger.drop_dead(&ns(), dot, &key, Hlc::default()).unwrap();
                }
                self.replica.ledger.absorb(&ns(), &frontier, &floors.unwrap_or_default());
                self.replica.commit();
                Input::Absorbed
            }
            Effect::OpenRanges => {
                self.ranges = Some(self.replica.ledger.open_ranges(&ns()));
                Input::RangesOpened(self.replica.ledger.digests(&ns()).unwrap())
            }
            Effect::ReadClaims(dots) => {
                Input::ClaimsRead(self.replica.ledger.reader().view().claims(&ns(), &dots).unwrap())
            }
            Effect::Judge(claims) => {
                let mut items = Vec::new();
                let mut verdicts = Vec::new();
                for (dot, key) in claims {
                    verdicts.push(match self.replica.ledger.judge(&ns(), dot, &key).unwrap() {
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
                }
                Input::Judged { verdicts, items: Items::fitted(items) }
            }
            Effect::Sift(dots) => Input::Sifted(self.replica.ledger.reader().lacks(&ns(), &dots).unwrap()),
            Effect::ReadItems { dots, after } => {
                let view = self.replica.ledger.reader().view();
                let page = view.versions(&ns(), &dots, after, PAGE_VERSIONS, PAGE_BYTES).unwrap();
                Input::ItemsRead { items: Items { versions: page.versions }, next: page.next }
            }
            Effect::Settle(items) => {
                for version in items.versions {
                    self.replica.ledger.settle(&ns(), version, None).unwrap();
                }
                self.replica.commit();
                Input::Settled
            }
            Effect::Done(report) => {
                self.report = Some(report);
                return;
            }
        };
        self.inputs.push_back(input);
    }

    fn send(&mut self, frame: &ExchangeFrame, cost: &mut Cost) {
        let bytes = frame.to_bytes();
        let encoded =
            |versions: &[Version]| versions.iter().map(|version| encode(version).len()).sum::<usize>();
        cost.bytes += bytes.len();
        cost.versions += match frame {
            ExchangeFrame::Page(page) => encoded(&page.versions),
            ExchangeFrame::Items(items) | ExchangeFrame::Offers(items) => encoded(&items.versions),
            _ => 0,
        };
        *cost.kinds.entry(frame.name()).or_default() += bytes.len();
        self.out.push((bytes, matches!(frame, ExchangeFrame::Descent(_))));
        if frame.brings_versions() {
            self.inputs.push_back(Input::PageSent);
        }
    }
}

/// Carries one out. The first opens it, and the second says nothing before it heard the first.
/// Their nonces are made of `bits`.
pub fn run(a: &mut Replica, b: &mut Replica, bits: u64) -> Cost {
    let mut cost = Cost::default();
    let started = Instant::now();
    let mut ends = [
        End::new(a, Exchange::nonce(bits, true), &mut cost),
        End::new(b, Exchange::nonce(bits, false), &mut cost),
    ];
    cost.took = started.elapsed();
    let mut flights = [Vec::new(), std::mem::take(&mut ends[0].out)];
    let mut compared: Option<(usize, usize)> = None;
    while flights.iter().any(|flight| !flight.is_empty()) {
        cost.flights += 1;
        if flights.iter().flatten().any(|(_, compares)| *compares) {
            compared = Some((compared.map_or(cost.flights, |(first, _)| first), cost.flights));
        }
        let mut next = [Vec::new(), Vec::new()];
        for side in 0..2 {
            let came: Vec<Bytes> =
                std::mem::take(&mut flights[side]).into_iter().map(|(bytes, _)| bytes).collect();
            // The hello of who was called waits for the caller's.
            if came.is_empty() {
                continue;
            }
            ends[side].work(&came, &mut cost);
            next[1 - side] = std::mem::take(&mut ends[side].out);
        }
        flights = next;
    }
    cost.comparing = compared.map_or(0, |(first, last)| last + 1 - first);
    for end in ends {
        if let Some(watch) = end.ranges {
            end.replica.ledger.close_ranges(watch);
        }
        cost.report = end.report.expect("both came to an end");
        end.replica.parting = end.exchange.into_parting();
    }
    cost
}
