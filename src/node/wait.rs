//! Waiting until the node has seen a frontier.

use std::{pin::pin, sync::atomic::Ordering, time::Duration};

use thiserror::Error;
use tokio::time;

use super::{Dot, Frontier, Node, Space};
use crate::causality::SeenSet;

/// The most writes that a [`WaitError`] names.
pub const MISSING_SHOWN_MAX: usize = 16;

/// A frontier was not reached.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The time was over.
    #[error(
        "{count} writes of the frontier were not seen here in time, first {}: wait for longer, or look whether whoever has them is connected",
        missing.first().map_or_else(String::new, ToString::to_string)
    )]
    Missing {
        /// The first of them, at most 16.
        missing: Vec<Dot>,
        /// How many there are.
        count: u64,
    },
    /// The node is closed.
    #[error("the node is closed")]
    Closed,
}

impl Node {
    /// Waits until the node has seen all of `frontier`, in the namespace `default`; see
    /// [`Space::wait_for`].
    ///
    /// # Errors
    /// See [`WaitError`].
    pub async fn wait_for(&self, frontier: &Frontier, timeout: Duration) -> Result<(), WaitError> {
        self.default_space().wait_for(frontier, timeout).await
    }
}

impl Space {
    /// Waits, at most for `timeout`, until the node has seen all of `frontier`, such as the
    /// [`Written::frontier`](super::Written::frontier) of a write elsewhere: reads from then on show
    /// that write, or what superseded it. Nothing is fetched for it. Cancel-safe.
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
    /// let written = node.put("greeting", "hello").await?;
    /// node.wait_for(&written.frontier, std::time::Duration::from_secs(5)).await?;
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`WaitError::Missing`] names what was not seen in time; else see [`WaitError`].
    pub async fn wait_for(&self, frontier: &Frontier, timeout: Duration) -> Result<(), WaitError> {
        match time::timeout(timeout, self.seen_all(&frontier.0)).await {
            Ok(done) => done,
            Err(_) => self.lacking(&frontier.0).map_or(Ok(()), |lacking| Err(missing(&lacking))),
        }
    }

    async fn seen_all(&self, wanted: &SeenSet) -> Result<(), WaitError> {
        let society = &self.node.inner.society;
        let mut ended = society.ended.subscribe();
        loop {
            // Before the look: so no commit behind it is missed.
            let mut committed = pin!(society.committed.notified());
            committed.as_mut().enable();
            if !society.ready.load(Ordering::SeqCst) {
                return Err(WaitError::Closed);
            }
            if self.lacking(wanted).is_none() {
                return Ok(());
            }
            tokio::select! {
                () = committed => {}
                _ = ended.wait_for(Option::is_some) => return Err(WaitError::Closed),
            }
        }
    }

    /// What of `wanted` was not seen, if anything.
    fn lacking(&self, wanted: &SeenSet) -> Option<SeenSet> {
        let reader = self.node.inner.society.reader();
        let lacking = reader.with_seen(&self.namespace, |seen| wanted.difference(seen));
        Some(lacking.unwrap_or_else(|| wanted.clone())).filter(|lacking| !lacking.is_empty())
    }
}

fn missing(lacking: &SeenSet) -> WaitError {
    let mut dots = Vec::new();
    for (origin, seqs) in lacking.iter() {
        for (first, last) in seqs.iter() {
            dots.extend(
                (first..=last).take(MISSING_SHOWN_MAX - dots.len()).map(|seq| Dot::new(*origin, seq)),
            );
        }
    }
    WaitError::Missing { missing: dots, count: lacking.count() }
}
