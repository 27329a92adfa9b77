//! Where the node listens. A TCP port that is taken gives way to any free one, which is remembered and
//! tried first at the next start.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    path::PathBuf,
    time::Duration,
};

use libp2p::{Multiaddr, multiaddr::Protocol};

use super::small_file;

/// The name, in the directory of the network, of the file that remembers ports: one line each, the
/// address asked for and the port got.
const FILE: &str = "port";
/// How often and how long to wait for another node that is just about to listen.
const TURNS_MAX: u32 = 300;
const TURN: Duration = Duration::from_millis(10);

/// The ports got at earlier starts.
pub(super) struct Ports {
    path: Option<PathBuf>,
    got: BTreeMap<Multiaddr, u16>,
}

impl Ports {
    /// Reads what is remembered; nothing, if it makes no sense.
    pub(super) fn open(directory: Option<&PathBuf>) -> Self {
        let path = directory.map(|directory| directory.join(FILE));
        let text = path.as_deref().and_then(|path| small_file::read(path).ok().flatten()).unwrap_or_default();
        let entry = |line: &str| {
            let (address, port) = line.split_once(' ')?;
            Some((address.parse().ok()?, port.parse().ok()?))
        };
        Self { path, got: text.lines().filter_map(entry).collect() }
    }

    /// What to listen on for an address asked for, in order of preference.
    pub(super) fn candidates(&self, asked: &Multiaddr) -> Vec<Multiaddr> {
        let Some(port) = port_of(asked) else { return vec![asked.clone()] };
        let remembered = self.got.get(asked).map(|port| with_port(asked, *port));
        let any = (port != 0).then(|| with_port(asked, 0));
        remembered.into_iter().chain([asked.clone()]).chain(any).collect()
    }

    /// Remembers the port got, unless it is the one asked for.
    pub(super) fn remember(&mut self, asked: &Multiaddr, got: u16) {
        let changed = match port_of(asked) {
            None => false,
            Some(port) if port == got => self.got.remove(asked).is_some(),
            Some(_) => self.got.insert(asked.clone(), got) != Some(got),
        };
        let Some(path) = self.path.as_ref().filter(|_| changed) else { return };
        let text: String = self.got.iter().map(|(asked, port)| format!("{asked} {port}\n")).collect();
        if let Err(error) = small_file::replace(path, &text) {
            tracing::warn!(%error, "the port cannot be remembered in {path:?}");
        }
    }
}

/// The TCP port in an address.
pub(super) fn port_of(address: &Multiaddr) -> Option<u16> {
    address.iter().find_map(|part| match part {
        Protocol::Tcp(port) => Some(port),
        _ => None,
    })
}

fn with_port(address: &Multiaddr, port: u16) -> Multiaddr {
    let change = |part| if matches!(part, Protocol::Tcp(_)) { Protocol::Tcp(port) } else { part };
    address.iter().map(change).collect()
}

/// A node's turn to look for a free port. libp2p opens its sockets so that several may listen on one
/// port (and share the connections): that a port is taken shows only in a probe, and two nodes must
/// not probe at the same time.
pub(super) struct Turn(Option<File>);

impl Turn {
    /// Waits until it is this node's turn; not for ever, as nobody must be kept from starting.
    pub(super) fn take() -> Self {
        // Ports are a user's, not a directory's: all nodes of a user on a machine take turns.
        let path = std::env::temp_dir().join(format!("tidings-{}.lock", user()));
        let file = OpenOptions::new().create(true).append(true).open(&path).ok();
        let locked = file.filter(|file| {
            (0..TURNS_MAX).any(|_| {
                let mine = file.try_lock().is_ok();
                if !mine {
                    std::thread::sleep(TURN);
                }
                mine
            })
        });
        Self(locked)
    }

    /// Whether the address can be had, as far as a probe can tell.
    ///
    /// # Errors
    /// What the system says when the port is taken.
    #[expect(clippy::unused_self, reason = "only who has the turn may probe")]
    pub(super) fn probe(&self, address: &Multiaddr) -> io::Result<()> {
        match socket_address(address) {
            Some(socket) if socket.port() != 0 => TcpListener::bind(socket).map(drop),
            _ => Ok(()),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Closing the file would do as well; an error leaves that.
        let _ = self.0.take().map(|file| file.unlock());
    }
}

fn socket_address(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

#[cfg(unix)]
fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn user() -> u32 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
    }

    #[test]
    fn the_port_got_is_tried_first_at_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().to_owned();
        let mut ports = Ports::open(Some(&directory));
        assert_eq!(ports.candidates(&address(7701)), [address(7701), address(0)]);
        ports.remember(&address(7701), 40_000);
        let mut ports = Ports::open(Some(&directory));
        assert_eq!(ports.candidates(&address(7701)), [address(40_000), address(7701), address(0)]);
        ports.remember(&address(7701), 7701);
        let ports = Ports::open(Some(&directory));
        assert_eq!(ports.candidates(&address(7701)), [address(7701), address(0)]);
    }

    #[test]
    fn what_has_no_port_is_taken_as_it_is() {
        let memory: Multiaddr = "/memory/7".parse().unwrap();
        assert_eq!(Ports::open(None).candidates(&memory), [memory]);
    }

    #[test]
    fn a_probe_finds_a_port_taken() {
        let turn = Turn::take();
        let held = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let taken = address(held.local_addr().unwrap().port());
        assert_eq!(turn.probe(&taken).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(held);
        turn.probe(&taken).unwrap();
    }
}
