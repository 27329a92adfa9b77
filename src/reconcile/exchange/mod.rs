//! One exchange about one namespace, both directions at once over one stream.

mod meanwhile;
mod receiving;
mod sending;
mod settling;
mod showing;
mod steps;

use std::sync::Arc;

pub use steps::{Effect, Input};

use self::{receiving::Receiving, sending::Sending};
use super::{Outcome, Parting, Report, Violation, ranges::Ranges};
use crate::{
    causality::{Floors, SeenSet},
    types::Namespace,
    wire::{ExchangeFrame, Hello, Way},
};

/// The most pages that are read ahead of the stream.
pub const PAGES_AHEAD_MAX: usize = 2;
/// The most pages that came and are not applied yet; until then no frame is wanted.
pub const PAGES_UNAPPLIED_MAX: usize = 4;

/// The two sides of one exchange are two of these, each fed by its driver; they are symmetric, and
/// who opened the stream matters for nothing but the [`nonce`](Self::nonce).
///
/// # Driver
///
/// ```text
/// snapshot, seen  ← Storage, together           the acceptor first reads the opener's hello,
/// (exchange, effects) = Exchange::new(ns, seen)  to know the namespace, and then feeds it in
/// loop
///     carry out effects, in order
///     await the first of
///         a frame, if exchange.wants_frame()     → Input::Frame
///         versions were written                  → Input::PageSent
///         storage applied a page                 → Input::Applied
///         storage absorbed                       → Input::Absorbed
///     effects = exchange.handle(input)?          an error: break off
///     until Done: flush, close
/// ```
///
/// Reading, writing and applying go on side by side. A driver that stops reading while a write is
/// stuck deadlocks with a peer that does the same; one that reads whenever
/// [`wants_frame`](Self::wants_frame) says so does not, because applying waits for nobody else.
///
/// To break off, drop it: what was applied stays, and the next exchange goes on from there. Do
/// so when a dot is found to be lost here while it runs, for it was shown as seen.
#[derive(Debug)]
pub struct Exchange {
    namespace: Namespace,
    /// As this end sees it.
    way: Way,
    hello: Hello,
    own: SeenSet,
    floors: Floors,
    /// What both had seen when they last parted, as this side remembers it.
    parting: Option<Parting>,
    peer_hello: Option<Hello>,
    peer_floors: Floors,
    peer_seen: Arc<SeenSet>,
    /// Ranges are compared after the delta.
    compares_ranges: bool,
    /// They would have to be, and cannot: the frontier is left to another exchange.
    waits: bool,
    ranges: Option<Ranges>,
    sending: Sending,
    receiving: Receiving,
    report: Report,
    over: bool,
}

impl Exchange {
    /// Begins an exchange about `namespace`. `seen` is the seen set of the snapshot that pages
    /// are read from, `floors` and `root` are those of the same moment; `root` is nothing while it is
    /// not known. `nonce` is [made](Self::nonce) anew for each exchange. The effects begin it: a hello.
    #[must_use]
    pub fn new(
        namespace: Namespace,
        seen: SeenSet,
        floors: Floors,
        root: Option<[u8; 32]>,
        nonce: u64,
    ) -> (Self, Vec<Effect>) {
        Self::after(None, namespace, seen, floors, root, nonce)
    }

    /// As [`new`](Self::new), after an exchange with the same peer that ended in `parting`: where the peer
    /// remembers the same, both say how far they differ from that and no more.
    #[must_use]
    pub fn after(
        parting: Option<Parting>,
        namespace: Namespace,
        seen: SeenSet,
        floors: Floors,
        root: Option<[u8; 32]>,
        nonce: u64,
    ) -> (Self, Vec<Effect>) {
        let mut hello = Hello::new(namespace.clone(), &seen, &floors, root, nonce);
        hello.parting = parting.as_ref().map(Parting::tag);
        let effects = vec![Effect::Send(ExchangeFrame::Hello(hello.clone()))];
        let exchange = Self {
            namespace,
            way: Way::Both,
            hello,
            own: seen,
            floors,
            parting,
            peer_hello: None,
            peer_floors: Floors::new(),
            peer_seen: Arc::default(),
            compares_ranges: false,
            waits: false,
            ranges: None,
            sending: Sending::Waiting,
            receiving: Receiving::Hello,
            report: Report::default(),
            over: false,
        };
        (exchange, effects)
    }

    /// Versions go one way only. Both ends know it from the first: the one that opened the stream has said
    /// so before its hello, and each tells its exchange before anything comes. An end that only gives shows what
    /// it has seen as ever, and takes over nothing: no version, no frontier, no floors, and nothing is
    /// dropped there. One that only takes is sent all it lacks, judged by all that *it* has said it holds; so
    /// what it takes over is as sure as in an exchange both ways.
    #[must_use]
    pub const fn going(mut self, way: Way) -> Self {
        self.way = way;
        self
    }

    /// The nonce of an exchange, from bits drawn for it. Who opened the stream has the greater one, so the other,
    /// which knows first that ranges differ, says the first word about them together with its hello.
    #[must_use]
    pub const fn nonce(bits: u64, opens: bool) -> u64 {
        if opens { bits | 1 << 63 } else { bits >> 1 }
    }

    /// What the exchange is about.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// What both ends may remember, once it is over: what the two had seen between them.
    #[must_use]
    pub fn into_parting(self) -> Option<Parting> {
        match self.report.outcome {
            _ if !self.over => None,
            Outcome::Equal => Parting::of(&self.own, &self.own),
            Outcome::Delta | Outcome::Ranges => Parting::of(&self.own, &self.peer_seen),
            Outcome::Busy | Outcome::NotCarried => self.parting,
        }
    }

    /// Whether the next frame should be read from the stream: not while too many pages wait to be
    /// applied, and not after the last one.
    #[must_use]
    pub fn wants_frame(&self) -> bool {
        // While this side sends, the peer may say what it need not be sent.
        let sends = matches!(self.sending, Sending::Pages { .. });
        !self.over
            && match &self.receiving {
                Receiving::Hello | Receiving::Seen { .. } => true,
                Receiving::Pages { ended: true, .. } => sends,
                Receiving::Pages { unapplied, .. } => *unapplied < PAGES_UNAPPLIED_MAX,
                Receiving::Ranges { .. } | Receiving::Absorbing { .. } | Receiving::Ended => {
                    self.ranges.as_ref().map_or(sends, Ranges::wants_frame)
                }
            }
    }

    /// Whether [`Effect::Done`] was handed out, or the peer broke the rules.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Takes note of what happened and says what to do next.
    ///
    /// # Errors
    /// A [`Violation`] when the peer broke the rules. The exchange is then over.
    ///
    /// # Panics
    /// When the driver answers an effect that was not handed out: a mistake in this program.
    pub fn handle(&mut self, input: Input) -> Result<Vec<Effect>, Violation> {
        let mut effects = Vec::new();
        match input {
            Input::Frame(frame) => {
                if let Err(violation) = self.on_frame(frame, &mut effects) {
                    self.over = true;
                    return Err(violation);
                }
            }
            // The driver may finish what it had begun when the exchange ended.
            _ if self.over => {}
            Input::PageRead { page, lost, last } => self.on_page_read(page, &lost, last, &mut effects),
            Input::PageSent => self.on_page_sent(&mut effects),
            Input::Applied { set_aside } => self.on_applied(&set_aside, &mut effects),
            Input::Absorbed => self.absorb(&mut effects),
            Input::Late(late) => self.on_late(late, &mut effects),
            Input::RangesOpened(digests) => self.on_ranges_opened(digests, &mut effects)?,
            Input::ClaimsRead(claims) => {
                let (ranges, report) = self.ranges();
                ranges.on_claims_read(claims, report, &mut effects);
            }
            Input::Sifted(wanted) => self.ranges().0.on_sifted(&wanted, &mut effects),
            Input::Judged { verdicts, items } => self.ranges().0.on_judged(verdicts, items, &mut effects),
            Input::ItemsRead { items, next } => {
                let (ranges, report) = self.ranges();
                ranges.on_items_read(items, next, report, &mut effects);
            }
            Input::Settled => self.ranges().0.on_settled(),
            Input::Got(got) => self.on_got_here(&got, &mut effects),
        }
        self.absorb_if_settled(&mut effects);
        self.finish(&mut effects);
        Ok(effects)
    }

    fn on_frame(&mut self, frame: ExchangeFrame, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        if self.over {
            return Err(Violation::Over(frame.name()));
        }
        if matches!(self.receiving, Receiving::Hello) {
            return self.on_first_frame(frame, effects);
        }
        match frame {
            ExchangeFrame::Hello(_) => Err(Violation::SecondHello),
            ExchangeFrame::Busy | ExchangeFrame::NotCarried => Err(Violation::LateRefusal(frame.name())),
            ExchangeFrame::Seen(part) => self.on_seen(part, effects),
            ExchangeFrame::SeenSince(since) => self.on_seen_since(&since, effects),
            ExchangeFrame::Page(page) => self.on_page(page, effects),
            ExchangeFrame::End(end) => self.on_end(&end, effects),
            ExchangeFrame::Got(got) => self.on_got_there(&got),
            ranges => self.on_range_frame(ranges, effects),
        }
    }

    fn finish(&mut self, effects: &mut Vec<Effect>) {
        // Whoever has nothing more to ask says so at once, and answers still.
        let parted = |ranges: &Ranges| ranges.bye_said && ranges.bye_came && ranges.is_settled();
        let parted = self.ranges.as_ref().is_none_or(parted);
        let ended = matches!(self.sending, Sending::Ended) && matches!(self.receiving, Receiving::Ended);
        if !self.over && ended && parted {
            self.over = true;
            effects.push(Effect::Done(self.report.clone()));
        }
    }
}
