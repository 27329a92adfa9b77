//! What can go wrong with a store, and what to do about it.

use std::path::PathBuf;

use thiserror::Error;

/// A store could not be read or written. Whether a batch was applied is told by the next opening;
/// the store takes no further writes until then.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No room is left.
    #[error("the disk is full: {0}; make room and start the node again")]
    Full(String),
    /// An earlier write failed, so the store refuses all others.
    #[error("the store refuses writes since an earlier one failed: {0}; start the node again")]
    Poisoned(String),
    /// What was read is not what was written.
    #[error(
        "the store is damaged: {0}; stop the node and run `tidings doctor`: with --reset-and-resync the peers refill it"
    )]
    Damaged(String),
    /// The disk or the storage library refuses.
    #[error("the store cannot be used: {0}")]
    Io(String),
}

/// A data directory cannot be used. Nothing in it was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process works on it.
    #[error("{0} is in use by another process: give this node another --data-dir, or stop the other one")]
    InUse(PathBuf),
    /// It may not be read or written.
    #[error("no permission for {path}: {reason}; run as the user who owns it or choose another --data-dir")]
    Permission {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// It was written by a newer version of this program.
    #[error(
        "{path} was written by a newer tidings (store format {found}, this one knows {known}): update this program"
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// What is in it does not fit together.
    #[error(
        "{path} is damaged: {reason}; run `tidings doctor` on the data directory: with --reset-and-resync it moves the store aside, keeps the identity, and the peers refill it at the next start"
    )]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// Something else was refused by the system.
    #[error("{path} cannot be used: {reason}")]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The store could be opened but not used.
    #[error(transparent)]
    Store(#[from] StoreError),
}
