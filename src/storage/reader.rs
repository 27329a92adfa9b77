//! Reads, from any thread, of what is committed.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Store, StoreError, View, layout, layout::NsNo, ledger::lost_fact, memory::Memory, pens::Pens,
    shared::Shared, stored,
};
use crate::{
    causality::{Dot, Hlc, Intervals, Origin, SeenSet},
    conflict::{Payload, Reading, Record, Strategies, Strategy, Visible},
    digest::Sum,
    types::{Key, Namespace, Value},
    wire,
};

/// Reads a store. Cloning is cheap; a read blocks on the disk at most.
#[derive(Clone)]
pub struct Reader {
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
}

/// What a reader found under a key: a value that is visible.
#[derive(Clone, Debug)]
pub struct Found {
    /// What stands there.
    pub reading: Reading,
    /// The visible value, also where it is a large one.
    pub value: Value,
    /// The write that is seen; the greatest, where several were merged.
    pub dot: Dot,
    /// Its stamp.
    pub hlc: Hlc,
    /// When it expires, in milliseconds since 1970, if it does.
    pub expires_at: Option<u64>,
}

/// A value may be replaced between the reading of its record and of its bytes; then both are read
/// again, and after so many times from a snapshot.
const TRIES_MAX: usize = 3;

impl Reader {
    pub(super) fn new(store: Arc<dyn Store>, shared: Arc<Shared>) -> Self {
        Self { store, shared }
    }

    /// A reader of nothing, for the time after a store was closed.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self::new(Arc::new(Memory::new()), Arc::default())
    }

    /// The namespaces carried, which is what nodes exchange: sessions, gossip, beacons and lists go by this.
    #[must_use]
    pub fn namespaces(&self) -> Vec<Namespace> {
        self.shared.exchanged()
    }

    /// These, and the companions that hold what never leaves the node: what is kept in order goes by this.
    #[must_use]
    pub(crate) fn spaces(&self) -> Vec<Namespace> {
        self.shared.names()
    }

    /// Whether `namespace` is carried.
    #[must_use]
    pub fn carries(&self, namespace: &Namespace) -> bool {
        self.shared.space(namespace).is_some()
    }

    /// As [`View::incarnation`], now.
    #[must_use]
    pub fn incarnation(&self, namespace: &Namespace) -> Option<u16> {
        self.shared.space(namespace).map(|space| space.no)
    }

    /// Resolves by these from now on, unless it was told before.
    pub fn set_strategies(&self, strategies: &Strategies) {
        self.shared.set_strategies(strategies);
    }

    /// How readers resolve what stands under `key`.
    #[must_use]
    pub fn strategy(&self, namespace: &Namespace, key: &Key) -> Strategy {
        self.shared.space(namespace).map_or_else(Strategy::default, |space| space.strategy(key).clone())
    }

    /// How many keys have a value, those among them that never leave the node.
    #[must_use]
    pub fn keys(&self, namespace: &Namespace) -> u64 {
        self.exchanged_keys(namespace) + self.exchanged_keys(&namespace.companion())
    }

    /// A number that rises whenever more has been seen.
    #[must_use]
    pub fn revision(&self, namespace: &Namespace) -> u64 {
        self.shared.space(namespace).map_or(0, |space| space.revision())
    }

    /// Looks at what has been seen, without copying it. `look` must be short: the writer waits.
    pub fn with_seen<T>(&self, namespace: &Namespace, look: impl FnOnce(&SeenSet) -> T) -> Option<T> {
        self.shared.space(namespace).map(|space| look(&space.seen()))
    }

    /// Which of `dots` this store would have: what it has not seen, and what is neither held nor dead.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    pub fn lacks(&self, namespace: &Namespace, dots: &SeenSet) -> Result<SeenSet, StoreError> {
        let unseen = self.with_seen(namespace, |seen| dots.difference(seen));
        // Of nothing that is not carried (any more) anything is wanted.
        let Some(mut lacking) = unseen else { return Ok(SeenSet::new()) };
        // A view taken after that knows all that was seen then.
        let seen = dots.difference(&lacking);
        lacking.union(&self.view().unaccounted(namespace, &seen)?);
        Ok(lacking)
    }

    /// The first of `told` that would be a write of the life `me` which that has not made: what was lost was made.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    pub fn never_made(
        &self,
        namespace: &Namespace,
        me: Origin,
        told: &SeenSet,
    ) -> Result<Option<Dot>, StoreError> {
        let Some(space) = self.shared.space(namespace) else { return Ok(None) };
        if !told.iter().any(|(origin, _)| origin.node == me.node) {
            return Ok(None);
        }
        let last = |set: &SeenSet, pen: &Origin| set.get(pen).map_or(0, Intervals::max);
        for pen in Pens::of(me).of_space(&space) {
            let seq = last(told, pen);
            if seq > last(&space.seen(), pen) && seq > last(&self.lost(space.no)?, pen) {
                return Ok(Some(Dot::new(*pen, seq)));
            }
        }
        Ok(None)
    }

    fn lost(&self, ns: NsNo) -> Result<SeenSet, StoreError> {
        let Some(bytes) = self.store.get(&lost_fact(ns))? else { return Ok(SeenSet::new()) };
        wire::decode_stored(&bytes).map_err(|error| StoreError::Damaged(format!("what was lost: {error}")))
    }

    /// A short hash of all that neighbours compare of `namespace`: what was seen, what is left of
    /// forgotten deletes, what is held; and whether that last part is known yet. Where tags differ,
    /// something does; where they are equal and both knew all, both hold the same.
    #[must_use]
    pub fn tag(&self, namespace: &Namespace) -> Option<(u64, bool)> {
        let space = self.shared.space(namespace)?;
        let (seen, held) = (space.seen().tag(), space.held_tag());
        Some((seen ^ held.unwrap_or_default(), held.is_some()))
    }

    /// What was seen of `namespace`, with the [tag](Self::tag) that goes with it, and whether what is
    /// held is known.
    #[must_use]
    pub fn tagged(&self, namespace: &Namespace) -> Option<(SeenSet, u64, bool)> {
        let space = self.shared.space(namespace)?;
        let seen = space.seen().clone();
        let held = space.held_tag();
        let tag = seen.tag() ^ held.unwrap_or_default();
        Some((seen, tag, held.is_some()))
    }

    /// The root of what `namespace` holds, as digests are kept, and what had been seen when it was that; nothing
    /// while the digests are being made, or just follow a commit.
    #[must_use]
    pub fn rooted(&self, namespace: &Namespace) -> Option<(Sum, SeenSet)> {
        self.shared.space(namespace)?.rooted()
    }

    /// How many keys that other nodes may know of have a value, as of the last time that deadlines were gone
    /// through.
    #[must_use]
    pub fn exchanged_keys(&self, namespace: &Namespace) -> u64 {
        self.shared.space(namespace).map_or(0, |space| space.keys())
    }

    /// Whether all deletes were seen here that others are known to have forgotten.
    #[must_use]
    pub fn floors_reached(&self, namespace: &Namespace) -> bool {
        self.shared.space(namespace).is_none_or(|space| space.floors().are_reached_by(&space.seen()))
    }

    /// The record of `key`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn record(&self, namespace: &Namespace, key: &Key) -> Result<Option<Record>, StoreError> {
        let Some(space) = self.shared.space(namespace) else { return Ok(None) };
        match self.store.get(&layout::record(space.no, key.as_bytes()))? {
            Some(bytes) => stored::decode_record(key, &bytes, &self.shared).map(Some),
            None => Ok(None),
        }
    }

    /// What readers see under `key` at `now`, in milliseconds since 1970.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn get(&self, namespace: &Namespace, key: &Key, now: u64) -> Result<Option<Found>, StoreError> {
        let Some(space) = self.shared.space(namespace) else { return Ok(None) };
        let at = layout::record(space.no, key.as_bytes());
        for _ in 0..TRIES_MAX {
            let Some(bytes) = self.store.get(&at)? else { return Ok(None) };
            let reading = stored::decode_reading(key, &bytes, &self.shared)?;
            let Some(Visible { version, put }) = reading.visible(space.strategy(key), now) else {
                return Ok(None);
            };
            let (dot, hlc, expires_at) = (version.dot, version.hlc, version.expires_at());
            let bytes = match &put.payload {
                Payload::Inline(bytes) => Some(bytes.clone()),
                Payload::Blob { .. } => self.blob(namespace, version.dot)?,
            };
            if let Some(bytes) = bytes {
                let value = Value::new(put.content_type.clone(), bytes);
                return Ok(Some(Found { reading, value, dot, hlc, expires_at }));
            }
        }
        self.view().get(namespace, key, now)
    }

    /// The bytes of the large value of the version `dot`, if it is held.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn blob(&self, namespace: &Namespace, dot: Dot) -> Result<Option<Bytes>, StoreError> {
        let Some(space) = self.shared.space(namespace) else { return Ok(None) };
        let Some(no) = self.shared.origins().number(&dot.origin) else { return Ok(None) };
        self.store.get(&layout::blob(space.no, no, dot.seq))
    }

    /// A consistent view of the store as it is now.
    #[must_use]
    pub fn view(&self) -> View {
        View::new(&*self.store, self.shared.clone())
    }

    /// Bytes on disk.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.store.size_bytes()
    }
}
