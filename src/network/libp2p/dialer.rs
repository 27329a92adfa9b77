//! Who is dialled, and when: a state machine without clock, dice or sockets of its own.
//!
//! Two nodes that dial each other at the same instant may end with two connections, or (where TCP
//! ports are reused) with none. So of two that know of each other the one with the lower id dials at
//! once, and the higher waits for it a little. Peers asked for (`--peer`) are dialled for ever; those
//! that were merely found only as long as there are few connections, in random order, so that a mesh
//! grown from discovery has no favourites; beyond that one of them now and then, so that two
//! saturated groups that find each other grow together.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use libp2p::Multiaddr;

use super::{
    known::{Known, Peer, Source},
    peer::{is_dialable, node_of, split},
};
use crate::{causality::NodeId, ports::Entropy};

/// The wait after the first failure; each further one is half as long again.
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
/// A connection that lasted so long was a good one: the next dial does not wait for its sake.
const STEADY: Duration = Duration::from_secs(10);
/// How long a peer that must not be talked to is left alone.
const REFUSED: Duration = Duration::from_secs(60);
/// How often a peer is dialled although there are enough connections, in seconds.
const EXPLORE_SECONDS: (u64, u64) = (10, 20);
/// The most addresses of a peer that are dialled at once.
const DIAL_ADDRESSES_MAX: usize = 8;

/// Names one dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DialId(u64);

/// Why a dial failed, as far as it matters for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nobody answered, or not in a language of ours.
    Unreachable,
    /// Another peer than the one expected answered.
    Stranger,
    /// The address is this node's own.
    Ourselves,
}

/// What the dialer is told.
#[derive(Debug)]
pub(super) enum Input {
    /// A peer to dial and keep; `eager` when nobody at the other end is likely to dial as well.
    Keep { address: Multiaddr, eager: bool },
    /// Somebody or something knows of a peer.
    Found { peer: NodeId, addresses: Vec<Multiaddr>, source: Source },
    /// A connection stands; `dial` if this node asked for it.
    Connected { peer: NodeId, address: Multiaddr, dial: Option<DialId> },
    /// The last connection to a peer is gone.
    Disconnected(NodeId),
    /// A dial failed.
    Failed { dial: DialId, fault: Fault },
    /// The peer must not be dialled for some time.
    Refuse(NodeId),
    /// The peer must not be dialled.
    Block(NodeId),
    /// It may be dialled again.
    Unblock(NodeId),
    /// Time has passed.
    Wake,
}

/// What the dialer wants done.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dial {
    /// Names the dial in [`Input::Connected`] and [`Input::Failed`].
    pub(super) id: DialId,
    /// Whom to expect, if that is known.
    pub(super) peer: Option<NodeId>,
    /// Where.
    pub(super) addresses: Vec<Multiaddr>,
}

/// The numbers it goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Found peers are dialled below so many connections,
    pub(super) degree_low: usize,
    /// and never above so many.
    pub(super) degree_high: usize,
    /// The most dials under way.
    pub(super) dials_max: usize,
    /// The longest wait between two dials of a peer,
    pub(super) backoff_max: Duration,
    /// and of one that was asked for.
    pub(super) backoff_kept_max: Duration,
    /// Whether found peers are dialled at all.
    pub(super) exchange: bool,
}

/// An address to keep a connection to, whoever lives there.
#[derive(Default)]
struct Place {
    tenant: Option<NodeId>,
    dial: Option<DialId>,
    failures: u32,
    not_before: Duration,
}

enum Target {
    Peer(NodeId),
    Place(Multiaddr),
}

/// The state machine.
pub(super) struct Dialer {
    own: NodeId,
    rules: Rules,
    known: Known,
    places: BTreeMap<Multiaddr, Place>,
    blocked: BTreeSet<NodeId>,
    dials: BTreeMap<DialId, Target>,
    dials_begun: u64,
    explore_at: Duration,
}

impl Dialer {
    /// A dialer that knows nobody.
    pub(super) fn new(own: NodeId, rules: Rules) -> Self {
        Self {
            own,
            rules,
            known: Known::default(),
            places: BTreeMap::new(),
            blocked: BTreeSet::new(),
            dials: BTreeMap::new(),
            dials_begun: 0,
            explore_at: Duration::ZERO,
        }
    }

    /// Takes in what happened, and says what to dial. `now` is the time since some fixed instant.
    pub(super) fn handle(&mut self, now: Duration, dice: &dyn Entropy, input: Input) -> Vec<Dial> {
        let mut out = Vec::new();
        match input {
            Input::Keep { address, eager } => self.keep(now, dice, address, eager),
            Input::Found { peer, addresses, source } => self.found(now, dice, peer, addresses, source),
            Input::Connected { peer, address, dial } => self.connected(now, peer, address, dial),
            Input::Disconnected(peer) => self.disconnected(now, dice, peer),
            Input::Failed { dial, fault } => self.failed(now, dice, dial, fault),
            Input::Refuse(peer) => self.known.entry(peer).refused_until = now + REFUSED,
            Input::Block(peer) => drop(self.blocked.insert(peer)),
            Input::Unblock(peer) => out.extend(self.unblock(now, peer)),
            Input::Wake => {}
        }
        self.plan(now, dice, &mut out);
        out
    }

    /// When to call again with [`Input::Wake`] if nothing happens before.
    pub(super) fn next_wake(&self, now: Duration) -> Option<Duration> {
        if self.dials.len() >= self.rules.dials_max {
            return None;
        }
        let places = self.places.values().filter(|place| place.is_open()).map(|place| place.not_before);
        let peers = self.dialable().filter(|(_, peer)| peer.kept || self.degree() < self.rules.degree_low);
        let peers = peers.map(|(_, peer)| peer.due_at());
        let explore = (self.may_explore() && self.dialable().any(|(_, peer)| peer.is_local()))
            .then_some(self.explore_at.max(now));
        places.chain(peers).filter(|at| *at > now).chain(explore.filter(|at| *at > now)).min()
    }

    fn keep(&mut self, now: Duration, dice: &dyn Entropy, address: Multiaddr, eager: bool) {
        match split(address) {
            (place, None) => {
                let tenant = self.known.connected_at(&place);
                let place = self.places.entry(place).or_default();
                (place.failures, place.not_before) = (0, now);
                if let Some(tenant) = tenant {
                    place.tenant = Some(tenant);
                    self.known.entry(tenant).kept = true;
                }
            }
            (address, Some(id)) => {
                let Some(node) = node_of(&id).filter(|node| *node != self.own) else { return };
                let wait = if eager { Duration::ZERO } else { self.courtesy(dice, node, Source::Kept) };
                let peer = self.known.entry(node);
                (peer.kept, peer.asked, peer.failures) = (true, true, 0);
                peer.learn([address], Source::Kept);
                peer.not_before = now + wait;
            }
        }
    }

    fn found(
        &mut self,
        now: Duration,
        dice: &dyn Entropy,
        node: NodeId,
        addresses: Vec<Multiaddr>,
        source: Source,
    ) {
        if node == self.own {
            return;
        }
        let wait = self.courtesy(dice, node, source);
        let peer = self.known.entry(node);
        let fresh = peer.learn(addresses.into_iter().filter(is_dialable), source);
        let waiting = peer.failures == 0 && peer.not_before > now;
        if fresh && waiting {
            peer.not_before = peer.not_before.min(now + wait);
        } else if fresh && (peer.failures == 0 || source < Source::Exchange) {
            // It has moved or come back, so old failures say nothing. (Told by others they do: else
            // whoever invents addresses could have a peer dialled all the time.)
            (peer.failures, peer.not_before) = (0, now + wait);
        }
        if source == Source::Identify {
            self.recognize(node);
        }
        self.known.trim();
    }

    /// A peer that says it listens at an address to be kept is the one who lives there.
    fn recognize(&mut self, node: NodeId) {
        let peer = self.known.entry(node);
        for (address, place) in &mut self.places {
            if place.tenant.is_none() && peer.has(address) {
                place.tenant = Some(node);
                peer.kept = true;
            }
        }
    }

    fn connected(&mut self, now: Duration, node: NodeId, address: Multiaddr, dial: Option<DialId>) {
        let target = dial.and_then(|dial| self.dials.remove(&dial));
        let peer = self.known.entry(node);
        peer.since.get_or_insert(now);
        if peer.dial == dial {
            peer.dial = None;
        }
        match target {
            Some(Target::Place(address)) => {
                peer.learn([address.clone()], Source::Kept);
                peer.kept = true;
                let place = self.places.entry(address).or_default();
                *place = Place { tenant: Some(node), ..Place::default() };
            }
            Some(Target::Peer(_)) => drop(peer.learn([split(address).0], Source::Dialled)),
            None => {}
        }
    }

    fn disconnected(&mut self, now: Duration, dice: &dyn Entropy, node: NodeId) {
        let courtesy = self.courtesy(dice, node, Source::Dialled);
        let rules = self.rules;
        let peer = self.known.entry(node);
        let steady = peer.since.take().is_some_and(|since| now.saturating_sub(since) >= STEADY);
        peer.failures = if steady { 0 } else { peer.failures.saturating_add(1) };
        let wait = backoff(dice, peer.failures, rules.backoff_max_of(peer)) + courtesy;
        peer.not_before = peer.not_before.max(now + wait);
        self.known.trim();
    }

    fn failed(&mut self, now: Duration, dice: &dyn Entropy, dial: DialId, fault: Fault) {
        let rules = self.rules;
        match self.dials.remove(&dial) {
            Some(Target::Place(address)) if fault == Fault::Ourselves => drop(self.places.remove(&address)),
            Some(Target::Place(address)) => {
                let place = self.places.entry(address).or_default();
                place.dial = None;
                place.failures = place.failures.saturating_add(1);
                place.not_before = now + backoff(dice, place.failures, rules.backoff_kept_max);
            }
            Some(Target::Peer(node)) => {
                let peer = self.known.entry(node);
                peer.dial = None;
                peer.failures = peer.failures.saturating_add(1);
                let wait = backoff(dice, peer.failures, rules.backoff_max_of(peer));
                peer.not_before = peer.not_before.max(now + wait);
                if fault != Fault::Unreachable {
                    self.evict(now, node);
                }
            }
            None => {}
        }
    }

    /// Somebody else lives where `node` was expected: places it held are open again.
    fn evict(&mut self, now: Duration, node: NodeId) {
        let peer = self.known.entry(node);
        for (address, place) in self.places.iter_mut().filter(|(_, place)| place.tenant == Some(node)) {
            peer.forget(address);
            *place = Place { not_before: now + BACKOFF_FIRST, ..Place::default() };
            peer.kept = peer.asked;
        }
        if !peer.kept {
            peer.addresses.clear();
        }
    }

    /// Whoever was let in again is dialled once, whatever the degree: a partition that was rehearsed
    /// is to heal at once.
    fn unblock(&mut self, now: Duration, node: NodeId) -> Option<Dial> {
        self.blocked.remove(&node);
        let peer = self.known.entry(node);
        (peer.failures, peer.not_before, peer.refused_until) = (0, now, now);
        if peer.is_idle() { self.dial(node) } else { None }
    }

    /// Dials whoever is due.
    fn plan(&mut self, now: Duration, dice: &dyn Entropy, out: &mut Vec<Dial>) {
        let due = self.places.iter().filter(|(_, place)| place.is_open() && place.not_before <= now);
        let mut places: Vec<_> = due.map(|(address, place)| (place.not_before, address.clone())).collect();
        places.sort_unstable();
        for (_, address) in places {
            let Some(id) = self.begin(Target::Place(address.clone())) else { return };
            self.places.entry(address.clone()).or_default().dial = Some(id);
            out.push(Dial { id, peer: None, addresses: vec![address] });
        }
        for node in self.due(now, |peer| peer.kept) {
            let Some(dial) = self.dial(node) else { return };
            out.push(dial);
        }
        while self.degree() < self.rules.degree_low {
            let Some(dial) = pick(dice, &self.due(now, |peer| !peer.kept)).and_then(|node| self.dial(node))
            else {
                break;
            };
            out.push(dial);
        }
        if self.may_explore() && self.explore_at <= now {
            if let Some(dial) = pick(dice, &self.due(now, Peer::is_local)).and_then(|node| self.dial(node)) {
                out.push(dial);
            }
            self.explore_at = now + Duration::from_secs(dice.between(EXPLORE_SECONDS.0, EXPLORE_SECONDS.1));
        }
    }

    fn begin(&mut self, target: Target) -> Option<DialId> {
        if self.dials.len() >= self.rules.dials_max {
            return None;
        }
        let id = DialId(self.dials_begun);
        self.dials_begun += 1;
        self.dials.insert(id, target);
        Some(id)
    }

    fn dial(&mut self, node: NodeId) -> Option<Dial> {
        let id = self.begin(Target::Peer(node))?;
        let peer = self.known.entry(node);
        peer.dial = Some(id);
        Some(Dial { id, peer: Some(node), addresses: peer.best_addresses(DIAL_ADDRESSES_MAX) })
    }

    fn dialable(&self) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.known.iter().filter(|(node, peer)| {
            let wanted = peer.kept || self.rules.exchange;
            wanted && peer.is_idle() && !self.blocked.contains(node)
        })
    }

    /// Those who have waited longest come first: else a few that never answer would take all dials.
    fn due(&self, now: Duration, which: impl Fn(&Peer) -> bool) -> Vec<NodeId> {
        let due = self.dialable().filter(|(_, peer)| peer.due_at() <= now && which(peer));
        let mut due: Vec<_> = due.map(|(node, peer)| (peer.due_at(), node)).collect();
        due.sort_unstable();
        due.into_iter().map(|(_, node)| node).collect()
    }

    /// Connected peers, and those being dialled.
    fn degree(&self) -> usize {
        self.known.connected() + self.dials.len()
    }

    fn may_explore(&self) -> bool {
        let degree = self.degree();
        self.rules.exchange && degree >= self.rules.degree_low && degree < self.rules.degree_high
    }

    /// How long this node lets a peer go first.
    fn courtesy(&self, dice: &dyn Entropy, node: NodeId, source: Source) -> Duration {
        let (low, high) = match source {
            _ if self.own < node => (0, 0),
            // The other end has most likely not heard of us.
            Source::Book | Source::Identify => (0, 0),
            Source::Kept | Source::SameHost | Source::Dialled => (300, 600),
            Source::Mdns | Source::Exchange => (1_000, 2_000),
        };
        Duration::from_millis(dice.between(low, high))
    }
}

impl Rules {
    /// A partition may last for hours; whom the user asked for is back within seconds of its end.
    fn backoff_max_of(&self, peer: &Peer) -> Duration {
        if peer.kept { self.backoff_kept_max } else { self.backoff_max }
    }
}

impl Place {
    fn is_open(&self) -> bool {
        self.tenant.is_none() && self.dial.is_none()
    }
}

/// Exponential, with jitter down to a half.
fn backoff(dice: &dyn Entropy, failures: u32, max: Duration) -> Duration {
    let factor = 1.5_f64.powi(i32::try_from(failures.min(40)).expect("40 at most"));
    let whole = BACKOFF_FIRST.mul_f64(factor).min(max);
    let micros = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(dice.between(micros / 2, micros))
}

fn pick(dice: &dyn Entropy, nodes: &[NodeId]) -> Option<NodeId> {
    let last = nodes.len().checked_sub(1)?;
    nodes.get(usize::try_from(dice.between(0, last as u64)).unwrap_or(0)).copied()
}

#[cfg(test)]
#[path = "dialer_tests.rs"]
mod tests;
