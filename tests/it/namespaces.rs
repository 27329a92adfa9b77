//! Discovery between processes, in a network namespace of its own: nothing is sent to a real network.

use std::process::{Command, Stdio};

use crate::program::{Program, Site, until};
use crate::support::mesh_name;

/// A network namespace; it goes when this does.
struct Namespace(String);

impl Namespace {
    /// None, and a word about it, where this user may not make one.
    fn make() -> Option<Self> {
        let namespace = Self(format!("tidings-{}", mesh_name()));
        if ip(&["netns", "add", &namespace.0]) && ip(&["-n", &namespace.0, "link", "set", "lo", "up"]) {
            return Some(namespace);
        }
        eprintln!("SKIPPED: no network namespace can be made here (it takes `ip netns add`, as root)");
        None
    }

    fn configure(&self, arguments: &[&str]) -> bool {
        ip(&[&["-n", &self.0], arguments].concat())
    }

    /// A cable between two namespaces: the first is 10.99.0.1, the second 10.99.0.2.
    fn connect(&self, other: &Self) -> Option<()> {
        let end = |namespace: &Self, address: &str| {
            namespace.configure(&["addr", "add", address, "dev", "cable"])
                && namespace.configure(&["link", "set", "cable", "up", "multicast", "on"])
                && namespace.configure(&["route", "add", "224.0.0.0/4", "dev", "cable"])
        };
        let cable = ["link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", &other.0];
        if self.configure(&cable) && end(self, "10.99.0.1/24") && end(other, "10.99.0.2/24") {
            return Some(());
        }
        eprintln!("SKIPPED: two network namespaces cannot be connected here");
        None
    }

    /// What a program is started through to be in here.
    fn through(&self) -> Vec<String> {
        ["ip", "netns", "exec", &self.0].map(str::to_owned).into()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&["netns", "del", &self.0]);
    }
}

fn ip(arguments: &[&str]) -> bool {
    let status = Command::new("ip").args(arguments).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The API of a process in a namespace is asked from within it.
fn ask(site: &Site, program: &Program, arguments: &[&str]) -> Option<String> {
    let output = site.command().env("TIDINGS_URL", &program.url).args(arguments).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// Both have found each other, and what one writes the other shows.
#[expect(clippy::needless_pass_by_value, reason = "pairs read better than four arguments")]
fn have_met(ant: (&Site, &mut Program), bat: (&Site, &mut Program)) {
    ant.1.hear(&format!("peer found: {}", bat.1.id));
    bat.1.hear(&format!("peer found: {}", ant.1.id));
    ask(ant.0, ant.1, &["put", "k", "v"]).unwrap();
    until("bat shows it", || (ask(bat.0, bat.1, &["get", "k"])? == "v").then_some(()));
}

#[test]
fn processes_on_one_local_network_find_each_other_by_multicast() {
    let (Some(here), Some(there)) = (Namespace::make(), Namespace::make()) else { return };
    if here.connect(&there).is_none() {
        return;
    }
    // Without `--open`: both use the user's own key, which the first makes.
    let mut site = Site::new();
    site.through = here.through();
    let mut ant = site.start_discovering("ant", "/ip4/10.99.0.1/tcp/0", "runtime-of-ant");
    let ants = site;
    let mut bats = ants.beside();
    bats.through = there.through();
    let mut bat = bats.start_discovering("bat", "/ip4/10.99.0.2/tcp/0", "runtime-of-bat");
    assert!(ant.said().contains("made a key"), "{}", ant.said());
    assert!(!bat.said().contains("made a key"), "{}", bat.said());
    have_met((&ants, &mut ant), (&bats, &mut bat));
}

#[test]
fn processes_of_one_user_on_one_machine_find_each_other_without_multicast() {
    // Multicast needs another interface than loopback: only the directory is left.
    let Some(alone) = Namespace::make() else { return };
    let mut site = Site::new();
    site.through = alone.through();
    let mut ant = site.start_discovering("ant", "/ip4/127.0.0.1/tcp/0", "runtime");
    let mut bat = site.start_discovering("bat", "/ip4/127.0.0.1/tcp/0", "runtime");
    have_met((&site, &mut ant), (&site, &mut bat));
}
