//! One exchange about one namespace, both directions at once over one stream.

use std::sync::Arc;

use super::{
    Outcome, Report, Violation,
    parts::{self, ABSORB_DOTS_MAX, SEEN_FRAGMENTS_MAX},
};
use crate::{
    causality::{Dot, SeenSet},
    types::Namespace,
    wire::{End, ExchangeFrame, Hello, PAGE_VERSIONS, Page, SeenPart},
};

/// The most pages that are read ahead of the stream.
pub const PAGES_AHEAD_MAX: usize = 2;
/// The most pages that came and are not applied yet; until then no frame is wanted.
pub const PAGES_UNAPPLIED_MAX: usize = 4;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// (rule 4), in one batch. Answer with [`Input::Absorbed`].
    Absorb(SeenSet),
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
    sending: Sending,
    receiving: Receiving,
    report: Report,
    over: bool,
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
    /// Everything came and is applied; `rest` is still to be handed out for absorbing.
    Absorbing { rest: SeenSet },
    /// Nothing.
    Ended,
}

impl Exchange {
    /// Begins an exchange about `namespace`. `seen` is the seen set of the snapshot that pages
    /// are read from. The effects begin it: a hello.
    #[must_use]
    pub fn new(namespace: Namespace, seen: SeenSet) -> (Self, Vec<Effect>) {
        let hello = Hello::new(namespace.clone(), &seen);
        let effects = vec![Effect::Send(ExchangeFrame::Hello(hello.clone()))];
        let exchange = Self {
            namespace,
            hello,
            own: seen,
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
                Receiving::Absorbing { .. } | Receiving::Ended => false,
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
        }
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
            ExchangeFrame::Seen(part) => self.on_seen(&part, effects),
            ExchangeFrame::Page(page) => self.on_page(page, effects),
            ExchangeFrame::End(end) => self.on_end(&end, effects),
        }
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
                if hello.seen_hash != self.hello.seen_hash {
                    self.report.rounds = 2;
                    self.receiving = Receiving::Seen { so_far: SeenSet::new(), fragments: 0 };
                    let parts = parts::for_frames(&self.own);
                    let last = parts.len() - 1;
                    effects.extend(parts.into_iter().enumerate().map(|(index, set)| {
                        Effect::Send(ExchangeFrame::Seen(SeenPart { set, more: index < last }))
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

    fn on_seen(&mut self, part: &SeenPart, effects: &mut Vec<Effect>) -> Result<(), Violation> {
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
        if part.more {
            return Ok(());
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
            self.receiving = Receiving::Absorbing { rest: std::mem::take(frontier) };
            self.absorb(effects);
        }
    }

    /// Hands out the next piece of the frontier, if there is more of it.
    fn absorb(&mut self, effects: &mut Vec<Effect>) {
        let Receiving::Absorbing { rest } = &mut self.receiving else {
            panic!("something was absorbed that was not handed out");
        };
        if rest.is_empty() {
            self.receiving = Receiving::Ended;
        } else {
            effects.push(Effect::Absorb(parts::take_dots(rest, ABSORB_DOTS_MAX)));
        }
    }

    fn has_peers_end(&self) -> bool {
        match self.receiving {
            Receiving::Hello | Receiving::Seen { .. } => false,
            Receiving::Pages { ended, .. } => ended,
            Receiving::Absorbing { .. } | Receiving::Ended => true,
        }
    }

    fn finish(&mut self, effects: &mut Vec<Effect>) {
        if !self.over && matches!(self.sending, Sending::Ended) && matches!(self.receiving, Receiving::Ended)
        {
            self.over = true;
            effects.push(Effect::Done(self.report.clone()));
        }
    }
}
