//! Who wrote how much when, and which writes the observer may have missed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tidings::causality::{Dot, Origin};

use crate::plan::NodeNo;

/// The writes of one origin that were seen being made.
#[derive(Debug)]
pub(super) struct Writer {
    /// Which node it is.
    pub(super) node: NodeNo,
    /// When it wrote what.
    pub(super) writes: BTreeMap<u64, Duration>,
}

/// All origins, and when their nodes were not in good order.
///
/// A node that dies between its commit and the observer's note of it leaves a write that nobody
/// saw being made. Such a write is excused where, and only where, its node was upset between the
/// writes seen before and after it.
#[derive(Debug, Default)]
pub(super) struct Writers {
    origins: BTreeMap<Origin, Writer>,
    upsets: BTreeMap<NodeNo, BTreeSet<Duration>>,
}

impl Writers {
    pub(super) fn wrote(&mut self, node: NodeNo, dot: Dot, at: Duration) {
        let writer =
            self.origins.entry(dot.origin).or_insert_with(|| Writer { node, writes: BTreeMap::new() });
        writer.writes.entry(dot.seq).or_insert(at);
    }

    /// A node died, or its disk failed.
    pub(super) fn upset(&mut self, node: NodeNo, at: Duration) {
        self.upsets.entry(node).or_default().insert(at);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Origin, &Writer)> {
        self.origins.iter()
    }

    /// The last write of `origin` that was seen being made; 0 if none was.
    pub(super) fn last(&self, origin: &Origin) -> u64 {
        let writes = self.origins.get(origin).and_then(|writer| writer.writes.last_key_value());
        writes.map_or(0, |(seq, _)| *seq)
    }

    /// Whether this write, which nobody saw being made, may have been made all the same.
    pub(super) fn may_be_unseen(&self, dot: Dot) -> bool {
        let Some(writer) = self.origins.get(&dot.origin) else { return !self.upsets.is_empty() };
        let before = writer.writes.range(..dot.seq).next_back().map_or(Duration::ZERO, |(_, at)| *at);
        let after = writer.writes.range(dot.seq + 1..).next().map_or(Duration::MAX, |(_, at)| *at);
        let upsets = self.upsets.get(&writer.node);
        upsets.is_some_and(|upsets| upsets.range(before..=after).next().is_some())
    }
}
