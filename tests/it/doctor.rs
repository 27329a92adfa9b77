//! `tidings doctor`, on the directories of real processes.

use std::{
    fs,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal};
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

#[test]
fn the_doctor_that_is_broken_off_leaves_no_copy_behind() {
    let site = Site::new();
    let mut ant = site.start("ant", &[]);
    ant.put("k", b"x");
    ant.signal(Signal::TERM);
    ant.ended();
    // Nobody writes into it: copying it takes for ever.
    let pipe = Command::new("mkfifo").arg(site.path("ant/store/never")).status().unwrap();
    assert!(pipe.success());
    let temporary = site.path("temporary");
    fs::create_dir(&temporary).unwrap();
    let copies = || fs::read_dir(&temporary).unwrap().count();
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut command = site.command();
        command.env("TMPDIR", &temporary).stderr(Stdio::piped()).stdout(Stdio::piped());
        let running = command.args(["doctor", "--data-dir"]).arg(site.path("ant")).spawn().unwrap();
        until("it has begun to copy", || (copies() == 1).then_some(()));
        rustix::process::kill_process(Pid::from_child(&running), signal).unwrap();
        let ended = running.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.code() == Some(status) && said.contains("broken off"), "{ended:?}");
        assert_eq!(copies(), 0);
    }
}

#[test]
fn a_node_whose_store_is_damaged_says_so_and_not_who_started_whom() {
    let site = Site::new();
    let mut ant = site.start("ant", &[]);
    (0..200).for_each(|n| drop(ant.put(&format!("k/{n}"), &vec![7; 20_000])));
    ant.signal(Signal::TERM);
    ant.ended();
    let damaged = fs::read_dir(site.path("ant/store/keyspaces")).unwrap();
    let mut tables = 0;
    for place in damaged.map(|place| place.unwrap().path().join("tables")) {
        for table in fs::read_dir(place).into_iter().flatten() {
            let path = table.unwrap().path();
            let mut bytes = fs::read(&path).unwrap();
            let length = bytes.len();
            bytes[..length / 2].fill(0xaa);
            fs::write(path, bytes).unwrap();
            tables += 1;
        }
    }
    let mut command = site.command();
    let started = command.args(["node", "--http", "127.0.0.1:0", "--no-discovery", "--open", "--listen"]);
    let ended = started.args(["/ip4/127.0.0.1/tcp/0", "--data-dir"]).arg(site.path("ant")).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.code() == Some(1) && said.contains("tidings doctor"), "{tables} tables: {said}");
    assert!(!said.contains("Actor"), "{said}");
}
