//! Which namespaces are being filled, and from whom: one peer sends all there is, and a second one brings
//! single versions of that from its end on, until the two meet.
//!
//! An exchange brings all that was not seen when it began, so two that fill the same namespace at once
//! bring everything twice. Who comes second lends, who comes third waits. Seen sets are their own resume points:
//! where the first one breaks off, or stands still, another goes on with what is still missing.

mod second;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{self, Instant},
};

use self::second::Lent;
pub use self::second::Second;
use super::{anti_entropy::AntiEntropyMsg, society::Society};
use crate::{
    causality::{Dot, NodeId, SeenSet},
    report::{Filling, NodeEvent},
    types::Namespace,
};

/// So many writes at least make an exchange one that fills.
pub const FILL_WRITES_MIN: u64 = 1_000;
/// Nothing came for so long: another peer may take its place.
const STANDSTILL: Duration = Duration::from_secs(5);

/// The fills under way: one for each namespace at most, so they are bounded by their number.
#[derive(Debug, Default)]
pub struct Fills {
    table: Mutex<Table>,
    ended: Notify,
}

#[derive(Debug, Default)]
struct Table {
    begun: u64,
    fills: BTreeMap<Namespace, Progress>,
}

#[derive(Debug)]
struct Progress {
    number: u64,
    from: NodeId,
    missing: Arc<SeenSet>,
    expected: u64,
    versions: u64,
    passed: u64,
    /// The last dot stored.
    last: Option<Dot>,
    /// The last dot that came.
    coming: Option<Dot>,
    lent: Lent,
    began: Instant,
    moved: Instant,
}

impl Progress {
    fn stands_still(&self) -> bool {
        self.moved.elapsed() >= STANDSTILL
    }

    fn shown(&self, namespace: &Namespace) -> Filling {
        let millis = self.began.elapsed().as_millis();
        let per_second = u128::from(self.versions) * 1_000 / millis.max(1);
        let passed = self.passed_by_both();
        let left = u128::from(self.expected.saturating_sub(passed)) * millis;
        let left = left.checked_div(u128::from(passed) * 1_000);
        Filling {
            namespace: namespace.clone(),
            from: self.from.to_string(),
            also_from: self.lent.by().map(|peer| peer.to_string()),
            versions: self.versions,
            expected: self.expected,
            passed,
            per_second: u64::try_from(per_second).unwrap_or(u64::MAX),
            seconds_left: left.map(|left| u64::try_from(left).unwrap_or(u64::MAX)),
        }
    }
}

impl Fills {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the place for `namespace`: the number of the fill; none if another peer has it and moves. A
    /// peer that begins anew has given up what it had begun before.
    fn begin(&self, namespace: &Namespace, from: NodeId, missing: Arc<SeenSet>) -> Option<u64> {
        let mut table = self.table();
        if table.fills.get(namespace).is_some_and(|fill| fill.from != from && !fill.stands_still()) {
            return None;
        }
        table.begun += 1;
        let (number, now) = (table.begun, Instant::now());
        let progress = Progress {
            number,
            from,
            expected: missing.count(),
            missing,
            versions: 0,
            passed: 0,
            last: None,
            coming: None,
            lent: Lent::default(),
            began: now,
            moved: now,
        };
        table.fills.insert(namespace.clone(), progress);
        drop(table);
        // Who lends for the one before is of no use to this one.
        self.ended.notify_waiters();
        Some(number)
    }

    /// Changes what is known of a fill; false if another has taken its place.
    fn update(&self, namespace: &Namespace, number: u64, change: impl FnOnce(&mut Progress)) -> bool {
        let mut table = self.table();
        let fill = table.fills.get_mut(namespace).filter(|fill| fill.number == number);
        fill.map(change).is_some()
    }

    fn end(&self, namespace: &Namespace, number: u64) -> Option<Progress> {
        let mut table = self.table();
        table.fills.get(namespace).filter(|fill| fill.number == number)?;
        let fill = table.fills.remove(namespace)?;
        drop(table);
        self.ended.notify_waiters();
        Some(fill)
    }

    /// Whether `namespace` is being filled.
    pub fn is_filling(&self, namespace: &Namespace) -> bool {
        self.table().fills.contains_key(namespace)
    }

    /// Who fills `namespace`, if it is another than `peer` and does not stand still.
    pub fn other_than(&self, peer: &NodeId, namespace: &Namespace) -> Option<NodeId> {
        let table = self.table();
        let fill = table.fills.get(namespace).filter(|fill| fill.from != *peer && !fill.stands_still());
        fill.map(|fill| fill.from)
    }

    /// Waits until one began, ended or stands still, or a second place is free; maybe without cause. What
    /// changed after the call counts, also if it is awaited later. Cancel-safe.
    pub fn changed(&self) -> impl Future<Output = ()> {
        let changed = self.ended.notified();
        async move {
            // Nobody tells of one that stands still.
            let _either_way_look_again = time::timeout(STANDSTILL, changed).await;
        }
    }

    /// Waits until `peer` may have a part in `namespace`. Cancel-safe.
    pub async fn until_free_for(&self, peer: &NodeId, namespace: &Namespace) {
        loop {
            let changed = self.changed();
            if self.other_than(peer, namespace).is_none() {
                return;
            }
            changed.await;
        }
    }

    /// How far they are.
    pub fn shown(&self, wanted: impl Fn(&Namespace) -> bool) -> Vec<Filling> {
        let table = self.table();
        let wanted = table.fills.iter().filter(|(namespace, _)| wanted(namespace));
        wanted.map(|(namespace, fill)| fill.shown(namespace)).collect()
    }
}

/// One fill, by the exchange that does it; dropping it ends it.
pub struct Fill {
    society: Arc<Society>,
    namespace: Namespace,
    from: NodeId,
    number: u64,
    missing: Arc<SeenSet>,
    complete: AtomicBool,
}

impl Fill {
    /// Begins to take in `missing` from a peer; nothing if another does.
    pub fn begin(
        society: Arc<Society>,
        namespace: Namespace,
        from: NodeId,
        missing: SeenSet,
    ) -> Option<Self> {
        let (expected, missing) = (missing.count(), Arc::new(missing));
        let number = society.fills.begin(&namespace, from, missing.clone())?;
        society.tell(NodeEvent::FillBegan { namespace: namespace.clone(), from: from.to_string(), expected });
        Some(Self { society, namespace, from, number, missing, complete: AtomicBool::new(false) })
    }

    /// So many new versions are stored; the next ones come after `last` in dot order. False if the fill stood
    /// still, and another peer has taken its place.
    pub fn stored(&self, versions: u64, last: Dot) -> bool {
        self.society.fills.update(&self.namespace, self.number, |fill| {
            fill.passed += count_between(&self.missing, fill.last, last);
            (fill.versions, fill.last, fill.moved) = (fill.versions + versions, Some(last), Instant::now());
        })
    }

    /// A page came, with versions up to `last`.
    pub fn comes(&self, last: Dot) {
        let _its_place_may_be_taken =
            self.society.fills.update(&self.namespace, self.number, |fill| fill.coming = Some(last));
    }

    /// What a second neighbour brought since this was asked last: the first one need not send it.
    pub fn lent(&self) -> SeenSet {
        let mut lent = SeenSet::new();
        self.society.fills.update(&self.namespace, self.number, |fill| lent = fill.lent.take());
        lent
    }

    /// All pages came: a second neighbour has no more to bring.
    pub fn enough(&self) {
        self.society.fills.update(&self.namespace, self.number, |fill| fill.lent.enough());
    }

    /// All that was missing came, or was passed over.
    pub fn complete(&self) {
        self.complete.store(true, Ordering::Relaxed);
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        let Some(fill) = self.society.fills.end(&self.namespace, self.number) else { return };
        self.society.tell(NodeEvent::FillEnded {
            namespace: self.namespace.clone(),
            from: self.from.to_string(),
            versions: fill.versions,
            elapsed: fill.began.elapsed(),
            complete: self.complete.load(Ordering::Relaxed),
        });
        // While it went on nobody was told: each page would have had all neighbours compare.
        self.society.anti_entropy.cast(AntiEntropyMsg::Learned);
    }
}

/// How many writes of `set` lie behind `after`, up to `to`, in dot order.
fn count_between(set: &SeenSet, after: Option<Dot>, to: Dot) -> u64 {
    let origins = set.iter().skip_while(|(origin, _)| after.is_some_and(|after| **origin < after.origin));
    let counts = origins.take_while(|(origin, _)| **origin <= to.origin).map(|(origin, seqs)| {
        let behind = after.filter(|after| after.origin == *origin).map_or(0, |after| after.seq);
        let last = if *origin == to.origin { to.seq } else { u64::MAX };
        seqs.within(behind + 1, last).map(|(first, last)| last - first + 1).sum::<u64>()
    });
    counts.sum()
}

#[cfg(test)]
mod tests;
