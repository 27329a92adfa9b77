//! What a program of one's own sees of a simulation: the nodes that are up.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::BoxFuture;
use tidings::Node;

use crate::plan::NodeNo;

/// The nodes of a simulation, by number. Clones share them.
#[derive(Clone)]
pub struct Mesh(Arc<Mutex<Vec<Option<Node>>>>);

/// A program that uses the nodes of a simulation: a workload beside that of the plan, or a check of
/// what holds in the end. What it returns as an error fails the simulation.
///
/// It runs in virtual time, on the thread of the simulation: it must await tokio's timers and the
/// nodes only, start tasks with `tokio::spawn` only, and draw from [`Dice`](crate::dice::Dice).
pub type Program = Arc<dyn Fn(Mesh) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

impl Mesh {
    pub(crate) fn new(nodes: usize) -> Self {
        Self(Arc::new(Mutex::new(vec![None; nodes])))
    }

    /// How many nodes there are, those that are down included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The node of this number, if it is up. It may be killed at any await; what it is asked then
    /// fails.
    #[must_use]
    pub fn node(&self, no: NodeNo) -> Option<Node> {
        self.lock().get(no).cloned().flatten()
    }

    /// All nodes that are up, with their numbers.
    #[must_use]
    pub fn up(&self) -> Vec<(NodeNo, Node)> {
        let nodes = self.lock();
        nodes.iter().enumerate().filter_map(|(no, node)| Some((no, node.clone()?))).collect()
    }

    pub(crate) fn set(&self, no: NodeNo, node: Option<Node>) {
        if let Some(slot) = self.lock().get_mut(no) {
            *slot = node;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Node>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let up: Vec<NodeNo> = self.up().into_iter().map(|(no, _)| no).collect();
        f.debug_tuple("Mesh").field(&up).finish()
    }
}
