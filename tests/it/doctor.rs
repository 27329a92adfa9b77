//! `tidings doctor`, on the directories of real processes.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::program::{Site, until, until_equal};

/// Status and what was said on stdout and stderr.
fn doctor(site: &Site, more: &[&str]) -> (i32, String, String) {
    let output = site.command().args(["doctor", "--data-dir", "ant"]).args(more).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_doctor_finds_damage_changes_nothing_and_sets_a_directory_back_that_the_peers_refill() {
    let site = Site::new();
    assert_eq!(doctor(&site, &[]).0, 3, "there is no directory");
    let mut bat = site.start("bat", &[]);
    let mut ant = site.start("ant", &["--peer", &bat.address()]);
    let id = ant.id.clone();
    (0..20).for_each(|n| drop(ant.put(&format!("k/{n}"), b"x")));
    assert_eq!(until_equal(&[&ant, &bat]), 20);
    let (status, _, said) = doctor(&site, &[]);
    assert!(status == 3 && said.contains("in use"), "{status}: {said}");
    assert_eq!(doctor(&site, &["--reset-and-resync", "--yes"]).0, 3, "in use");
    ant.signal(Signal::TERM);
    assert_eq!(ant.ended(), Some(0));
    let (status, told, said) = doctor(&site, &[]);
    assert!(status == 0 && told.contains("sound: 20 keys"), "{status}: {told}{said}");
    assert_eq!(doctor(&site, &["--reset-and-resync"]).0, 2, "nobody can answer");

    let journal = site.path("ant/store/0.jnl");
    let mut bytes = fs::read(&journal).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end / 2..].fill(0);
    fs::write(&journal, &bytes).unwrap();
    let (status, told, said) = doctor(&site, &["--json"]);
    let found: Value = serde_json::from_str(&told).unwrap();
    assert!(status == 1 && !found["findings"].as_array().unwrap().is_empty(), "{status}: {told}{said}");
    assert!(fs::read(&journal).unwrap() == bytes, "nothing was changed");

    let (status, told, said) = doctor(&site, &["--reset-and-resync", "--yes"]);
    assert!(status == 0 && told.contains("before-reset-") && said.contains("tidings node"), "{told}{said}");
    assert_eq!(doctor(&site, &[]).0, 0, "nothing is stored");
    let ant = site.start("ant", &["--peer", &bat.address()]);
    assert_eq!(ant.id, id, "the identity is kept");
    until("all is back", || (ant.digest().1 == 20).then_some(()));
    until_equal(&[&ant, &bat]);
}

#[test]
fn the_doctor_names_an_identity_that_was_cut() {
    let site = Site::new();
    let mut ant = site.start("ant", &[]);
    ant.signal(Signal::TERM);
    ant.ended();
    fs::write(site.path("ant/identity"), [1; 5]).unwrap();
    let (status, told, _) = doctor(&site, &[]);
    assert!(status == 1 && told.contains("32 bytes"), "{told}");
}
