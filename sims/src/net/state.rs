//! Links, connections, and what is under way on them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{Ipv4Addr, SocketAddrV4},
    task::Waker,
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use super::{Pipe, Wakers};
use crate::{dice::Dice, plan::Quality};

/// What one end may have sent that the other has not read, in bytes.
pub(super) const WINDOW: usize = 256 * 1024;
/// The first port that a dialler has.
const FIRST_PORT: u16 = 10_000;

/// From one machine to another.
pub(super) type Way = (Ipv4Addr, Ipv4Addr);
/// 0: what end 0 sends. 1: what end 1 sends.
pub(super) type Direction = usize;
/// Where a listener takes in connections, and from whom.
pub(super) type Door = mpsc::UnboundedSender<(Pipe, SocketAddrV4)>;

/// One way between two machines.
#[derive(Default)]
pub(super) struct Link {
    pub(super) quality: Option<Quality>,
    pub(super) frozen: bool,
    pub(super) refused: bool,
    pub(super) bytes: u64,
    /// When the last byte put on it has left, all connections together.
    next_free: Option<Instant>,
}

/// Bytes under way.
pub(super) struct Chunk {
    /// When they arrive; meaningless while `lost`.
    pub(super) at: Instant,
    pub(super) bytes: Vec<u8>,
    pub(super) read: usize,
    /// Under way when the link froze, or sent since: to be sent again when it thaws.
    pub(super) lost: bool,
}

/// The end of what one end sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fin {
    No,
    /// Said while the link was frozen.
    Held,
    Arrives(Instant),
}

/// One direction of a connection.
pub(super) struct Half {
    pub(super) queue: VecDeque<Chunk>,
    /// Bytes sent and not acknowledged.
    pub(super) in_flight: usize,
    /// Bytes read whose acknowledgement is held up.
    pub(super) unacknowledged: usize,
    pub(super) fin: Fin,
    dice: Dice,
    last_arrival: Instant,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    /// The earliest entry on the agenda.
    pub(super) scheduled: Option<Instant>,
}

/// A connection.
pub(super) struct Connection {
    ends: [SocketAddrV4; 2],
    pub(super) halves: [Half; 2],
    pub(super) reset: bool,
    pub(super) gone: [bool; 2],
    /// The machine at this end lost its power: it says nothing more.
    pub(super) silent: [bool; 2],
}

/// The whole network.
pub(super) struct State {
    dice: Dice,
    default: Quality,
    pub(super) links: BTreeMap<Way, Link>,
    pub(super) doors: BTreeMap<SocketAddrV4, Door>,
    pub(super) connections: BTreeMap<u64, Connection>,
    pub(super) dark: BTreeSet<Ipv4Addr>,
    next: u64,
    port: u16,
}

impl Connection {
    pub(super) fn ends(&self) -> Way {
        (*self.ends[0].ip(), *self.ends[1].ip())
    }

    /// The way that a direction goes.
    pub(super) fn way(&self, direction: Direction) -> Way {
        (*self.ends[direction].ip(), *self.ends[1 - direction].ip())
    }

    pub(super) fn is_open(&self) -> bool {
        !self.reset && self.gone == [false; 2] && self.silent == [false; 2]
    }

    fn kill(&mut self, wakers: &mut Wakers) {
        self.reset = true;
        for half in &mut self.halves {
            wakers.add(half.reader.take());
            wakers.add(half.writer.take());
        }
    }
}

impl Half {
    fn new(dice: Dice, now: Instant) -> Self {
        Self {
            queue: VecDeque::new(),
            in_flight: 0,
            unacknowledged: 0,
            fin: Fin::No,
            dice,
            last_arrival: now,
            reader: None,
            writer: None,
            scheduled: None,
        }
    }

    /// When `bytes` that are sent now arrive.
    pub(super) fn arrival(
        &mut self,
        bytes: usize,
        link: &mut Link,
        default: Quality,
        now: Instant,
    ) -> Instant {
        let quality = link.quality.unwrap_or(default);
        let on_the_wire = match quality.bandwidth {
            Some(bandwidth) => Duration::from_secs_f64(share(bytes, bandwidth)),
            None => Duration::ZERO,
        };
        let departs = link.next_free.map_or(now, |free| free.max(now)) + on_the_wire;
        link.next_free = Some(departs);
        let late = self.dice.time(Duration::ZERO, quality.jitter);
        // A stream of bytes stays in order, whatever its parts are late.
        self.last_arrival = self.last_arrival.max(departs + quality.latency + late);
        self.last_arrival
    }
}

#[expect(clippy::cast_precision_loss, reason = "a window is small, a bandwidth not exact")]
fn share(bytes: usize, bandwidth: u64) -> f64 {
    bytes as f64 / bandwidth.max(1) as f64
}

impl State {
    pub(super) fn new(dice: Dice, default: Quality) -> Self {
        Self {
            dice,
            default,
            links: BTreeMap::new(),
            doors: BTreeMap::new(),
            connections: BTreeMap::new(),
            dark: BTreeSet::new(),
            next: 0,
            port: FIRST_PORT,
        }
    }

    pub(super) fn link(&mut self, way: Way) -> &mut Link {
        self.links.entry(way).or_default()
    }

    pub(super) fn default_quality(&self) -> Quality {
        self.default
    }

    pub(super) fn latency(&self, way: Way) -> Duration {
        self.links.get(&way).and_then(|link| link.quality).unwrap_or(self.default).latency
    }

    /// Whether a packet gets through this way.
    pub(super) fn passes(&self, way: Way) -> bool {
        let frozen = self.links.get(&way).is_some_and(|link| link.frozen);
        !frozen && !self.dark.contains(&way.0) && !self.dark.contains(&way.1)
    }

    pub(super) fn refuses(&self, way: Way) -> bool {
        self.links.get(&way).is_some_and(|link| link.refused)
    }

    /// A port that a dialler has for itself.
    pub(super) fn draw_port(&mut self) -> u16 {
        self.port = self.port.checked_add(1).unwrap_or(FIRST_PORT);
        self.port
    }

    /// A new connection; its number.
    pub(super) fn connect(&mut self, dialler: SocketAddrV4, listener: SocketAddrV4) -> u64 {
        let now = Instant::now();
        let id = self.next;
        self.next += 1;
        // A dice for each direction: how much goes elsewhere cannot move the jitter here.
        let halves = [(); 2].map(|()| Half::new(Dice::new(self.dice.bits()), now));
        let ends = [dialler, listener];
        let connection = Connection { ends, halves, reset: false, gone: [false; 2], silent: [false; 2] };
        self.connections.insert(id, connection);
        id
    }

    /// The time has come for what is under way to the reader of `direction`.
    pub(super) fn arrived(&mut self, id: u64, direction: Direction, wakers: &mut Wakers) {
        if let Some(connection) = self.connections.get_mut(&id) {
            let half = &mut connection.halves[direction];
            half.scheduled = None;
            wakers.add(half.reader.take());
        }
    }

    pub(super) fn freeze(&mut self, way: Way) {
        self.link(way).frozen = true;
        let now = Instant::now();
        for connection in self.connections.values_mut() {
            for direction in [0, 1] {
                if connection.way(direction) != way {
                    continue;
                }
                let half = &mut connection.halves[direction];
                half.queue.iter_mut().filter(|chunk| chunk.at > now).for_each(|chunk| chunk.lost = true);
                if matches!(half.fin, Fin::Arrives(at) if at > now) {
                    half.fin = Fin::Held;
                }
            }
        }
    }

    pub(super) fn thaw(&mut self, way: Way, wakers: &mut Wakers) {
        let now = Instant::now();
        let default = self.default;
        let link = self.links.entry(way).or_default();
        link.frozen = false;
        link.next_free = Some(now);
        for connection in self.connections.values_mut() {
            for direction in [0, 1] {
                if connection.way(direction) != way {
                    continue;
                }
                let half = &mut connection.halves[direction];
                half.send_again(link, default, now);
                // The reader looks at what there is, and puts itself on the agenda.
                wakers.add(half.reader.take());
                let other = &mut connection.halves[1 - direction];
                other.in_flight -= std::mem::take(&mut other.unacknowledged);
                wakers.add(other.writer.take());
            }
        }
    }

    pub(super) fn reset(&mut self, which: impl Fn(Way) -> bool, wakers: &mut Wakers) {
        for connection in self.connections.values_mut() {
            if which(connection.ends()) {
                connection.kill(wakers);
            }
        }
    }

    pub(super) fn power_off(&mut self, ip: Ipv4Addr) {
        self.dark.insert(ip);
        for connection in self.connections.values_mut() {
            for end in [0, 1] {
                connection.silent[end] |= connection.way(end).0 == ip;
            }
        }
    }

    pub(super) fn power_on(&mut self, ip: Ipv4Addr, wakers: &mut Wakers) {
        self.dark.remove(&ip);
        for connection in self.connections.values_mut() {
            if [0, 1].into_iter().any(|end| connection.silent[end] && connection.way(end).0 == ip) {
                connection.kill(wakers);
            }
        }
    }
}

impl Half {
    /// Everything that the freeze held up is sent again.
    fn send_again(&mut self, link: &mut Link, default: Quality, now: Instant) {
        self.last_arrival = self.last_arrival.max(now);
        let mut queue = std::mem::take(&mut self.queue);
        for chunk in queue.iter_mut().filter(|chunk| chunk.lost) {
            chunk.at = self.arrival(chunk.bytes.len(), link, default, now);
            chunk.lost = false;
        }
        self.queue = queue;
        if self.fin == Fin::Held {
            self.fin = Fin::Arrives(self.arrival(0, link, default, now));
        }
    }
}
