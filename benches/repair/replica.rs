//! A replica: the ledger of a node, over a store in memory.

use std::sync::Arc;

use tidings::{
    ContentType, Key, Namespace,
    causality::{Context, Dot, Floors, Hlc, NodeId, Origin, SeenSet},
    conflict::{Body, Payload, Put, Version},
    reconcile::Parting,
    storage::{Batch, Durability, Ledger, Store, layout, memory::Memory},
};

use super::shared::mixed;

pub struct Replica {
    store: Memory,
    pub ledger: Ledger,
    /// What both had seen when the last exchange ended.
    pub parting: Option<Parting>,
}

pub fn ns() -> Namespace {
    Namespace::default()
}

pub fn origin(n: usize) -> Origin {
    let mut node = [0; 32];
    node.chunks_exact_mut(8)
        .enumerate()
        .for_each(|(word, place)| place.copy_from_slice(&mixed((n * 4 + word) as u64 + 1).to_le_bytes()));
    Origin { node: NodeId(node), epoch: mixed(n as u64 + 77) }
}

/// A put of 100 bytes that do not compress, under a key of 22.
pub fn version(dot: Dot) -> Version {
    let name = mixed(dot.seq.wrapping_mul(31) ^ dot.origin.epoch);
    let words: Vec<u8> = (0..13).flat_map(|word| mixed(name ^ word).to_le_bytes()).collect();
    let body = Body::Put(Put {
        content_type: ContentType::text(),
        payload: Payload::Inline(words[..100].to_vec().into()),
    });
    let key = Key::new(format!("bench/{name:016x}")).unwrap();
    Version { dot, hlc: Hlc::from_millis(1_700_000_000_000), base: None, context: Context::new(), key, body }
}

impl Replica {
    pub fn new(n: usize) -> Self {
        let store = Memory::new();
        let (ledger, _) = Ledger::open(Arc::new(store.clone()), origin(n), &[ns()]).unwrap();
        Self { store, ledger, parting: None }
    }

    /// Merges `versions`, and takes what else is in `frontier` for superseded.
    pub fn receive(&mut self, versions: &[Version], frontier: &SeenSet) {
        for page in versions.chunks(1_000) {
            for version in page {
                self.ledger.receive(&ns(), version.clone(), None).unwrap();
            }
            self.commit();
        }
        self.ledger.absorb(&ns(), frontier, &Floors::new());
        self.commit();
    }

    pub fn commit(&mut self) {
        self.ledger.commit(Durability::Fsync, Hlc::default()).unwrap();
    }

    /// A disk loses these: record and entry of the dot index. What was seen is still taken for seen: nobody
    /// notices until somebody compares.
    pub fn lose(&mut self, dots: &[Dot]) {
        // Numbers were given in the order in which origins came up: the own one first.
        let numbers: Vec<Origin> = (0..)
            .map_while(|no| self.store.get(&layout::origin(no)).unwrap())
            .map(|bytes| tidings::wire::decode(&bytes).unwrap())
            .collect();
        let mut batch = Batch::new();
        for dot in dots {
            let no = numbers.iter().position(|origin| *origin == dot.origin).unwrap();
            batch.remove(layout::dot(0, u32::try_from(no).unwrap(), dot.seq));
            batch.remove(layout::record(0, version(*dot).key.as_bytes()));
        }
        self.store.commit(batch, Durability::Fsync).unwrap();
        self.ledger.overlook_losses().unwrap();
    }

    pub fn root(&self) -> [u8; 32] {
        self.ledger.digests(&ns()).unwrap().root().hash()
    }
}
