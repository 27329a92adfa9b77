//! How many writes a life has given names to, kept beside the store.
//!
//! A journal that lost its end looks like one that never had it: the store opens, is consistent, and
//! would give names a second time. So after every commit the number of own writes is put into a file
//! of its own. It is not synced: it outlives the process, and after a loss of power it says too
//! little at worst, never too much, for it is written after what it speaks of.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

pub(super) const ISSUED: &str = "issued";
const BYTES: usize = 24;

/// What a life had given names to when it was last heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The life.
    pub epoch: u64,
    /// How many names, in all namespaces together.
    pub writes: u64,
}

/// The file that keeps a [`Count`].
#[derive(Debug)]
pub struct Issued(File);

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// There is no such file, or nothing in it.
    Nothing,
    /// It cannot be read, or its sum does not match.
    Unreadable,
    /// So many.
    Count(Count),
}

impl Issued {
    /// Reads the file in the data directory `path`, without making one.
    #[must_use]
    pub fn read(path: &Path) -> Told {
        let mut bytes = Vec::new();
        let read = File::open(path.join(ISSUED))
            .and_then(|file| file.take(BYTES as u64 + 1).read_to_end(&mut bytes));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Told::Nothing,
            Ok(0) => Told::Nothing,
            Ok(_) => decode(&bytes).map_or(Told::Unreadable, Told::Count),
            Err(_) => Told::Unreadable,
        }
    }

    /// Opens the file in the data directory `path`, and makes one where there is none.
    ///
    /// # Errors
    /// When it may not be written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path.join(ISSUED)).map(Self)
    }

    /// Keeps `count`. One short write, so a process that dies leaves the old one or the new.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn note(&self, count: Count) -> io::Result<()> {
        let mut file = &self.0;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&encode(count))
    }
}

fn encode(count: Count) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..8].copy_from_slice(&count.epoch.to_le_bytes());
    bytes[8..16].copy_from_slice(&count.writes.to_le_bytes());
    let sum = blake3::hash(&bytes[..16]);
    bytes[16..].copy_from_slice(&sum.as_bytes()[..8]);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Count> {
    let word = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    let count = Count { epoch: word(0)?, writes: word(8)? };
    (encode(count)[..] == *bytes).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_and_every_damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Issued::read(dir.path()), Told::Nothing);
        let issued = Issued::open(dir.path()).unwrap();
        assert_eq!(Issued::read(dir.path()), Told::Nothing);
        for writes in [1, 300] {
            let count = Count { epoch: 7, writes };
            issued.note(count).unwrap();
            assert_eq!(Issued::read(dir.path()), Told::Count(count));
        }
        let whole = std::fs::read(dir.path().join(ISSUED)).unwrap();
        for at in 0..BYTES {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(dir.path().join(ISSUED), &bytes).unwrap();
            assert_eq!(Issued::read(dir.path()), Told::Unreadable, "{at}");
            if at > 0 {
                std::fs::write(dir.path().join(ISSUED), &whole[..at]).unwrap();
                assert_eq!(Issued::read(dir.path()), Told::Unreadable, "{at}");
            }
        }
    }
}
