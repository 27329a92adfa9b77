use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::*;
use crate::storage::{Batch, Durability, OpenError, Store, StoreError, layout};

fn open(path: &Path) -> Result<Fjall, OpenError> {
    Fjall::open(path, FjallOptions::default())
}

fn insert(store: &Fjall, key: impl Into<bytes::Bytes>, value: impl Into<bytes::Bytes>) {
    let mut batch = Batch::new();
    batch.insert(key, value);
    store.commit(batch, Durability::Fsync).unwrap();
}

/// Reads all there is; whether it could be read.
fn read_all(store: &Fjall) -> bool {
    store.snapshot().range(b"", &[0xff; 8], false).all(|pair| pair.is_ok())
}

#[test]
fn a_store_is_used_by_one_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let ours = open(dir.path()).unwrap();
    assert!(matches!(open(dir.path()), Err(OpenError::InUse(_))));
    drop(ours);
    open(dir.path()).unwrap();
}

#[test]
fn a_newer_format_is_refused_and_an_unreadable_one_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    assert_eq!(store.get(layout::FORMAT_KEY).unwrap().as_deref(), Some(&layout::FORMAT.to_be_bytes()[..]));
    insert(&store, layout::FORMAT_KEY, (layout::FORMAT + 1).to_be_bytes().to_vec());
    drop(store);
    for _ in 0..2 {
        let refused = open(dir.path()).map(drop).unwrap_err();
        assert!(
            matches!(refused, OpenError::Newer { found, known, .. } if found == layout::FORMAT + 1 && known == layout::FORMAT),
            "{refused}"
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    insert(&store, layout::FORMAT_KEY, &b"?"[..]);
    drop(store);
    assert!(matches!(open(dir.path()), Err(OpenError::Damaged { .. })));
}

#[test]
fn data_without_a_format_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let mut batch = Batch::new();
    batch.insert(&b"r"[..], &b"1"[..]);
    batch.remove(layout::FORMAT_KEY);
    store.commit(batch, Durability::Fsync).unwrap();
    drop(store);
    assert!(matches!(open(dir.path()), Err(OpenError::Damaged { .. })));
}

#[test]
fn errors_of_the_system_keep_their_meaning() {
    let io = |kind| fjall::Error::Io(io::Error::from(kind));
    let tree = |kind| fjall::Error::Storage(fjall::LsmError::Io(io::Error::from(kind)));
    let running = failure::while_running;
    for error in [io(io::ErrorKind::StorageFull), tree(io::ErrorKind::StorageFull)] {
        assert!(matches!(running(&error), StoreError::Full(_)), "{error}");
    }
    assert!(matches!(running(&fjall::Error::Poisoned), StoreError::Poisoned(_)));
    assert!(matches!(running(&fjall::Error::InvalidTrailer), StoreError::Damaged(_)));
    assert!(matches!(running(&io(io::ErrorKind::Other)), StoreError::Io(_)));
    let opening = |error| failure::while_opening(Path::new("data"), &error);
    assert!(matches!(opening(io(io::ErrorKind::PermissionDenied)), OpenError::Permission { .. }));
    assert!(matches!(opening(tree(io::ErrorKind::NotFound)), OpenError::Damaged { .. }));
    assert!(matches!(opening(fjall::Error::Locked), OpenError::InUse(_)));
    assert!(matches!(opening(fjall::Error::Unrecoverable), OpenError::Damaged { .. }));
    assert!(matches!(opening(io(io::ErrorKind::StorageFull)), OpenError::Store(StoreError::Full(_))));
}

/// A store with something in its journal, and where `flushed`, in its tables and blob files.
fn filled(path: &Path, flushed: bool) {
    let memtable_bytes = if flushed { 20_000 } else { 16 << 20 };
    let store = Fjall::open(path, FjallOptions { memtable_bytes, ..FjallOptions::default() }).unwrap();
    for n in 0..200_u32 {
        let mut batch = Batch::new();
        for part in 0..3_u8 {
            batch.insert([&b"r"[..], &n.to_be_bytes(), &[part]].concat(), vec![part; 100]);
        }
        if flushed && n % 20 == 0 {
            batch.insert([&b"b"[..], &n.to_be_bytes()].concat(), vec![7; 40_000]);
        }
        store.commit(batch, Durability::Fsync).unwrap();
    }
    drop(store);
    if flushed {
        until_it_rests(path);
    }
}

/// Flushes go on in the background, and dropping the store does not wait for them: waits until there are blob files
/// and nothing changes for a second.
fn until_it_rests(path: &Path) {
    let (mut before, mut quiet) = (BTreeMap::new(), 0);
    for _ in 0..600 {
        let sizes: BTreeMap<_, _> = files_below(path)
            .into_iter()
            .map(|file| (file.clone(), fs::metadata(file).map_or(0, |it| it.len())))
            .collect();
        let flushed = sizes.keys().any(|file| file.to_string_lossy().contains("blobs"));
        quiet = if flushed && sizes == before { quiet + 1 } else { 0 };
        if quiet == 10 {
            return;
        }
        before = sizes;
        thread::sleep(Duration::from_millis(100));
    }
    panic!("in a minute it does not come to rest: {before:?}");
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect();
    files.sort();
    files
}

/// The bytes of a file up to the zeros that it was lengthened by, and its length.
fn content(path: &Path) -> (Vec<u8>, u64) {
    let mut bytes = fs::read(path).unwrap();
    let length = bytes.len() as u64;
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    bytes.truncate(end);
    (bytes, length)
}

/// A copy of the store in `from`, with the byte at `at` of `file` flipped.
fn damaged_copy(from: &Path, to: &Path, file: &Path, at: usize) {
    for source in files_below(from) {
        let target = to.join(source.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        let (mut bytes, length) = content(&source);
        if source == file {
            bytes[at] ^= 0x55;
        }
        let mut target = fs::File::create(target).unwrap();
        target.write_all(&bytes).unwrap();
        target.set_len(length).unwrap();
    }
    for folder in ["keyspaces/0/tables", "keyspaces/1/tables", "keyspaces/1/blobs"] {
        if from.join(folder).is_dir() {
            fs::create_dir_all(to.join(folder)).unwrap();
        }
    }
}

/// Opens a copy of `store` with one byte flipped, reads all of it where that goes, and writes.
fn try_damage(store: &Path, file: &Path, at: usize) -> &'static str {
    let copy = tempfile::tempdir().unwrap();
    damaged_copy(store, copy.path(), file, at);
    let what = format!("{} at {at}", file.strip_prefix(store).unwrap().display());
    match open(copy.path()) {
        Ok(store) => {
            let readable = read_all(&store);
            insert(&store, &b"after"[..], &b"1"[..]);
            if readable { "opens" } else { "opens, and says so when read" }
        }
        Err(OpenError::Damaged { .. }) => {
            let again = open(copy.path());
            assert!(!matches!(again, Err(OpenError::InUse(_))), "{what}: the lock was not given back");
            "refused"
        }
        Err(error) => panic!("{what}: {error}"),
    }
}

#[test]
fn a_flipped_byte_in_the_journal_is_refused_or_survived_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), false);
    let journal = dir.path().join("0.jnl");
    let end = content(&journal).0.len();
    let mut outcomes = BTreeMap::<_, u32>::new();
    for n in 0..40 {
        // Spread over the whole journal, and over the places within a batch.
        *outcomes.entry(try_damage(dir.path(), &journal, (end - 1) * n / 39)).or_default() += 1;
    }
    eprintln!("{outcomes:?}");
    assert!(outcomes.get("refused").is_some_and(|refused| *refused > 10), "{outcomes:?}");
}

#[test]
fn a_flipped_byte_in_any_other_file_is_refused_or_found_when_read() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), true);
    let files = files_below(dir.path());
    assert!(files.iter().any(|file| file.to_string_lossy().contains("blobs")), "{files:?}");
    for file in files {
        let length = content(&file).0.len();
        for at in [0, length / 2, length.saturating_sub(1)] {
            if length > 0 && file.extension().is_none_or(|extension| extension != "jnl") {
                let outcome = try_damage(dir.path(), &file, at);
                eprintln!(
                    "{} at {at} of {length}: {outcome}",
                    file.strip_prefix(dir.path()).unwrap().display()
                );
            }
        }
    }
}
