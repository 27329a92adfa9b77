//! Mesh: owns the swarm task, and packs what Storage announces into envelopes.
//!
//! Envelopes are adaptive: sent at once when idle, otherwise gathered for up to 5 ms or 16 KiB.
//! What was written as one unit travels in one envelope.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
    time::Duration,
};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{
    sync::mpsc::error::TrySendError,
    time::{self, Instant},
};

use super::{sessions::SessionsMsg, society::Society};
use crate::{
    causality::NodeId,
    conflict::Version,
    network::{Command, Event, Multiaddr, Network, Sink},
    ports::{Operation, Scope},
    report::NodeEvent,
    types::{BATCH_OPERATIONS_MAX, Namespace},
    wire::{self, Envelope},
};

/// While more comes, an envelope waits so long …
const GATHER: Duration = Duration::from_millis(5);
/// … or until it has so many bytes.
const GATHER_BYTES: usize = 16 * 1024;

/// What Mesh is told.
#[derive(Debug)]
pub enum MeshMsg {
    /// These versions were written here; each group is one unit.
    Announce {
        /// Where they belong.
        namespace: Namespace,
        /// The units.
        groups: Vec<Vec<Version>>,
    },
    /// What was gathered is to be sent.
    Send,
    /// Whether the link to a peer is to be protected.
    Protect {
        /// The peer.
        peer: NodeId,
        /// Whether it is.
        protect: bool,
    },
    /// The node can be reached here (or not any more).
    Listening(Multiaddr, bool),
    /// A dial failed.
    DialFailed {
        /// The peer, where it is known.
        peer: Option<NodeId>,
        /// Why.
        reason: String,
    },
    /// The network can do nothing more.
    Failed(String),
}

/// The sockets of a network that died are free again within this time.
const SOCKETS_FREED: Duration = Duration::from_secs(1);

/// Starts a network whose events go to the sink, with its tasks in the scope. It is told where the
/// network before it listened, if there was one.
pub type StartNetwork = Arc<dyn Fn(&Scope, &BTreeSet<String>, Sink) -> Result<Network, String> + Send + Sync>;

/// What Mesh needs to start.
pub struct MeshArgs {
    /// What all actors share.
    pub society: Arc<Society>,
    /// Starts the network.
    pub start: StartNetwork,
}

/// The Mesh actor.
pub struct Mesh;

/// What it keeps.
pub struct MeshState {
    society: Arc<Society>,
    network: Network,
    scope: Scope,
    gathered: BTreeMap<Namespace, Vec<Vec<Version>>>,
    gathered_bytes: usize,
    sent_at: Option<Instant>,
    timer: bool,
    protected: BTreeSet<NodeId>,
}

impl Drop for MeshState {
    /// The swarm of an actor that died goes with it; the next life starts another.
    fn drop(&mut self) {
        self.scope.close();
    }
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Mesh {
    type Msg = MeshMsg;
    type State = MeshState;
    type Arguments = MeshArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<MeshMsg>,
        args: MeshArgs,
    ) -> Result<MeshState, ActorProcessingErr> {
        let MeshArgs { society, start } = args;
        // The swarm speaks before this actor has started; what it says waits in the mailbox.
        society.mesh.set(myself);
        // Sessions of a swarm that is gone are gone too.
        society.sessions.cast(SessionsMsg::Reset);
        if let Some(old) = society.network() {
            let _freed_in_time = time::timeout(SOCKETS_FREED, old.commands.closed()).await;
        }
        let scope = society.scope.child();
        let network = start(&scope, &society.take_listen(), sink(society.clone()))?;
        *society.network.write().unwrap_or_else(PoisonError::into_inner) = Some(network.clone());
        Ok(MeshState {
            society,
            network,
            scope,
            gathered: BTreeMap::new(),
            gathered_bytes: 0,
            sent_at: None,
            timer: false,
            protected: BTreeSet::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<MeshMsg>,
        message: MeshMsg,
        state: &mut MeshState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            MeshMsg::Announce { namespace, groups } => state.on_announce(&myself, namespace, groups),
            MeshMsg::Send => {
                state.timer = false;
                state.send();
            }
            MeshMsg::Protect { peer, protect } => state.on_protect(peer, protect),
            MeshMsg::Listening(address, here) => state.on_listening(&address, here),
            MeshMsg::DialFailed { peer, reason } => state
                .society
                .tell(NodeEvent::DialFailed { peer_id: peer.map(|peer| peer.to_string()), reason }),
            MeshMsg::Failed(reason) => return Err(reason.into()),
        }
        Ok(())
    }
}

impl MeshState {
    fn on_announce(&mut self, myself: &ActorRef<MeshMsg>, namespace: Namespace, groups: Vec<Vec<Version>>) {
        self.gathered_bytes += groups.iter().flatten().map(Version::size_hint).sum::<usize>();
        self.gathered.entry(namespace).or_default().extend(groups);
        let idle = self.sent_at.is_none_or(|at| at.elapsed() >= GATHER);
        if idle || self.gathered_bytes >= GATHER_BYTES {
            self.send();
        } else if !self.timer {
            self.timer = true;
            let myself = myself.clone();
            self.scope.spawn(async move {
                time::sleep(GATHER).await;
                let _stopped_meanwhile = myself.cast(MeshMsg::Send);
            });
        }
    }

    fn send(&mut self) {
        self.gathered_bytes = 0;
        for (namespace, groups) in std::mem::take(&mut self.gathered) {
            for versions in pack(groups) {
                let envelope = Envelope { namespace: namespace.clone(), versions };
                envelope.fitted().into_iter().for_each(|envelope| self.publish(envelope));
            }
        }
        self.sent_at = Some(Instant::now());
    }

    fn publish(&self, envelope: Envelope) {
        let bytes: usize = envelope.versions.iter().map(Version::size_hint).sum();
        let mut payload = Vec::with_capacity(bytes + bytes / 4 + 64);
        wire::encode_into(&envelope, &mut payload);
        let signed = self.network.signer.sign(payload.into());
        let command = Command::Publish { namespace: envelope.namespace, data: signed.to_bytes() };
        match self.network.commands.try_send(command) {
            Ok(()) => {
                self.society.metrics.announced.inc();
            }
            // Gossip is a hint: what is shed here is found by the next comparison.
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                self.society.metrics.announce_shed.inc();
            }
        }
    }

    fn on_protect(&mut self, peer: NodeId, protect: bool) {
        let changed = if protect { self.protected.insert(peer) } else { self.protected.remove(&peer) };
        if changed && self.network.commands.try_send(Command::Protect(self.protected.clone())).is_err() {
            // The network is behind with its commands; the next beacon asks again.
            if protect {
                self.protected.remove(&peer)
            } else {
                self.protected.insert(peer)
            };
        }
    }

    fn on_listening(&self, address: &Multiaddr, here: bool) {
        let text = address.to_string();
        let mut listen = self.society.listen.lock().unwrap_or_else(PoisonError::into_inner);
        if here {
            listen.insert(text.clone());
            drop(listen);
            self.society.tell(NodeEvent::Listening(text));
        } else {
            listen.remove(&text);
        }
    }
}

/// Units in as few envelopes as their size allows, none of them split.
fn pack(groups: Vec<Vec<Version>>) -> Vec<Vec<Version>> {
    let mut envelopes: Vec<Vec<Version>> = Vec::new();
    let mut bytes = 0;
    for group in groups {
        let group_bytes: usize = group.iter().map(weight).sum();
        let fits = envelopes.last().is_some_and(|last| {
            let one_life = last.last().map(|v| v.dot.origin) == group.first().map(|v| v.dot.origin);
            one_life
                && bytes + group_bytes <= GATHER_BYTES
                && last.len() + group.len() <= BATCH_OPERATIONS_MAX
        });
        match envelopes.last_mut() {
            Some(last) if fits => {
                last.extend(group);
                bytes += group_bytes;
            }
            _ => {
                envelopes.push(group);
                bytes = group_bytes;
            }
        }
    }
    envelopes
}

/// What a version weighs in an envelope: a large value as much as its bytes, though they travel by
/// themselves, for what comes in one envelope is fetched and stored as one unit.
fn weight(version: &Version) -> usize {
    let size = if version.is_large() { version.put().map_or(0, |put| put.payload.size()) } else { 0 };
    version.size_hint().saturating_add(usize::try_from(size).unwrap_or(usize::MAX))
}

/// Where the swarm's events go. It runs in the swarm's task, so it only casts, and takes permits
/// for what it casts.
fn sink(society: Arc<Society>) -> Sink {
    Arc::new(move |event| match event {
        Event::Gossip { from, envelope, bytes } => on_gossip(&society, from, envelope, bytes),
        Event::Connected { peer, address, direction } => {
            if !society.sessions.cast(SessionsMsg::Connected { peer, address, direction }) {
                // Nobody would talk to it: it is to come back when Sessions has.
                turn_away(&society, peer);
            }
        }
        Event::Disconnected { peer, reason } => {
            society.sessions.cast(SessionsMsg::Disconnected { peer, reason });
        }
        Event::Inbound { peer, protocol, stream } => {
            society.sessions.cast(SessionsMsg::Inbound { peer, protocol, stream });
        }
        Event::Following { peer, namespace: _ } => {
            society.sessions.cast(SessionsMsg::Following(peer));
        }
        Event::Rtt { peer, rtt } => society.peers.update(peer, |known| known.rtt = Some(rtt)),
        Event::Listening(address) => {
            society.mesh.cast(MeshMsg::Listening(address, true));
        }
        Event::NotListening(address) => {
            society.mesh.cast(MeshMsg::Listening(address, false));
        }
        Event::DialFailed { peer, reason } => {
            society.mesh.cast(MeshMsg::DialFailed { peer, reason });
        }
        Event::Failed(reason) => {
            society.mesh.cast(MeshMsg::Failed(reason));
        }
    })
}

fn turn_away(society: &Society, peer: NodeId) {
    let told = society.network().map(|network| network.commands.try_send(Command::Disconnect(peer)));
    if !matches!(told, Some(Ok(()))) {
        tracing::warn!(%peer, "a connection that nobody is there to talk on could not be closed");
    }
}

/// Without a permit an envelope is forwarded but not stored here: it is counted, and repair will
/// bring it.
fn on_gossip(society: &Society, from: NodeId, envelope: Envelope, bytes: usize) {
    use super::storage::{MergeRequest, Source, StorageMsg};
    if !society.hooks.allows(from, Operation::Gossip, &envelope.namespace) {
        society.metrics.gossip_refused.inc();
        return;
    }
    let Some(permit) = society.admission.gossip.admit_now(bytes) else {
        society.metrics.gossip_shed.inc();
        society.peers.doubt(&envelope.namespace);
        return;
    };
    let permit = permit.heard_of(&society.admission.waiting, &envelope.namespace);
    society.storage.cast(StorageMsg::Merge(MergeRequest {
        namespace: envelope.namespace,
        versions: envelope.versions,
        blobs: BTreeMap::new(),
        from,
        source: Source::Gossip,
        permit,
        reply: None,
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        causality::{Context, Dot, Hlc, Origin},
        conflict::{Body, Payload, Put},
        types::{ContentType, INLINE_BYTES_MAX},
    };

    fn version(seq: u64, bytes: usize) -> Version {
        let payload = match bytes {
            0..=INLINE_BYTES_MAX => Payload::Inline(vec![0; bytes].into()),
            _ => Payload::Blob { hash: [0; 32], size: bytes as u64 },
        };
        Version {
            dot: Dot::new(Origin { node: NodeId([1; 32]), epoch: 1 }, seq),
            hlc: Hlc::from_millis(seq),
            base: None,
            context: Context::new(),
            key: "k".parse().expect("lawful"),
            body: Body::Put(Put { content_type: ContentType::octets(), payload }),
        }
    }

    #[test]
    fn small_units_travel_together_and_no_unit_is_split() {
        let unit =
            |from: u64, count: u64, bytes| (from..from + count).map(|seq| version(seq, bytes)).collect();
        let packed = pack(vec![unit(1, 1, 10), unit(2, 3, 10), unit(5, 20, 2_000), unit(25, 1, 10)]);
        let seqs: Vec<Vec<u64>> = packed.iter().map(|e| e.iter().map(|v| v.dot.seq).collect()).collect();
        assert_eq!(seqs, [(1..=4).collect::<Vec<_>>(), (5..=24).collect(), vec![25]]);
    }

    #[test]
    fn large_values_travel_alone_or_as_the_batch_they_are() {
        let packed = pack(vec![
            vec![version(1, 10)],
            vec![version(2, 3_000_000)],
            vec![version(3, 3_000_000)],
            vec![version(4, 100_000), version(5, 100_000)],
            vec![version(6, 10)],
        ]);
        let seqs: Vec<Vec<u64>> = packed.iter().map(|e| e.iter().map(|v| v.dot.seq).collect()).collect();
        assert_eq!(seqs, [vec![1], vec![2], vec![3], vec![4, 5], vec![6]]);
    }
}
