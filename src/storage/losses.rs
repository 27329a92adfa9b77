//! Rule 3 over single writes: what a reader looked for, and did not find where the dot index says it is.

use super::{Ledger, StoreError, layout::NsNo, scrub::Examiner, tally::Tally};
use crate::{causality::SeenSet, types::Namespace};

impl Ledger {
    /// Rule 3: looks again at `suspects`, all seen here, that a reader did not find. What the dot index names
    /// and is not as it was written is taken out, as by the scrub; that, and what is neither held nor
    /// dead, leaves the seen set, as by [`Self::unsee`]. Returns it. The draft must be committed.
    ///
    /// Where [`Self::is_counted`] says no afterwards, the digests are being made anew: go on with
    /// [`Self::tally_on`].
    ///
    /// # Errors
    /// When the store cannot be read or written.
    ///
    /// # Panics
    /// When the namespace is not carried, or the draft is not empty: callers see to it.
    pub fn look_again(&mut self, namespace: &Namespace, suspects: &SeenSet) -> Result<SeenSet, StoreError> {
        assert!(self.draft.is_empty(), "what is stored is looked at as committed");
        let no = self.space(namespace).no;
        let snapshot = self.store.snapshot();
        let bad = Examiner::new(&*snapshot, &self.shared, &self.dead).named(no, suspects)?;
        let mut lost = SeenSet::new();
        if !bad.is_empty() {
            for bad in &bad {
                tracing::warn!(what = bad.what, "the store is damaged");
            }
            for (_, unseen) in self.heal(&bad)?.iter().filter(|(healed, _)| healed == namespace) {
                lost.union(unseen);
            }
        }
        lost.union(&self.unsee(namespace, suspects)?);
        Ok(lost)
    }

    /// Whether the digests are complete, or none are kept: then there is nothing to go on with.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.tally.is_complete() || self.tally.is_off()
    }

    /// The digests are made anew. Until they are, nobody is told what is held.
    pub(super) fn make_digests_anew(&mut self) {
        (self.tally, self.recount, self.accounted) = (Tally::default(), None, false);
        for space in self.shared.names().into_iter().filter_map(|name| self.shared.space(&name)) {
            space.unset_root();
        }
    }

    /// What left the dot index behind the back of the digests is in their sums yet, and would be twice when it
    /// comes back.
    pub(super) fn distrust_digests(&mut self, ns: NsNo, lost: &SeenSet) {
        let Some(digests) = self.tally.borrow(ns) else { return };
        let counted = lost.iter().any(|(origin, seqs)| {
            seqs.iter().any(|(first, last)| {
                (first / 64..=last / 64).any(|block| {
                    let (from, to) = (first.max(block * 64) % 64, last.min(block * 64 + 63) % 64);
                    digests.held(origin, block) & (u64::MAX << from) & (u64::MAX >> (63 - to)) != 0
                })
            })
        });
        if counted {
            self.make_digests_anew();
        }
    }
}
