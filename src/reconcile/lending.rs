//! A part of a delta from a second neighbour: what another one is sending, from its end on.
//!
//! Single versions are all that comes of it. Nobody vouches for anything, no frontier and no floors are taken
//! over, and so it may break off anywhere, and the two may know what they like: it is as if gossip had brought
//! some versions.

use super::{Violation, parts};
use crate::{
    causality::{Dot, SeenSet},
    types::Namespace,
    wire::{ExchangeFrame, Lacking, PAGE_VERSIONS, Page},
};

/// The most pages that are asked for and did not come yet.
pub const PAGES_ASKED_MAX: usize = 4;

/// The side that lacks something.
#[derive(Debug)]
pub struct Borrowing {
    wanted: SeenSet,
    /// Nothing comes any more from here on.
    low: Option<Dot>,
}

impl Borrowing {
    /// Asks for `wanted`. With the frames that say so; after them each [`ExchangeFrame::More`] is worth a page.
    #[must_use]
    pub fn begin(namespace: &Namespace, wanted: SeenSet) -> (Self, Vec<ExchangeFrame>) {
        let parts = parts::for_frames(&wanted);
        let last = parts.len() - 1;
        let frames = parts.into_iter().enumerate().map(|(index, set)| {
            let namespace = namespace.clone();
            ExchangeFrame::Lacking(Lacking { namespace, set, more: index < last })
        });
        let frames = frames.collect();
        (Self { wanted, low: None }, frames)
    }

    /// Looks at a page that came: it goes on downwards, and has nothing that was not asked for.
    ///
    /// # Errors
    /// When the peer broke the rules.
    pub fn on_page(&mut self, page: &Page) -> Result<(), Violation> {
        match page.versions.len() {
            0 => return Err(Violation::EmptyPage),
            count if count > PAGE_VERSIONS => return Err(Violation::PageTooLarge(count)),
            _ => {}
        }
        for version in &page.versions {
            let dot = version.dot;
            if let Some(low) = self.low
                && low <= dot
            {
                return Err(Violation::NotDown { dot, low });
            }
            if !self.wanted.contains(dot) {
                return Err(Violation::Unasked(dot));
            }
            self.low = Some(dot);
        }
        Ok(())
    }
}

/// The side that is asked, until all parts of what the other lacks have come.
#[derive(Debug)]
pub struct Lending {
    namespace: Namespace,
    wanted: SeenSet,
    fragments: usize,
}

impl Lending {
    /// Begins with the first part.
    #[must_use]
    pub const fn begin(namespace: Namespace) -> Self {
        Self { namespace, wanted: SeenSet::new(), fragments: 0 }
    }

    /// A part came. What is wanted, if it was the last one.
    ///
    /// # Errors
    /// When the peer broke the rules.
    pub fn on_part(&mut self, part: Lacking) -> Result<Option<SeenSet>, Violation> {
        if part.namespace != self.namespace {
            return Err(Violation::Namespace { expected: self.namespace.clone(), got: part.namespace });
        }
        self.fragments += parts::fragments(&part.set);
        if self.fragments > parts::SEEN_FRAGMENTS_MAX {
            return Err(Violation::SeenTooLarge(parts::SEEN_FRAGMENTS_MAX));
        }
        self.wanted.union(&part.set);
        Ok((!part.more).then(|| std::mem::take(&mut self.wanted)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        causality::{Context, Hlc, NodeId, Origin},
        conflict::{Body, Version},
    };

    const ANT: Origin = Origin { node: NodeId([1; 32]), epoch: 1 };

    fn page(seqs: &[u64]) -> Page {
        let version = |seq: &u64| {
            let key = "k".parse().expect("lawful");
            let dot = Dot::new(ANT, *seq);
            Version { dot, hlc: Hlc(1), base: None, context: Context::new(), key, body: Body::Delete }
        };
        Page { versions: seqs.iter().map(version).collect() }
    }

    fn wanted() -> SeenSet {
        let mut wanted = SeenSet::new();
        wanted.insert_range(ANT, 3, 2_000);
        wanted
    }

    fn begin() -> Borrowing {
        Borrowing::begin(&Namespace::default(), wanted()).0
    }

    #[test]
    fn pages_come_from_the_end_on_and_hold_what_was_asked_for() {
        let mut borrowing = begin();
        assert_eq!(borrowing.on_page(&page(&[1_000, 998])), Ok(()));
        assert_eq!(borrowing.on_page(&page(&[997, 3])), Ok(()));
        let dot = |seq| Dot::new(ANT, seq);
        let many: Vec<u64> = (900..=900 + PAGE_VERSIONS as u64).rev().collect();
        let cases = [
            (vec![], Violation::EmptyPage),
            (many, Violation::PageTooLarge(PAGE_VERSIONS + 1)),
            (vec![7, 7], Violation::NotDown { dot: dot(7), low: dot(7) }),
            (vec![7, 8], Violation::NotDown { dot: dot(8), low: dot(7) }),
            (vec![2], Violation::Unasked(dot(2))),
        ];
        for (seqs, expected) in cases {
            assert_eq!(begin().on_page(&page(&seqs)), Err(expected));
        }
    }

    #[test]
    fn what_is_asked_for_comes_in_as_many_parts_as_it_takes() {
        let mut scattered = SeenSet::new();
        (1..20_000).for_each(|n| scattered.insert_range(ANT, n * 70_000, n * 70_000));
        let (_, frames) = Borrowing::begin(&Namespace::default(), scattered.clone());
        assert!(frames.len() > 1);
        let mut lending = Lending::begin(Namespace::default());
        let mut whole = None;
        for frame in frames {
            let ExchangeFrame::Lacking(part) = frame else { panic!("it says what it lacks") };
            assert_eq!(whole, None, "the last part is the last");
            whole = lending.on_part(part).expect("lawful");
        }
        assert_eq!(whole, Some(scattered));
        let elsewhere = Namespace::new("elsewhere").expect("lawful");
        let stray = Lacking { namespace: elsewhere, set: SeenSet::new(), more: false };
        assert!(matches!(lending.on_part(stray), Err(Violation::Namespace { .. })));
    }
}
