//! Session: everything between this node and one connected peer. It lives as long as the
//! connection, and is never restarted.

pub(super) mod blobs;
mod borrowing;
pub(super) mod exchange;
mod exchanges;
pub(super) mod frames;
mod gaps;
mod lending;
mod link;
mod needs;
pub(super) mod opening;
mod storing;
mod taking;

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{
    sync::oneshot,
    time::{self, Instant},
};

use self::{
    exchange::Ended,
    exchanges::{Errand, Exchanges},
    frames::StreamBroken,
    gaps::{Asking, Gaps},
    link::{Link, Said},
    opening::Opening,
};
use super::{
    anti_entropy::AntiEntropyMsg, clock::ClockMsg, mesh::MeshMsg, protection, sessions::SessionsMsg,
    society::Society, storage::StorageMsg,
};
use crate::{
    causality::{NodeId, Origin},
    conflict::Version,
    network::{Command, Multiaddr, Protocol, Stream, StreamError},
    ports::Scope,
    report::{ExchangeReport, NodeEvent},
    types::Namespace,
    wire::{Beacon, LinkFrame, LinkHello, Need, PeerAddresses, Way},
};

/// A control stream must stand, and its first frame have come, within this time.
const LINK_PATIENCE: Duration = Duration::from_secs(15);
/// The most control streams in one session, one after the other.
const LINKS_MAX: u64 = 64;
/// The end with the greater id starts its first exchange so much later, if the other has not.
const SECOND_TO_COMPARE: Duration = Duration::from_millis(500);
/// Gossip that overtakes itself is given so long before its gaps are asked for.
const GAP_PATIENCE: Duration = Duration::from_millis(30);
/// The end with the greater id opens a control stream as well if none has come by then: the lesser
/// one opens a single one, perhaps to another process with the same identity.
const SECOND_TO_OPEN: Duration = Duration::from_secs(2);
/// The most control streams with a peer at once. One is used, the oldest; others come from other
/// processes with its identity.
const LINKS_AT_ONCE_MAX: usize = 4;
/// The most streams, beside control streams, that a peer may have open here at once.
const INBOUND_MAX: usize = 32;
/// The most units of large values that are being fetched, or wait for it, from one peer.
const FETCHES_MAX: usize = 64;

/// What a Session is told.
pub enum SessionMsg {
    /// The control stream that this end opened stands, or does not.
    LinkOpened(Result<Stream, StreamError>),
    /// The peer opened the control stream.
    Link(Stream),
    /// The peer said something on it.
    Said(Said),
    /// One of them is gone: what broke it, or the peer closed it.
    LinkClosed(u64, Option<StreamBroken>),
    /// Open a control stream, if there is none.
    OpenLinkUnlessOpen,
    /// A control stream should stand, and the peer have said who it is, by now.
    LinkDue,
    /// The peer wants to compare.
    InboundSync(Stream),
    /// The peer wants to compare, and has said what.
    InboundHello {
        /// The stream.
        stream: Stream,
        /// Its first frames.
        opening: Opening,
        /// One of the places for inbound streams.
        place: tokio::sync::OwnedSemaphorePermit,
    },
    /// The peer wants a large value.
    InboundBlob(Stream),
    /// Compare with the peer, and tell what came of it.
    Compare {
        /// What to compare.
        namespace: Namespace,
        /// Which way versions go, as this end sees it.
        way: Way,
        /// Whom to tell.
        reply: Option<oneshot::Sender<ExchangeReport>>,
    },
    /// An exchange is over.
    Compared(u64, Ended),
    /// An exchange that ended early may be tried again.
    TryAgain(Errand),
    /// Another peer no longer fills it.
    FillEnded(Namespace),
    /// The end with the greater id compares, if nobody has yet.
    CompareUnlessDone,
    /// Send a beacon.
    Beacon,
    /// A write of the peer's came whose predecessors did not.
    Gap {
        /// Where it belongs.
        namespace: Namespace,
        /// Whose it is.
        origin: Origin,
    },
    /// Gaps have had their time to close.
    AskForGaps,
    /// Versions came whose large values did not.
    FetchBlobs {
        /// Where they belong.
        namespace: Namespace,
        /// The versions, one unit.
        versions: Vec<Version>,
    },
    /// Tell the peer of others.
    Introduce(Vec<PeerAddresses>),
    /// Tell the peer that it is blocked. It parts then, and with this Session what is given here is dropped.
    Farewell(oneshot::Sender<()>),
}

/// What a Session needs to start.
pub struct SessionArgs {
    /// What all actors share.
    pub society: Arc<Society>,
    /// The peer.
    pub peer: NodeId,
}

/// The Session actor.
pub struct Session;

/// What it keeps.
pub struct SessionState {
    society: Arc<Society>,
    peer: NodeId,
    scope: Scope,
    links: Vec<Link>,
    links_begun: u64,
    /// Whoever has this peer blocked waits until it has parted: dropping this tells.
    parted: Option<oneshot::Sender<()>>,
    met: Option<LinkHello>,
    /// The control stream on which it said so.
    met_on: u64,
    /// Another process with the peer's identity, if it is one: the stream and its hello.
    rival: Option<(u64, LinkHello)>,
    /// Exchanges that the peer began before its hello was read; as many as there are places.
    early: Vec<SessionMsg>,
    exchanges: Exchanges,
    gaps: Gaps,
    inbound: Arc<tokio::sync::Semaphore>,
    fetches: Arc<tokio::sync::Semaphore>,
}

impl Drop for SessionState {
    fn drop(&mut self) {
        self.scope.close();
    }
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Session {
    type Msg = SessionMsg;
    type State = SessionState;
    type Arguments = SessionArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<SessionMsg>,
        args: SessionArgs,
    ) -> Result<SessionState, ActorProcessingErr> {
        let SessionArgs { society, peer } = args;
        let scope = society.scope.child();
        let state = SessionState {
            exchanges: Exchanges::new(society.clone(), peer, scope.clone()),
            society,
            peer,
            scope,
            links: Vec::new(),
            links_begun: 0,
            parted: None,
            met: None,
            met_on: 0,
            rival: None,
            early: Vec::new(),
            gaps: Gaps::default(),
            inbound: Arc::new(tokio::sync::Semaphore::new(INBOUND_MAX)),
            fetches: Arc::new(tokio::sync::Semaphore::new(FETCHES_MAX)),
        };
        if state.is_first() {
            state.open_link(&myself);
        } else {
            state.later(&myself, SECOND_TO_OPEN, SessionMsg::OpenLinkUnlessOpen);
        }
        state.later(&myself, LINK_PATIENCE, SessionMsg::LinkDue);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<SessionMsg>,
        message: SessionMsg,
        state: &mut SessionState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SessionMsg::LinkOpened(Ok(stream)) | SessionMsg::Link(stream) => state.on_link(&myself, stream),
            SessionMsg::LinkOpened(Err(error)) => state.end(&error.to_string()),
            SessionMsg::Said(said) => state.on_said(&myself, said),
            SessionMsg::LinkClosed(number, broken) => {
                state.on_link_closed(&myself, number, broken.as_ref());
            }
            SessionMsg::OpenLinkUnlessOpen if state.links.is_empty() => state.open_link(&myself),
            SessionMsg::LinkDue if state.met.is_none() => state.end("the peer did not say who it is"),
            SessionMsg::LinkDue if state.links.is_empty() => {
                state.end("the control stream did not come back");
            }
            SessionMsg::OpenLinkUnlessOpen | SessionMsg::LinkDue => {}
            SessionMsg::InboundSync(stream) => state.on_inbound_sync(&myself, stream),
            SessionMsg::InboundHello { .. } if state.met.is_none() => state.early.push(message),
            SessionMsg::InboundHello { stream, opening, place } => {
                state.exchanges.accept(&myself, stream, opening, place);
            }
            SessionMsg::InboundBlob(stream) => state.on_inbound_blob(stream),
            SessionMsg::Compare { namespace, way, reply } => {
                state.exchanges.ask_going(&myself, Errand { namespace, way }, reply);
            }
            SessionMsg::Compared(number, ended) => {
                // Both say what they have seen by now: so both know whether they agree.
                if state.exchanges.on_compared(&myself, number, ended) {
                    state.send_beacon();
                }
            }
            SessionMsg::TryAgain(errand) => state.exchanges.try_again(&myself, errand),
            SessionMsg::FillEnded(namespace) => state.exchanges.on_fill_ended(&myself, &namespace),
            SessionMsg::CompareUnlessDone => state.compare_unless_done(&myself),
            SessionMsg::Beacon => state.send_beacon(),
            SessionMsg::Gap { namespace, origin } => {
                if state.gaps.notice(namespace, origin) {
                    state.later(&myself, GAP_PATIENCE, SessionMsg::AskForGaps);
                }
            }
            SessionMsg::AskForGaps => state.ask_for_gaps(&myself),
            SessionMsg::FetchBlobs { namespace, versions } => state.fetch_blobs(&myself, namespace, versions),
            SessionMsg::Introduce(peers) => state.say(&LinkFrame::Addresses(peers)),
            SessionMsg::Farewell(parted) => {
                state.say(&LinkFrame::Blocked);
                state.parted = Some(parted);
            }
        }
        Ok(())
    }
}

impl SessionState {
    /// Of two ends the one with the lesser id opens the control stream and compares first.
    fn is_first(&self) -> bool {
        self.society.node < self.peer
    }

    fn open_link(&self, myself: &ActorRef<SessionMsg>) {
        let Some(network) = self.society.network() else { return };
        let (myself, peer) = (myself.clone(), self.peer);
        self.scope.spawn(async move {
            let stream = network.streams.open(peer, Protocol::Link).await;
            let _session_is_ending = myself.cast(SessionMsg::LinkOpened(stream));
        });
    }

    fn later(&self, myself: &ActorRef<SessionMsg>, wait: Duration, message: SessionMsg) {
        let myself = myself.clone();
        self.scope.spawn(async move {
            time::sleep(wait).await;
            let _session_is_ending = myself.cast(message);
        });
    }

    fn on_link(&mut self, myself: &ActorRef<SessionMsg>, stream: Stream) {
        self.links_begun += 1;
        if self.links_begun > LINKS_MAX {
            return self.end("the peer opens control streams without end");
        }
        if self.links.len() >= LINKS_AT_ONCE_MAX {
            return;
        }
        // A second one is of a second process with the identity of the peer, its hello will tell, or
        // takes the place of one that went with a second connection.
        let link = Link::start(&self.scope, stream, myself, self.links_begun);
        link.send(&LinkFrame::Hello(self.hello()));
        self.links.push(link);
    }

    /// A stream that broke may have gone with one of two connections; one that carried what it must
    /// not ends the connection.
    fn on_link_closed(&mut self, myself: &ActorRef<SessionMsg>, number: u64, broken: Option<&StreamBroken>) {
        let Some(at) = self.links.iter().position(|link| link.number == number) else { return };
        self.links.remove(at);
        let reason = broken.map_or("the peer closed it".to_owned(), StreamBroken::to_string);
        tracing::debug!(peer = %self.peer, reason, "a control stream is gone");
        if broken.is_some_and(StreamBroken::is_refusal) {
            self.society.metrics.frames_refused.inc();
            return self.refuse(&reason);
        }
        if number == self.met_on {
            self.on_met_gone();
        } else if self.rival.as_ref().is_some_and(|(rival, _)| *rival == number) {
            self.rival = None;
        }
        if self.links.is_empty() {
            if self.is_first() {
                self.open_link(myself);
            }
            self.later(myself, LINK_PATIENCE, SessionMsg::LinkDue);
        }
    }

    fn hello(&self) -> LinkHello {
        LinkHello {
            instance: self.society.instance,
            mesh: self.society.settings.mesh.clone(),
            name: self.society.settings.name.clone(),
            epoch: self.society.epoch.load(std::sync::atomic::Ordering::Relaxed),
            wall_ms: self.society.clock.wall_ms(),
            listen: self.society.listen(),
        }
    }

    fn say(&self, frame: &LinkFrame) {
        if let Some(link) = self.links.first() {
            link.send(frame);
        }
    }

    /// Has the connection closed; with it this Session ends.
    fn end(&self, reason: &str) {
        tracing::debug!(peer = %self.peer, reason, "closing a connection");
        self.part(Command::Disconnect(self.peer));
    }

    /// Has the connection closed and not dialled again soon, and says why.
    fn refuse(&self, reason: &str) {
        self.society.tell(NodeEvent::Warning(format!("{} is refused: {reason}", self.peer)));
        self.part(Command::Refuse(self.peer));
    }

    /// A network that has no room now is waited for: a connection without a control stream must not
    /// stay.
    fn part(&self, command: Command) {
        let Some(network) = self.society.network() else { return };
        self.scope.spawn(async move {
            let _network_is_gone = network.commands.send(command).await;
        });
    }

    fn on_said(&mut self, myself: &ActorRef<SessionMsg>, said: Said) {
        if said.link == self.met_on && self.rival.is_some() {
            self.on_twins();
        }
        match said.frame {
            LinkFrame::Hello(hello) => self.on_hello(myself, said.link, hello),
            _ if self.met.is_none() => {
                self.society.metrics.frames_refused.inc();
                self.refuse("it did not begin with a hello");
            }
            LinkFrame::Beacon(beacon) => self.on_beacon(myself, &beacon),
            LinkFrame::Addresses(peers) => self.on_addresses(peers),
            LinkFrame::Need(need) if !self.exchanges.may(&need.namespace) => {}
            LinkFrame::Needed(needed) if !self.exchanges.may(&needed.namespace) => {}
            LinkFrame::Need(need) => {
                // It lacks what later writes have shown it: that is another state than it last told.
                self.society.peers.update(self.peer, |peer| {
                    if let Some(standing) = peer.standing.get_mut(&need.namespace) {
                        standing.doubt();
                    }
                });
                for needed in needs::answer(&self.society.reader(), &need) {
                    self.say(&LinkFrame::Needed(needed));
                }
            }
            LinkFrame::Needed(needed) => {
                let namespace = needed.namespace.clone();
                if needs::store(&self.society, self.peer, needed) {
                    self.exchanges.ask(myself, namespace, None);
                    // What this peer cannot tell others may: those who have it see that we lack it.
                    self.society.anti_entropy.cast(AntiEntropyMsg::Gap);
                }
            }
            LinkFrame::Twin => {
                self.society.storage.cast(StorageMsg::Twin);
            }
            LinkFrame::Blocked => {
                let name = self.met.as_ref().map_or_else(|| self.peer.to_string(), |met| met.name.clone());
                self.society.tell(NodeEvent::Warning(format!("{name} has blocked this node")));
                self.end("blocked there");
            }
        }
    }

    fn on_hello(&mut self, myself: &ActorRef<SessionMsg>, link: u64, hello: LinkHello) {
        if hello.mesh != self.society.settings.mesh {
            let ours = &self.society.settings.mesh;
            return self.refuse(&format!("it belongs to the mesh {:?}, this node to {ours:?}", hello.mesh));
        }
        if self.met.is_some() {
            return self.on_second_hello(link, hello);
        }
        let skew = super::clock::skew_ms(hello.wall_ms, self.society.clock.wall_ms());
        let address = self.society.peers.update(self.peer, |known| {
            known.name = Some(hello.name.clone());
            known.listen.clone_from(&hello.listen);
            known.epoch = Some(hello.epoch);
            known.skew_ms = Some(skew);
            known.address.clone()
        });
        self.society.clock_box.cast(ClockMsg::PeerWall { peer: self.peer, wall_ms: hello.wall_ms });
        self.society.tell(NodeEvent::PeerFound {
            peer_id: self.peer.to_string(),
            name: hello.name.clone(),
            addr: address.as_ref().map(Multiaddr::to_string).unwrap_or_default(),
        });
        self.society.sessions.cast(SessionsMsg::Met { peer: self.peer, listen: hello.listen.clone() });
        (self.met, self.met_on) = (Some(hello), link);
        for began in std::mem::take(&mut self.early) {
            let _we_are_ending = myself.cast(began);
        }
        let wait = if self.is_first() { Duration::ZERO } else { SECOND_TO_COMPARE };
        self.later(myself, wait, SessionMsg::CompareUnlessDone);
        self.send_beacon();
    }

    /// The same identity in another process: one that was started again, and whose old connection has
    /// not been missed yet, or a twin. It is a twin if the first one still speaks.
    fn on_second_hello(&mut self, link: u64, hello: LinkHello) {
        let same = self.met.as_ref().is_some_and(|met| met.instance == hello.instance);
        if !same {
            self.rival = Some((link, hello));
            self.prompt();
        } else if !self.links.iter().any(|link| link.number == self.met_on) {
            self.met_on = link;
        }
    }

    /// Asks the first process something that it answers at once, if it is still there.
    fn prompt(&self) {
        let reader = self.society.reader();
        let epoch = self.society.epoch.load(std::sync::atomic::Ordering::Relaxed);
        let origin = Origin { node: self.society.node, epoch };
        let first = self.links.iter().find(|link| link.number == self.met_on);
        if let (Some(link), Some(namespace)) = (first, reader.namespaces().into_iter().next()) {
            link.send(&LinkFrame::Need(Need { namespace, origin, first: 1, last: 1 }));
        }
    }

    /// The first process is gone: the other one takes its place.
    fn on_met_gone(&mut self) {
        if let Some((link, hello)) = self.rival.take() {
            (self.met, self.met_on) = (Some(hello), link);
        }
    }

    /// Two processes, a copied key or a cloned machine: it is shown, and both are told to begin a new
    /// epoch.
    fn on_twins(&mut self) {
        self.rival = None;
        for link in &self.links {
            link.send(&LinkFrame::Twin);
        }
        if self.society.peers.mark_twins(self.peer) {
            self.society.tell(NodeEvent::Warning(format!(
                "two processes share the identity {}: one of them needs a data directory of its own",
                self.peer
            )));
        }
    }

    fn compare_unless_done(&mut self, myself: &ActorRef<SessionMsg>) {
        for namespace in self.society.reader().namespaces() {
            if !self.exchanges.has_compared(&namespace) {
                self.exchanges.ask(myself, namespace, None);
            }
        }
    }

    fn send_beacon(&self) {
        let reader = self.society.reader();
        let seen = reader
            .namespaces()
            .into_iter()
            .filter(|namespace| self.exchanges.may(namespace))
            .filter_map(|namespace| {
                let (tag, _) = reader.tag(&namespace)?;
                Some((namespace, tag))
            })
            .collect();
        let neighbours = self.society.peers.connected().iter().map(protection::tag).collect();
        self.say(&LinkFrame::Beacon(Beacon { seen, neighbours }));
    }

    fn on_beacon(&mut self, myself: &ActorRef<SessionMsg>, beacon: &Beacon) {
        let reader = self.society.reader();
        let now = self.society.clock.wall_ms();
        let shared: Vec<_> =
            beacon.seen.iter().filter(|(namespace, _)| self.exchanges.may(namespace)).collect();
        let carries = shared.iter().map(|(namespace, _)| namespace.clone()).collect();
        self.society.peers.update(self.peer, |known| {
            known.carries = Some(carries);
            known.neighbours = Some(beacon.neighbours.clone());
        });
        for (namespace, theirs) in shared {
            let Some((seen, ours, known)) = reader.tagged(namespace) else { continue };
            let comparing = self.exchanges.is_running(namespace);
            self.society.peers.stand(self.peer, namespace, |standing| match (ours == *theirs, known) {
                // It may be older than the hello of the exchange, which says more.
                (true, true) if comparing => {}
                (true, true) => standing.matched(ours, &seen, now),
                // Nothing is said of agreement while it is not known what is held here.
                (_, false) => standing.doubt(),
                (false, true) => standing.differs(ours, now),
            });
            if ours != *theirs {
                self.exchanges.ask(myself, namespace.clone(), None);
            }
        }
        let links = self.society.peers.links();
        for (peer, protect) in protection::after_word_of(self.peer, &self.society.node, &links) {
            self.society.mesh.cast(MeshMsg::Protect { peer, protect });
        }
    }

    fn on_addresses(&self, peers: Vec<PeerAddresses>) {
        if !self.society.settings.peer_exchange {
            return;
        }
        let parsed = |texts: Vec<String>| texts.iter().filter_map(|text| text.parse().ok()).collect();
        let known = peers.into_iter().map(|peer| (peer.peer, parsed(peer.addresses))).collect();
        if let Some(network) = self.society.network()
            && network.commands.try_send(Command::Learn(known)).is_err()
        {
            tracing::debug!("the network is too busy to learn addresses");
        }
    }

    fn ask_for_gaps(&mut self, myself: &ActorRef<SessionMsg>) {
        let reader = self.society.reader();
        let missing = |namespace: &Namespace, origin: &Origin| {
            let gaps = reader.with_seen(namespace, |seen| {
                seen.get(origin).map(crate::causality::Intervals::gaps).unwrap_or_default()
            });
            gaps.unwrap_or_default()
        };
        for asking in self.gaps.ask(Instant::now(), missing) {
            match asking {
                Asking::Needs(needs) => {
                    for need in needs.into_iter().filter(|need| self.exchanges.may(&need.namespace)) {
                        self.society.metrics.needs.inc();
                        self.say(&LinkFrame::Need(need));
                    }
                }
                Asking::Exchange(namespace) => self.exchanges.ask(myself, namespace, None),
            }
        }
    }

    fn fetch_blobs(&mut self, myself: &ActorRef<SessionMsg>, namespace: Namespace, versions: Vec<Version>) {
        let Ok(place) = self.fetches.clone().try_acquire_owned() else {
            // An exchange brings them one after the other.
            self.society.metrics.gossip_shed.inc();
            self.society.peers.doubt(&namespace);
            return self.exchanges.ask(myself, namespace, None);
        };
        let (society, peer, myself) = (self.society.clone(), self.peer, myself.clone());
        self.scope.spawn(async move {
            if !blobs::fetch_unit(&society, peer, namespace.clone(), versions).await {
                let _session_is_ending =
                    myself.cast(SessionMsg::Compare { namespace, way: Way::Both, reply: None });
            }
            drop(place);
        });
    }

    fn on_inbound_sync(&self, myself: &ActorRef<SessionMsg>, mut stream: Stream) {
        let Ok(place) = self.inbound.clone().try_acquire_owned() else { return };
        let (society, myself) = (self.society.clone(), myself.clone());
        self.scope.spawn(async move {
            match Opening::read(&mut stream).await {
                Ok(opening) => {
                    let _session_is_ending = myself.cast(SessionMsg::InboundHello { stream, opening, place });
                }
                Err(broken) => {
                    society.metrics.frames_refused.inc_by(broken.is_refusal().into());
                    tracing::debug!(%broken, "an exchange did not begin");
                }
            }
        });
    }

    fn on_inbound_blob(&self, stream: Stream) {
        if self.met.is_none() {
            return;
        }
        let Ok(place) = self.inbound.clone().try_acquire_owned() else { return };
        let (society, peer) = (self.society.clone(), self.peer);
        self.scope.spawn(async move {
            blobs::serve(society, peer, stream).await;
            drop(place);
        });
    }
}
