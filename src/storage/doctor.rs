//! Looks at a data directory that no node uses, and sets one back.
//!
//! Opening a store writes to it: fjall cuts a journal where it cannot be read. So what is looked at is a
//! copy of the store, in the system's directory for temporary files, that is removed again.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use super::{
    OpenError, Store, StoreError, View, checkpoint, directory,
    fjall::{Fjall, FjallOptions},
    issued::{ISSUED, Issued, Told},
    layout, life,
    load::{self, Loaded},
    scrub::Examiner,
    tally,
};
use crate::causality::Origin;

/// So many findings are listed; the others are counted.
pub const FINDINGS_MAX: usize = 1_000;
/// So many entries are looked at between two reports of progress.
const PAGE_ENTRIES: usize = 4_096;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where: `identity`, `store`, `life`, `entry`, `account` or `digests`.
    pub part: &'static str,
    /// What was found.
    pub what: String,
    /// What becomes of it, or what to do.
    pub cure: &'static str,
}

/// What was seen in a data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Examined {
    /// What is not as it should be, at most [`FINDINGS_MAX`] of them; nothing: it is sound.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more: u64,
    /// Entries of records and of the dot index that were looked at.
    pub entries: u64,
    /// Keys with a value, as the store counts them.
    pub keys: u64,
}

const RESET: &str = "run `tidings doctor --reset-and-resync`, or put back a copy";
const HEALS: &str = "a node takes it out and fetches it from the peers";
const NOBODY_HAS_IT: &str =
    "a node takes it out; no other node has it: write it again from a copy of your own";
const STRIKES: &str = "a node takes it out of the history of its key; nothing else is touched";
const NEW_EPOCH: &str = "the next start begins a new epoch and fetches the rest from the peers";

impl Examined {
    fn find(&mut self, part: &'static str, what: impl Into<String>, cure: &'static str) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { part, what: what.into(), cure });
        } else {
            self.more += 1;
        }
    }
}

/// Looks at the data directory `path`: identity, life, format, every record and entry of the dot index,
/// their hashes, the account of rule 3, the checkpoint of the digests. Changes nothing in it. `progress`
/// is told how many entries were looked at, of about how many. Blocks for as long as it takes to read
/// everything twice; needs room for a copy of the store.
///
/// # Errors
/// When it could not look: the directory is not there, is in use, may not be read, was written by a newer
/// program, or cannot be copied.
pub fn examine(path: &Path, progress: impl FnMut(u64, u64)) -> Result<Examined, OpenError> {
    examine_at(path, &place_for_copy(), progress)
}

/// A place for the copy that is looked at, that nobody else has.
#[must_use]
pub fn place_for_copy() -> PathBuf {
    let bits: u64 = rand::random();
    std::env::temp_dir().join(format!("tidings-doctor-{bits:016x}"))
}

/// The same with the copy at `place`, where nothing is: whoever breaks off removes it.
///
/// # Errors
/// As [`examine`].
pub fn examine_at(
    path: &Path,
    place: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<Examined, OpenError> {
    let _lock = directory::lock_as_is(path)?;
    let mut examined = Examined::default();
    match directory::read_identity(path) {
        Ok(Some(_)) => {}
        Ok(None) => examined.find("identity", "there is none", "the next start makes a new node of it"),
        Err(error @ OpenError::Io { .. }) => {
            examined.find(
                "identity",
                error.to_string(),
                "put back a copy, or remove it to become a new node",
            );
        }
        Err(error) => return Err(error),
    }
    let store = path.join(directory::STORE);
    if !store.is_dir() {
        if examined.findings.is_empty() {
            return Ok(examined);
        }
        examined.find("store", "there is none", "the peers fill it at the next start");
        return Ok(examined);
    }
    let copy = Copy::of(&store, place).map_err(|error| OpenError::Io {
        path: store.clone(),
        reason: format!("it cannot be copied to {} to be looked at: {error}", std::env::temp_dir().display()),
    })?;
    match Fjall::open(&copy.0, FjallOptions::default()) {
        Ok(opened) => look(path, &opened, &mut examined, &mut progress),
        Err(OpenError::Damaged { reason, .. }) => {
            examined.find("store", format!("{} cannot be opened: {reason}", store.display()), RESET);
        }
        Err(OpenError::Newer { found, known, .. }) => {
            return Err(OpenError::Newer { path: store, found, known });
        }
        Err(error) => return Err(error),
    }
    Ok(examined)
}

fn look(path: &Path, store: &dyn Store, examined: &mut Examined, progress: &mut dyn FnMut(u64, u64)) {
    let found = match load::load(store) {
        Ok(loaded) => look_at_life(path, store, &loaded, examined)
            .and_then(|()| look_at_entries(store, &loaded, examined, progress))
            .and_then(|()| look_at_account(store, &loaded, examined)),
        Err(error) => Err(error),
    };
    if let Err(error) = found {
        let what = match error {
            StoreError::Damaged(what) => what,
            error => error.to_string(),
        };
        examined.find("store", format!("it cannot be read further: {what}"), RESET);
    }
}

fn look_at_life(
    path: &Path,
    store: &dyn Store,
    loaded: &Loaded,
    examined: &mut Examined,
) -> Result<(), StoreError> {
    let Some(epoch) = life::epoch(store)? else {
        examined.find("life", "what the store knew of its life is gone or cannot be read", NEW_EPOCH);
        return Ok(());
    };
    let node = |origin: &Origin| origin.epoch == epoch;
    let me = loaded.shared.origins().iter().find(|origin| node(origin));
    match Issued::read(path) {
        Told::Unreadable => examined.find("life", format!("`{ISSUED}` cannot be read"), NEW_EPOCH),
        Told::Count(count) if count.epoch == epoch => {
            let known = me.map_or(0, |me| loaded.issued(me));
            if count.writes > known {
                let what = format!(
                    "the store lost its end: {} own writes were made, it knows {known}",
                    count.writes
                );
                examined.find("life", what, NEW_EPOCH);
            }
        }
        Told::Nothing | Told::Count(_) => {}
    }
    Ok(())
}

fn look_at_entries(
    store: &dyn Store,
    loaded: &Loaded,
    examined: &mut Examined,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), StoreError> {
    let spaces = loaded.shared.names().into_iter().filter_map(|name| loaded.shared.space(&name));
    examined.keys = spaces.map(|space| space.keys()).sum();
    let snapshot = store.snapshot();
    let examiner = Examiner::new(&*snapshot, &loaded.shared, &loaded.dead);
    let mut from = None;
    loop {
        let page = examiner.page(from.as_ref(), PAGE_ENTRIES)?;
        examined.entries += page.looked;
        for bad in page.bad {
            let cure = if bad.is_history() { STRIKES } else { HEALS };
            examined.find("entry", bad.what, cure);
        }
        // Each key has a record and at least one entry of the dot index.
        progress(examined.entries, (examined.keys * 2).max(examined.entries));
        from = page.next;
        if from.is_none() {
            return Ok(());
        }
    }
}

fn look_at_account(store: &dyn Store, loaded: &Loaded, examined: &mut Examined) -> Result<(), StoreError> {
    let view = View::open(store)?;
    for name in loaded.shared.names() {
        let lost = view.unaccounted(&name, &view.seen(&name)?)?;
        if !lost.is_empty() {
            let local = name.is_companion();
            let (which, cure) = if local { (" (local-only)", NOBODY_HAS_IT) } else { ("", HEALS) };
            let (count, home) = (lost.count(), name.home());
            let what = format!("{count} writes in {home}{which} were seen and are neither held nor dead");
            examined.find("account", what, cure);
        }
    }
    look_at_digests(store, loaded, examined)
}

fn look_at_digests(store: &dyn Store, loaded: &Loaded, examined: &mut Examined) -> Result<(), StoreError> {
    let Some(hash) = store.get(&layout::fact(checkpoint::CHECKPOINT))? else { return Ok(()) };
    let snapshot = store.snapshot();
    let kept =
        checkpoint::decode_checkpoint(&*snapshot, &loaded.shared.origins(), &hash, &mut super::Batch::new())?;
    let made = tally::all(store, &loaded.shared)?;
    let cure = "a node that finds it unreadable makes it anew; if it differs, reset and resync";
    let roots = |digests: &BTreeMap<_, crate::digest::Digests>| -> Vec<_> {
        let roots = digests.iter().map(|(ns, digests)| (*ns, digests.root()));
        roots.filter(|(_, root)| root.count > 0).collect()
    };
    match kept {
        None => examined.find("digests", "the checkpoint cannot be read or is not whole", cure),
        Some(kept) if roots(&kept) != roots(&made) => {
            examined.find("digests", "the checkpoint is not the sum of what is held", cure);
        }
        Some(_) => {}
    }
    Ok(())
}

/// Moves everything but the identity and what names peers out of the way, into a directory beside it that is
/// returned; nothing is deleted. The next start begins a new epoch with an empty store, under the same
/// identity, and the peers fill it.
///
/// # Errors
/// When the directory is not there or in use, or something in it cannot be moved.
pub fn reset(path: &Path) -> Result<PathBuf, OpenError> {
    let _lock = directory::lock_as_is(path)?;
    directory::read_identity(path)?;
    let refused = |error: io::Error| directory::refused(path, &error);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let aside = path.join(format!("before-reset-{now}"));
    private_directory(&aside).map_err(refused)?;
    for name in [directory::STORE, ISSUED] {
        match fs::rename(path.join(name), aside.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(error)),
            _ => {}
        }
    }
    directory::sync_directory(&aside).and_then(|()| directory::sync_directory(path)).map_err(refused)?;
    Ok(aside)
}

/// A copy of a store, removed when it is dropped.
struct Copy(PathBuf);

impl Copy {
    fn of(store: &Path, place: &Path) -> io::Result<Self> {
        let copy = Self(place.to_owned());
        private_directory(&copy.0)?;
        copy_into(store, &copy.0)?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "the copy that was looked at cannot be removed");
        }
    }
}

/// What lies in a store is for its owner alone.
fn private_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn copy_into(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            private_directory(&target)?;
            copy_into(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Whether a directory holds what a node keeps.
pub(super) fn is_data_dir(path: &Path) -> bool {
    [directory::IDENTITY, directory::STORE, directory::LOCK].iter().any(|name| path.join(name).exists())
}
