//! Pages of keys in order.

use bytes::Bytes;

use super::{Entry, ReadError, Space};
use crate::{
    conflict::{Payload, Visible},
    types::{Key, Prefix, Value},
};

/// Which keys a scan returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The key itself and all below it; everything if empty.
    pub prefix: Prefix,
    /// Begin behind this key (before it, if `reverse`).
    pub after: Option<Key>,
    /// At most so many entries; 1 to 10,000.
    pub limit: usize,
    /// Descending.
    pub reverse: bool,
    /// Leave the values out.
    pub keys_only: bool,
}

impl Default for Scan {
    fn default() -> Self {
        Self { prefix: Prefix::all(), after: None, limit: 1_000, reverse: false, keys_only: false }
    }
}

/// A page of a scan.
#[derive(Clone, Debug)]
pub struct ScanPage {
    /// The entries, in order of their keys.
    pub entries: Vec<Entry>,
    /// Where to go on ([`Scan::after`]), if there is more.
    pub next: Option<Key>,
}

/// The most entries in a page of a scan.
const SCAN_LIMIT_MAX: usize = 10_000;
/// Room is made for so many entries before they are read.
const SCAN_ENTRIES_FORESEEN: usize = 1_000;
/// A page of a scan is closed when its values have so many bytes.
const SCAN_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Larger values are left out of scans; their size is told.
const SCAN_VALUE_BYTES_MAX: u64 = 64 * 1024;

impl Space {
    /// Keys in order, a page at a time: at most `limit` entries, and at most 4 MiB of values.
    /// Values above 64 KiB are left out; their size is told. Each page is of one moment, several are
    /// of several.
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
    /// use tidings::{Namespace, Prefix, node::Scan};
    ///
    /// let space = node.space(&Namespace::default())?;
    /// for n in 0..5 {
    ///     space.put(format!("users/{n}"), "somebody").await?;
    /// }
    /// let mut scan = Scan { prefix: Prefix::new("users")?, limit: 2, ..Scan::default() };
    /// let mut sizes = Vec::new();
    /// loop {
    ///     let page = space.scan(scan.clone()).await?;
    ///     sizes.push(page.entries.len());
    ///     scan.after = page.next;
    ///     if scan.after.is_none() {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(sizes, [2, 2, 1]);
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`ReadError`].
    #[expect(clippy::unused_async, reason = "reads may have to wait for a frontier in the future")]
    pub async fn scan(&self, scan: Scan) -> Result<ScanPage, ReadError> {
        let limit = scan.limit.clamp(1, SCAN_LIMIT_MAX);
        let view = self.open_reader()?.view();
        let mut page = ScanPage { entries: Vec::with_capacity(limit.min(SCAN_ENTRIES_FORESEEN)), next: None };
        let strategies = view.strategies(&self.namespace);
        let (mut bytes, now) = (0, self.society().clock.wall_ms());
        for pair in self.readings(&view, &scan.prefix, scan.after.as_ref(), scan.reverse) {
            let (key, reading) = pair?;
            let Some(Visible { version, put }) = reading.visible(strategies.of(&key), now) else { continue };
            let size = put.payload.size();
            let shown = !scan.keys_only && size <= SCAN_VALUE_BYTES_MAX;
            let full = page.entries.len() >= limit || (shown && bytes > 0 && bytes + size > SCAN_BYTES_MAX);
            if full {
                page.next = page.entries.last().map(|entry: &Entry| entry.key.clone());
                break;
            }
            let value = match (&put.payload, shown) {
                (_, false) => Bytes::new(),
                (Payload::Inline(bytes), true) => bytes.clone(),
                (Payload::Blob { .. }, true) => view.blob(self.home(&key), version.dot)?.unwrap_or_default(),
            };
            bytes += value.len() as u64;
            let value = Value::new(put.content_type.clone(), value);
            let (dot, hlc, expires_at) = (version.dot, version.hlc, version.expires_at());
            let (siblings, local_only) = (reading.siblings().len(), self.is_local_only(&key));
            page.entries.push(Entry {
                key,
                value,
                size,
                dot,
                hlc,
                expires_at,
                siblings,
                etag: reading.into(),
                local_only,
            });
        }
        Ok(page)
    }
}
