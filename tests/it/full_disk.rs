//! A disk without room, as a small file system in memory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::program::Site;

/// A file system of its own; it goes when this does.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None, and a word about it, where this user may not make one.
    fn make(at: &Path, mebibytes: u32) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let size = format!("size={mebibytes}m");
        let mut mount = Command::new("mount");
        let mounted =
            mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).stderr(Stdio::null()).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(at.to_owned()));
        }
        eprintln!("SKIPPED: no file system can be mounted here (it takes `mount -t tmpfs`, as root)");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The process may just be on its way out; then it goes with the last who uses it.
        let _unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn whoever_fills_the_disk_is_told_the_node_ends_with_a_word_and_what_was_acknowledged_is_there_once_there_is_room()
 {
    let site = Site::new();
    let Some(disk) = SmallDisk::make(&site.path("small"), 30) else { return };
    let mut ant = site.start("small/ant", &[]);
    let value = |n: usize| {
        // Nothing that a store could make small.
        let mut bytes = vec![0; 1_000_000];
        blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    };
    let full = (0..60).find_map(|n| {
        let answer = ant.try_ask("PUT", &format!("/v1/kv/k/{n}"), &value(n));
        (answer.as_ref().map(|answer| answer.0) != Some(200)).then_some((n, answer))
    });
    let (written, answer) = full.expect("it is full by then");
    let (status, body) = answer.expect("whoever asked gets an answer");
    let body = String::from_utf8_lossy(&body);
    assert!(status == 507 && body.contains("disk_full"), "{status}: {body}");
    assert_eq!(ant.ended(), Some(1));
    assert!(ant.said().contains("the node stopped: the disk is full"), "{}", ant.said());

    let room = Command::new("mount").args(["-o", "remount,size=200m"]).arg(&disk.0).status().unwrap();
    assert!(room.success());
    let ant = site.start("small/ant", &[]);
    for n in 0..written {
        assert!(ant.get(&format!("k/{n}")).as_deref() == Some(&*value(n)), "k/{n} is gone");
    }
    ant.put("more", b"x");
}
