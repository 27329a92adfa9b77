use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::storage::{directory::DataDir, memory::Memory};

fn home() -> Surroundings {
    Surroundings { machine: "m".into(), boot: "b".into(), device: 1, inode: 2, lock_changed_ns: 3 }
}

/// The same place, after the machine went down and came up.
fn rebooted() -> Surroundings {
    Surroundings { boot: "another".into(), ..home() }
}

fn stored(clean: bool, synced: bool) -> StoredLife {
    StoredLife { epoch: 7, surroundings: home(), clean, synced }
}

/// Counts, so that every draw is another.
struct Dice(AtomicU64);

impl Entropy for Dice {
    fn bits(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

fn dice() -> Dice {
    Dice(AtomicU64::new(100))
}

#[test]
fn a_fresh_store_begins_a_life() {
    assert_eq!(judge(None, &home()), Verdict::NewEpoch(Reason::Fresh));
}

#[test]
fn a_life_goes_on_unless_its_past_may_be_missing() {
    use Reason::PowerLost;
    use Verdict::{Continue, NewEpoch};
    let unknown = Surroundings { boot: String::new(), ..home() };
    let table = [
        // clean, synced, now → verdict
        (true, true, home(), Continue(7)),
        (true, true, rebooted(), Continue(7)),
        (true, false, home(), Continue(7)),
        (true, false, rebooted(), Continue(7)),
        (false, true, home(), Continue(7)),
        (false, true, rebooted(), Continue(7)),
        (false, false, home(), Continue(7)),
        (false, false, rebooted(), NewEpoch(PowerLost)),
        (false, false, unknown.clone(), NewEpoch(PowerLost)),
        (false, true, unknown, Continue(7)),
    ];
    for (clean, synced, now, verdict) in table {
        assert_eq!(judge(Some(&stored(clean, synced)), &now), verdict, "{clean} {synced} {now:?}");
    }
}

#[test]
fn a_boot_that_was_unknown_then_and_now_is_no_proof() {
    let unknown = Surroundings { boot: String::new(), ..home() };
    let life = StoredLife { surroundings: unknown.clone(), ..stored(false, false) };
    assert_eq!(judge(Some(&life), &unknown), Verdict::NewEpoch(Reason::PowerLost));
}

#[test]
fn another_place_begins_a_new_life_however_it_was_left() {
    let elsewhere = [
        Surroundings { machine: "other".into(), ..home() },
        Surroundings { machine: String::new(), ..home() },
        Surroundings { device: 9, ..home() },
        Surroundings { inode: 9, ..home() },
        Surroundings { lock_changed_ns: 9, ..home() },
    ];
    for now in elsewhere {
        for (clean, synced) in [(true, true), (true, false), (false, true), (false, false)] {
            let verdict = judge(Some(&stored(clean, synced)), &now);
            assert_eq!(verdict, Verdict::NewEpoch(Reason::Moved), "{now:?}");
        }
    }
}

#[test]
fn a_life_is_synced_before_anybody_learns_of_it() {
    for durability in [Durability::Fsync, Durability::Buffer] {
        let store = Memory::new();
        let first = open_life(&store, &home(), None, &dice(), durability).unwrap();
        assert_eq!(first.began, Some(Reason::Fresh));
        store.crash();
        let after = read(&store).unwrap().epoch();
        assert_eq!(after, Some(first.epoch));
    }
}

#[test]
fn a_killed_process_goes_on_where_it_was() {
    let (store, dice) = (Memory::new(), dice());
    let first = open_life(&store, &home(), None, &dice, Durability::Buffer).unwrap();
    for _ in 0..3 {
        let store = store.reopen();
        let next = open_life(&store, &home(), None, &dice, Durability::Buffer).unwrap();
        assert_eq!(next, Life { epoch: first.epoch, began: None });
    }
}

#[test]
fn a_loss_of_power_under_buffer_begins_a_new_life_and_a_clean_stop_does_not() {
    let (store, dice) = (Memory::new(), dice());
    let first = open_life(&store, &home(), None, &dice, Durability::Buffer).unwrap();
    close_life(&store).unwrap();
    store.crash();
    let store = store.reopen();
    let second = open_life(&store, &rebooted(), None, &dice, Durability::Buffer).unwrap();
    assert_eq!(second, Life { epoch: first.epoch, began: None });
    store.crash();
    let store = store.reopen();
    let third = open_life(&store, &home(), None, &dice, Durability::Buffer).unwrap();
    assert_eq!(third.began, Some(Reason::PowerLost));
    assert_ne!(third.epoch, first.epoch);
}

#[test]
fn a_stop_is_judged_by_the_durability_of_the_run_that_it_ended() {
    let (store, dice) = (Memory::new(), dice());
    open_life(&store, &home(), None, &dice, Durability::Fsync).unwrap();
    let buffered = open_life(&store, &home(), None, &dice, Durability::Buffer).unwrap();
    let synced = open_life(&store, &home(), None, &dice, Durability::Fsync).unwrap();
    assert_eq!(buffered.epoch, synced.epoch);
    let after = open_life(&store, &rebooted(), None, &dice, Durability::Buffer).unwrap();
    assert_eq!(after.began, None);
    let after = open_life(&store, &home(), None, &dice, Durability::Fsync).unwrap();
    assert_eq!(after.began, Some(Reason::PowerLost));
}

#[test]
fn a_life_that_cannot_be_read_is_not_continued() {
    for bytes in [&b""[..], b"\x01", b"\x02junk", b"\x01\xff\xff\xff"] {
        let store = Memory::new();
        let mut batch = Batch::new();
        batch.insert(key(), Bytes::copy_from_slice(bytes));
        store.commit(batch, Durability::Fsync).unwrap();
        let life = open_life(&store, &home(), None, &dice(), Durability::Fsync).unwrap();
        assert_eq!(life.began, Some(Reason::Unreadable), "{bytes:?}");
    }
}

#[test]
fn a_new_life_never_draws_the_epoch_of_the_one_before() {
    struct Stuck;
    impl Entropy for Stuck {
        fn bits(&self) -> u64 {
            u64::MAX
        }
    }
    let store = Memory::new();
    let first = open_life(&store, &home(), None, &Stuck, Durability::Fsync).unwrap();
    let second = renew_life(&store, &Stuck, Reason::PeerKnowsMore).unwrap();
    assert_eq!(second.began, Some(Reason::PeerKnowsMore));
    assert_ne!(second.epoch, first.epoch);
    let third = open_life(&store, &home(), None, &Stuck, Durability::Fsync).unwrap();
    assert_eq!(third, Life { epoch: second.epoch, began: None });
}

#[test]
fn a_life_is_only_opened_when_it_could_be_stored() {
    let store = Memory::new();
    store.fail_commits(Some(StoreError::Full("full".into())));
    open_life(&store, &home(), None, &dice(), Durability::Fsync).unwrap_err();
    store.fail_commits(None);
    assert_eq!(read(&store).unwrap().epoch(), None);
}

#[test]
fn the_stored_bytes_are_these() {
    let store = Memory::new();
    write(&store, &stored(true, true)).unwrap();
    let bytes = store.get(&key()).unwrap().unwrap();
    assert_eq!(&*bytes, b"\x01\x07\x01m\x01b\x01\x02\x06\x01\x01");
}

#[cfg(target_os = "linux")]
#[test]
fn a_restored_directory_has_other_surroundings_and_a_reopened_one_has_not() {
    let dir = tempfile::tempdir().unwrap();
    let (here, backup) = (dir.path().join("data"), dir.path().join("backup"));
    drop(DataDir::open(&here).unwrap());
    let before = Surroundings::of(&here);
    assert!(!before.boot.is_empty() && before.inode != 0 && before.lock_changed_ns != 0);
    std::thread::sleep(std::time::Duration::from_millis(20));
    drop(DataDir::open(&here).unwrap());
    assert_eq!(Surroundings::of(&here), before);

    let copy = |from: &Path, to: &Path| {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    };
    copy(&here, &backup);
    assert!(!Surroundings::of(&backup).same_place(&before));
    // In place: the directory keeps its inode.
    copy(&backup, &here);
    assert!(!Surroundings::of(&here).same_place(&before));
}

/// What a data directory and its store say, to be put back later.
struct Backup(Memory, Vec<u8>);

impl Backup {
    fn of(store: &Memory, path: &Path) -> Self {
        Self(store.copy(), fs::read(path.join(OPENED)).unwrap())
    }

    /// In the same place, as `rsync -a` does: what differs, under the old name.
    fn put_back(&self, path: &Path) -> Memory {
        fs::write(path.join("put-back"), &self.1).unwrap();
        fs::rename(path.join("put-back"), path.join(OPENED)).unwrap();
        self.0.copy()
    }
}

fn open_in(path: &Path, store: &Memory, dice: &Dice) -> Life {
    open_life(store, &home(), Some(path), dice, Durability::Fsync).unwrap()
}

#[test]
fn a_store_that_is_put_back_begins_a_new_life_and_a_restart_does_not() {
    let (dir, dice) = (tempfile::tempdir().unwrap(), dice());
    let path = dir.path();
    let store = Memory::new();
    let first = open_in(path, &store, &dice);
    for clean in [false, true, false] {
        if clean {
            close_life(&store).unwrap();
        }
        assert_eq!(open_in(path, &store, &dice), Life { epoch: first.epoch, began: None }, "{clean}");
    }
    close_life(&store).unwrap();
    let backup = Backup::of(&store, path);
    assert_eq!(open_in(path, &store, &dice).began, None);
    // The store alone, …
    let restored = backup.0.copy();
    let second = open_in(path, &restored, &dice);
    assert_eq!(second.began, Some(Reason::Restored));
    assert_ne!(second.epoch, first.epoch);
    assert_eq!(open_in(path, &restored, &dice), Life { epoch: second.epoch, began: None }, "and goes on");
    // … and with all that lies beside it.
    #[cfg(unix)]
    {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let restored = backup.put_back(path);
        assert_eq!(Opening::of(path).unwrap().nonce, read_opening(&restored).unwrap().nonce().unwrap());
        assert_eq!(open_in(path, &restored, &dice).began, Some(Reason::Restored));
    }
    // A mark that is gone or cannot be read proves nothing.
    for damage in [None, Some("junk")] {
        let store = Memory::new();
        open_in(path, &store, &dice);
        match damage {
            None => fs::remove_file(path.join(OPENED)).unwrap(),
            Some(junk) => fs::write(path.join(OPENED), junk).unwrap(),
        }
        assert_eq!(open_in(path, &store, &dice).began, Some(Reason::Restored), "{damage:?}");
    }
}

#[test]
fn a_store_from_before_there_were_marks_goes_on_and_is_marked() {
    let (dir, dice) = (tempfile::tempdir().unwrap(), dice());
    let store = Memory::new();
    write(&store, &stored(true, true)).unwrap();
    let old = store.copy();
    assert_eq!(open_in(dir.path(), &store, &dice), Life { epoch: 7, began: None });
    assert_eq!(open_in(dir.path(), &store, &dice), Life { epoch: 7, began: None });
    assert_eq!(open_in(dir.path(), &old, &dice).began, Some(Reason::Restored));
}

#[test]
fn a_stop_at_any_point_of_an_opening_gives_no_life_back_that_may_have_gone_on() {
    let (dir, dice) = (tempfile::tempdir().unwrap(), dice());
    let store = Memory::new();
    let first = open_in(dir.path(), &store, &dice);
    // The mark was left in the directory and not in the store: one epoch more, and then on.
    store.fail_commits(Some(StoreError::Full("full".into())));
    open_life(&store, &home(), Some(dir.path()), &dice, Durability::Fsync).unwrap_err();
    store.fail_commits(None);
    let second = open_in(dir.path(), &store, &dice);
    assert_eq!(second.began, Some(Reason::Restored));
    assert_ne!(second.epoch, first.epoch);
    // A loss of power takes neither.
    store.crash();
    assert_eq!(open_in(dir.path(), &store.reopen(), &dice), Life { epoch: second.epoch, began: None });
}

#[test]
fn a_directory_that_takes_no_mark_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(OPENED)).unwrap();
    let store = Memory::new();
    let refused = open_life(&store, &home(), Some(dir.path()), &dice(), Durability::Fsync).unwrap_err();
    assert!(refused.to_string().contains(OPENED), "{refused}");
    assert_eq!(read(&store).unwrap().epoch(), None);
}
