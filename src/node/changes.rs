//! Changes, a page at a time: for whoever asks now and then.

use std::sync::atomic::Ordering;

use super::{
    Changed, Cursor, ReadError, Space, WatchError,
    follow::{Follower, Page},
};
use crate::{causality::Origin, storage::PageLimit, types::Prefix};

/// The most changes in a page.
pub const CHANGES_LIMIT_MAX: usize = 10_000;
/// A page is closed when its values have so many bytes.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A page that finds nothing goes on looking so often, then says that there is more.
const LOOKS_MAX: usize = 16;

/// A page of changes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChangesPage {
    /// The changes, each key once, as readers see it now.
    pub changes: Vec<Changed>,
    /// Where to go on.
    pub cursor: Cursor,
    /// Whether there is more already.
    pub more: bool,
    /// The cursor was too old: deletes that it was not told of may have been forgotten. Scan, forget
    /// what the scan does not show, and go on from [`Self::cursor`], which was taken before.
    pub reset: bool,
}

impl Space {
    /// What changed below `prefix` since `since` (all there is, if there is nothing), at most `limit`
    /// changes: the same as [`Space::watch`] tells, for whoever asks now and then.
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
    /// let space = node.space(&Default::default())?;
    /// node.put("users/ant", "Ant").await?;
    /// let page = space.changes(Default::default(), None, 100).await?;
    /// assert_eq!(page.changes.len(), 1);
    /// node.put("users/bat", "Bat").await?;
    /// let page = space.changes(Default::default(), Some(page.cursor), 100).await?;
    /// assert_eq!(page.changes[0].key.as_str(), "users/bat");
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`WatchError`].
    pub async fn changes(
        &self,
        prefix: Prefix,
        since: Option<Cursor>,
        limit: usize,
    ) -> Result<ChangesPage, WatchError> {
        let society = &self.node.inner.society;
        let begin = || Cursor::beginning(self.namespace.clone(), prefix.clone());
        let cursor = since.unwrap_or_else(begin).adopt(&self.namespace, &prefix, society.node)?;
        let mut follower = Follower::new(self.namespace.clone(), prefix, cursor);
        let limit = PageLimit { count: limit.clamp(1, CHANGES_LIMIT_MAX), bytes: PAGE_BYTES_MAX };
        let mut changes = Vec::new();
        for look in 1.. {
            let reader = self.open_reader()?;
            let me = Origin { node: society.node, epoch: society.epoch.load(Ordering::Relaxed) };
            let now = society.clock.wall_ms();
            let page = follower.page(&reader.view(), me, now, limit).map_err(ReadError::from)?;
            while let Some(change) = follower.next(&reader)? {
                changes.push(change);
            }
            let more = page == Page::Part;
            if !more || !changes.is_empty() || look == LOOKS_MAX {
                let reset = page == Page::Reset;
                return Ok(ChangesPage { changes, cursor: follower.cursor, more, reset });
            }
            tokio::task::yield_now().await;
        }
        unreachable!("it looks a number of times")
    }
}
