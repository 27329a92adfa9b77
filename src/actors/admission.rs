//! How much work a node takes on at once, by count and by bytes, at each of its edges.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};

use crate::{report::Queue, types::Namespace};

/// Bytes are counted in units, for a semaphore has 32 bits.
const UNIT_BYTES: usize = 256;

/// The right to have one piece of work under way. It travels with the work; dropping it gives it
/// back.
#[derive(Debug)]
pub struct Permit {
    _count: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
    _heard: Option<Heard>,
}

impl Permit {
    /// The work is to store what was heard of `namespace`: until then that [is not settled].
    ///
    /// [is not settled]: Waiting::is_settled
    #[must_use]
    pub fn heard_of(self, waiting: &Waiting, namespace: &Namespace) -> Self {
        *waiting.lock().entry(namespace.clone()).or_default() += 1;
        let heard = Heard { waiting: waiting.clone(), namespace: namespace.clone() };
        Self { _heard: Some(heard), ..self }
    }
}

/// How much was heard of each namespace and is not stored yet; bounded by the edges that let it in.
#[derive(Clone, Debug, Default)]
pub struct Waiting(Arc<Mutex<BTreeMap<Namespace, usize>>>);

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Namespace, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing that was heard of `namespace` waits to be stored.
    pub fn is_settled(&self, namespace: &Namespace) -> bool {
        !self.lock().contains_key(namespace)
    }
}

/// Something that was heard and is not stored yet.
#[derive(Debug)]
struct Heard {
    waiting: Waiting,
    namespace: Namespace,
}

impl Drop for Heard {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock();
        let Some(count) = waiting.get_mut(&self.namespace) else { return };
        *count -= 1;
        if *count == 0 {
            waiting.remove(&self.namespace);
        }
    }
}

/// One edge of the node: what waits behind it is bounded by count and by bytes.
#[derive(Debug)]
pub struct Edge {
    count: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    count_max: usize,
    bytes_max: usize,
    shed: AtomicU64,
}

impl Edge {
    /// An edge that lets in `count_max` pieces of work of `bytes_max` bytes in all.
    pub fn new(count_max: usize, bytes_max: usize) -> Self {
        Self {
            count: Arc::new(Semaphore::new(count_max)),
            bytes: Arc::new(Semaphore::new(bytes_max / UNIT_BYTES)),
            count_max,
            bytes_max,
            shed: AtomicU64::new(0),
        }
    }

    fn units(&self, bytes: usize) -> u32 {
        // Work that is larger than the whole edge is let in when nothing else is there.
        let units = bytes.min(self.bytes_max).div_ceil(UNIT_BYTES).max(1).min(self.bytes_max / UNIT_BYTES);
        u32::try_from(units).unwrap_or(u32::MAX)
    }

    fn try_admit(&self, bytes: usize) -> Option<Permit> {
        let count = self.count.clone().try_acquire_owned().ok()?;
        let bytes = self.bytes.clone().try_acquire_many_owned(self.units(bytes)).ok()?;
        Some(Permit { _count: count, _bytes: bytes, _heard: None })
    }

    /// Lets work of `bytes` bytes in at once, or counts it as shed.
    pub fn admit_now(&self, bytes: usize) -> Option<Permit> {
        let admitted = self.try_admit(bytes);
        if admitted.is_none() {
            self.shed.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    /// Waits until work of `bytes` bytes may come in; counts it as shed if that takes longer than
    /// `patience`. Cancel-safe.
    pub async fn admit(&self, bytes: usize, patience: Duration) -> Option<Permit> {
        // There nearly always is room, and a timer has its price.
        if let Some(permit) = self.try_admit(bytes) {
            return Some(permit);
        }
        let permit = async {
            let count = self.count.clone().acquire_owned().await.ok()?;
            let bytes = self.bytes.clone().acquire_many_owned(self.units(bytes)).await.ok()?;
            Some(Permit { _count: count, _bytes: bytes, _heard: None })
        };
        let admitted = time::timeout(patience, permit).await.ok().flatten();
        if admitted.is_none() {
            self.shed.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    /// How full it is.
    pub fn queue(&self) -> Queue {
        Queue {
            depth: self.count_max - self.count.available_permits(),
            max: self.count_max,
            shed: self.shed.load(Ordering::Relaxed),
        }
    }
}

/// The edges of a node.
#[derive(Debug)]
pub struct Admission {
    /// Writes of this node's own users: they wait.
    pub writes: Edge,
    /// Envelopes that arrive by gossip: over the limit they are forwarded, but not stored here.
    pub gossip: Edge,
    /// Pages that arrive in exchanges: they wait, and so does the peer.
    pub pages: Edge,
    /// Large values being fetched: they wait.
    pub blobs: Edge,
    /// Large values being served: over the limit a peer is told that this node is busy.
    pub served_blobs: Edge,
    /// Exchanges under way: over the limit a peer is told that this node is busy.
    pub exchanges: Edge,
    /// What was heard of each namespace and is not stored yet.
    pub waiting: Waiting,
}

impl Default for Admission {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            writes: Edge::new(4_096, 64 * MIB),
            gossip: Edge::new(4_096, 32 * MIB),
            pages: Edge::new(16, 16 * MIB),
            blobs: Edge::new(8, 64 * MIB),
            served_blobs: Edge::new(16, 64 * MIB),
            exchanges: Edge::new(8, MIB),
            waiting: Waiting::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_bounded_by_count_and_by_bytes_and_counts_what_it_sheds() {
        let edge = Edge::new(2, 1_024);
        let first = edge.admit_now(100).expect("room");
        assert!(edge.admit_now(1_000).is_none(), "no bytes left");
        let second = edge.admit_now(100).expect("room");
        assert!(edge.admit_now(1).is_none(), "no count left");
        drop((first, second));
        assert!(edge.admit_now(1 << 30).is_some(), "larger than the edge, alone");
        assert_eq!(edge.queue().shed, 2);
    }

    #[test]
    fn a_namespace_is_settled_when_all_that_was_heard_of_it_is_done() {
        let (edge, waiting) = (Edge::new(3, 1_024), Waiting::default());
        let (busy, idle): (Namespace, Namespace) =
            ("busy".parse().expect("lawful"), "idle".parse().expect("lawful"));
        let heard = || edge.admit_now(1).expect("room").heard_of(&waiting, &busy);
        let (first, second) = (heard(), heard());
        drop(first);
        assert!(!waiting.is_settled(&busy) && waiting.is_settled(&idle));
        drop(second);
        assert!(waiting.is_settled(&busy));
        assert!(waiting.lock().is_empty(), "nothing is left behind");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_shed_and_who_waits_gets_in() {
        let edge = Edge::new(1, 1_024);
        let held = edge.admit_now(1).expect("room");
        assert!(edge.admit(1, Duration::from_secs(1)).await.is_none());
        let waiting = edge.admit(1, Duration::from_secs(1));
        drop(held);
        assert!(waiting.await.is_some());
        assert_eq!(edge.queue().depth, 0);
    }
}
