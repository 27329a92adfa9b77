//! Who runs Storage, whose handlers may block on the disk.

use std::thread;

use futures::future::BoxFuture;
use tokio::runtime;

use super::linger::Lingering;
use crate::ports::Scope;

/// Runs the task of the Storage actor until it ends.
pub trait StorageRunner: Send + Sync + 'static {
    /// Runs `task`.
    ///
    /// # Errors
    /// When it cannot be run at all.
    fn run(&self, scope: &Scope, task: BoxFuture<'static, ()>) -> Result<(), String>;
}

/// A thread of its own with a runtime of its own, so that a disk that stalls stalls nothing else.
/// Between messages that come close together it stays awake: waking it costs more than most of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnThread;

impl StorageRunner for OwnThread {
    fn run(&self, _scope: &Scope, task: BoxFuture<'static, ()>) -> Result<(), String> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| format!("no runtime for the storage thread: {error}"))?;
        thread::Builder::new()
            .name("tidings-storage".into())
            .spawn(move || runtime.block_on(Lingering::new(task)))
            .map(drop)
            .map_err(|error| format!("no thread for storage: {error}"))
    }
}

/// A task among the node's others, for simulations: the store must not block.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl StorageRunner for Inline {
    fn run(&self, scope: &Scope, task: BoxFuture<'static, ()>) -> Result<(), String> {
        scope.spawn(task);
        Ok(())
    }
}
