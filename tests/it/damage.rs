//! Damaged and rolled-back stores: no panic, no silent difference, no name given twice.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use tempfile::{TempDir, tempdir};
use tidings::{
    Namespace, Node,
    causality::Dot,
    node::{Frontier, NodeEvent},
    storage::{
        Batch, Durability, Store,
        fjall::{Fjall, FjallOptions},
        layout,
    },
};

use crate::support::{
    Machine, contents, event, link, mesh_name, metric, node, node_on_disk, text, until, until_equal,
};

const KEYS: u32 = 120;

fn files_below(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect();
    files.sort();
    files
}

/// Copies what is below a directory; holes stay holes.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            let bytes = fs::read(&from).unwrap();
            let end = end_of(&bytes);
            let file = fs::File::create(&to).unwrap();
            file.write_all_at(&bytes[..end], 0).unwrap();
            file.set_len(bytes.len() as u64).unwrap();
        }
    }
}

/// Where the zeros begin that a file was lengthened by.
fn end_of(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1)
}

fn small() -> FjallOptions {
    FjallOptions { memtable_bytes: 64 * 1024, ..FjallOptions::default() }
}

/// A node that was stopped, as its directory was then, and a healthy one that holds all of it.
struct Pair {
    homes: TempDir,
    mesh: String,
    truth: BTreeMap<String, Vec<u8>>,
    life: String,
}

impl Pair {
    async fn new(clean: bool, value_bytes: usize) -> Self {
        let (homes, mesh) = (tempdir().unwrap(), mesh_name());
        let ant = node_on_disk(&mesh, "ant", &homes.path().join("ant"))
            .store_options(small())
            .start()
            .await
            .unwrap();
        let bat = node_on_disk(&mesh, "bat", &homes.path().join("bat")).start().await.unwrap();
        link(&ant, &bat).await;
        for n in 0..KEYS {
            ant.put(format!("k/{n}"), format!("{n:0value_bytes$}")).await.unwrap();
            match n % 4 {
                0 => drop(ant.put(format!("k/{n}"), format!("{n} again")).await.unwrap()),
                1 => drop(ant.delete(format!("k/{n}")).await.unwrap()),
                2 => drop(bat.put(format!("b/{n}"), "of bat").await.unwrap()),
                _ => {}
            }
        }
        until_equal(&[ant.clone(), bat.clone()]).await;
        let truth = contents(&bat).await;
        let life = ant.status().await.epoch;
        bat.close().await;
        if clean {
            ant.close().await;
        } else {
            ant.kill();
            until("nothing of it is left", || async { (ant.tasks() == 0).then_some(()) }).await;
        }
        drop((ant, bat));
        let pair = Self { homes, mesh, truth, life };
        // Free, and as the stop left it.
        until("the directory is free", || async { pair.free("ant") }).await;
        pair.take_the_mark_out();
        copy(&pair.path("ant").join("store"), &pair.path("kept"));
        fs::copy(pair.path("ant").join("issued"), pair.path("kept-issued")).unwrap();
        pair
    }

    fn path(&self, name: &str) -> PathBuf {
        self.homes.path().join(name)
    }

    fn free(&self, name: &str) -> Option<()> {
        fs::File::open(self.path(name).join("lock")).unwrap().try_lock().ok()
    }

    /// A store that knows of no opening, as those of earlier programs: else its return would begin a new
    /// life, whatever is damaged.
    fn take_the_mark_out(&self) {
        let store = Fjall::open(self.path("ant").join("store"), small()).unwrap();
        let mut batch = Batch::new();
        batch.remove(layout::fact("opening"));
        store.commit(batch, Durability::Fsync).unwrap();
    }

    /// The directory as the stop left it, in the same place: nothing tells that it was ever elsewhere.
    fn restore(&self) {
        let _there_may_be_none = fs::remove_file(self.path("ant").join("opened"));
        let store = self.path("ant").join("store");
        fs::remove_dir_all(&store).unwrap();
        copy(&self.path("kept"), &store);
        fs::copy(self.path("kept-issued"), self.path("ant").join("issued")).unwrap();
    }

    /// Starts a node in the damaged directory: an error that says what to do, or both end equal.
    async fn judge(&self, what: &str) -> &'static str {
        let started = until("the directory is free", || async {
            self.free("ant")?;
            Some(node_on_disk(&self.mesh, "ant", &self.path("ant")).store_options(small()).start().await)
        })
        .await;
        let ant = match started {
            Ok(ant) => ant,
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains("tidings doctor"), "{what}: {error}");
                return "refused";
            }
        };
        copy(&self.path("bat"), &self.path("bat-now"));
        let bat = node_on_disk(&self.mesh, "bat", &self.path("bat-now")).start().await.unwrap();
        let outcome = self.heal(what, &ant, &bat).await;
        bat.close().await;
        ant.close().await;
        drop((ant, bat));
        fs::remove_dir_all(self.path("bat-now")).unwrap();
        outcome
    }

    async fn heal(&self, what: &str, ant: &Node, bat: &Node) -> &'static str {
        let dot: Dot = match ant.put("after", "damage").await {
            Ok(written) => written.dot,
            Err(error) => {
                assert!(
                    error.to_string().contains("damaged") || error.to_string().contains("closed"),
                    "{what}: {error}"
                );
                return "says so";
            }
        };
        let seen = bat.digest().await.unwrap().frontier.0;
        assert!(!seen.contains(dot), "{what}: {dot} is used twice");
        link(ant, bat).await;
        // What cannot be read may be met only now: then the node says so, and ends.
        let equal = until("both are equal, or the node ends", || async {
            let Ok(ours) = ant.digest().await else { return Some(false) };
            let theirs = bat.digest().await.unwrap();
            ((ours.root, ours.frontier) == (theirs.root, theirs.frontier)).then_some(true)
        })
        .await;
        if !equal {
            let reason = ant.health().reason.unwrap_or_default();
            assert!(reason.contains("damaged"), "{what}: {reason}");
            return "says so";
        }
        let mut expected = self.truth.clone();
        expected.insert("after".into(), b"damage".to_vec());
        for node in [ant, bat] {
            assert_eq!(contents(node).await, expected, "{what}: {}", node.name());
            assert_eq!(metric(node, "tidings_collisions_total"), 0, "{what}");
        }
        "healed"
    }
}

/// Damages a copy of the file in this many ways and places each.
async fn matrix(pair: &Pair, file: &Path, places: usize, outcomes: &mut BTreeMap<&'static str, u32>) {
    let whole = fs::read(pair.path("kept").join(file)).unwrap();
    let end = end_of(&whole);
    let at = pair.path("ant").join("store").join(file);
    for place in 0..places {
        let from = (end - 1) * place / places.max(2).saturating_sub(1).max(1);
        for way in ["flip", "cut", "zero the tail", "zero a piece"] {
            pair.restore();
            let damaged = OpenOptions::new().write(true).open(&at).unwrap();
            match way {
                "flip" => damaged.write_all_at(&[whole[from] ^ 0x55], from as u64).unwrap(),
                "cut" => damaged.set_len(from as u64).unwrap(),
                "zero the tail" => damaged.write_all_at(&vec![0; end - from], from as u64).unwrap(),
                _ => damaged.write_all_at(&vec![0; (end - from).min(64)], from as u64).unwrap(),
            }
            drop(damaged);
            let outcome = pair.judge(&format!("{way} at {from} of {end} in {}", file.display())).await;
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
}

/// So many places in each file; more for whoever asks.
fn places() -> usize {
    std::env::var("TIDINGS_DAMAGE_PLACES").ok().and_then(|places| places.parse().ok()).unwrap_or(5)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_is_refused_with_a_cure_or_healed_and_no_dot_is_used_twice() {
    for clean in [false, true] {
        let pair = Pair::new(clean, 1).await;
        pair.restore();
        let ant =
            node_on_disk(&pair.mesh, "ant", &pair.path("ant")).store_options(small()).start().await.unwrap();
        assert_eq!(ant.status().await.epoch, pair.life, "what is not damaged goes on with its life");
        ant.close().await;
        drop(ant);
        let mut outcomes = BTreeMap::new();
        matrix(&pair, Path::new("0.jnl"), places(), &mut outcomes).await;
        eprintln!("clean stop: {clean}: {outcomes:?}");
        assert!(outcomes.contains_key("refused") && outcomes.contains_key("healed"), "{outcomes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_or_missing_files_of_a_store_are_refused_with_a_cure_or_healed() {
    let pair = Pair::new(true, 1_500).await;
    let kept = pair.path("kept");
    let files: Vec<PathBuf> = files_below(&kept)
        .into_iter()
        .map(|file| file.strip_prefix(&kept).unwrap().to_owned())
        .filter(|file| file.extension().is_none_or(|extension| extension != "jnl"))
        .filter(|file| file.file_name().is_some_and(|name| name != "lock"))
        .collect();
    assert!(files.iter().any(|file| file.to_string_lossy().contains("tables")), "{files:?}");
    let mut outcomes = BTreeMap::new();
    for file in files {
        if !fs::read(kept.join(&file)).unwrap().is_empty() {
            matrix(&pair, &file, places() / 4, &mut outcomes).await;
        }
        pair.restore();
        fs::remove_file(pair.path("ant").join("store").join(&file)).unwrap();
        *outcomes.entry(pair.judge(&format!("{} is missing", file.display())).await).or_default() += 1;
    }
    eprintln!("{outcomes:?}");
}

async fn told(events: &mut tokio::sync::broadcast::Receiver<NodeEvent>, word: &str) {
    event(events, |event| matches!(&event, NodeEvent::Warning(text) if text.contains(word)).then_some(()))
        .await;
}

/// The first key of a store with this tag whose value does something.
fn first(disk: &dyn Store, tag: u8) -> (Bytes, Bytes) {
    disk.snapshot().range(&[tag], &[tag + 1], false).next().unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_from_a_store_is_told_of_at_its_opening_and_refilled() {
    for tags in [&b"rd"[..], b"d", b"r"] {
        let mesh = mesh_name();
        let mut machine = Machine::new(&mesh, "ant");
        let ant = machine.builder().start().await.unwrap();
        let bat = node(&mesh, "bat").start().await.unwrap();
        link(&ant, &bat).await;
        for n in 0..20 {
            ant.put(format!("k/{n:02}"), "x").await.unwrap();
        }
        until_equal(&[ant.clone(), bat.clone()]).await;
        ant.kill();
        until("nothing of it is left", || async { (ant.tasks() == 0).then_some(()) }).await;
        drop(ant);
        let builder = machine.builder().scrub_interval(Duration::from_millis(5));
        let mut batch = Batch::new();
        tags.iter().for_each(|tag| batch.remove(first(&machine.disk, *tag).0));
        machine.disk.commit(batch, Durability::Fsync).unwrap();
        let ant = builder.start().await.unwrap();
        let mut events = ant.events();
        told(&mut events, "are lost").await;
        let seen = ant.digest().await.unwrap().frontier.0.count();
        assert_eq!(seen, 19, "it is not vouched for");
        link(&ant, &bat).await;
        until_equal(&[ant.clone(), bat.clone()]).await;
        until("all is back", || async { (contents(&ant).await.len() == 20).then_some(()) }).await;
        assert_eq!(ant.digest().await.unwrap().keys, 20);
        let seen = bat.digest().await.unwrap().frontier.0;
        let dot = ant.put("k/00", "new").await.unwrap().dot;
        assert!(!seen.contains(dot), "{dot} is used twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scrub_finds_what_does_not_match_its_hash_and_has_it_refilled() {
    for tag in *b"rd" {
        let mesh = mesh_name();
        let mut machine = Machine::new(&mesh, "ant");
        let ant = machine.builder().scrub_interval(Duration::from_millis(2)).start().await.unwrap();
        let bat = node(&mesh, "bat").start().await.unwrap();
        let mut events = ant.events();
        link(&ant, &bat).await;
        for n in 0..20 {
            ant.put(format!("k/{n:02}"), "x").await.unwrap();
        }
        until_equal(&[ant.clone(), bat.clone()]).await;
        let (key, value) = first(&machine.disk, tag);
        let mut rotten = value.to_vec();
        let at = if tag == b'r' { rotten.len() - 1 } else { 5 };
        rotten[at] ^= 1;
        let mut batch = Batch::new();
        batch.insert(key.clone(), rotten);
        machine.disk.commit(batch, Durability::Fsync).unwrap();
        told(&mut events, "are damaged").await;
        until("it is back", || async {
            (machine.disk.get(&key).unwrap() == Some(value.clone())).then_some(())
        })
        .await;
        until_equal(&[ant.clone(), bat.clone()]).await;
        assert_eq!(text(&ant, "k/00").await.as_deref(), Some("x"));
        assert_eq!(metric(&ant, "tidings_damaged_total"), 1);
        assert!(metric(&ant, "tidings_scrubbed_total") > 20);
        assert_eq!(ant.digest().await.unwrap().keys, 20);
    }
}

/// No scrub is there to find it first: whoever is to send it does.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_names_and_cannot_send_is_dead_to_nobody_and_comes_back_from_a_third() {
    for by_bundle in [false, true] {
        let mesh = mesh_name();
        let mut machine = Machine::new(&mesh, "ant");
        let ant = machine.builder().start().await.unwrap();
        let bat = node(&mesh, "bat").start().await.unwrap();
        let cat = node(&mesh, "cat").start().await.unwrap();
        link(&ant, &bat).await;
        for n in 0..20 {
            ant.put(format!("k/{n:02}"), "x").await.unwrap();
        }
        until_equal(&[ant.clone(), bat.clone()]).await;
        ant.close().await;
        let mut batch = Batch::new();
        batch.remove(first(&machine.disk, b'r').0);
        machine.disk.commit(batch, Durability::Fsync).unwrap();
        let ant = machine.builder().scrub_interval(Duration::ZERO).start().await.unwrap();
        let mut events = ant.events();
        if by_bundle {
            let default = Namespace::default();
            let file = ant.space(&default).unwrap().export(&Frontier::default()).await.unwrap();
            let imported = cat.space(&default).unwrap().import(file).await.unwrap();
            assert_eq!((imported.versions, imported.incomplete_because), (19, None));
        } else {
            link(&cat, &ant).await;
            until("the rest came", || async { (contents(&cat).await.len() == 19).then_some(()) }).await;
        }
        told(&mut events, "are lost").await;
        until_equal(&[ant.clone(), cat.clone()]).await;
        assert_eq!(cat.digest().await.unwrap().frontier.0.count(), 19, "what did not come is not dead");
        link(&cat, &bat).await;
        link(&ant, &bat).await;
        until_equal(&[ant.clone(), bat.clone(), cat.clone()]).await;
        for node in [&ant, &bat, &cat] {
            assert_eq!(contents(node).await.len(), 20);
            assert_eq!(node.digest().await.unwrap().keys, 20);
        }
    }
}
