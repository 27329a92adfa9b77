//! What the single writer and its readers share: the numbers of origins and namespaces, and what
//! has been seen.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    bases::Bases,
    layout::{NsNo, OriginNo},
};
use crate::{
    causality::{Floors, Origin, SeenSet},
    conflict::{Record, Strategies, Strategy, Table},
    digest::Sum,
    types::{Key, Namespace},
};

/// Numbers of origins in one store, both ways. Numbers are never given twice.
#[derive(Debug, Default)]
pub(super) struct Origins {
    by_no: Vec<Origin>,
    numbers: HashMap<Origin, OriginNo>,
}

impl Origins {
    pub(super) fn get(&self, no: OriginNo) -> Option<Origin> {
        self.by_no.get(no as usize).copied()
    }

    pub(super) fn number(&self, origin: &Origin) -> Option<OriginNo> {
        self.numbers.get(origin).copied()
    }

    /// All origins that have numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = Origin> + '_ {
        self.by_no.iter().copied()
    }

    /// The number of `origin`, and whether it is new.
    pub(super) fn intern(&mut self, origin: Origin) -> (OriginNo, bool) {
        if let Some(no) = self.number(&origin) {
            return (no, false);
        }
        let no = OriginNo::try_from(self.by_no.len()).expect("fewer than 2^32 origins");
        self.by_no.push(origin);
        self.numbers.insert(origin, no);
        (no, true)
    }
}

/// One namespace of a store.
#[derive(Debug)]
pub(super) struct SpaceState {
    pub(super) no: NsNo,
    /// Whether it is a companion: nodes do not exchange it.
    pub(super) never_leaves: bool,
    seen: RwLock<SeenSet>,
    floors: RwLock<Floors>,
    keys: AtomicU64,
    /// A short hash of floors and root; 0 while the root is not known.
    held: AtomicU64,
    /// The root, once it is known, and the revision that it is of.
    root: Mutex<Option<(Sum, u64)>>,
    revision: AtomicU64,
    /// How readers resolve siblings; set once, when a node opens the store.
    strategies: OnceLock<Table>,
}

impl SpaceState {
    pub(super) fn new(no: NsNo, never_leaves: bool, seen: SeenSet, floors: Floors, keys: u64) -> Self {
        // Each later revision adds a write at least, so none is given twice, over restarts neither.
        let revision = seen.count();
        Self {
            no,
            never_leaves,
            seen: RwLock::new(seen),
            floors: RwLock::new(floors),
            keys: keys.into(),
            held: 0.into(),
            root: Mutex::default(),
            revision: revision.into(),
            strategies: OnceLock::new(),
        }
    }

    pub(super) fn set_strategies(&self, table: Table) {
        // A store is opened by one node, which has one table.
        let _ = self.strategies.set(table);
    }

    pub(super) fn strategies(&self) -> Option<&Table> {
        self.strategies.get()
    }

    /// How readers resolve what stands under `key`.
    pub(super) fn strategy(&self, key: &Key) -> &Strategy {
        self.strategies.get().map_or(&Strategy::LastWriteWins, |table| table.of(key))
    }

    /// 1 where readers see a value of `record` at `now`, else 0.
    pub(super) fn shown(&self, record: &Record, now: u64) -> i64 {
        let siblings = record.siblings();
        siblings.first().map_or(0, |first| i64::from(self.strategy(&first.key).shows(siblings, now)))
    }

    pub(super) fn seen(&self) -> RwLockReadGuard<'_, SeenSet> {
        self.seen.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seen_mut(&self) -> RwLockWriteGuard<'_, SeenSet> {
        let seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: whoever reads a revision and then looks sees that much at least.
        self.revision.fetch_add(1, Ordering::Relaxed);
        seen
    }

    pub(super) fn floors(&self) -> RwLockReadGuard<'_, Floors> {
        self.floors.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_floors(&self, floors: Floors) {
        *self.floors.write().unwrap_or_else(PoisonError::into_inner) = floors;
    }

    pub(super) fn held_tag(&self) -> Option<u64> {
        Some(self.held.load(Ordering::Relaxed)).filter(|tag| *tag != 0)
    }

    /// What is held is known, and has this root.
    pub(super) fn set_root(&self, root: &Sum) {
        let bytes = [&root.to_bytes()[..], &self.floors().hash()].concat();
        let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(&bytes).as_bytes();
        self.held.store(u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(1), Ordering::Relaxed);
        *self.root.lock().unwrap_or_else(PoisonError::into_inner) = Some((*root, self.revision()));
    }

    /// What is held is not known any more.
    pub(super) fn unset_root(&self) {
        *self.root.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.held.store(0, Ordering::Relaxed);
    }

    /// The root of what is held, with what had been seen then; nothing while the root is not known, or just being
    /// brought up to what has been seen.
    pub(super) fn rooted(&self) -> Option<(Sum, SeenSet)> {
        let (root, revision) = (*self.root.lock().unwrap_or_else(PoisonError::into_inner))?;
        let seen = self.seen();
        // Under the lock nobody raises it.
        (self.revision() == revision).then(|| (root, seen.clone()))
    }

    pub(super) fn keys(&self) -> u64 {
        self.keys.load(Ordering::Relaxed)
    }

    pub(super) fn set_keys(&self, keys: u64) {
        self.keys.store(keys, Ordering::Relaxed);
    }

    /// Rises with every change of what has been seen.
    pub(super) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Relaxed)
    }
}

/// The namespaces that are carried.
pub(super) type Spaces = BTreeMap<Namespace, Arc<SpaceState>>;

/// What writer and readers share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    origins: RwLock<Origins>,
    spaces: RwLock<Arc<Spaces>>,
    /// Numbers of namespaces that were left, whose data is still being removed.
    left: RwLock<BTreeSet<NsNo>>,
    bases: RwLock<Bases>,
}

impl Shared {
    pub(super) fn origins(&self) -> RwLockReadGuard<'_, Origins> {
        self.origins.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn origins_mut(&self) -> RwLockWriteGuard<'_, Origins> {
        self.origins.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The namespace of this number.
    pub(super) fn name(&self, no: NsNo) -> Option<Namespace> {
        let spaces = self.spaces();
        spaces.iter().find(|(_, space)| space.no == no).map(|(name, _)| name.clone())
    }

    pub(super) fn bases(&self) -> RwLockReadGuard<'_, Bases> {
        self.bases.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn bases_mut(&self) -> RwLockWriteGuard<'_, Bases> {
        self.bases.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_strategies(&self, strategies: &Strategies) {
        for (name, space) in &*self.spaces() {
            space.set_strategies(strategies.of(&name.home()));
        }
    }

    pub(super) fn space(&self, name: &Namespace) -> Option<Arc<SpaceState>> {
        self.spaces.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All of them, companions too.
    pub(super) fn names(&self) -> Vec<Namespace> {
        self.spaces.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Those that nodes exchange, and users know of: whatever leaves the node is of one of these.
    pub(super) fn exchanged(&self) -> Vec<Namespace> {
        let mut names = self.names();
        names.retain(|name| !name.is_companion());
        names
    }

    pub(super) fn add_space(&self, name: Namespace, space: SpaceState) {
        let mut spaces = self.spaces.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut spaces).insert(name, Arc::new(space));
    }

    /// All of them, as they are now.
    pub(super) fn spaces(&self) -> Arc<Spaces> {
        self.spaces.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn remove_space(&self, name: &Namespace) -> Option<Arc<SpaceState>> {
        let mut spaces = self.spaces.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut spaces).remove(name)
    }

    /// Whether the namespace of this number was left, and what it held is being removed: nobody reads that.
    pub(super) fn is_left(&self, no: NsNo) -> bool {
        self.left.read().unwrap_or_else(PoisonError::into_inner).contains(&no)
    }

    /// The first of those.
    pub(super) fn first_left(&self) -> Option<NsNo> {
        self.left.read().unwrap_or_else(PoisonError::into_inner).first().copied()
    }

    pub(super) fn set_left(&self, no: NsNo, left: bool) {
        let mut all = self.left.write().unwrap_or_else(PoisonError::into_inner);
        if left {
            all.insert(no)
        } else {
            all.remove(&no)
        };
    }
}
