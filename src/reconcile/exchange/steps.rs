//! What goes into an exchange and what comes out of it.

use std::sync::Arc;

use super::super::Report;
use crate::{
    causality::{Dot, Floors, SeenSet},
    digest::Digests,
    types::Key,
    wire::{ExchangeFrame, Items, Page, Verdict},
};

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A frame came from the peer.
    Frame(ExchangeFrame),
    /// The page that [`Effect::ReadPage`] asked for was read from the snapshot.
    PageRead {
        /// Versions in dot order, at least one unless it is the last page. A page is closed at
        /// [`PAGE_BYTES`](crate::wire::PAGE_BYTES) or [`PAGE_VERSIONS`](crate::wire::PAGE_VERSIONS).
        page: Page,
        /// Writes that should have been found on the way and are neither held nor dead.
        lost: SeenSet,
        /// Nothing that the peer lacks comes after this page.
        last: bool,
    },
    /// A frame of versions that [`Effect::Send`] handed out is on its way; there is room for the next.
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
    /// These are the digests of what is held now.
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
    /// What [`Effect::Sift`] named, as far as this store would have it.
    Sifted(SeenSet),
    /// A page of the versions that [`Effect::ReadItems`] named, as far as they are held.
    ItemsRead {
        /// A page, closed like one of a delta. Nothing, if nothing of it is held.
        items: Items,
        /// After which write to go on, if there is more.
        next: Option<Dot>,
    },
    /// What [`Effect::Settle`] handed out is stored.
    Settled,
    /// These writes were seen here since the exchange began, for another neighbour brought them: the peer is
    /// told, and need not send them. Each was stored before this is said, with all that its commit holds.
    Got(SeenSet),
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write this frame to the stream, after those handed out before. When it
    /// [brings versions](ExchangeFrame::brings_versions), answer with [`Input::PageSent`].
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
    /// Take the digests of what is held now, and from then on watch what becomes live. Answer with
    /// [`Input::RangesOpened`].
    OpenRanges,
    /// Look up the keys of these writes, as far as they are held *now*: some may have become live since
    /// ranges were opened. Answer with [`Input::ClaimsRead`].
    ReadClaims(SeenSet),
    /// Judge these claims of the peer by what is held here *now*. Answer with [`Input::Judged`].
    Judge(Vec<(Dot, Key)>),
    /// The peer holds these writes, and they are not held here: which were never seen here, or are
    /// neither held nor dead? A hint, for each is judged when it comes. Answer with [`Input::Sifted`].
    Sift(SeenSet),
    /// Read the next page of these versions, as far as they are held *now*. Answer with
    /// [`Input::ItemsRead`].
    ReadItems {
        /// Their names.
        dots: Arc<SeenSet>,
        /// The last one that was read.
        after: Option<Dot>,
    },
    /// Settle these versions by rule 6, in one batch. Answer with [`Input::Settled`].
    Settle(Items),
    /// The exchange is over. Write what is still to be written, then close the stream.
    Done(Report),
}
