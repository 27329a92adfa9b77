//! The key that decides who may join, in the format of kubo's `swarm.key`.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use rand::Rng;
use thiserror::Error;

use super::small_file::{beside, create_private};

/// The first two lines of a key file.
const HEAD: [&str; 2] = ["/key/swarm/psk/1.0.0/", "/base16/"];

/// A swarm key could not be read or made. Nothing was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SwarmKeyError {
    /// The file cannot be read or created.
    #[error("the swarm key {path:?} cannot be read or created: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The text is no swarm key. Copy the file again from a node of the mesh.
    #[error(
        "{what}: a swarm key has the lines `/key/swarm/psk/1.0.0/`, `/base16/`, and 64 hexadecimal digits"
    )]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file is no swarm key.
    #[error("the swarm key {path:?} is damaged: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<SwarmKeyError>,
    },
}

/// A key, and whether it was made just now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LoadedKey {
    /// The key.
    pub key: [u8; 32],
    /// Whether there was no file, and a fresh key was made.
    pub created: bool,
}

/// Reads the text of a key file.
///
/// # Errors
/// [`SwarmKeyError::Malformed`] when it is no swarm key.
pub fn parse(text: &str) -> Result<[u8; 32], SwarmKeyError> {
    let malformed = |what| SwarmKeyError::Malformed { what };
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines.next() != Some(HEAD[0]) {
        return Err(malformed("the first line is another"));
    }
    if lines.next() != Some(HEAD[1]) {
        return Err(malformed("the second line is another"));
    }
    let digits = lines.next().ok_or_else(|| malformed("the key is missing"))?;
    let key = unhex(digits).ok_or_else(|| malformed("the key is too short, too long, or not hexadecimal"))?;
    if lines.next().is_some() {
        return Err(malformed("there is more after the key"));
    }
    Ok(key)
}

fn unhex(digits: &str) -> Option<[u8; 32]> {
    let lawful = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = (0..32).map(|index| u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok());
    if lawful { bytes.collect::<Option<Vec<_>>>()?.try_into().ok() } else { None }
}

/// The text of a key file.
#[must_use]
pub fn format(key: &[u8; 32]) -> String {
    let mut text = format!("{}\n{}\n", HEAD[0], HEAD[1]);
    for byte in key {
        // A string takes in all that is written.
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    text
}

/// Reads a key file.
///
/// # Errors
/// When it cannot be read, or is no swarm key.
pub fn load(path: &Path) -> Result<[u8; 32], SwarmKeyError> {
    let text =
        fs::read_to_string(path).map_err(|error| SwarmKeyError::Io { path: path.to_owned(), error })?;
    warn_if_shared(path);
    parse(&text).map_err(|error| SwarmKeyError::File { path: path.to_owned(), error: Box::new(error) })
}

/// Reads a key file, or makes one with a fresh key that its owner alone can read. Of several nodes
/// that start at once, one makes the file and all read the same key.
///
/// # Errors
/// When it cannot be read or created, or is no swarm key; a damaged file is never overwritten.
pub fn load_or_create(path: &Path) -> Result<LoadedKey, SwarmKeyError> {
    let failed = |error| SwarmKeyError::Io { path: path.to_owned(), error };
    match load(path) {
        Ok(key) => return Ok(LoadedKey { key, created: false }),
        Err(SwarmKeyError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let mut key = [0; 32];
    rand::rng().fill_bytes(&mut key);
    match publish(path, &format(&key)) {
        Ok(()) => Ok(LoadedKey { key, created: true }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(LoadedKey { key: load(path)?, created: false })
        }
        Err(error) => Err(failed(error)),
    }
}

/// Makes the file appear with all of its text, or fails if there is one. (A file that was opened
/// under its final name could be read by another node before it is written.)
fn publish(path: &Path, text: &str) -> io::Result<()> {
    let new = beside(path);
    let mut file = create_private(&new)?;
    let linked = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&new, path));
    fs::remove_file(&new)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            create_private(path)?.write_all(text.as_bytes())
        }
        other => other,
    }
}

#[cfg(unix)]
fn warn_if_shared(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0) {
        tracing::warn!("others on this machine can read the swarm key {path:?}: `chmod 600` it");
    }
}

#[cfg(not(unix))]
fn warn_if_shared(_: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_as_it_is_written() {
        let key = std::array::from_fn(|index| u8::try_from(index * 8).unwrap());
        assert_eq!(parse(&format(&key)).unwrap(), key);
        assert!(format(&key).starts_with("/key/swarm/psk/1.0.0/\n/base16/\n00081018"));
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_reason() {
        let good = format(&[7; 32]);
        for (text, what) in [
            (String::new(), "first line"),
            (good.replace("psk", "pks"), "first line"),
            (good.replace("base16", "base64"), "second line"),
            (good[..40].into(), "hexadecimal"),
            (good.replace("07", "0x"), "hexadecimal"),
            (good.replace("07", "ä"), "hexadecimal"),
            (format!("{good}more"), "more after"),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(what), "{text:?}: {error}");
        }
    }

    #[test]
    fn nodes_that_start_at_once_share_one_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/swarm.key");
        let loaded: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| load_or_create(&path).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(loaded.iter().all(|one| one.key == loaded[0].key));
        assert_eq!(loaded.iter().filter(|one| one.created).count(), 1);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left over");
    }

    #[cfg(unix)]
    #[test]
    fn a_fresh_key_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("swarm.key");
        load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("swarm.key");
        fs::write(&path, "rubbish").unwrap();
        assert!(matches!(load_or_create(&path), Err(SwarmKeyError::File { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "rubbish");
    }
}
