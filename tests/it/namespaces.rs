//! Discovery between processes, in a network namespace of its own: nothing is sent to a real network.

use std::process::{Command, Stdio};

use crate::program::{Program, Site, until};
use crate::support::mesh_name;

/// A network namespace with an interface that leads nowhere; it goes when this does.
struct Namespace(String);

impl Namespace {
    /// None, and a word about it, where this user may not make one.
    fn make(with_interface: bool) -> Option<Self> {
        let name = format!("tidings-{}", mesh_name());
        let ip = |arguments: &[&str]| {
            let status = Command::new("ip").args(arguments).stderr(Stdio::null()).status();
            status.is_ok_and(|status| status.success())
        };
        if !ip(&["netns", "add", &name]) {
            eprintln!("SKIPPED: no network namespace can be made here (it takes `ip netns add`, as root)");
            return None;
        }
        let namespace = Self(name);
        let within = |arguments: &[&str]| ip(&[&["-n", &namespace.0], arguments].concat());
        let interface = || {
            within(&["link", "add", "nowhere", "type", "dummy"])
                && within(&["addr", "add", "10.99.0.1/24", "dev", "nowhere"])
                && within(&["link", "set", "nowhere", "up", "multicast", "on"])
                && within(&["route", "add", "224.0.0.0/4", "dev", "nowhere"])
        };
        if !within(&["link", "set", "lo", "up"]) || (with_interface && !interface()) {
            eprintln!("SKIPPED: the network namespace cannot be given an interface");
            return None;
        }
        Some(namespace)
    }

    fn site(&self) -> Site {
        let mut site = Site::new();
        site.through = ["ip", "netns", "exec", &self.0].map(str::to_owned).into();
        site
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(Command::new("ip").args(["netns", "del", &self.0]).status());
    }
}

/// The API of a process in a namespace is asked from within it.
fn ask(site: &Site, program: &Program, arguments: &[&str]) -> Option<String> {
    let output = site.command().env("TIDINGS_URL", &program.url).args(arguments).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn processes_find_each_other_by_multicast_with_the_users_key_made_by_itself() {
    let Some(namespace) = Namespace::make(true) else { return };
    let site = namespace.site();
    // Without `--open`: both use the key that the first makes. With runtime directories of their own,
    // they cannot find each other as neighbours on one machine.
    let mut ant = site.start_discovering("ant", "/ip4/10.99.0.1/tcp/0", "runtime-of-ant");
    let mut bat = site.start_discovering("bat", "/ip4/10.99.0.1/tcp/0", "runtime-of-bat");
    ant.hear(&format!("peer found: {}", bat.id));
    bat.hear(&format!("peer found: {}", ant.id));
    assert!(ant.said().contains("made a key"), "{}", ant.said());
    assert!(!bat.said().contains("made a key"), "{}", bat.said());
    ask(&site, &ant, &["put", "k", "v"]).unwrap();
    until("bat shows it", || (ask(&site, &bat, &["get", "k"])? == "v").then_some(()));
}

#[test]
fn processes_of_one_user_on_one_machine_find_each_other_without_multicast() {
    // Multicast needs another interface than loopback: only the directory is left.
    let Some(namespace) = Namespace::make(false) else { return };
    let site = namespace.site();
    let mut ant = site.start_discovering("ant", "/ip4/127.0.0.1/tcp/0", "runtime");
    let mut bat = site.start_discovering("bat", "/ip4/127.0.0.1/tcp/0", "runtime");
    ant.hear(&format!("peer found: {}", bat.id));
    bat.hear(&format!("peer found: {}", ant.id));
    ask(&site, &ant, &["put", "k", "v"]).unwrap();
    until("bat shows it", || (ask(&site, &bat, &["get", "k"])? == "v").then_some(()));
}
