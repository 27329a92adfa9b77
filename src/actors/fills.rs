//! Which namespaces are being filled, and from whom: one peer for each at a time.
//!
//! An exchange brings all that was not seen when it began, so two that fill the same namespace at once
//! bring everything twice. Who comes second waits. Seen sets are their own resume points: where the
//! first one breaks off, or stands still, another goes on with what is still missing.

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

#[derive(Clone, Copy, Debug)]
struct Progress {
    number: u64,
    from: NodeId,
    expected: u64,
    versions: u64,
    passed: u64,
    /// The last dot stored.
    last: Option<Dot>,
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
        let left = u128::from(self.expected.saturating_sub(self.passed)) * millis;
        let left = left.checked_div(u128::from(self.passed) * 1_000);
        Filling {
            namespace: namespace.clone(),
            from: self.from.to_string(),
            versions: self.versions,
            expected: self.expected,
            passed: self.passed,
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
    fn begin(&self, namespace: &Namespace, from: NodeId, expected: u64) -> Option<u64> {
        let mut table = self.table();
        if table.fills.get(namespace).is_some_and(|fill| fill.from != from && !fill.stands_still()) {
            return None;
        }
        table.begun += 1;
        let (number, now) = (table.begun, Instant::now());
        let progress =
            Progress { number, from, expected, versions: 0, passed: 0, last: None, began: now, moved: now };
        table.fills.insert(namespace.clone(), progress);
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
        let fill = *table.fills.get(namespace).filter(|fill| fill.number == number)?;
        table.fills.remove(namespace);
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

    /// Waits until `peer` may have a part in `namespace`. Cancel-safe.
    pub async fn until_free_for(&self, peer: &NodeId, namespace: &Namespace) {
        loop {
            let ended = self.ended.notified();
            if self.other_than(peer, namespace).is_none() {
                return;
            }
            // Nobody tells of one that stands still.
            let _either_way_look_again = time::timeout(STANDSTILL, ended).await;
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
    missing: SeenSet,
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
        let expected = missing.count();
        let number = society.fills.begin(&namespace, from, expected)?;
        society.tell(NodeEvent::FillBegan { namespace: namespace.clone(), from: from.to_string(), expected });
        Some(Self { society, namespace, from, number, missing, complete: AtomicBool::new(false) })
    }

    /// So many versions are stored; the next ones come after `last` in dot order. False if the fill stood
    /// still, and another peer has taken its place.
    pub fn stored(&self, versions: u64, last: Dot) -> bool {
        self.society.fills.update(&self.namespace, self.number, |fill| {
            fill.passed += count_between(&self.missing, fill.last, last);
            (fill.versions, fill.last, fill.moved) = (fill.versions + versions, Some(last), Instant::now());
        })
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
mod tests {
    use super::*;
    use crate::causality::Origin;

    fn origin(n: u8) -> Origin {
        Origin { node: NodeId([n; 32]), epoch: 1 }
    }

    fn ns() -> Namespace {
        Namespace::default()
    }

    #[tokio::test(start_paused = true)]
    async fn one_peer_fills_at_a_time_until_it_ends_or_stands_still() {
        let (fills, [ant, bat]) = (Fills::default(), [1, 2].map(|n| NodeId([n; 32])));
        let first = fills.begin(&ns(), ant, 5_000).expect("nobody was there");
        assert!(fills.begin(&ns(), bat, 5_000).is_none());
        assert_eq!(fills.other_than(&bat, &ns()), Some(ant));
        assert_eq!(fills.other_than(&ant, &ns()), None, "it may go on");
        time::advance(STANDSTILL / 2).await;
        assert!(fills.update(&ns(), first, |fill| fill.moved = Instant::now()));
        time::advance(STANDSTILL / 2).await;
        assert!(fills.begin(&ns(), bat, 5_000).is_none(), "it moved meanwhile");
        time::advance(STANDSTILL / 2).await;
        let second = fills.begin(&ns(), bat, 5_000).expect("the first stands still");
        assert!(!fills.update(&ns(), first, |_| ()), "its place is taken");
        assert!(fills.end(&ns(), first).is_none() && fills.is_filling(&ns()));
        let again = fills.begin(&ns(), bat, 5_000).expect("the same peer begins anew");
        assert!(!fills.update(&ns(), second, |_| ()), "it has given that one up");
        assert!(fills.end(&ns(), again).is_some() && !fills.is_filling(&ns()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_told_of_the_end_and_finds_a_standstill_by_itself() {
        let (fills, [ant, bat]) = (Fills::default(), [1, 2].map(|n| NodeId([n; 32])));
        let number = fills.begin(&ns(), ant, 5_000).expect("nobody was there");
        let began = Instant::now();
        let space = ns();
        let (_, ()) = tokio::join!(
            async {
                time::sleep(Duration::from_secs(1)).await;
                fills.end(&ns(), number)
            },
            fills.until_free_for(&bat, &space)
        );
        assert_eq!(began.elapsed(), Duration::from_secs(1));
        fills.begin(&ns(), ant, 5_000).expect("it ended");
        fills.until_free_for(&bat, &ns()).await;
        assert_eq!(began.elapsed(), Duration::from_secs(1) + STANDSTILL);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_says_how_long_it_takes_by_what_is_passed() {
        let (fills, ant) = (Fills::default(), NodeId([1; 32]));
        let number = fills.begin(&ns(), ant, 5_000).expect("nobody was there");
        assert_eq!(fills.shown(|_| true)[0].seconds_left, None);
        time::advance(Duration::from_secs(2)).await;
        fills.update(&ns(), number, |fill| (fill.versions, fill.passed) = (600, 1_000));
        let shown = fills.shown(|_| true).remove(0);
        assert_eq!((shown.per_second, shown.seconds_left, shown.expected), (300, Some(8), 5_000));
        assert!(fills.shown(|namespace| *namespace != ns()).is_empty());
    }

    #[test]
    fn what_is_passed_is_counted_once_over_all_origins() {
        let mut set = SeenSet::new();
        set.insert_range(origin(1), 1, 10);
        set.insert_range(origin(2), 5, 8);
        set.insert_range(origin(2), 20, 29);
        set.insert_range(origin(4), 1, 100);
        let stops = [(1, 4), (1, 10), (2, 6), (2, 25), (4, 100)].map(|(n, seq)| Dot::new(origin(n), seq));
        let mut after = None;
        let counts = stops.map(|to| {
            let count = count_between(&set, after, to);
            after = Some(to);
            count
        });
        assert_eq!(counts, [4, 6, 2, 8, 104]);
        assert_eq!(count_between(&set, None, stops[4]), set.count());
        assert_eq!(count_between(&set, None, stops[2]), 12, "also those that were passed over at once");
    }
}
