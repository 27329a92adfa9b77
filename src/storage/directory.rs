//! The data directory of a node: one process at a time, and the secret that names the node.
//!
//! ```text
//! lock        held as long as the directory is in use; when it changed tells copies from originals
//! identity    32 bytes, the node's ed25519 secret key; keep it to stay the same node
//! store/      the store
//! issued      how many names were given to writes: tells whether the store lost its end
//! opened      which opening was the last: tells whether the store was put back from a backup
//! ```

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use rand::{TryRng, rngs::SysRng};

use super::{OpenError, StoreError};

pub(super) const LOCK: &str = "lock";
pub(super) const IDENTITY: &str = "identity";
/// An identity that is not completely written yet.
const IDENTITY_DRAFT: &str = "identity.new";
pub(super) const STORE: &str = "store";
const IDENTITY_BYTES: usize = 32;

/// A data directory, in use by this process until it is dropped.
pub struct DataDir {
    path: PathBuf,
    identity: [u8; IDENTITY_BYTES],
    /// Closing the file gives the lock back.
    _lock: File,
}

impl std::fmt::Debug for DataDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The identity is a secret.
        f.debug_struct("DataDir").field("path", &self.path).finish_non_exhaustive()
    }
}

impl DataDir {
    /// Takes the directory `path` into use; makes it, readable for its owner only, and draws an
    /// identity, where there is none.
    ///
    /// # Errors
    /// When another process uses it, it may not be written, or its identity is unreadable.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        create(path).map_err(|error| refused(path, &error))?;
        // Absolute, so that it stays the same directory if the process changes its own.
        let path = fs::canonicalize(path).map_err(|error| refused(path, &error))?;
        let lock = lock(&path)?;
        let identity = match read_identity(&path)? {
            Some(identity) => identity,
            None => draw_identity(&path)?,
        };
        Ok(Self { path, identity, _lock: lock })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The node's ed25519 secret key.
    #[must_use]
    pub fn identity(&self) -> [u8; 32] {
        self.identity
    }

    /// Where the store lies.
    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        self.path.join(STORE)
    }
}

/// Makes the directory, and makes it last. The ones above it get the usual permissions.
fn create(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent)?;
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_directory(parent),
    }
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let file = path.join(LOCK);
    let lock = private(OpenOptions::new().read(true).write(true).create(true).truncate(false))
        .open(&file)
        .map_err(|error| refused(&file, &error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(refused(&file, &error)),
    }
}

/// Takes a directory into use without changing anything in it; nothing where nobody ever used it.
pub(super) fn lock_as_is(path: &Path) -> Result<Option<File>, OpenError> {
    if !path.is_dir() || !super::doctor::is_data_dir(path) {
        let reason = "there is no data directory here: name one with --data-dir".to_owned();
        return Err(OpenError::Io { path: path.to_path_buf(), reason });
    }
    let lock = match File::open(path.join(LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(&path.join(LOCK), &error)),
    };
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(refused(path, &error)),
    }
}

pub(super) fn read_identity(path: &Path) -> Result<Option<[u8; IDENTITY_BYTES]>, OpenError> {
    let path = path.join(IDENTITY);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(&path, &error)),
    };
    warn_if_others_can_read(&path, &file);
    let mut bytes = Vec::new();
    let limit = IDENTITY_BYTES as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| refused(&path, &error))?;
    match bytes.try_into() {
        Ok(identity) => Ok(Some(identity)),
        Err(_) => Err(OpenError::Io {
            path,
            reason: "it does not hold the 32 bytes of a secret key: \
                     put back a copy of it, or remove it to become a new node; `tidings doctor` checks the rest"
                .into(),
        }),
    }
}

/// Draws an identity and writes it, all or nothing: whoever finds `identity` finds all of it.
fn draw_identity(path: &Path) -> Result<[u8; IDENTITY_BYTES], OpenError> {
    if path.join(STORE).exists() {
        tracing::warn!(path = %path.display(), "the identity is gone: this node is a new one, with the old one's data");
    }
    let mut identity = [0; IDENTITY_BYTES];
    SysRng.try_fill_bytes(&mut identity).map_err(|error| OpenError::Io {
        path: path.to_path_buf(),
        reason: format!("no entropy from the system: {error}"),
    })?;
    write_identity(path, &identity).map_err(|error| refused(&path.join(IDENTITY), &error))?;
    Ok(identity)
}

fn write_identity(path: &Path, identity: &[u8]) -> io::Result<()> {
    let draft = path.join(IDENTITY_DRAFT);
    match fs::remove_file(&draft) {
        // What an earlier start left when it was cut off. We hold the lock, so nobody writes it.
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = private(OpenOptions::new().write(true).create_new(true)).open(&draft)?;
    file.write_all(identity)?;
    file.sync_all()?;
    fs::rename(&draft, path.join(IDENTITY))?;
    sync_directory(path)
}

/// What is created is for the owner alone.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(unix)]
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(not(unix))]
pub(super) fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn warn_if_others_can_read(path: &Path, file: &File) {
    use std::os::unix::fs::PermissionsExt;
    if file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
        tracing::warn!(path = %path.display(), "others can read the node's secret key: chmod 600 it");
    }
}

#[cfg(not(unix))]
fn warn_if_others_can_read(_path: &Path, _file: &File) {}

pub(super) fn refused(path: &Path, error: &io::Error) -> OpenError {
    let (path, reason) = (path.to_path_buf(), error.to_string());
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::Permission { path, reason }
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            OpenError::Store(StoreError::Full(format!("{}: {reason}", path.display())))
        }
        _ => OpenError::Io { path, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_identity_and_no_two_have_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (ant, bat) = (dir.path().join("below/ant"), dir.path().join("bat"));
        let first = DataDir::open(&ant).unwrap().identity();
        assert_eq!(DataDir::open(&ant).unwrap().identity(), first);
        assert_ne!(DataDir::open(&bat).unwrap().identity(), first);
        assert!(!ant.join(IDENTITY_DRAFT).exists());
    }

    #[test]
    fn a_directory_is_used_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let ours = DataDir::open(dir.path()).unwrap();
        let refused = DataDir::open(dir.path()).unwrap_err();
        assert!(matches!(refused, OpenError::InUse(_)), "{refused}");
        drop(ours);
        DataDir::open(dir.path()).unwrap();
    }

    #[test]
    fn an_identity_that_was_cut_off_is_drawn_again() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(IDENTITY_DRAFT), b"half").unwrap();
        let identity = DataDir::open(dir.path()).unwrap().identity();
        assert_eq!(fs::read(dir.path().join(IDENTITY)).unwrap(), identity);
    }

    #[test]
    fn an_identity_of_another_length_is_refused_and_left_alone() {
        for bytes in [0, 31, 33, 64] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(IDENTITY), vec![7; bytes]).unwrap();
            let refused = DataDir::open(dir.path()).unwrap_err().to_string();
            assert!(refused.contains("identity") && refused.contains("32 bytes"), "{refused}");
            assert_eq!(fs::read(dir.path().join(IDENTITY)).unwrap(), vec![7; bytes]);
        }
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, b"").unwrap();
        let refused = DataDir::open(&path).unwrap_err();
        assert!(matches!(refused, OpenError::Io { .. }), "{refused}");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_created_is_for_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ant");
        let _ours = DataDir::open(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(IDENTITY)), 0o600);
        assert_eq!(mode(&path.join(LOCK)), 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_may_not_be_written_is_refused_as_such() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o500)).unwrap();
        // The superuser may write anywhere.
        if fs::write(dir.path().join("probe"), b"").is_ok() {
            eprintln!("skipped: this user may write anywhere");
            return;
        }
        let refused = DataDir::open(dir.path()).unwrap_err();
        assert!(matches!(refused, OpenError::Permission { .. }), "{refused}");
    }
}
