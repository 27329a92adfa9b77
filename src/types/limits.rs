//! The limits that a user meets. What breaks one is refused at the door and changes nothing.

/// The largest value unless [`Limits::value_bytes_max`] says otherwise: 16 MiB.
pub const VALUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most operations in one batch.
pub const BATCH_OPERATIONS_MAX: usize = 1_000;
/// The most bytes (keys and values) in one batch: 1 MiB.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// The most namespaces that one node carries.
pub const NAMESPACES_MAX: usize = 64;
/// The largest value that travels and is stored with its version; a larger one is announced by
/// its hash and fetched on a stream of its own.
pub const INLINE_BYTES_MAX: usize = 32 * 1024;
/// The largest value that any setting can allow, and that a version from elsewhere can announce:
/// 4 GiB.
pub const BLOB_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// The limits that can be set for a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest value in bytes. Nodes of a mesh should agree on it: a node refuses to fetch a
    /// larger one, and says so.
    pub value_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { value_bytes_max: VALUE_BYTES_MAX }
    }
}
