//! A node and a raw fjall that hold the same data.

use std::time::Duration;

use bytes::Bytes;
use fjall::{
    KeyspaceCreateOptions,
    config::{BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry},
};
use tempfile::TempDir;
use tidings::{
    Node,
    storage::{Durability, fjall::FjallOptions},
};

use super::shared::{busy_ticks, mixed};

/// A node, a raw fjall, and how many pairs each of them has got.
pub struct Pair {
    pub node: Node,
    pub raw: fjall::Keyspace,
    pub database: fjall::Database,
    pub filled: usize,
    directory: TempDir,
}

/// As programs have it: a worker for each core.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

/// Key number `n`; the order of the numbers is not that of the keys.
pub fn key(n: usize) -> String {
    format!("bench/{:016x}", mixed(n as u64))
}

/// 100 bytes that do not compress.
pub fn value(n: usize) -> Bytes {
    let words: Vec<u8> =
        (0..13).flat_map(|word| mixed((n * 16 + word) as u64 ^ 0xabcd).to_le_bytes()).collect();
    Bytes::copy_from_slice(&words[..100])
}

impl Pair {
    pub async fn open(durability: Durability) -> Self {
        Self::open_in(tempfile::tempdir().unwrap(), durability, 0).await
    }

    async fn open_in(directory: TempDir, durability: Durability, filled: usize) -> Self {
        let node = Node::builder()
            .data_dir(directory.path().join("node"))
            .listen([])
            .durability(durability)
            .start()
            .await
            .unwrap();
        let (database, raw) = raw(directory.path().join("raw"));
        Self { node, raw, database, filled, directory }
    }

    pub async fn reopen(self, durability: Durability) -> Self {
        let filled = self.filled;
        let directory = self.close().await;
        Self::open_in(directory, durability, filled).await
    }

    /// Closes both; the data stays as long as the directory.
    pub async fn close(self) -> TempDir {
        self.node.close().await;
        self.directory
    }
}

/// fjall with the memory, the journal and the filters that a node gives it.
fn raw(path: std::path::PathBuf) -> (fjall::Database, fjall::Keyspace) {
    let options = FjallOptions::default();
    let database = fjall::Database::builder(path)
        .cache_size(options.cache_bytes)
        .max_journaling_size(options.journal_bytes_max)
        .worker_threads(options.workers)
        .open()
        .unwrap();
    let keyspace = database.keyspace("raw", || {
        KeyspaceCreateOptions::default()
            .max_memtable_size(options.memtable_bytes)
            .expect_point_read_hits(false)
            .filter_policy(FilterPolicy::new([
                FilterPolicyEntry::Bloom(BloomConstructionPolicy::FalsePositiveRate(0.0001)),
                FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(10.0)),
            ]))
    });
    let keyspace = keyspace.unwrap();
    (database, keyspace)
}

/// Waits until flushes and compactions have ended, so that nobody pays for the writes of another.
pub async fn settle() {
    const SLICE: Duration = Duration::from_millis(250);
    for _ in 0..40 {
        let before = busy_ticks();
        tokio::time::sleep(SLICE).await;
        if busy_ticks() - before <= 1 {
            return;
        }
    }
}
