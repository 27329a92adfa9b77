//! The task that owns the swarm: takes commands, tells events, keeps the hours.

mod commands;
mod connections;
mod messages;
mod places;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::ready,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use libp2p::{
    Multiaddr, Swarm,
    core::transport::ListenerId,
    swarm::{
        ConnectionId, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use tokio::{
    sync::mpsc,
    task::yield_now,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Behaviour, Blocks, Book, Dialer, Gossip, Input, Metrics, Ports, SameHost, Source,
    behaviour::{BehaviourEvent, protocol_version},
    dialer::{Dial, DialId},
    liveness::Liveness,
    peer::peer_of,
};
use crate::{
    causality::NodeId,
    network::{Command, Event, NetworkConfig, Sink},
    ports::{Entropy, WallClock},
};

/// So many commands are taken before the swarm has its turn.
const COMMANDS_PER_TURN: usize = 64;
/// So many messages of gossip are forwarded before the actors hear of them.
const UNTOLD_MAX: usize = 32;
/// How long connections have to close when the node stops.
const PARTING: Duration = Duration::from_millis(400);
/// How often the address book is saved.
const SAVE_EVERY: Duration = Duration::from_secs(30);
/// How often the same-host directory is read: often while this node has just started.
const SCAN_EVERY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(1));
const JUST_STARTED: Duration = Duration::from_secs(10);

/// What the task is made of.
pub(super) struct Parts {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) sink: Sink,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) wall: Arc<dyn WallClock>,
    pub(super) metrics: Metrics,
    pub(super) dialer: Dialer,
    pub(super) gossip: Gossip,
    pub(super) book: Book,
    pub(super) blocks: Blocks,
    pub(super) same_host: Option<SameHost>,
    pub(super) ports: Ports,
    pub(super) listeners: Vec<(ListenerId, Multiaddr)>,
}

/// The task.
pub(super) struct Task {
    parts: Parts,
    begun: Instant,
    stopping: bool,
    /// Whether there is a swarm key.
    keyed: bool,
    protocol_version: String,
    peer_exchange: bool,
    liveness: Liveness,
    dials: BTreeMap<ConnectionId, DialId>,
    links: BTreeMap<NodeId, BTreeSet<ConnectionId>>,
    /// Why this node is closing its connections to a peer.
    partings: BTreeMap<NodeId, String>,
    protected: BTreeSet<NodeId>,
    /// Messages that are on their way to others, and not told yet.
    untold: Vec<Event>,
    listening: BTreeSet<Multiaddr>,
    neighbours: Vec<(NodeId, Vec<Multiaddr>)>,
    dial_at: Option<Duration>,
    scan_at: Option<Duration>,
    save_at: Duration,
}

impl Task {
    /// A task that has not begun.
    pub(super) fn new(config: &NetworkConfig, parts: Parts) -> Self {
        Self {
            begun: Instant::now(),
            stopping: false,
            keyed: config.swarm_key.is_some(),
            protocol_version: protocol_version(&config.mesh),
            peer_exchange: config.peer_exchange,
            liveness: Liveness::new(config.tuning.ping_failures_max),
            dials: BTreeMap::new(),
            links: BTreeMap::new(),
            partings: BTreeMap::new(),
            protected: BTreeSet::new(),
            untold: Vec::new(),
            listening: BTreeSet::new(),
            neighbours: Vec::new(),
            dial_at: None,
            scan_at: parts.same_host.is_some().then_some(Duration::ZERO),
            save_at: SAVE_EVERY,
            parts,
        }
    }

    /// Tells the dialer whom it knows already.
    pub(super) fn begin(&mut self, peers: Vec<Multiaddr>) {
        for node in self.parts.blocks.nodes().clone() {
            self.tell_dialer(Input::Block(node));
        }
        for address in peers {
            self.keep(address, false);
        }
        if self.peer_exchange {
            let known: Vec<_> =
                self.parts.book.peers().map(|(peer, addresses)| (peer, addresses.to_vec())).collect();
            for (peer, addresses) in known {
                self.tell_dialer(Input::Found { peer, addresses, source: Source::Book });
            }
        }
    }

    /// Runs until it is told to stop.
    pub(super) async fn run(mut self) {
        let mut streak = 0;
        let mut alarm = pin!(sleep_until(self.next_hour()));
        loop {
            if alarm.deadline() != self.next_hour() {
                alarm.as_mut().reset(self.next_hour());
            }
            if self.untold.len() >= UNTOLD_MAX {
                self.tell_of_gossip();
            }
            tokio::select! {
                biased;
                () = &mut alarm => self.keep_hours(),
                command = self.parts.commands.recv(), if streak < COMMANDS_PER_TURN => {
                    streak += 1;
                    match command {
                        Some(Command::Stop) | None => break,
                        Some(command) => self.on_command(command),
                    }
                }
                event = self.parts.swarm.select_next_some() => {
                    streak = 0;
                    self.on_event(event);
                }
                () = ready(()), if streak >= COMMANDS_PER_TURN => streak = 0,
                // The connections have their turn before: what is new is forwarded, then stored.
                () = yield_now(), if !self.untold.is_empty() => self.tell_of_gossip(),
            }
        }
        self.stop().await;
    }

    async fn stop(mut self) {
        self.stopping = true;
        self.save_book();
        self.parts.same_host = None;
        for (listener, _) in &self.parts.listeners {
            self.parts.swarm.remove_listener(*listener);
        }
        for node in self.links.keys().copied().collect::<Vec<_>>() {
            self.part(node, "this node stops");
        }
        let parted = async {
            while !self.links.is_empty() {
                let event = self.parts.swarm.select_next_some().await;
                self.on_event(event);
            }
        };
        // Whoever does not answer will find out by itself.
        let _ = timeout(PARTING, parted).await;
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        tracing::trace!(?event, "swarm");
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => self.on_gossip(event),
            SwarmEvent::Behaviour(BehaviourEvent::Streams(inbound)) => self.on_stream(inbound),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping)) => self.on_ping(ping),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => self.on_identify(event),
            SwarmEvent::Behaviour(BehaviourEvent::Mdns(event)) => self.on_mdns(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                self.on_closed(peer_id, connection_id, cause.as_ref());
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                self.on_dial_failed(connection_id, peer_id, &error);
            }
            SwarmEvent::IncomingConnectionError { error, send_back_addr, .. } => {
                tracing::debug!(%error, %send_back_addr, "an inbound connection failed");
                self.parts.metrics.inbound_failures.inc();
            }
            SwarmEvent::NewListenAddr { listener_id, address } => self.on_listening(listener_id, address),
            SwarmEvent::ExpiredListenAddr { address, .. } => self.on_not_listening(&[address]),
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                self.on_listener_closed(&addresses, reason);
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "listening"),
            _ => {}
        }
    }

    fn tell(&self, event: Event) {
        (self.parts.sink)(event);
    }

    fn tell_of_gossip(&mut self) {
        for event in std::mem::take(&mut self.untold) {
            self.tell(event);
        }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn next_hour(&self) -> Instant {
        let hours = [self.dial_at, self.scan_at, Some(self.save_at)];
        self.begun + hours.into_iter().flatten().min().unwrap_or(self.save_at)
    }

    fn keep_hours(&mut self) {
        let now = self.now();
        if self.dial_at.is_some_and(|at| at <= now) {
            self.tell_dialer(Input::Wake);
        }
        if self.scan_at.is_some_and(|at| at <= now) {
            self.scan();
            let pause = if now < JUST_STARTED { SCAN_EVERY.0 } else { SCAN_EVERY.1 };
            self.scan_at = Some(now + pause);
        }
        if self.save_at <= now {
            self.save_book();
            self.save_at = now + SAVE_EVERY;
        }
    }

    fn tell_dialer(&mut self, input: Input) {
        if self.stopping {
            return;
        }
        // One time for all of it: a wait that ended between two readings would never be noticed.
        let now = self.now();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for dial in self.parts.dialer.handle(now, &*self.parts.entropy, input) {
                inputs.extend(self.dial(dial));
            }
        }
        self.dial_at = self.parts.dialer.next_wake(now);
    }

    /// Begins a dial; what it gives back the dialer has to know.
    fn dial(&mut self, dial: Dial) -> Option<Input> {
        let Dial { id, peer, mut addresses } = dial;
        tracing::debug!(?peer, ?addresses, "dialling");
        // A port of its own for each dial: with the listening port, two nodes that dial each other at
        // the same instant can both become initiators of one connection, and neither connects.
        let options = match peer {
            Some(node) => DialOpts::peer_id(peer_of(node))
                .addresses(addresses)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .allocate_new_port()
                .build(),
            None => {
                let address = addresses.pop()?;
                DialOpts::unknown_peer_id().address(address).allocate_new_port().build()
            }
        };
        self.parts.metrics.dials.inc();
        let connection = options.connection_id();
        match self.parts.swarm.dial(options) {
            Ok(()) => {
                self.dials.insert(connection, id);
                None
            }
            // Nothing more will be heard of this one.
            Err(error) => Some(Input::Failed { dial: id, fault: self.on_fault(peer, &error) }),
        }
    }
}
