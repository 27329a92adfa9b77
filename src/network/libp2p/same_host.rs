//! The same-host directory: nodes of one user on one machine tell each other their addresses in it,
//! because multicast DNS does not reach nodes that listen on loopback alone.
//!
//! `<directory>/<mesh>/<peer id>` holds one address a line. A node keeps its file locked as long as it
//! lives; the lock goes with the process however it ends, so a file that can be locked is stale and
//! is removed.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use libp2p::Multiaddr;

use super::{peer::is_dialable, small_file};
use crate::causality::NodeId;

/// The most nodes that are read from the directory.
const ENTRIES_MAX: usize = 256;
/// The most addresses that are read from a file.
const ADDRESSES_MAX: usize = 16;
/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 8 * 1024;

/// This node's place in the same-host directory.
pub(super) struct SameHost {
    directory: PathBuf,
    own: NodeId,
    addresses: Vec<Multiaddr>,
    entry: Option<File>,
}

impl SameHost {
    /// Opens the part of `directory` that belongs to `mesh`; makes it, for its owner alone.
    pub(super) fn open(directory: &Path, mesh: &str, own: NodeId) -> io::Result<Self> {
        let directory = directory.join(folder(mesh));
        make_private(&directory)?;
        Ok(Self { directory, own, addresses: Vec::new(), entry: None })
    }

    /// Says where this node listens.
    pub(super) fn announce(&mut self, addresses: Vec<Multiaddr>) -> io::Result<()> {
        self.addresses = addresses;
        if self.addresses.is_empty() {
            self.withdraw();
            return Ok(());
        }
        self.write()
    }

    /// The other nodes and where they listen. Removes what dead nodes left behind, and restores the
    /// own entry should somebody have removed it.
    pub(super) fn scan(&mut self) -> io::Result<Vec<(NodeId, Vec<Multiaddr>)>> {
        if self.entry.is_some() && !self.path().exists() {
            make_private(&self.directory)?;
            self.write()?;
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)?.take(ENTRIES_MAX) {
            let entry = entry?;
            let node = entry.file_name().to_str().and_then(|name| name.parse::<NodeId>().ok());
            let Some(node) = node.filter(|node| *node != self.own) else { continue };
            // A file that vanished or cannot be read is that node's affair.
            if let Ok(Some(addresses)) = read_entry(&entry.path()) {
                found.push((node, addresses));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Takes the own entry away.
    pub(super) fn withdraw(&mut self) {
        if self.entry.take().is_some() {
            // If it cannot be removed, others find it stale.
            let _ = fs::remove_file(self.path());
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(self.own.to_string())
    }

    fn write(&mut self) -> io::Result<()> {
        let path = self.path();
        let new = small_file::beside(&path);
        let mut file = small_file::create_private(&new)?;
        let lines: String = self.addresses.iter().map(|address| format!("{address}\n")).collect();
        // Locked before it gets its name: nobody ever sees it unlocked.
        let named = lock(&file)
            .and_then(|()| file.write_all(lines.as_bytes()))
            .and_then(|()| fs::rename(&new, &path));
        if named.is_err() {
            let _ = fs::remove_file(&new);
        }
        named?;
        self.entry = Some(file);
        Ok(())
    }
}

impl Drop for SameHost {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// A file system without locks is no reason not to be found.
fn lock(file: &File) -> io::Result<()> {
    match file.lock() {
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
        _ => Ok(()),
    }
}

/// The addresses in a file; none if its node is dead, and then the file is removed.
fn read_entry(path: &Path) -> io::Result<Option<Vec<Multiaddr>>> {
    let file = File::open(path)?;
    match file.try_lock_shared() {
        Ok(()) => {
            fs::remove_file(path)?;
            return Ok(None);
        }
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
    }
    if file.metadata()?.len() > FILE_BYTES_MAX {
        return Ok(None);
    }
    let text = io::read_to_string(file)?;
    let addresses = text.lines().filter_map(|line| line.parse().ok()).filter(is_dialable);
    Ok(Some(addresses.take(ADDRESSES_MAX).collect()))
}

/// The name of a mesh as the name of a directory.
fn folder(mesh: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let lawful = !mesh.starts_with('.') && (1..=64).contains(&mesh.len()) && mesh.bytes().all(plain);
    if lawful { mesh.into() } else { format!("={}", &blake3::hash(mesh.as_bytes()).to_hex()[..32]) }
}

#[cfg(unix)]
fn make_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    // In a directory that others may write to, one of them could have made it first.
    let made = fs::symlink_metadata(directory)?;
    if !made.is_dir() || made.uid() != rustix::process::geteuid().as_raw() || made.mode() & 0o022 != 0 {
        let what = format!(
            "{} is not this user's own: nodes on this machine will not meet by it",
            directory.display()
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANT: NodeId = NodeId([1; 32]);
    const BAT: NodeId = NodeId([2; 32]);

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
    }

    #[test]
    fn nodes_of_one_mesh_see_each_other_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let open = |mesh, node| SameHost::open(directory.path(), mesh, node).unwrap();
        let (mut ant, mut bat, mut cat) = (open("m", ANT), open("m", BAT), open("../m", NodeId([3; 32])));
        for (place, port) in [(&mut ant, 1), (&mut bat, 2), (&mut cat, 3)] {
            place.announce(vec![address(port)]).unwrap();
        }
        assert_eq!(ant.scan().unwrap(), [(BAT, vec![address(2)])]);
        assert_eq!(bat.scan().unwrap(), [(ANT, vec![address(1)])]);
        assert_eq!(cat.scan().unwrap(), []);
        bat.announce(vec![address(4)]).unwrap();
        assert_eq!(ant.scan().unwrap(), [(BAT, vec![address(4)])]);
    }

    #[test]
    fn an_entry_goes_with_its_node() {
        let directory = tempfile::tempdir().unwrap();
        let mut ant = SameHost::open(directory.path(), "m", ANT).unwrap();
        let mut bat = SameHost::open(directory.path(), "m", BAT).unwrap();
        bat.announce(vec![address(2)]).unwrap();
        assert_eq!(ant.scan().unwrap().len(), 1);
        drop(bat);
        assert_eq!(ant.scan().unwrap(), []);
    }

    #[test]
    fn what_a_killed_node_left_behind_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let mut ant = SameHost::open(directory.path(), "m", ANT).unwrap();
        let left = directory.path().join("m").join(BAT.to_string());
        fs::write(&left, "/ip4/127.0.0.1/tcp/2\n").unwrap();
        assert_eq!(ant.scan().unwrap(), []);
        assert!(!left.exists());
    }

    #[test]
    fn an_entry_that_was_removed_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let mut ant = SameHost::open(directory.path(), "m", ANT).unwrap();
        let mut bat = SameHost::open(directory.path(), "m", BAT).unwrap();
        ant.announce(vec![address(1)]).unwrap();
        fs::remove_dir_all(directory.path().join("m")).unwrap();
        ant.scan().unwrap();
        assert_eq!(bat.scan().unwrap(), [(ANT, vec![address(1)])]);
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_others_may_write_to_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let open = directory.path().join("m");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(SameHost::open(directory.path(), "m", ANT).is_err());
    }
}
