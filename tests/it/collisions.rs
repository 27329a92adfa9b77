//! One dot that names two contents: what was acknowledged is in the store all the time.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tidings::{
    Key, Namespace, Node,
    storage::{Batch, Durability, Snapshot, Store, StoreError, memory::Memory},
};

use crate::support::{Machine, link, mesh_name, metric, node, until, until_equal};

/// A disk of which there is a copy as it was after each commit.
struct Copied {
    disk: Memory,
    copies: Arc<Mutex<Vec<Memory>>>,
}

impl Store for Copied {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.disk.get(key)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        self.disk.snapshot()
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        self.disk.commit(batch, durability)?;
        self.copies.lock().unwrap().push(self.disk.copy());
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.disk.sync()
    }

    fn size_bytes(&self) -> u64 {
        self.disk.size_bytes()
    }
}

/// Large ones, too.
fn value(of: &str, n: usize) -> String {
    of.repeat(if n.is_multiple_of(2) { 1 } else { 12_000 })
}

async fn write(node: &Node, of: &str) {
    for n in 0..8 {
        node.put(format!("k/{n}"), value(of, n)).await.unwrap();
    }
}

/// Whether a version of each key has the value that `of` wrote.
async fn has(node: &Node, of: &str) -> Result<(), String> {
    let space = node.space(&Namespace::default()).unwrap();
    for n in 0..8 {
        let explained = space.explain(&Key::new(format!("k/{n}")).unwrap()).await.unwrap();
        let siblings = explained.map(|explained| explained.record.siblings).unwrap_or_default();
        let values = siblings.iter().filter_map(|sibling| sibling.value.as_ref());
        if !values.into_iter().any(|is| is.bytes == value(of, n)) {
            return Err(format!("k/{n}"));
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_dot_a_twin_gave_is_in_the_store_whenever_its_node_is_killed() {
    let mesh = mesh_name();
    let mut machine = Machine::new(&mesh, "ant");
    machine.builder().start().await.unwrap().close().await;
    let mut copied = machine.clone();
    copied.disk = machine.disk.copy();

    let bat = node(&mesh, "bat").start().await.unwrap();
    let twin = copied.builder().start().await.unwrap();
    write(&twin, "twin").await;
    link(&twin, &bat).await;
    until_equal(&[twin.clone(), bat.clone()]).await;
    twin.close().await;

    let copies = Arc::default();
    let disk = Copied { disk: machine.disk.reopen(), copies: Arc::clone(&copies) };
    let ant = machine.on(Arc::new(disk)).start().await.unwrap();
    write(&ant, "ant").await;
    let acknowledged = copies.lock().unwrap().len();
    link(&ant, &bat).await;
    until("both have what this one wrote", || async {
        (has(&ant, "ant").await.is_ok() && has(&bat, "ant").await.is_ok()).then_some(())
    })
    .await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    assert!(metric(&ant, "tidings_collisions_total") > 0);
    ant.close().await;

    let copies = std::mem::take(&mut *copies.lock().unwrap());
    assert!(copies.len() > acknowledged);
    for (commit, disk) in copies.into_iter().enumerate().skip(acknowledged - 1) {
        machine.disk = disk;
        let killed = machine.builder().mesh(mesh_name()).start().await.unwrap();
        assert_eq!(has(&killed, "ant").await, Ok(()), "after commit {commit}");
        killed.close().await;
    }
}
