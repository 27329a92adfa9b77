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
    /// Whether there is more already, or may be.
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
        let (mut shared, mut local) = self.followers(&prefix, since)?;
        let limit = limit.clamp(1, CHANGES_LIMIT_MAX);
        let (mut changes, mut page) = (Vec::new(), Page::Nothing);
        for follower in [Some(&mut shared), local.as_mut()].into_iter().flatten() {
            // What is left is told by the next page.
            if page == Page::Part || page == Page::Reset || changes.len() >= limit {
                page = if page == Page::Reset { page } else { Page::Part };
                break;
            }
            page = self.page(follower, limit, &mut changes).await?;
        }
        let cursor = Self::cursor_of(&shared, local.as_ref(), self.society().node);
        Ok(ChangesPage { changes, cursor, more: page == Page::Part, reset: page == Page::Reset })
    }

    /// Adds to `changes`, up to `limit` in all, what `follower` is told.
    async fn page(
        &self,
        follower: &mut Follower,
        limit: usize,
        changes: &mut Vec<Changed>,
    ) -> Result<Page, ReadError> {
        let (society, before) = (self.society(), changes.len());
        let size = |change: &Changed| change.value.as_ref().map_or(0, |value| value.bytes.len());
        let told: usize = changes.iter().map(size).sum();
        let limit = PageLimit { count: limit - before, bytes: PAGE_BYTES_MAX.saturating_sub(told).max(1) };
        let mut page = Page::Nothing;
        for _ in 0..LOOKS_MAX {
            let reader = self.open_reader()?;
            let me = Origin { node: society.node, epoch: society.epoch.load(Ordering::Relaxed) };
            page = follower.page(&reader.view(), me, society.clock.wall_ms(), limit)?;
            while let Some(change) = follower.next(&reader)? {
                changes.push(change);
            }
            if page != Page::Part || changes.len() > before {
                break;
            }
            tokio::task::yield_now().await;
        }
        Ok(page)
    }
}
