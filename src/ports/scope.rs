//! Every task of a node is spawned through, or adopted by, one scope: so the node can be stopped,
//! dropped or crashed at any await without orphans.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures::future::BoxFuture;
use tokio::{runtime::Handle, task::AbortHandle};

/// The tasks of one node. Cloning shares them.
#[derive(Clone)]
pub struct Scope {
    runtime: Handle,
    tasks: Arc<Mutex<Tasks>>,
}

#[derive(Default)]
struct Tasks {
    closed: bool,
    handles: Vec<AbortHandle>,
    prune_at: usize,
    children: Vec<Weak<Mutex<Tasks>>>,
}

impl Scope {
    /// An empty scope whose tasks run on `runtime`.
    #[must_use]
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, tasks: Arc::default() }
    }

    /// A scope of its own that is closed together with this one, or before it.
    #[must_use]
    pub fn child(&self) -> Self {
        let child = Self::new(self.runtime.clone());
        let mut tasks = self.lock();
        child.lock().closed = tasks.closed;
        tasks.children.retain(|other| other.strong_count() > 0);
        tasks.children.push(Arc::downgrade(&child.tasks));
        drop(tasks);
        child
    }

    /// Starts a task; does nothing once the scope is closed.
    #[expect(clippy::disallowed_methods, reason = "the one place where tasks are spawned")]
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if self.lock().closed {
            return;
        }
        self.adopt(self.runtime.spawn(task).abort_handle());
    }

    /// Takes in a task that somebody else spawned.
    pub fn adopt(&self, handle: AbortHandle) {
        let mut tasks = self.lock();
        if tasks.closed {
            handle.abort();
            return;
        }
        if tasks.handles.len() >= tasks.prune_at {
            tasks.handles.retain(|task| !task.is_finished());
            tasks.prune_at = (tasks.handles.len() * 2).max(64);
        }
        tasks.handles.push(handle);
    }

    /// The scope as the executor of a swarm.
    pub fn executor(&self) -> impl Fn(BoxFuture<'static, ()>) + Send + 'static {
        let scope = self.clone();
        move |task| scope.spawn(task)
    }

    /// Ends all tasks at their next await and takes in no more.
    pub fn close(&self) {
        let children = {
            let mut tasks = self.lock();
            tasks.closed = true;
            for task in &tasks.handles {
                task.abort();
            }
            self.upgraded(&tasks.children)
        };
        for child in children {
            child.close();
        }
    }

    /// How many tasks have not ended, those of children included.
    #[must_use]
    pub fn alive(&self) -> usize {
        let (own, children) = {
            let tasks = self.lock();
            let own = tasks.handles.iter().filter(|task| !task.is_finished()).count();
            (own, self.upgraded(&tasks.children))
        };
        own + children.iter().map(Self::alive).sum::<usize>()
    }

    fn upgraded(&self, children: &[Weak<Mutex<Tasks>>]) -> Vec<Self> {
        let tasks = children.iter().filter_map(Weak::upgrade);
        tasks.map(|tasks| Self { runtime: self.runtime.clone(), tasks }).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
