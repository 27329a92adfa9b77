//! Reads back what a ledger keeps in memory.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Snapshot, Store, StoreError, bases, chunks, dead_runs,
    layout::{self, NsNo, OriginNo},
    pens::Pens,
    shared::{Origins, Shared, SpaceState},
};
use crate::{
    causality::{Context, DeadSet, Hlc, Intervals, Origin, SeenSet},
    conflict::Base,
    types::Namespace,
    wire,
};

/// What a store says of itself.
pub(super) struct Loaded {
    pub(super) shared: Shared,
    pub(super) dead: BTreeMap<NsNo, DeadSet>,
    pub(super) lost: BTreeMap<NsNo, SeenSet>,
    pub(super) clock: Hlc,
    pub(super) counted_until: BTreeMap<NsNo, u64>,
    /// Numbers of namespaces are not given twice, so a namespace that is left and joined again has another.
    pub(super) next_namespace: NsNo,
    pub(super) bases_enough: usize,
}

impl Loaded {
    /// How many names `me` has given, in all namespaces together; those that were lost were given, too.
    pub(super) fn issued(&self, me: Origin) -> u64 {
        let pens = Pens::of(me);
        let spaces = self.shared.names().into_iter().filter_map(|name| self.shared.space(&name));
        spaces.map(|space| pens.given(&space, self.lost.get(&space.no))).sum()
    }
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(what.to_owned())
}

/// Reads all that a ledger keeps in memory: origins, namespaces, seen and dead sets, the clock.
pub(super) fn load(store: &dyn Store) -> Result<Loaded, StoreError> {
    let snapshot = store.snapshot();
    let shared = Shared::default();
    *shared.origins_mut() = load_origins(&*snapshot)?;
    let origins = shared.origins();
    let mut seen = load_seen(&*snapshot, &origins)?;
    let mut dead = load_dead(&*snapshot, &origins)?;
    drop(origins);
    let (mut next_namespace, mut lost, mut counted_until) = (0, BTreeMap::new(), BTreeMap::new());
    let (from, to) = layout::all(b'n');
    for pair in snapshot.range(&from, &to, false) {
        let (key, name) = pair?;
        let no = u16::from_be_bytes(tail(&key, 1)?);
        let name = std::str::from_utf8(&name).ok().and_then(|text| Namespace::stored(text).ok());
        let name = name.ok_or_else(|| damaged("a namespace has no lawful name"))?;
        let keys = number(snapshot.get(&super::ledger::keys_fact(no))?)?;
        counted_until.insert(no, number(snapshot.get(&super::expire::counted_fact(no))?)?);
        if let Some(bytes) = snapshot.get(&super::ledger::lost_fact(no))? {
            let set =
                wire::decode_stored(&bytes).map_err(|error| damaged(&format!("what was lost: {error}")))?;
            lost.insert(no, set);
        }
        let floors = snapshot.get(&super::ledger::floors_fact(no))?;
        let floors = floors.map(|bytes| wire::decode_stored(&bytes)).transpose();
        let floors = floors.map_err(|error| damaged(&format!("the floors: {error}")))?.unwrap_or_default();
        let (local, seen) = (name.is_companion(), seen.remove(&no).unwrap_or_default());
        shared.add_space(name, SpaceState::new(no, local, seen, floors, keys));
        next_namespace = next_namespace.max(no + 1);
    }
    for no in super::membership::left(&*snapshot)? {
        shared.set_left(no, true);
        dead.remove(&no);
        next_namespace = next_namespace.max(no.saturating_add(1));
    }
    let given = number(snapshot.get(&super::membership::given_fact())?)?;
    next_namespace = next_namespace.max(NsNo::try_from(given).unwrap_or(NsNo::MAX));
    load_bases(&*snapshot, &shared)?;
    let clock = Hlc(number(snapshot.get(&layout::fact(super::ledger::CLOCK))?)?);
    let left = number(snapshot.get(&bases::left_fact())?)?;
    let bases_enough = bases::enough_after(usize::try_from(left).unwrap_or(usize::MAX));
    Ok(Loaded { shared, dead, lost, clock, counted_until, next_namespace, bases_enough })
}

fn load_bases(snapshot: &dyn Snapshot, shared: &Shared) -> Result<(), StoreError> {
    let (from, to) = layout::all(b'h');
    for pair in snapshot.range(&from, &to, false) {
        let covers: Context =
            wire::decode_stored(&pair?.1).map_err(|error| damaged(&format!("a base: {error}")))?;
        shared.bases_mut().add(Base::new(Arc::new(covers)));
    }
    Ok(())
}

fn number(bytes: Option<bytes::Bytes>) -> Result<u64, StoreError> {
    match bytes {
        None => Ok(0),
        Some(bytes) => Ok(u64::from_le_bytes(tail(&bytes, 0)?)),
    }
}

/// The `N` bytes of `bytes` from `at` to its end.
fn tail<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], StoreError> {
    bytes
        .get(at..)
        .and_then(|rest| rest.try_into().ok())
        .ok_or_else(|| damaged("a key or number of the wrong length"))
}

fn load_origins(snapshot: &dyn Snapshot) -> Result<Origins, StoreError> {
    let mut origins = Origins::default();
    let (from, to) = layout::all(b'o');
    for pair in snapshot.range(&from, &to, false) {
        let (key, value) = pair?;
        let no = OriginNo::from_be_bytes(tail(&key, 1)?);
        let origin: Origin = wire::decode_stored(&value).map_err(|error| damaged(&error.to_string()))?;
        if origins.intern(origin) != (no, true) {
            return Err(damaged("the numbers of origins have a hole"));
        }
    }
    Ok(origins)
}

fn ns_and_origin(key: &[u8], origins: &Origins) -> Result<(NsNo, Origin), StoreError> {
    let head = key.get(..7).ok_or_else(|| damaged("a key that is too short"))?;
    let ns = NsNo::from_be_bytes([head[1], head[2]]);
    let no = OriginNo::from_be_bytes([head[3], head[4], head[5], head[6]]);
    let origin = origins.get(no).ok_or_else(|| damaged("an origin without a number"))?;
    Ok((ns, origin))
}

fn load_seen(snapshot: &dyn Snapshot, origins: &Origins) -> Result<BTreeMap<NsNo, SeenSet>, StoreError> {
    let mut seen: BTreeMap<NsNo, SeenSet> = BTreeMap::new();
    // The chunks of one origin follow each other.
    let (mut last, mut seqs) = (None, Intervals::new());
    let keep = |seen: &mut BTreeMap<NsNo, SeenSet>, whose: Option<(NsNo, Origin)>, seqs: &mut Intervals| {
        if let Some((ns, origin)) = whose {
            seen.entry(ns).or_default().set(origin, std::mem::take(seqs));
        }
    };
    let (from, to) = layout::all(b's');
    for pair in snapshot.range(&from, &to, false) {
        let (key, value) = pair?;
        let (ns, origin) = ns_and_origin(&key, origins)?;
        if last.is_some_and(|last| last != (ns, origin)) {
            keep(&mut seen, last, &mut seqs);
        }
        last = Some((ns, origin));
        chunks::read(&mut seqs, &value)?;
    }
    keep(&mut seen, last, &mut seqs);
    Ok(seen)
}

/// Whose blocks of dead dots a key is about, and which one.
pub(super) fn dead_key(key: &[u8], origins: &Origins) -> Result<(NsNo, Origin, u64), StoreError> {
    let (ns, origin) = ns_and_origin(key, origins)?;
    Ok((ns, origin, u64::from_be_bytes(tail(key, 7)?)))
}

fn load_dead(snapshot: &dyn Snapshot, origins: &Origins) -> Result<BTreeMap<NsNo, DeadSet>, StoreError> {
    let mut dead: BTreeMap<NsNo, DeadSet> = BTreeMap::new();
    let (from, to) = layout::all(b'x');
    for pair in snapshot.range(&from, &to, false) {
        let (key, value) = pair?;
        let (ns, origin, block) = dead_key(&key, origins)?;
        dead_runs::read(dead.entry(ns).or_default(), origin, block, &value)?;
    }
    Ok(dead)
}
