//! A network in memory, with weather: libp2p's `Transport` over pipes that are late, slow, frozen,
//! broken, one-way or dark, as the simulator says. All above it is production code.
//!
//! Everything that arrives is woken by one task from one agenda, in order of time and then of
//! sending, so that a run depends on its seed alone. Times are tokio's, which round up to 1 ms.

mod agenda;
mod pipe;
mod state;
mod transport;

use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use tokio::{sync::Notify, task::AbortHandle};

use self::{
    agenda::{Agenda, drive},
    state::{Connection, Link, State},
};
use crate::{
    dice::Dice,
    plan::{NodeNo, Quality},
};

pub use self::{pipe::Pipe, transport::SimTransport};

/// The port that every node listens on.
pub const PORT: u16 = 7701;

/// Where a node lives.
#[must_use]
pub fn address(node: NodeNo) -> Ipv4Addr {
    Ipv4Addr::from(0x0A00_0001 + u32::try_from(node).unwrap_or(u32::MAX >> 8))
}

struct Shared {
    state: Mutex<State>,
    agenda: Mutex<Agenda>,
    /// Something that a dial may be waiting for has changed.
    changed: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn agenda(&self) -> MutexGuard<'_, Agenda> {
        self.agenda.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes whom that concerns when the lock is free again.
    fn change<T>(&self, change: impl FnOnce(&mut State, &mut Wakers) -> T) -> T {
        let mut wakers = Wakers::default();
        let outcome = change(&mut self.lock(), &mut wakers);
        wakers.wake();
        outcome
    }
}

/// Whom to wake once the lock is free.
#[derive(Default)]
struct Wakers(Vec<Waker>);

impl Wakers {
    fn add(&mut self, waker: Option<Waker>) {
        self.0.extend(waker);
    }

    fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

/// The network of one simulation. Clones share it; the task that drives it ends with the last one.
#[derive(Clone)]
pub struct Net {
    shared: Arc<Shared>,
    _driver: Arc<Driver>,
}

struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Net {
    /// A network whose links are all of this quality. To be made within a runtime.
    #[must_use]
    pub fn new(seed: u64, quality: Quality) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(Dice::of(seed, "network"), quality)),
            agenda: Mutex::default(),
            changed: Notify::new(),
        });
        let driver = tokio::spawn(drive(Arc::downgrade(&shared)));
        Self { shared, _driver: Arc::new(Driver(driver.abort_handle())) }
    }

    /// The network as the node at `ip` uses it.
    #[must_use]
    pub fn transport(&self, ip: Ipv4Addr) -> SimTransport {
        SimTransport::new(self.shared.clone(), ip)
    }

    /// The link between the two is of this quality from now on, both ways.
    pub fn set_quality(&self, a: Ipv4Addr, b: Ipv4Addr, quality: Quality) {
        let mut state = self.shared.lock();
        for pair in [(a, b), (b, a)] {
            state.link(pair).quality = Some(quality);
        }
    }

    /// Nothing passes this way, and nothing is lost: all of it arrives after [`Self::thaw`]. The other
    /// way starves when its window is full, for want of acknowledgements.
    pub fn freeze(&self, from: Ipv4Addr, to: Ipv4Addr) {
        self.shared.lock().freeze((from, to));
    }

    /// What was frozen passes again.
    pub fn thaw(&self, from: Ipv4Addr, to: Ipv4Addr) {
        self.shared.change(|state, wakers| state.thaw((from, to), wakers));
        self.shared.changed.notify_waiters();
    }

    /// Whether connections between the two are refused.
    pub fn refuse(&self, a: Ipv4Addr, b: Ipv4Addr, refused: bool) {
        let mut state = self.shared.lock();
        for pair in [(a, b), (b, a)] {
            state.link(pair).refused = refused;
        }
    }

    /// Resets all connections between the two.
    pub fn reset(&self, a: Ipv4Addr, b: Ipv4Addr) {
        self.shared.change(|state, wakers| state.reset(|ends| ends == (a, b) || ends == (b, a), wakers));
    }

    /// The machine goes dark: it sends neither an end nor a reset, peers see silence.
    pub fn power_off(&self, ip: Ipv4Addr) {
        self.shared.lock().power_off(ip);
    }

    /// The machine is back; connections from before are reset.
    pub fn power_on(&self, ip: Ipv4Addr) {
        self.shared.change(|state, wakers| state.power_on(ip, wakers));
        self.shared.changed.notify_waiters();
    }

    /// Bytes that went from one to the other since the beginning.
    #[must_use]
    pub fn bytes(&self, from: Ipv4Addr, to: Ipv4Addr) -> u64 {
        self.shared.lock().links.get(&(from, to)).map_or(0, |link| link.bytes)
    }

    /// Bytes that a machine sent since the beginning.
    #[must_use]
    pub fn bytes_from(&self, ip: Ipv4Addr) -> u64 {
        let range = (ip, Ipv4Addr::UNSPECIFIED)..=(ip, Ipv4Addr::BROADCAST);
        self.shared.lock().links.range(range).map(|(_, link)| link.bytes).sum()
    }

    /// Connections that either end holds.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lock().connections.len()
    }

    /// Who holds a connection with whom, each pair once, the lower first.
    #[must_use]
    pub fn connected(&self) -> BTreeSet<(Ipv4Addr, Ipv4Addr)> {
        let state = self.shared.lock();
        let open = state.connections.values().filter(|connection| connection.is_open());
        open.map(Connection::ends).map(|(a, b)| (a.min(b), a.max(b))).collect()
    }

    /// Whether a dial from one to the other would get through now.
    #[must_use]
    pub fn passable(&self, a: Ipv4Addr, b: Ipv4Addr) -> bool {
        let state = self.shared.lock();
        let open = |pair| state.links.get(&pair).is_none_or(|link: &Link| !link.frozen && !link.refused);
        open((a, b)) && open((b, a)) && !state.dark.contains(&a) && !state.dark.contains(&b)
    }
}

#[cfg(test)]
mod tests;
