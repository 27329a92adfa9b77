//! The origins that one life writes as, and how many names it has given.

use super::{Ledger, shared::SpaceState};
use crate::causality::{Intervals, Origin, PENS_MAX, SeenSet};

/// The origins of local writes: what nodes exchange has one set, what never leaves the node another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pens {
    exchanged: [Origin; PENS_MAX],
    aside: [Origin; PENS_MAX],
}

impl Pens {
    /// Those of the life `me`.
    pub(super) fn of(me: Origin) -> Self {
        Self { exchanged: me.pens(), aside: me.aside().pens() }
    }

    /// Those that write in `space`, the one for writes as ever first.
    pub(super) fn of_space(&self, space: &SpaceState) -> &[Origin; PENS_MAX] {
        if space.never_leaves { &self.aside } else { &self.exchanged }
    }

    /// Whether `origin` writes what nodes exchange.
    pub(super) fn exchange_as(&self, origin: &Origin) -> bool {
        self.exchanged.contains(origin)
    }

    /// How many names were given in `space`: what was lost was given all the same.
    pub(super) fn given(&self, space: &SpaceState, lost: Option<&SeenSet>) -> u64 {
        let seen = space.seen();
        let last = |set: &SeenSet, pen| set.get(pen).map_or(0, Intervals::max);
        let given = |pen| last(&seen, pen).max(lost.map_or(0, |lost| last(lost, pen)));
        self.of_space(space).iter().map(given).sum()
    }
}

impl Ledger {
    /// The origin of local writes in `space`.
    pub(super) fn me_in(&self, space: &SpaceState) -> Origin {
        self.pens.of_space(space)[0]
    }
}
