//! The mark that each opening of a data directory leaves, beside the store and in it: it tells a store
//! that was put back from a backup from the one that was last opened there.
//!
//! Both marks are drawn anew at each opening. A store that is put back says what an earlier opening said;
//! and where the file is put back, too, the system says that it changed since, which no copy can undo.
//! What cannot be told here is that *everything* below the file system was put back, as snapshots of whole
//! disks are: then names are given twice, and collisions tell (rule 5 of the protocol).

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    path::Path,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, directory, layout, life};
use crate::wire::decode;

pub(super) const OPENED: &str = "opened";
/// One that is not completely written yet.
const OPENED_DRAFT: &str = "opened.new";
/// Sixteen digits and the end of the line.
const BYTES: usize = 17;

/// One opening of a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Drawn at random.
    pub nonce: u64,
    /// When the inode of the file that says so last changed, in nanoseconds since 1970; 0 where the
    /// system does not tell.
    pub changed_ns: i64,
}

impl Opening {
    /// The last one of the data directory `path`; nothing where there is no mark. One that cannot be read
    /// is like no other.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let file = path.join(OPENED);
        let mut text = String::new();
        let nonce = match fs::File::open(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            opened => opened
                .and_then(|file| file.take(BYTES as u64 + 1).read_to_string(&mut text))
                .ok()
                .filter(|length| *length == BYTES)
                .and_then(|_| u64::from_str_radix(text.trim_end(), 16).ok()),
        };
        Some(Self { nonce: nonce.unwrap_or_default(), changed_ns: life::identify(&file).2 })
    }

    /// Puts the mark of a new opening in the place of the last one: on the disk when this returns. A stop
    /// on the way leaves the old one or the new.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn renew(path: &Path, nonce: u64) -> io::Result<Self> {
        let draft = path.join(OPENED_DRAFT);
        let mut options = OpenOptions::new();
        let mut file = directory::private(options.write(true).create(true).truncate(true)).open(&draft)?;
        file.write_all(format!("{nonce:016x}\n").as_bytes())?;
        file.sync_all()?;
        drop(file);
        fs::rename(&draft, path.join(OPENED))?;
        directory::sync_directory(path)?;
        // Only now, for all of this changes it.
        Ok(Self { nonce, changed_ns: life::identify(&path.join(OPENED)).2 })
    }
}

/// What a store says of its last opening.
pub(super) enum Marked {
    /// It was opened by a program that left no marks, or in no directory.
    Nothing,
    Unreadable,
    Opening(Opening),
}

impl Marked {
    pub(super) fn agrees(&self, found: Option<Opening>) -> bool {
        match self {
            Self::Nothing => found.is_none(),
            Self::Unreadable => false,
            Self::Opening(opening) => found == Some(*opening),
        }
    }

    pub(super) fn nonce(&self) -> Option<u64> {
        match self {
            Self::Opening(opening) => Some(opening.nonce),
            Self::Nothing | Self::Unreadable => None,
        }
    }
}

pub(super) fn opening_key() -> Bytes {
    layout::fact("opening")
}

pub(super) fn read_opening(store: &dyn Store) -> Result<Marked, StoreError> {
    let Some(bytes) = store.get(&opening_key())? else { return Ok(Marked::Nothing) };
    Ok(decode(&bytes).map_or(Marked::Unreadable, Marked::Opening))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_until_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Opening::of(dir.path()), None);
        // What an earlier start left when it was cut off.
        fs::write(dir.path().join(OPENED_DRAFT), b"half, and longer than a whole one").unwrap();
        let first = Opening::renew(dir.path(), 7).unwrap();
        assert_eq!(Opening::of(dir.path()), Some(first));
        assert_eq!(first.nonce, 7);
        assert!(!dir.path().join(OPENED_DRAFT).exists());
        let second = Opening::renew(dir.path(), u64::MAX).unwrap();
        assert_eq!(Opening::of(dir.path()), Some(second));
        for bytes in [&b""[..], b"7", b"ffffffffffffffff", b"fffffffffffffffff", b"\xff\xff"] {
            fs::write(dir.path().join(OPENED), bytes).unwrap();
            assert_eq!(Opening::of(dir.path()).unwrap().nonce, 0, "{bytes:?}");
        }
    }
}
