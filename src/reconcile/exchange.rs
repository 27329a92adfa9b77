//! One exchange about one namespace, both directions at once over one stream.

use std::sync::Arc;

use super::{
    Outcome, Report, Violation,
    parts::{self, ABSORB_DOTS_MAX, SEEN_FRAGMENTS_MAX},
    ranges::Ranges,
};
use crate::{
    causality::{Dot, Floors, SeenSet},
    digest::Digests,
    types::{Key, Namespace},
    wire::{End, ExchangeFrame, Hello, Items, PAGE_VERSIONS, Page, SeenPart, Verdict},
};

/// The most pages that are read ahead of the stream.
pub const PAGES_AHEAD_MAX: usize = 2;
/// The most pages that came and are not applied yet; until then no frame is wanted.
pub const PAGES_UNAPPLIED_MAX: usize = 4;

/// The most claims and items of a peer that are under way, in frames; until then no frame is wanted.
pub const UNDER_WAY_MAX: usize = 8;

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A frame came from the peer.
    Frame(ExchangeFrame),
    /// The page that [`Effect::ReadPage`] asked for was read from the snapshot.
    PageRead {
        /// Versions in dot order, at least one unless it is the last page. A page is closed at
        /// [`PAGE_BYTES`](crate::wire::PAGE_BYTES) or [`PAGE_VERSIONS`].
        page: Page,
        /// Writes that should have been found on the way and are neither held nor dead.
        lost: SeenSet,
        /// Nothing that the peer lacks comes after this page.
        last: bool,
    },
    /// A page that [`Effect::Send`] handed out is on its way; there is room for the next.
    PageSent,
    /// The earliest page handed out by [`Effect::Apply`] is stored, in one batch.
    Applied {
        /// What of it could not be stored (a large value that nobody has, say): it is not taken
        /// for dead, and comes again with the next exchange.
        set_aside: Vec<Dot>,
    },
    /// What [`Effect::Absorb`] handed out is stored.
    Absorbed,
    /// It is not: these writes, which it names, became live here since the snapshot that ranges are
    /// compared on, and the peer was not asked about them.
    Late(SeenSet),
    /// A second snapshot is taken; these are its digests.
    RangesOpened(Digests),
    /// The keys of the writes that [`Effect::ReadClaims`] named; those that are held no more are left
    /// out.
    ClaimsRead(Vec<(Dot, Key)>),
    /// What becomes of the claims that [`Effect::Judge`] handed out, in their order, and what
    /// supersedes some of them.
    Judged {
        /// In the order of the claims.
        verdicts: Vec<Verdict>,
        /// What [`Verdict::Superseded`] speaks of, in as many frames as it takes.
        items: Vec<Items>,
    },
    /// The versions that [`Effect::ReadItems`] named, as far as they are held, in as many frames as
    /// it takes.
    ItemsRead(Vec<Items>),
    /// What [`Effect::Settle`] handed out is stored.
    Settled,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write this frame to the stream, after those handed out before. When it is a page, answer
    /// with [`Input::PageSent`].
    Send(ExchangeFrame),
    /// The peer's seen set came whole. Look in it for writes of the own origin that this store
    /// does not know (rule 7), and for how far behind the peer is.
    PeerSeen(Arc<SeenSet>),
    /// Read the next page from the snapshot: versions held there whose dot is in `missing` and
    /// comes after `after`, in dot order. Answer with [`Input::PageRead`].
    ReadPage {
        /// What this side has seen and the peer has not.
        missing: Arc<SeenSet>,
        /// The last dot of the page before.
        after: Option<Dot>,
    },
    /// Merge these versions (rule 2) in one batch. Answer with [`Input::Applied`]; pages are
    /// applied in the order they are handed out.
    Apply(Page),
    /// Every one of these writes that is not seen here *by now* is seen and dead from now on
    /// (rule 4), in one batch, with the peer's floors, if they are there. Answer with
    /// [`Input::Absorbed`]; or, where `settled` is there, and one of these writes became live here
    /// since the snapshot that ranges are compared on, and is not in `settled`, do nothing and answer
    /// with [`Input::Late`].
    Absorb {
        /// What the peer vouches for, or a part of it.
        frontier: SeenSet,
        /// With the last part.
        floors: Option<Floors>,
        /// After a comparison of ranges: what the peer holds, or was asked about.
        settled: Option<SeenSet>,
        /// With the last part: versions that are dead to the peer, to be dropped in the same batch, as
        /// far as they are held still.
        drop: Vec<(Dot, Key)>,
    },
    /// Take a second snapshot, with its digests, and from then on watch what becomes live. Answer
    /// with [`Input::RangesOpened`].
    OpenRanges,
    /// Look up the keys of these writes in the second snapshot. Answer with [`Input::ClaimsRead`].
    ReadClaims(SeenSet),
    /// Judge these claims of the peer by what is held here *now*. Answer with [`Input::Judged`].
    Judge(Vec<(Dot, Key)>),
    /// Read these versions, as far as they are held. Answer with [`Input::ItemsRead`].
    ReadItems(Vec<Dot>),
    /// Settle these versions by rule 6, in one batch. Answer with [`Input::Settled`].
    Settle(Items),
    /// The exchange is over. Write what is still to be written, then close the stream.
    Done(Report),
}

/// The two sides of one exchange are two of these, each fed by its driver; they are symmetric, and
/// it does not matter who opened the stream.
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
///         a page was written                     → Input::PageSent
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
    hello: Hello,
    own: SeenSet,
    floors: Floors,
    peer_hello: Option<Hello>,
    peer_floors: Floors,
    peer_seen: Arc<SeenSet>,
    /// Ranges are compared after the delta.
    compares_ranges: bool,
    /// They would have to be, and cannot: the frontier is left to another exchange.
    waits: bool,
    ranges: Option<Ranges>,
    bye: Bye,
    sending: Sending,
    receiving: Receiving,
    report: Report,
    over: bool,
}

/// How two ends of a comparison of ranges part: not before each has said that it needs nothing more.
#[derive(Debug, Default)]
struct Bye {
    said: bool,
    came: bool,
}

/// What this side still has to send.
#[derive(Debug)]
enum Sending {
    /// What the peer lacks is not known yet.
    Waiting,
    /// Pages are read and sent.
    Pages { missing: Arc<SeenSet>, after: Option<Dot>, reading: bool, unsent: usize, lost: SeenSet },
    /// The end was handed out.
    Ended,
}

/// What this side still has to receive.
#[derive(Debug)]
enum Receiving {
    /// The hello.
    Hello,
    /// (The rest of) what the peer has seen.
    Seen { so_far: SeenSet, fragments: usize },
    /// Pages and the end. `frontier` is what the peer has seen, without what came and could not
    /// be applied, nor what the peer does not vouch for.
    Pages { peer: Arc<SeenSet>, frontier: SeenSet, after: Option<Dot>, unapplied: usize, ended: bool },
    /// Everything came and is applied; ranges are compared before `frontier` is absorbed.
    Ranges { frontier: SeenSet },
    /// Everything came and is applied; `rest` is still to be handed out for absorbing, `piece` was
    /// last.
    Absorbing { rest: SeenSet, piece: SeenSet, floors: bool },
    /// Nothing.
    Ended,
}

impl Exchange {
    /// Begins an exchange about `namespace`. `seen` is the seen set of the snapshot that pages
    /// are read from, `floors` and `root` are those of the same moment; `root` is nothing while it is
    /// not known. `nonce` is drawn anew for each exchange. The effects begin it: a hello.
    #[must_use]
    pub fn new(
        namespace: Namespace,
        seen: SeenSet,
        floors: Floors,
        root: Option<[u8; 32]>,
        nonce: u64,
    ) -> (Self, Vec<Effect>) {
        let hello = Hello::new(namespace.clone(), &seen, &floors, root, nonce);
        let effects = vec![Effect::Send(ExchangeFrame::Hello(hello.clone()))];
        let exchange = Self {
            namespace,
            hello,
            own: seen,
            floors,
            peer_hello: None,
            peer_floors: Floors::new(),
            peer_seen: Arc::default(),
            compares_ranges: false,
            waits: false,
            ranges: None,
            bye: Bye::default(),
            sending: Sending::Waiting,
            receiving: Receiving::Hello,
            report: Report::default(),
            over: false,
        };
        (exchange, effects)
    }

    /// What the exchange is about.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Whether the next frame should be read from the stream: not while too many pages wait to be
    /// applied, and not after the last one.
    #[must_use]
    pub fn wants_frame(&self) -> bool {
        !self.over
            && match &self.receiving {
                Receiving::Hello | Receiving::Seen { .. } => true,
                Receiving::Pages { unapplied, ended, .. } => !ended && *unapplied < PAGES_UNAPPLIED_MAX,
                Receiving::Ranges { .. } | Receiving::Absorbing { .. } | Receiving::Ended => {
                    self.ranges.as_ref().is_some_and(|ranges| ranges.busy < UNDER_WAY_MAX) && !self.bye.came
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
            Input::Judged { verdicts, items } => self.ranges().0.on_judged(verdicts, items, &mut effects),
            Input::ItemsRead(items) => {
                let (ranges, report) = self.ranges();
                ranges.on_items_read(items, report, &mut effects);
            }
            Input::Settled => self.ranges().0.busy -= 1,
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
            ExchangeFrame::Page(page) => self.on_page(page, effects),
            ExchangeFrame::End(end) => self.on_end(&end, effects),
            ranges => self.on_range_frame(ranges, effects),
        }
    }

    fn on_range_frame(&mut self, frame: ExchangeFrame, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        let name = frame.name();
        let (Some(ranges), report) = (&mut self.ranges, &mut self.report) else {
            return Err(Violation::NoRanges(name));
        };
        if self.bye.came {
            return Err(Violation::AfterEnd(name));
        }
        match frame {
            ExchangeFrame::Descent(step) => {
                report.rounds += u32::from(!step.more);
                ranges.on_descent(step, effects)
            }
            ExchangeFrame::Claims(claims) => ranges.on_claims(claims, report, effects),
            ExchangeFrame::Verdicts(verdicts) => ranges.on_verdicts(&verdicts, report, effects),
            ExchangeFrame::Items(items) => {
                ranges.on_items(items, report, effects);
                Ok(())
            }
            ExchangeFrame::Claimed => {
                ranges.peer_claimed = true;
                Ok(())
            }
            ExchangeFrame::Bye => {
                self.bye.came = true;
                Ok(())
            }
            _ => Err(Violation::NoRanges(name)),
        }
    }

    fn ranges(&mut self) -> (&mut Ranges, &mut Report) {
        (
            self.ranges.as_mut().expect("ranges are open when something of theirs is answered"),
            &mut self.report,
        )
    }

    fn on_ranges_opened(&mut self, digests: Digests, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        let Some(theirs) = &self.peer_hello else { panic!("ranges were opened before the hello") };
        let nonces = (self.hello.nonce, theirs.nonce);
        if nonces.0 == nonces.1 {
            self.over = true;
            return Err(Violation::SameNonce);
        }
        self.ranges = Some(Ranges::begin(digests, &self.own, &self.peer_seen, nonces, effects));
        Ok(())
    }

    fn absorb_if_settled(&mut self, effects: &mut Vec<Effect>) {
        let Some(ranges) = &self.ranges else { return };
        if let Receiving::Ranges { frontier } = &mut self.receiving
            && ranges.is_settled()
        {
            let rest = std::mem::take(frontier);
            self.receiving = Receiving::Absorbing { rest, piece: SeenSet::new(), floors: false };
            self.absorb(effects);
        }
    }

    fn on_late(&mut self, late: SeenSet, effects: &mut Vec<Effect>) {
        let Receiving::Absorbing { rest, piece, .. } = &mut self.receiving else {
            panic!("something came late that was not handed out");
        };
        rest.union(piece);
        let frontier = std::mem::take(rest);
        let ranges = self.ranges.as_mut().expect("only a comparison of ranges is late");
        if ranges.on_late(late, effects) {
            self.receiving = Receiving::Ranges { frontier };
        } else {
            self.report.late = true;
            self.say_bye(effects);
        }
    }

    fn say_bye(&mut self, effects: &mut Vec<Effect>) {
        self.receiving = Receiving::Ended;
        if self.ranges.is_some() {
            self.bye.said = true;
            effects.push(Effect::Send(ExchangeFrame::Bye));
        }
    }

    /// Whether what the two have seen cannot explain all that may differ; both find the same.
    fn needs_ranges(&self, peer: &SeenSet) -> bool {
        let Some(theirs) = &self.peer_hello else { return false };
        let unexplained = theirs.seen_hash == self.hello.seen_hash
            && theirs.root.zip(self.hello.root).is_some_and(|(a, b)| a != b);
        // A root that is not known yet cannot be gone down from.
        let possible = theirs.root.is_some() && self.hello.root.is_some();
        let reached = self.floors.are_reached_by(peer) && self.peer_floors.are_reached_by(&self.own);
        unexplained || possible && !reached
    }

    /// Whether a frontier must not be merged although no ranges can be compared.
    fn must_wait(&self, peer: &SeenSet) -> bool {
        !self.peer_floors.are_reached_by(&self.own) && !self.needs_ranges(peer)
    }

    fn on_first_frame(&mut self, frame: ExchangeFrame, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        self.report.rounds = 1;
        let outcome = match frame {
            ExchangeFrame::Busy => Outcome::Busy,
            ExchangeFrame::NotCarried => Outcome::NotCarried,
            ExchangeFrame::Hello(hello) => {
                if hello.namespace != self.namespace {
                    return Err(Violation::Namespace {
                        expected: self.namespace.clone(),
                        got: hello.namespace,
                    });
                }
                let roots_match = hello.root.zip(self.hello.root).map(|(a, b)| a == b);
                self.report.roots_matched = roots_match == Some(true);
                let equal = hello.seen_hash == self.hello.seen_hash
                    && hello.floors_hash == self.hello.floors_hash
                    && roots_match != Some(false);
                let seen_the_same =
                    hello.seen_hash == self.hello.seen_hash && hello.floors_hash == self.hello.floors_hash;
                self.peer_hello = Some(hello);
                if !equal && seen_the_same {
                    self.compare_at_once(effects);
                    return Ok(());
                }
                if !equal {
                    self.report.roots_matched = false;
                    self.report.rounds = 2;
                    self.receiving = Receiving::Seen { so_far: SeenSet::new(), fragments: 0 };
                    let parts = parts::for_frames(&self.own);
                    let last = parts.len() - 1;
                    effects.extend(parts.into_iter().enumerate().map(|(index, set)| {
                        let floors = (index == last).then(|| self.floors.clone());
                        Effect::Send(ExchangeFrame::Seen(SeenPart { set, more: index < last, floors }))
                    }));
                    return Ok(());
                }
                Outcome::Equal
            }
            other => return Err(Violation::BeforeHello(other.name())),
        };
        self.report.outcome = outcome;
        self.sending = Sending::Ended;
        self.receiving = Receiving::Ended;
        Ok(())
    }

    /// Both have seen the same, and forgotten the same, and hold something else. Neither has anything
    /// to say that the other does not know, but what ranges tell; both find so from the hellos.
    fn compare_at_once(&mut self, effects: &mut Vec<Effect>) {
        self.report.outcome = Outcome::Ranges;
        self.peer_floors = self.floors.clone();
        self.peer_seen = Arc::new(self.own.clone());
        self.compares_ranges = true;
        self.sending = Sending::Ended;
        self.receiving = Receiving::Ranges { frontier: SeenSet::new() };
        effects.extend([Effect::PeerSeen(Arc::clone(&self.peer_seen)), Effect::OpenRanges]);
    }

    fn on_seen(&mut self, part: SeenPart, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        let Receiving::Seen { so_far, fragments } = &mut self.receiving else {
            return Err(if self.has_peers_end() {
                Violation::AfterEnd("a seen set")
            } else {
                Violation::SecondSeen
            });
        };
        *fragments += parts::fragments(&part.set);
        if *fragments > SEEN_FRAGMENTS_MAX {
            return Err(Violation::SeenTooLarge(SEEN_FRAGMENTS_MAX));
        }
        so_far.union(&part.set);
        match part.floors {
            None if part.more => return Ok(()),
            Some(floors) if !part.more => self.peer_floors = floors,
            _ => return Err(Violation::Floors),
        }
        let peer = Arc::new(std::mem::take(so_far));
        let missing = Arc::new(self.own.difference(&peer));
        self.receiving = Receiving::Pages {
            frontier: peer.difference(&self.own),
            peer: Arc::clone(&peer),
            after: None,
            unapplied: 0,
            ended: false,
        };
        self.compares_ranges = self.needs_ranges(&peer);
        self.waits = self.must_wait(&peer);
        self.peer_seen = Arc::clone(&peer);
        effects.push(Effect::PeerSeen(peer));
        if missing.is_empty() {
            self.end(SeenSet::new(), effects);
        } else {
            let (after, lost) = (None, SeenSet::new());
            self.sending = Sending::Pages { missing, after, reading: false, unsent: 0, lost };
            self.read_ahead(effects);
        }
        Ok(())
    }

    fn on_page(&mut self, page: Page, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        let ended = self.has_peers_end();
        let Receiving::Pages { peer, after, unapplied, .. } = &mut self.receiving else {
            return Err(if ended { Violation::AfterEnd("a page") } else { Violation::BeforeSeen("a page") });
        };
        if ended {
            return Err(Violation::AfterEnd("a page"));
        }
        match page.versions.len() {
            0 => return Err(Violation::EmptyPage),
            count if count > PAGE_VERSIONS => return Err(Violation::PageTooLarge(count)),
            count => self.report.versions_in += count as u64,
        }
        for version in &page.versions {
            let dot = version.dot;
            if let Some(after) = *after
                && dot <= after
            {
                return Err(Violation::Order { dot, after });
            }
            if !peer.contains(dot) {
                return Err(Violation::Unannounced(dot));
            }
            *after = Some(dot);
        }
        *unapplied += 1;
        self.report.pages_in += 1;
        effects.push(Effect::Apply(page));
        Ok(())
    }

    fn on_end(&mut self, end: &End, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        let again = self.has_peers_end();
        let Receiving::Pages { peer, frontier, ended, .. } = &mut self.receiving else {
            return Err(if again { Violation::AfterEnd("an end") } else { Violation::BeforeSeen("an end") });
        };
        if again {
            return Err(Violation::AfterEnd("an end"));
        }
        if !peer.includes(&end.lost) {
            return Err(Violation::LostUnannounced);
        }
        *frontier = frontier.difference(&end.lost);
        *ended = true;
        self.absorb_if_all_applied(effects);
        Ok(())
    }

    fn on_page_read(&mut self, page: Page, gone: &SeenSet, last: bool, effects: &mut Vec<Effect>) {
        let Sending::Pages { after, reading, unsent, lost, .. } = &mut self.sending else {
            panic!("a page was read that nobody asked for");
        };
        assert!(*reading, "a page was read that nobody asked for");
        assert!(last || !page.versions.is_empty(), "a page that is not the last holds something");
        *reading = false;
        lost.union(gone);
        self.report.lost += gone.count();
        if let Some(version) = page.versions.last() {
            *after = Some(version.dot);
            *unsent += 1;
            self.report.pages_out += 1;
            self.report.versions_out += page.versions.len() as u64;
            effects.push(Effect::Send(ExchangeFrame::Page(page)));
        }
        if last {
            let lost = std::mem::take(lost);
            self.end(lost, effects);
        } else {
            self.read_ahead(effects);
        }
    }

    fn on_page_sent(&mut self, effects: &mut Vec<Effect>) {
        if let Sending::Pages { unsent, .. } = &mut self.sending {
            *unsent = unsent.checked_sub(1).expect("a page was sent that was not handed out");
            self.read_ahead(effects);
        }
    }

    fn on_applied(&mut self, set_aside: &[Dot], effects: &mut Vec<Effect>) {
        let Receiving::Pages { frontier, unapplied, .. } = &mut self.receiving else {
            panic!("a page was applied that was not handed out");
        };
        *unapplied = unapplied.checked_sub(1).expect("a page was applied that was not handed out");
        for dot in set_aside {
            frontier.remove(*dot);
        }
        self.report.set_aside += set_aside.len() as u64;
        self.absorb_if_all_applied(effects);
    }

    /// Asks for the next page, unless one is being read or enough wait for the stream.
    fn read_ahead(&mut self, effects: &mut Vec<Effect>) {
        if let Sending::Pages { missing, after, reading, unsent, .. } = &mut self.sending
            && !*reading
            && *unsent < PAGES_AHEAD_MAX
        {
            *reading = true;
            effects.push(Effect::ReadPage { missing: Arc::clone(missing), after: *after });
        }
    }

    fn end(&mut self, lost: SeenSet, effects: &mut Vec<Effect>) {
        effects.push(Effect::Send(ExchangeFrame::End(End { lost })));
        self.sending = Sending::Ended;
    }

    fn absorb_if_all_applied(&mut self, effects: &mut Vec<Effect>) {
        if let Receiving::Pages { frontier, unapplied: 0, ended: true, .. } = &mut self.receiving {
            let frontier = std::mem::take(frontier);
            if self.compares_ranges {
                self.report.outcome = Outcome::Ranges;
                self.receiving = Receiving::Ranges { frontier };
                effects.push(Effect::OpenRanges);
            } else if self.waits {
                self.report.late = true;
                self.receiving = Receiving::Ended;
            } else {
                self.receiving =
                    Receiving::Absorbing { rest: frontier, piece: SeenSet::new(), floors: false };
                self.absorb(effects);
            }
        }
    }

    /// Hands out the next piece of the frontier, if there is more of it.
    fn absorb(&mut self, effects: &mut Vec<Effect>) {
        let Receiving::Absorbing { rest, piece, floors } = &mut self.receiving else {
            panic!("something was absorbed that was not handed out");
        };
        let nothing_to_drop = self.ranges.as_ref().is_none_or(|ranges| ranges.dead.is_empty());
        let floors_known = *floors || nothing_to_drop && self.floors.includes(&self.peer_floors);
        if rest.is_empty() && floors_known {
            return self.say_bye(effects);
        }
        *piece = parts::take_dots(rest, ABSORB_DOTS_MAX);
        *floors = rest.is_empty();
        effects.push(Effect::Absorb {
            frontier: piece.clone(),
            floors: floors.then(|| self.peer_floors.clone()),
            settled: self.ranges.as_ref().map(|ranges| ranges.settled.clone()),
            drop: match &self.ranges {
                Some(ranges) if *floors => ranges.dead.clone(),
                _ => Vec::new(),
            },
        });
    }

    fn has_peers_end(&self) -> bool {
        match self.receiving {
            Receiving::Hello | Receiving::Seen { .. } => false,
            Receiving::Pages { ended, .. } => ended,
            Receiving::Ranges { .. } | Receiving::Absorbing { .. } | Receiving::Ended => true,
        }
    }

    fn finish(&mut self, effects: &mut Vec<Effect>) {
        let parted = self.ranges.is_none() || self.bye.said && self.bye.came;
        let ended = matches!(self.sending, Sending::Ended) && matches!(self.receiving, Receiving::Ended);
        if !self.over && ended && parted {
            self.over = true;
            effects.push(Effect::Done(self.report.clone()));
        }
    }
}
