//! The second place in a fill: a neighbour that lends single versions of what the first one is sending.

use std::sync::Arc;

use super::{Fills, Progress, count_between};
use crate::{
    actors::society::Society,
    causality::{Dot, NodeId, SeenSet},
    types::Namespace,
};

/// The most intervals that the first neighbour is to be told of at once. What comes beyond that it sends, too.
const UNTOLD_FRAGMENTS_MAX: usize = 1 << 16;

/// What came from the second neighbours of a fill, one after the other.
#[derive(Debug, Default)]
pub(super) struct Lent {
    begun: u64,
    /// Who lends, and which of them it is.
    help: Option<Help>,
    /// All that was held of what is missing from here on was brought.
    low: Option<Dot>,
    /// Seen here, and the first neighbour was not told.
    untold: SeenSet,
    enough: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Help {
    number: u64,
    by: NodeId,
}

impl Lent {
    pub(super) fn by(&self) -> Option<NodeId> {
        self.help.map(|help| help.by)
    }

    pub(super) fn take(&mut self) -> SeenSet {
        std::mem::take(&mut self.untold)
    }

    pub(super) const fn enough(&mut self) {
        self.enough = true;
    }

    fn tell_later(&mut self, seen: &SeenSet) {
        let fragments: usize = self.untold.iter().map(|(_, seqs)| seqs.fragments()).sum();
        if fragments < UNTOLD_FRAGMENTS_MAX {
            self.untold.union(seen);
        }
    }
}

impl Progress {
    /// How many writes that were missing are done with, from either end.
    pub(super) fn passed_by_both(&self) -> u64 {
        match self.lent.low {
            Some(low) if self.last.is_none_or(|last| last < low) => {
                let below = count_between(&self.missing, None, low) - u64::from(self.missing.contains(low));
                self.passed + self.expected - below
            }
            Some(_) => self.expected,
            None => self.passed,
        }
    }

    /// How many writes lie between the two; none where they have met.
    fn between(&self) -> u64 {
        let met = |low: Dot| self.coming.is_some_and(|coming| coming >= low);
        match self.lent.low {
            Some(low) if met(low) => 0,
            Some(low) => {
                count_between(&self.missing, self.coming, low) - u64::from(self.missing.contains(low))
            }
            None => self.expected,
        }
    }
}

impl Fills {
    /// Takes the second place of what another peer than `by` fills: which fill, which place, and what was missing.
    /// Nobody gets it twice in a fill; `had` is the last one where it had it.
    pub(super) fn begin_second(
        &self,
        namespace: &Namespace,
        by: NodeId,
        had: Option<u64>,
    ) -> Option<(u64, u64, Arc<SeenSet>)> {
        let mut table = self.table();
        let fill = table.fills.get_mut(namespace)?;
        if fill.from == by || fill.lent.help.is_some() || fill.lent.enough || had == Some(fill.number) {
            return None;
        }
        fill.lent.begun += 1;
        let number = fill.lent.begun;
        fill.lent.help = Some(Help { number, by });
        Some((fill.number, number, fill.missing.clone()))
    }

    /// Looks at a fill, or changes it, as long as the second place is of that number; nothing otherwise.
    fn with_second<T>(
        &self,
        namespace: &Namespace,
        (fill, second): (u64, u64),
        look: impl FnOnce(&mut Progress) -> T,
    ) -> Option<T> {
        let mut table = self.table();
        let fill = table.fills.get_mut(namespace).filter(|one| one.number == fill)?;
        fill.lent.help.is_some_and(|help| help.number == second).then(|| look(fill))
    }

    pub(super) fn lent(
        &self,
        namespace: &Namespace,
        numbers: (u64, u64),
        seen: &SeenSet,
        (versions, low): (u64, Dot),
    ) -> bool {
        let stored = self.with_second(namespace, numbers, |fill| {
            fill.versions += versions;
            fill.lent.low = Some(fill.lent.low.map_or(low, |before| before.min(low)));
            fill.lent.tell_later(seen);
        });
        stored.is_some()
    }

    /// How many writes lie between the two; none where no more is to come.
    pub(super) fn left(&self, namespace: &Namespace, numbers: (u64, u64)) -> u64 {
        let left = |fill: &mut Progress| if fill.lent.enough { 0 } else { fill.between() };
        self.with_second(namespace, numbers, left).unwrap_or(0)
    }

    pub(super) fn end_second(&self, namespace: &Namespace, numbers: (u64, u64)) {
        if self.with_second(namespace, numbers, |fill| fill.lent.help = None).is_some() {
            self.ended.notify_waiters();
        }
    }
}

/// The second place in a fill; dropping it gives it up.
pub struct Second {
    society: Arc<Society>,
    namespace: Namespace,
    by: NodeId,
    /// Of the fill, and of the place in it.
    numbers: (u64, u64),
    missing: Arc<SeenSet>,
}

impl Second {
    /// Takes the place for `by`, if another peer fills the namespace and nobody else has it. `had` is the last fill
    /// of which this peer has brought what it could.
    pub fn begin(society: Arc<Society>, namespace: Namespace, by: NodeId, had: Option<u64>) -> Option<Self> {
        let (fill, place, missing) = society.fills.begin_second(&namespace, by, had)?;
        Some(Self { society, namespace, by, numbers: (fill, place), missing })
    }

    /// The number of the fill.
    pub const fn fill(&self) -> u64 {
        self.numbers.0
    }

    /// Who lends.
    pub const fn by(&self) -> NodeId {
        self.by
    }

    /// Of which namespace.
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// What all share.
    pub const fn society(&self) -> &Arc<Society> {
        &self.society
    }

    /// What was missing when the fill began, and was not seen since.
    pub fn wanted(&self) -> SeenSet {
        let seen = |seen: &SeenSet| self.missing.difference(seen);
        self.society.reader().with_seen(&self.namespace, seen).unwrap_or_default()
    }

    /// So many new versions of a page are stored, the last of which, the lowest, is `low`; these writes of it are
    /// seen here now. False if nobody needs more of it.
    pub fn stored(&self, seen: &SeenSet, versions: u64, low: Dot) -> bool {
        self.society.fills.lent(&self.namespace, self.numbers, seen, (versions, low))
    }

    /// How many writes lie between what the first neighbour has sent and what this one has; none when they have
    /// met, or the fill is over.
    pub fn left(&self) -> u64 {
        self.society.fills.left(&self.namespace, self.numbers)
    }

    /// How many of the missing writes lie behind `low`, up to `high`.
    pub fn span(&self, low: Dot, high: Dot) -> u64 {
        count_between(&self.missing, Some(low), high)
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        self.society.fills.end_second(&self.namespace, self.numbers);
    }
}
