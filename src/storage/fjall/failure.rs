//! What fjall's errors mean to us.

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use crate::storage::{OpenError, StoreError};

/// What a flush may take: a memtable, and what is written beside it.
const FLUSH_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// An error while the store is at work.
pub(super) fn while_running(error: &fjall::Error) -> StoreError {
    if let Some(error) = io_error(error) {
        return match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full(error.to_string()),
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                StoreError::Damaged(error.to_string())
            }
            _ => StoreError::Io(error.to_string()),
        };
    }
    match error {
        fjall::Error::Poisoned => StoreError::Poisoned("a write or flush was refused by the disk".into()),
        error if is_damage(error) => StoreError::Damaged(error.to_string()),
        error => StoreError::Io(error.to_string()),
    }
}

/// Where a thread of fjall's own was refused by the disk, nobody is told why. If there is less room than a flush may
/// take, that was it.
pub(super) fn for_lack_of_room(error: StoreError, path: &Path) -> StoreError {
    match (error, room(path)) {
        (StoreError::Poisoned(_), Some(free)) if free < FLUSH_BYTES_MAX => {
            let mebibytes = free / (1024 * 1024);
            StoreError::Full(format!("a flush was refused, and {mebibytes} MiB are free"))
        }
        (error, _) => error,
    }
}

/// The bytes that this user may still write where `path` lies.
fn room(path: &Path) -> Option<u64> {
    let told = rustix::fs::statvfs(path).ok()?;
    told.f_bavail.checked_mul(told.f_frsize)
}

/// An error while the store in `path` is opened.
pub(super) fn while_opening(path: &Path, error: &fjall::Error) -> OpenError {
    let path = path.to_path_buf();
    if let Some(error) = io_error(error) {
        let reason = error.to_string();
        return match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                OpenError::Permission { path, reason }
            }
            // Files that others name are gone, end early, or are there where none should be: what says that
            // there is a store is gone.
            io::ErrorKind::NotFound
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof => OpenError::Damaged { path, reason },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                OpenError::Store(StoreError::Full(reason))
            }
            _ => OpenError::Io { path, reason },
        };
    }
    match error {
        fjall::Error::Locked => OpenError::InUse(path),
        error if is_damage(error) => OpenError::Damaged { path, reason: error.to_string() },
        error => OpenError::Io { path, reason: error.to_string() },
    }
}

/// A panic while the store in `path` is opened: fjall's answer to some kinds of damage.
pub(super) fn panicked_opening(path: &Path, panic: &(dyn Any + Send)) -> OpenError {
    OpenError::Damaged { path: path.to_path_buf(), reason: text_of(panic) }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the storage library gave up: {}", text.unwrap_or("it did not say why"))
}

/// Runs what reads, and takes a panic, fjall's answer to some kinds of damage, for damage.
pub(super) fn guarded<T>(read: impl FnOnce() -> Result<T, fjall::Error>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(outcome) => outcome.map_err(|error| while_running(&error)),
        Err(panic) => Err(StoreError::Damaged(text_of(&*panic))),
    }
}

fn io_error(error: &fjall::Error) -> Option<&io::Error> {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => Some(error),
        _ => None,
    }
}

/// What is on the disk is not what was written. A version that fjall does not know counts: we have
/// never used another, so it is a flipped bit.
fn is_damage(error: &fjall::Error) -> bool {
    !matches!(
        error,
        fjall::Error::Io(_)
            | fjall::Error::Storage(fjall::LsmError::Io(_))
            | fjall::Error::Poisoned
            | fjall::Error::KeyspaceDeleted
            | fjall::Error::Locked
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_flush_is_for_lack_of_room_only_where_there_is_none() {
        let poisoned = || while_running(&fjall::Error::Poisoned);
        let here = tempfile::tempdir().expect("a directory");
        let free = room(here.path()).expect("the system tells");
        let error = for_lack_of_room(poisoned(), here.path());
        assert_eq!(matches!(error, StoreError::Full(_)), free < FLUSH_BYTES_MAX, "{free}: {error}");
        assert!(matches!(for_lack_of_room(poisoned(), Path::new("/nowhere")), StoreError::Poisoned(_)));
        // The system's own files have no room for others, and say so.
        if let Some(0) = room(Path::new("/proc")) {
            assert!(matches!(for_lack_of_room(poisoned(), Path::new("/proc")), StoreError::Full(_)));
            let damaged = for_lack_of_room(StoreError::Damaged("x".into()), Path::new("/proc"));
            assert!(matches!(damaged, StoreError::Damaged(_)));
        }
    }
}
