//! How much memory and disk a store on disk takes.

use fjall::{
    KeyspaceCreateOptions, KvSeparationOptions,
    config::{BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry},
};

const MIB: u64 = 1024 * 1024;

/// The least that fjall takes for its journals.
const JOURNAL_BYTES_LEAST: u64 = 64 * MIB;

/// A worker sends messages into the bounded queue that workers drain. A single one blocks for ever
/// when writers have filled that queue: flushing ends, and memory grows without a limit.
const WORKERS_LEAST: usize = 2;

/// Values of at least so many bytes lie in files of their own, and compactions leave them there:
/// else each level of the tree would write them again.
const SEPARATE_BYTES: u32 = 32 * 1024;

/// What a store on disk may take. The default suits a node among others on one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FjallOptions {
    /// Memory for blocks read from disk. More makes reads of data sets beyond it faster; 20 to
    /// 25 % of the memory a node may use is sane. Nothing is taken before it is filled.
    pub cache_bytes: u64,
    /// What the journals may grow to before the store is flushed for their sake; never less than
    /// 64 MiB. More makes for fewer flushes, and a slower start after a crash.
    pub journal_bytes_max: u64,
    /// Writes kept in memory until they are flushed; up to four times as much while the disk is
    /// slow. A store keeps what it was created with.
    pub memtable_bytes: u64,
    /// Threads that flush and compact; never less than 2, whatever is asked for.
    pub workers: usize,
}

impl Default for FjallOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 * MIB,
            journal_bytes_max: JOURNAL_BYTES_LEAST,
            memtable_bytes: 16 * MIB,
            workers: WORKERS_LEAST,
        }
    }
}

impl FjallOptions {
    pub(super) fn database(&self, path: &std::path::Path) -> fjall::DatabaseBuilder<fjall::Database> {
        fjall::Database::builder(path)
            .cache_size(self.cache_bytes)
            .max_journaling_size(self.journal_bytes_max.max(JOURNAL_BYTES_LEAST))
            .worker_threads(self.workers.max(WORKERS_LEAST))
    }

    pub(super) fn keyspace(&self) -> KeyspaceCreateOptions {
        let bloom = |policy| FilterPolicyEntry::Bloom(policy);
        KeyspaceCreateOptions::default()
            .max_memtable_size(self.memtable_bytes)
            // Most writes are to fresh keys, and find out so by a read: filters on every level.
            .expect_point_read_hits(false)
            .filter_policy(FilterPolicy::new([
                bloom(BloomConstructionPolicy::FalsePositiveRate(0.0001)),
                bloom(BloomConstructionPolicy::BitsPerKey(10.0)),
            ]))
            .with_kv_separation(Some(KvSeparationOptions::default().separation_threshold(SEPARATE_BYTES)))
    }
}
