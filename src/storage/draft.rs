//! What a ledger has planned and not yet committed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use bytes::Bytes;

use super::{Batch, history::Kept, layout::NsNo, shared::SpaceState};
use crate::{
    causality::{Dot, Floors, Origin, SeenSet},
    conflict::{Record, Version, VersionHash},
    types::Namespace,
};

/// The most entries of each kind that room is kept for between commits.
const ROOM_MAX: usize = 2_048;

/// A version that a commit made part of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where it belongs.
    pub namespace: Namespace,
    /// The version, as it is held now.
    pub version: Version,
    /// Whether it was written here.
    pub local: bool,
    /// Whether it never leaves the node: then its dot is part of no frontier.
    pub local_only: bool,
}

/// Changes that wait for one commit, and the state that reads in between must see.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) batch: Batch,
    pub(super) records: Records,
    pub(super) spaces: BTreeMap<NsNo, Grown>,
    pub(super) dead_blocks: BTreeSet<(NsNo, Origin, u64)>,
    pub(super) changes: Vec<Change>,
    /// What subscribers are told of, where there are any.
    pub(super) sights: Vec<super::Sight>,
    /// What the digests learn of when the draft is committed.
    pub(super) items: Vec<(NsNo, Item)>,
    pub(super) record_bytes: usize,
}

/// What becomes of an entry of the dot index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) dot: Dot,
    pub(super) hash: VersionHash,
    /// Whether it was there, and if so compared.
    pub(super) before: Option<bool>,
    /// Whether it is there, and if so compared.
    pub(super) after: Option<bool>,
}

/// What a draft changes of a namespace as a whole.
#[derive(Debug)]
pub(super) struct Grown {
    pub(super) space: Arc<SpaceState>,
    /// What is seen beside what was.
    pub(super) fresh: SeenSet,
    /// The floors, if they change.
    pub(super) floors: Option<Floors>,
    /// By how much the number of keys with a value changes.
    pub(super) keys: i64,
}

/// The records that a draft has looked at, each read from the store once.
///
/// Invariant: a record that is not marked as changed is what the store holds, for nobody else
/// writes to it; so all are forgotten with the draft.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// By the key of the store.
    places: HashMap<Bytes, usize>,
    looked_at: Vec<LookedAt>,
}

#[derive(Debug)]
pub(super) struct LookedAt {
    pub(super) at: Bytes,
    pub(super) record: Option<Record>,
    pub(super) kept: Kept,
    pub(super) changed: bool,
}

/// Where a record stands among those of the draft.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(usize);

impl Records {
    /// Forgets all, and keeps some of the room they took.
    fn clear(&mut self) {
        self.places.clear();
        self.places.shrink_to(ROOM_MAX);
        self.looked_at.clear();
        self.looked_at.shrink_to(ROOM_MAX);
    }

    pub(super) fn len(&self) -> usize {
        self.looked_at.len()
    }

    pub(super) fn find(&self, at: &Bytes) -> Option<Place> {
        self.places.get(at).copied().map(Place)
    }

    pub(super) fn add(&mut self, at: Bytes, record: Option<Record>, kept: Kept) -> Place {
        let place = self.looked_at.len();
        self.places.insert(at.clone(), place);
        self.looked_at.push(LookedAt { at, record, kept, changed: false });
        Place(place)
    }

    pub(super) fn get(&self, place: Place) -> Option<&Record> {
        self.looked_at[place.0].record.as_ref()
    }

    /// The key of the store under which the record lies.
    pub(super) fn key(&self, place: Place) -> &Bytes {
        &self.looked_at[place.0].at
    }

    /// Takes the record out; another one is to be set.
    pub(super) fn take(&mut self, place: Place) -> Option<Record> {
        self.looked_at[place.0].record.take()
    }

    pub(super) fn set(&mut self, place: Place, record: Option<Record>) {
        let looked_at = &mut self.looked_at[place.0];
        if record.is_none() {
            looked_at.kept.forget();
        }
        looked_at.record = record;
        looked_at.changed = true;
    }

    /// What is kept of the key beside its record.
    pub(super) fn kept(&self, place: Place) -> &Kept {
        &self.looked_at[place.0].kept
    }

    /// The same, to be changed.
    pub(super) fn kept_mut(&mut self, place: Place) -> &mut Kept {
        let looked_at = &mut self.looked_at[place.0];
        looked_at.changed = true;
        &mut looked_at.kept
    }

    /// The records that changed, in the order they were first looked at.
    pub(super) fn changed(&self) -> impl Iterator<Item = &LookedAt> {
        self.looked_at.iter().filter(|looked_at| looked_at.changed)
    }
}

impl Draft {
    /// An empty draft with room for as much as was in the last one, which `records` and the counts
    /// come from: lists that grow are copied again and again.
    pub(super) fn after(mut records: Records, operations: usize, changes: usize) -> Self {
        records.clear();
        Self {
            batch: Batch::with_capacity(operations.min(ROOM_MAX)),
            records,
            changes: Vec::with_capacity(changes.min(ROOM_MAX)),
            ..Self::default()
        }
    }

    /// Whether a commit would change nothing.
    pub(super) fn is_empty(&self) -> bool {
        // A record changes only with a dot that is fresh, or in a collision, which moves entries
        // of the dot index.
        self.batch.is_empty() && self.spaces.is_empty()
    }

    pub(super) fn space(&mut self, space: &Arc<SpaceState>) -> &mut Grown {
        let grown = || Grown { space: space.clone(), fresh: SeenSet::new(), floors: None, keys: 0 };
        self.spaces.entry(space.no).or_insert_with(grown)
    }

    /// What is seen in a namespace beside what was.
    pub(super) fn fresh(&self, ns: NsNo) -> Option<&SeenSet> {
        self.spaces.get(&ns).map(|grown| &grown.fresh)
    }

    /// Roughly how many bytes the commit will write.
    pub(super) fn bytes(&self) -> usize {
        self.batch.bytes() + self.record_bytes
    }
}
