//! Meshes of real processes: fjall on disk, TCP on loopback, asked over HTTP.

use std::{
    collections::BTreeSet,
    io::Write,
    net::TcpStream,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;

use crate::program::{Program, Site, copy, until, until_equal};

/// Two nodes, the second of which dials the first.
fn pair(site: &Site) -> (Program, Program) {
    let mut ant = site.start("ant", &[]);
    let bat = site.start("bat", &["--peer", &ant.address()]);
    until("they are connected", || (ant.peers() == 1 && bat.peers() == 1).then_some(()));
    (ant, bat)
}

#[test]
fn what_a_node_writes_after_a_restart_wins_everywhere() {
    let site = Site::new();
    let (mut ant, bat) = pair(&site);
    ant.put("k", b"before");
    bat.until_shows("k", b"before");
    let id = ant.id.clone();
    for (round, signal) in [Signal::KILL, Signal::TERM, Signal::KILL].into_iter().enumerate() {
        ant.signal(signal);
        assert_eq!(ant.ended(), (signal == Signal::TERM).then_some(0));
        ant = site.start("ant", &[]);
        assert_eq!(ant.id, id);
        let value = format!("after {round}");
        ant.put("k", value.as_bytes());
        assert_eq!(ant.get("k").unwrap(), value.as_bytes());
        bat.until_shows("k", value.as_bytes());
    }
    until_equal(&[&ant, &bat]);
    let (_, _, seen) = bat.digest();
    assert_eq!(seen.origins(), 1, "one life through all of it");
    assert_eq!(seen.count(), 4);
}

#[test]
fn a_late_process_that_only_dials_out_gets_all_earlier_data_by_itself() {
    let site = Site::new();
    let (ant, mut bat) = pair(&site);
    for n in 0..100 {
        ant.put(&format!("ant/{n}"), b"x");
        bat.put(&format!("bat/{n}"), b"y");
    }
    let late = site.start("late", &["--peer", &bat.address()]);
    until("it has all of it", || (late.digest().1 == 200).then_some(()));
    late.put("late", b"z");
    ant.until_shows("late", b"z");
    until_equal(&[&ant, &bat, &late]);
}

#[test]
fn two_cliques_whose_bridge_is_killed_agree_within_two_sync_intervals_of_its_return() {
    const INTERVAL: Duration = Duration::from_secs(10);
    let site = Site::new();
    let interval = ["--sync-interval", "10s"];
    let clique = |side: &str| {
        let mut clique: Vec<Program> = Vec::new();
        for n in 0..5 {
            let peers: Vec<String> = clique.iter_mut().map(Program::address).collect();
            let flags: Vec<&str> = peers.iter().flat_map(|peer| ["--peer", peer]).chain(interval).collect();
            clique.push(site.start(&format!("{side}{n}"), &flags));
        }
        clique
    };
    let (mut west, mut east) = (clique("west"), clique("east"));
    let (to_west, to_east) = (west[0].address(), east[0].address());
    let flags = [&["--peer", &to_west, "--peer", &to_east][..], &interval].concat();
    let bridge = site.start("bridge", &flags);
    west[4].put("before", b"x");
    east[4].until_shows("before", b"x");

    bridge.kill();
    for (side, clique) in [("west", &west), ("east", &east)] {
        for (n, node) in clique.iter().enumerate() {
            for k in 0..5 {
                node.put(&format!("{side}/{n}/{k}"), b"x");
            }
            node.put("shared", format!("{side} {n}").as_bytes());
        }
        until_equal(&clique.iter().collect::<Vec<_>>());
    }
    assert_ne!(west[0].digest().0, east[0].digest().0);
    let bridge = site.start("bridge", &flags);
    until("the bridge stands", || (bridge.peers() == 2).then_some(()));
    let start = Instant::now();
    let all: Vec<&Program> = west.iter().chain(&east).chain([&bridge]).collect();
    assert_eq!(until_equal(&all), 52);
    assert!(start.elapsed() <= INTERVAL * 2, "{:?}", start.elapsed());
}

#[test]
fn a_copied_data_directory_begins_a_new_life_and_its_twin_is_found() {
    let site = Site::new();
    let mut hub = site.start("hub", &[]);
    let to_hub = hub.address();
    let ant = site.start("ant", &["--peer", &to_hub]);
    let mut dots = BTreeSet::new();
    let mut note = |written: &Value| {
        let dot = (written["origin"].to_string(), written["seq"].as_u64().unwrap());
        assert!(dots.insert(dot.clone()), "{dot:?} is used twice");
    };
    for n in 0..5 {
        note(&ant.put(&format!("old/{n}"), b"x"));
    }
    let (id, life) = (ant.id.clone(), ant.json("/v1/status")["epoch"].clone());
    until("hub has it", || (hub.digest().1 == 5).then_some(()));
    ant.kill();

    // As from a backup: first only the copy runs, then the original beside it.
    copy(&site.path("ant"), &site.path("copy"));
    let copied = site.start("copy", &["--peer", &to_hub]);
    assert_eq!(copied.id, id);
    assert_ne!(copied.json("/v1/status")["epoch"], life);
    for n in 0..5 {
        note(&copied.put(&format!("copied/{n}"), b"x"));
    }
    until("hub has it", || (hub.digest().1 == 10).then_some(()));
    let original = site.start("ant", &[]);
    assert_eq!(original.json("/v1/status")["epoch"], life);
    for n in 0..5 {
        note(&original.put(&format!("original/{n}"), b"x"));
    }
    let body = format!("{{\"addr\": \"{to_hub}\"}}");
    let (status, answer) = original.ask("POST", "/v1/peers", body.as_bytes());
    assert!(status < 300, "{status} {}", String::from_utf8_lossy(&answer));
    let line = hub.hear("warning: two processes share the identity");
    assert!(line.contains(&id), "{line}");
    let warnings = hub.json("/v1/status")["warnings"].to_string();
    assert!(warnings.contains(&id), "{warnings}");
    for n in 5..10 {
        note(&original.put(&format!("original/{n}"), b"x"));
        note(&copied.put(&format!("copied/{n}"), b"x"));
    }
    drop(copied);
    until("hub and ant have met again", || (original.peers() == 1).then_some(()));
    until_equal(&[&hub, &original]);
    for n in 0..10 {
        assert!(hub.get(&format!("original/{n}")).is_some(), "{n}");
    }
}

#[test]
fn a_value_over_the_gossip_limit_arrives_and_one_over_the_limit_is_refused() {
    let site = Site::new();
    let (ant, bat) = pair(&site);
    for size in [40_000, 2_000_000, 16 * 1024 * 1024] {
        let value: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
        ant.put(&format!("size/{size}"), &value);
        bat.until_shows(&format!("size/{size}"), &value);
    }
    let (status, body) = ant.ask("PUT", "/v1/kv/too-large", &vec![0; 16 * 1024 * 1024 + 1]);
    assert_eq!(status, 413, "{}", String::from_utf8_lossy(&body));
    assert_eq!(ant.get("too-large"), None);
    until_equal(&[&ant, &bat]);
}

#[test]
fn a_node_asked_to_stop_stops_although_a_client_hangs_and_at_once_when_asked_twice() {
    let site = Site::new();
    let mut ant = site.start("ant", &[]);
    for n in 0..50 {
        ant.put(&format!("k/{n}"), b"x");
    }
    // A client that does not end its request keeps the API, and so the node, from stopping.
    let mut slow = TcpStream::connect(ant.url.trim_start_matches("http://")).unwrap();
    let hangs = b"PUT /v1/kv/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx";
    slow.write_all(hangs).unwrap();
    ant.signal(Signal::TERM);
    ant.hear("stopping");
    let code = ant.ended();
    assert!(code.is_some(), "it ended by itself");

    // Where the machine stood still for two seconds between the two, the first one was enough.
    let at_once = (0..5).any(|_| {
        let mut ant = site.start("ant", &[]);
        assert_eq!(ant.digest().1, 50);
        let mut slow = TcpStream::connect(ant.url.trim_start_matches("http://")).unwrap();
        slow.write_all(hangs).unwrap();
        ant.signal(Signal::TERM);
        ant.hear("stopping");
        ant.signal(Signal::TERM);
        let code = ant.ended();
        assert!(matches!(code, Some(143 | 0)), "{code:?}");
        code == Some(143)
    });
    assert!(at_once, "it waits for whoever hangs, also when it is asked twice");
    let ant = site.start("ant", &[]);
    assert_eq!(ant.digest().1, 50, "what was acknowledged is there");
}

/// What two nodes that are killed all the time have acknowledged.
#[derive(Default)]
struct Ledger {
    acknowledged: Mutex<Vec<(String, String, u64)>>,
    count: AtomicU64,
    stop: AtomicBool,
}

impl Ledger {
    /// Writes to the node at `url`, whichever process that is, until told to stop.
    fn write(&self, name: &str, url: &Mutex<String>) {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(5)));
        let agent: ureq::Agent = config.build().into();
        for n in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let key = format!("{name}/{n}");
            let at = url.lock().unwrap().clone();
            let answer = agent.put(format!("{at}/v1/kv/{key}")).content_type("text/plain").send(&key);
            let Ok(mut answer) = answer else { continue };
            let Ok(body) = answer.body_mut().read_to_string() else { continue };
            if answer.status() != 200 {
                continue;
            }
            let written: Value = serde_json::from_str(&body).unwrap();
            let (origin, seq) = (written["origin"].to_string(), written["seq"].as_u64().unwrap());
            self.acknowledged.lock().unwrap().push((key, origin, seq));
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Two nodes write and merge without a pause; one of them is killed again and again. How long each took to answer
/// again, in order.
fn kill_in_loops(kills: usize) -> Vec<Duration> {
    let site = Site::new();
    let (ant, mut bat) = pair(&site);
    let to_bat = bat.address();
    let names = ["ant", "bat"];
    let urls = [Mutex::new(ant.url.clone()), Mutex::new(bat.url.clone())];
    let mut running = [Some(ant), Some(bat)];
    let peers = [to_bat, running[0].as_mut().unwrap().address()];
    let ledger = Ledger::default();
    let mut restarts = Vec::new();
    thread::scope(|scope| {
        for (name, url) in names.iter().zip(&urls) {
            for writer in 0..2 {
                let ledger = &ledger;
                scope.spawn(move || ledger.write(&format!("{name}/{writer}"), url));
            }
        }
        // Whatever fails below, the writers stop.
        let _stop = Stop(&ledger.stop);
        for kill in 0..kills {
            let victim = kill % 2;
            // The moment is one of the writers': in the middle of whatever they have begun.
            let written = ledger.count.load(Ordering::Relaxed);
            let more = 20 + (kill as u64 * 7) % 31;
            until("more is written", || {
                (ledger.count.load(Ordering::Relaxed) >= written + more).then_some(())
            });
            running[victim].take().unwrap().kill();
            let again = site.start(names[victim], &["--peer", &peers[victim]]);
            urls[victim].lock().unwrap().clone_from(&again.url);
            restarts.push(again.ready_after);
            running[victim] = Some(again);
        }
    });
    let [ant, bat] = running.map(Option::unwrap);
    until_equal(&[&ant, &bat]);
    let (_, _, seen) = ant.digest();
    assert_eq!(seen.origins(), 2, "no life ended: {seen:?}");
    for (origin, seqs) in seen.iter() {
        assert_eq!(seqs.base(), seqs.max(), "no hole in what {origin:?} wrote");
    }
    let acknowledged = ledger.acknowledged.into_inner().unwrap();
    let dots: BTreeSet<_> = acknowledged.iter().map(|(_, origin, seq)| (origin, seq)).collect();
    assert_eq!(dots.len(), acknowledged.len(), "no dot is used twice");
    for (key, _, _) in &acknowledged {
        for node in [&ant, &bat] {
            assert_eq!(node.get(key).as_deref(), Some(key.as_bytes()), "{key} was acknowledged");
        }
    }
    restarts.sort();
    let (half, slowest) = (restarts[restarts.len() / 2], restarts[restarts.len() - 1]);
    eprintln!("{kills} kills, {} writes, restarts: half within {half:?}, all within {slowest:?}", dots.len());
    restarts
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn no_kill_in_the_midst_of_writes_and_merges_loses_what_was_acknowledged() {
    kill_in_loops(20);
}

#[test]
#[ignore = "takes minutes: cargo test --test it two_hundred_kills -- --ignored"]
fn two_hundred_kills_lose_nothing_that_was_acknowledged() {
    let restarts = kill_in_loops(200);
    let half = restarts[restarts.len() / 2];
    assert!(half < Duration::from_secs(2), "half of the restarts took longer than {half:?}");
}
