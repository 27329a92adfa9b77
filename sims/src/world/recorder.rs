//! Writes down what happens, as it happens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings::storage::Change;
use tokio::sync::watch;

use super::shadow::Shadow;
use crate::{
    history::{Event, History, Sample, Seen, What},
    os,
    plan::NodeNo,
    trace::Trace,
};

/// The observer of a simulation. Clones share what they know.
#[derive(Clone)]
pub struct Recorder(Arc<Mutex<Book>>);

struct Book {
    history: History,
    trace: Trace,
    shadow: Shadow,
    agreed: watch::Sender<bool>,
}

impl Recorder {
    /// Of so many nodes, of which nothing is known yet.
    #[must_use]
    pub fn new(nodes: usize, trace: Trace) -> Self {
        let shadow = Shadow::new(nodes);
        Self(Arc::new(Mutex::new(Book {
            history: History::default(),
            trace,
            shadow,
            agreed: watch::Sender::new(true),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened.
    pub fn note(&self, what: What) {
        let mut book = self.lock();
        match &what {
            What::Started { node, records, .. } => book.shadow.start(*node, records),
            What::Stopped { node, .. } => book.shadow.stop(*node),
            _ => {}
        }
        book.put(what);
        book.compare();
    }

    /// A node committed this.
    pub fn applied(&self, node: NodeNo, changes: &[Change]) {
        let mut book = self.lock();
        // What never leaves its node is in no frontier, and nothing that nodes could agree on.
        for change in changes.iter().filter(|change| !change.local_only) {
            let version = Seen::of(&change.version);
            book.shadow.apply(node, &version);
            book.put(What::Applied { node, local: change.local, version });
        }
        book.compare();
    }

    /// What a node that is down had not synced is gone.
    pub fn lost_power(&self, node: NodeNo, left: &[Seen]) {
        let mut book = self.lock();
        book.shadow.start(node, left);
        book.shadow.stop(node);
        book.shadow.forget_lost();
    }

    /// What a node that is down held is gone.
    pub fn wiped(&self, node: NodeNo) {
        self.lock().shadow.wipe(node);
    }

    /// Whether all nodes that are up hold the same.
    pub fn agree(&self) -> bool {
        *self.lock().agreed.borrow()
    }

    /// Waits until all nodes that are up hold the same.
    pub async fn agreed(&self) {
        let mut agreed = self.lock().agreed.subscribe();
        let _the_book_outlives_this = agreed.wait_for(|agreed| *agreed).await;
    }

    /// Adds how complete each node is to measurements, and writes them down.
    pub fn sample(&self, mut samples: Vec<Sample>) {
        let mut book = self.lock();
        for (node, sample) in samples.iter_mut().enumerate() {
            sample.keys = book.shadow.keys();
            sample.agreed = book.shadow.complete(node);
        }
        book.put(What::Sample(samples));
    }

    /// Everything that was written down.
    #[must_use]
    pub fn finish(&self) -> (History, Trace) {
        let mut book = self.lock();
        (std::mem::take(&mut book.history), book.trace.clone())
    }
}

impl Book {
    fn put(&mut self, what: What) {
        let at = os::elapsed();
        self.trace.add(at, &what);
        self.history.events.push(Event { at, what });
    }

    fn compare(&mut self) {
        let agreed = self.shadow.agreed();
        if self.agreed.send_replace(agreed) != agreed {
            self.put(if agreed { What::Agreed } else { What::Disagreed });
        }
    }
}
