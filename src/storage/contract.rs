//! What every store must do, run against each.

use super::{
    Batch, Durability, Store,
    fjall::{Fjall, FjallOptions},
    memory::Memory,
};

fn smoke(store: &dyn Store) {
    let mut batch = Batch::new();
    batch.insert(&b"a"[..], &b"1"[..]);
    batch.remove(&b"a"[..]);
    batch.insert(&b"b"[..], &b"1"[..]);
    batch.insert(&b"b"[..], &b"2"[..]);
    store.commit(batch, Durability::Buffer).unwrap();
    assert_eq!(store.get(b"a").unwrap(), None);
    assert_eq!(store.get(b"b").unwrap().unwrap(), &b"2"[..]);
    let snapshot = store.snapshot();
    let keys: Vec<_> = snapshot.range(b"a", b"c", true).map(|pair| pair.unwrap().0).collect();
    assert_eq!(keys, [&b"b"[..]]);
}

#[test]
fn smokes() {
    smoke(&Memory::new());
    let dir = tempfile::tempdir().unwrap();
    smoke(&Fjall::open(dir.path(), FjallOptions::default()).unwrap());
    smoke(&Fjall::open(dir.path(), FjallOptions::default()).unwrap());
}
