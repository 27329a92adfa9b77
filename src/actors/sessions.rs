//! Sessions: one Session actor for each connected peer. A Session is never restarted: if it dies,
//! the connection is closed, and the next one brings a fresh Session.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::{sync::oneshot, time};

use super::{
    anti_entropy::AntiEntropyMsg,
    clock::ClockMsg,
    mesh::MeshMsg,
    session::{Session, SessionArgs, SessionMsg},
    society::Society,
    standing::Standing,
};
use crate::{
    causality::{NodeId, Origin},
    conflict::Version,
    network::{Command, Direction, Multiaddr, Protocol, Stream},
    report::{ExchangeReport, NodeEvent, SyncReport},
    types::Namespace,
    wire::{PeerAddresses, Way},
};

/// A round of exchanges with all neighbours is answered after so long at the latest.
const SYNC_PATIENCE: Duration = Duration::from_secs(60);

/// What Sessions is told.
pub enum SessionsMsg {
    /// The first connection to a peer stands.
    Connected {
        /// The peer.
        peer: NodeId,
        /// Its address.
        address: Multiaddr,
        /// Who dialled.
        direction: Direction,
    },
    /// The last connection to a peer is gone.
    Disconnected {
        /// The peer.
        peer: NodeId,
        /// Why.
        reason: String,
    },
    /// A peer opened a stream.
    Inbound {
        /// The peer.
        peer: NodeId,
        /// What it speaks.
        protocol: Protocol,
        /// The stream.
        stream: Stream,
    },
    /// A write arrived whose predecessors did not.
    Gap {
        /// Who gave it.
        from: NodeId,
        /// Where it belongs.
        namespace: Namespace,
        /// Whose it is.
        origin: Origin,
    },
    /// Versions arrived whose large values did not.
    FetchBlobs {
        /// Who gave them.
        from: NodeId,
        /// Where they belong.
        namespace: Namespace,
        /// The versions, one unit.
        versions: Vec<Version>,
    },
    /// A peer has said who it is.
    Met {
        /// The peer.
        peer: NodeId,
        /// Where it can be dialled.
        listen: Vec<String>,
    },
    /// A peer gets by gossip what is published from now on; what was published since it connected
    /// may have passed it by.
    Following(NodeId),
    /// All neighbours are to be sent a beacon.
    Beacon,
    /// One round of exchanges, now.
    Sync {
        /// With whom; with every neighbour, if it is not said.
        peer: Option<NodeId>,
        /// Of what; of all that is carried, if it is not said.
        namespace: Option<Namespace>,
        /// Which way versions go, as this node sees it.
        way: Way,
        /// Whom to tell; nothing, if the peer is not connected.
        reply: oneshot::Sender<Option<SyncReport>>,
    },
    /// A peer is about to be blocked, and is to be told.
    Farewell {
        /// The peer.
        peer: NodeId,
        /// Dropped when it has parted, or is not connected.
        parted: oneshot::Sender<()>,
    },
    /// The network is new: there are no connections any more.
    Reset,
}

/// The Sessions actor.
pub struct Sessions;

/// What it keeps.
pub struct SessionsState {
    society: Arc<Society>,
    sessions: BTreeMap<NodeId, ActorRef<SessionMsg>>,
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Sessions {
    type Msg = SessionsMsg;
    type State = SessionsState;
    type Arguments = Arc<Society>;

    async fn pre_start(
        &self,
        myself: ActorRef<SessionsMsg>,
        society: Arc<Society>,
    ) -> Result<SessionsState, ActorProcessingErr> {
        // From here on no connection comes unnoticed.
        society.sessions.set(myself);
        // Connections that an earlier life of this actor knew of have no Session: they are closed,
        // and come back with one.
        if let Some(network) = society.network() {
            for peer in society.peers.connected() {
                let _network_is_gone = network.commands.send(Command::Disconnect(peer)).await;
            }
        }
        Ok(SessionsState { society, sessions: BTreeMap::new() })
    }

    async fn handle(
        &self,
        myself: ActorRef<SessionsMsg>,
        message: SessionsMsg,
        state: &mut SessionsState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SessionsMsg::Connected { peer, address, direction } => {
                state.on_connected(&myself, peer, address, direction).await?;
            }
            SessionsMsg::Disconnected { peer, reason } => state.on_disconnected(peer, &reason),
            SessionsMsg::Inbound { peer, protocol, stream } => state.on_inbound(peer, protocol, stream),
            SessionsMsg::Gap { from, namespace, origin } => {
                state.cast_or_any(from, SessionMsg::Gap { namespace, origin });
            }
            SessionsMsg::FetchBlobs { from, namespace, versions } => {
                state.cast_or_any(from, SessionMsg::FetchBlobs { namespace, versions });
            }
            SessionsMsg::Met { peer, listen } => state.on_met(peer, listen),
            SessionsMsg::Beacon => state.sessions.values().for_each(|session| {
                let _session_is_ending = session.cast(SessionMsg::Beacon);
            }),
            SessionsMsg::Following(peer) => {
                if let Some(session) = state.sessions.get(&peer) {
                    let _session_is_ending = session.cast(SessionMsg::Beacon);
                }
            }
            SessionsMsg::Sync { peer, namespace, way, reply } => state.on_sync(peer, namespace, way, reply),
            SessionsMsg::Farewell { peer, parted } => {
                if let Some(session) = state.sessions.get(&peer) {
                    let _session_is_ending = session.cast(SessionMsg::Farewell(parted));
                }
            }
            SessionsMsg::Reset => {
                for peer in state.society.peers.connected() {
                    state.on_disconnected(peer, "the network was started again");
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<SessionsMsg>,
        event: SupervisionEvent,
        state: &mut SessionsState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(who, error) => {
                state.on_session_died(who.get_id(), &error.to_string());
            }
            SupervisionEvent::ActorTerminated(who, kept, reason) => {
                drop(kept);
                state.on_session_died(who.get_id(), reason.as_deref().unwrap_or("stopped"));
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl SessionsState {
    async fn on_connected(
        &mut self,
        myself: &ActorRef<SessionsMsg>,
        peer: NodeId,
        address: Multiaddr,
        direction: Direction,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(old) = self.sessions.remove(&peer) {
            old.stop(Some("replaced".into()));
        }
        let now = self.society.clock.wall_ms();
        self.society.peers.update(peer, |known| {
            known.address = Some(address);
            known.direction = Some(direction);
            known.since_ms = now;
            known.carries = None;
            known.neighbours = None;
            known.standing.values_mut().for_each(Standing::doubt);
        });
        let args = SessionArgs { society: self.society.clone(), peer };
        let (session, task) = Actor::spawn_linked(None, Session, args, myself.get_cell()).await?;
        self.society.scope.adopt(task.abort_handle());
        self.sessions.insert(peer, session);
        self.count();
        Ok(())
    }

    fn count(&self) {
        self.society.metrics.peers.set(i64::try_from(self.sessions.len()).unwrap_or(i64::MAX));
    }

    fn on_disconnected(&mut self, peer: NodeId, reason: &str) {
        // There is none if this actor was started again meanwhile.
        if let Some(session) = self.sessions.remove(&peer) {
            session.stop(Some(reason.to_owned()));
        }
        self.count();
        let now = self.society.clock.wall_ms();
        let gone = self.society.peers.update(peer, |known| {
            let gone = known.direction.take().map(|_| known.name.clone());
            known.since_ms = if gone.is_some() { now } else { known.since_ms };
            gone
        });
        let Some(name) = gone else { return };
        self.society.mesh.cast(MeshMsg::Protect { peer, protect: false });
        self.society.clock_box.cast(ClockMsg::Forget(peer));
        self.society.anti_entropy.cast(AntiEntropyMsg::NeighboursChanged);
        self.society.tell(NodeEvent::PeerLost { peer_id: peer.to_string(), name, reason: reason.to_owned() });
    }

    fn on_inbound(&mut self, peer: NodeId, protocol: Protocol, stream: Stream) {
        // A stream without a Session is of a connection that is going; dropping it says so.
        let Some(session) = self.sessions.get(&peer) else { return };
        let _session_is_ending = session.cast(match protocol {
            Protocol::Link => SessionMsg::Link(stream),
            Protocol::Sync => SessionMsg::InboundSync(stream),
            Protocol::Blob => SessionMsg::InboundBlob(stream),
        });
    }

    /// Gives a task to the session of `peer`, or to another one if that peer has gone meanwhile.
    fn cast_or_any(&self, peer: NodeId, message: SessionMsg) {
        if let Some(session) = self.sessions.get(&peer).or_else(|| self.sessions.values().next()) {
            let _session_is_ending = session.cast(message);
        }
    }

    /// Introduces a peer to all others, and all others to it.
    fn on_met(&mut self, peer: NodeId, listen: Vec<String>) {
        self.society.anti_entropy.cast(AntiEntropyMsg::NeighboursChanged);
        if !self.society.settings.peer_exchange {
            return;
        }
        let newcomer = vec![PeerAddresses { peer, addresses: listen }];
        let mut others = Vec::new();
        for (other, session) in &self.sessions {
            if *other == peer {
                continue;
            }
            let _session_is_ending = session.cast(SessionMsg::Introduce(newcomer.clone()));
            if let Some(known) = self.society.peers.get(other) {
                others.push(PeerAddresses { peer: *other, addresses: known.listen });
            }
        }
        if let Some(session) = self.sessions.get(&peer) {
            let _session_is_ending = session.cast(SessionMsg::Introduce(others));
        }
    }

    fn on_sync(
        &self,
        peer: Option<NodeId>,
        namespace: Option<Namespace>,
        way: Way,
        reply: oneshot::Sender<Option<SyncReport>>,
    ) {
        let wanted = |other: &NodeId| peer.is_none_or(|peer| peer == *other);
        let wanted: Vec<_> = self.sessions.iter().filter(|(other, _)| wanted(other)).collect();
        if peer.is_some() && wanted.is_empty() {
            let _asker_is_gone = reply.send(None);
            return;
        }
        let namespaces = namespace.map_or_else(|| self.society.reader().namespaces(), |one| vec![one]);
        let mut waiting = Vec::new();
        for (peer, session) in wanted {
            for namespace in namespaces.clone() {
                let (told, report) = oneshot::channel();
                let compare = SessionMsg::Compare { namespace: namespace.clone(), way, reply: Some(told) };
                let _session_is_ending = session.cast(compare);
                waiting.push((*peer, namespace, report));
            }
        }
        self.society.scope.spawn(async move {
            let deadline = time::Instant::now() + SYNC_PATIENCE;
            let mut reports = Vec::new();
            for (peer, namespace, report) in waiting {
                let failed =
                    |error: &str| ExchangeReport::failed(peer.to_string(), namespace, error.to_owned());
                reports.push(match time::timeout_at(deadline, report).await {
                    Ok(Ok(report)) => report,
                    Ok(Err(_)) => failed("it was not begun: the connection ended, or too many wait for it"),
                    Err(_) => failed("it is not over yet, and goes on"),
                });
            }
            let _asker_is_gone = reply.send(Some(SyncReport::of(reports)));
        });
    }

    fn on_session_died(&mut self, who: ActorId, reason: &str) {
        let peer = self.sessions.iter().find(|(_, session)| session.get_id() == who).map(|(peer, _)| *peer);
        let Some(peer) = peer else { return };
        tracing::warn!(%peer, reason, "a session ended; its connection is closed");
        self.on_disconnected(peer, reason);
        let Some(network) = self.society.network() else { return };
        self.society.scope.spawn(async move {
            let _network_is_gone = network.commands.send(Command::Disconnect(peer)).await;
        });
    }
}
