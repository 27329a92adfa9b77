//! Gossip: gossipsub's settings, and the judgement of what arrives.
//!
//! gossipsub runs anonymous (with its own signing every duplicate would be verified); what it carries
//! is signed by its author, and verified here once per message, after gossipsub has dropped
//! duplicates.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use libp2p::gossipsub::{
    self, ConfigBuilder, IdentTopic, MaxCountSubscriptionFilter, MessageAuthenticity, MessageId, TopicHash,
    TopicSubscriptionFilter, ValidationMode,
};
use prometheus_client::registry::Registry;
use thiserror::Error;

use super::signer::verify;
use crate::{
    network::{IsNew, Tuning},
    types::{NAMESPACES_MAX, Namespace},
    wire::{Envelope, EnvelopeError, FRAME_BYTES_MAX, SignedEnvelope},
};

/// What gossipsub adds to a message, at most.
const OVERHEAD_BYTES_MAX: usize = 1024;
/// How many bytes of a content hash are the id of a message.
const MESSAGE_ID_BYTES: usize = 20;
/// How many heartbeats a message can be asked for, and for how many it is offered.
const HISTORY: (usize, usize) = (12, 3);
/// The most message ids in one offer, and the room for control messages that takes. By default one
/// offers 5,000 ids and accepts 16 KiB: an offer in a busy mesh would break its receiver's stream.
const OFFER_IDS_MAX: usize = 2_000;
const CONTROL_BYTES_MAX: usize = 256 * 1024;
/// How long a message is known to have been here; the history is over long before, and after that
/// the seen set of the store knows.
const DUPLICATES_KNOWN: Duration = Duration::from_secs(30);

/// The most topics that a peer follows, or says so of at once: twice what it may carry, for what it has just left.
const TOPICS_OF_PEER_MAX: usize = 2 * NAMESPACES_MAX;

/// Publications that nobody could take yet are kept for so long,
const UNHEARD_FOR: Duration = Duration::from_secs(3);
/// so many of them,
const UNHEARD_MAX: usize = 256;
/// and so many bytes.
const UNHEARD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// gossipsub as it is used here.
pub(super) type Gossipsub =
    gossipsub::Behaviour<gossipsub::IdentityTransform, MaxCountSubscriptionFilter<OfMesh>>;

/// Takes note of who follows which namespace of this mesh, carried here or not: one may be joined later, and
/// peers say it once only.
#[derive(Clone, Debug)]
pub(super) struct OfMesh {
    /// What all topics of the mesh begin with.
    start: String,
}

impl TopicSubscriptionFilter for OfMesh {
    fn can_subscribe(&mut self, topic: &TopicHash) -> bool {
        topic.as_str().strip_prefix(&self.start).is_some_and(|name| Namespace::new(name).is_ok())
    }
}

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Forward it and store it.
    Accept(Envelope),
    /// It is entirely known here.
    Ignore,
    /// Do not forward it.
    Reject(Rejection),
}

/// Why a message is not forwarded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Rejection {
    /// It is malformed, forged, or breaks a limit.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// It belongs to another namespace than the topic it came by.
    #[error("an envelope of namespace {0} came by another namespace's topic")]
    Topic(Namespace),
}

impl Rejection {
    /// One word for metrics.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Envelope(EnvelopeError::Signature(_)) => "signature",
            Self::Envelope(EnvelopeError::ForgedOrigin { .. }) => "origin",
            Self::Envelope(_) => "malformed",
            Self::Topic(_) => "topic",
        }
    }
}

/// The topics of this node, and what waits for listeners.
pub(super) struct Gossip {
    start: String,
    topics: BTreeMap<Namespace, IdentTopic>,
    namespaces: BTreeMap<TopicHash, Namespace>,
    is_new: IsNew,
    unheard: VecDeque<(Duration, Namespace, Bytes)>,
}

impl Gossip {
    /// One topic per namespace of a mesh.
    pub(super) fn new(mesh: &str, namespaces: &[Namespace], is_new: IsNew) -> Self {
        let start = format!("tidings/1/{mesh}/");
        let (topics, known) = (BTreeMap::new(), BTreeMap::new());
        let mut gossip = Self { start, topics, namespaces: known, is_new, unheard: VecDeque::new() };
        namespaces.iter().for_each(|name| drop(gossip.join(name)));
        gossip
    }

    /// Takes the messages of a namespace from now on.
    pub(super) fn join(&mut self, namespace: &Namespace) -> IdentTopic {
        let topic = IdentTopic::new(format!("{}{namespace}", self.start));
        self.namespaces.insert(topic.hash(), namespace.clone());
        self.topics.insert(namespace.clone(), topic.clone());
        topic
    }

    /// Takes them no more.
    pub(super) fn leave(&mut self, namespace: &Namespace) -> Option<IdentTopic> {
        let topic = self.topics.remove(namespace)?;
        self.namespaces.remove(&topic.hash());
        self.unheard.retain(|(_, of, _)| of != namespace);
        Some(topic)
    }

    /// The behaviour, with all topics joined.
    pub(super) fn behaviour(&self, tuning: &Tuning, registry: &mut Registry) -> Result<Gossipsub, String> {
        let filter = MaxCountSubscriptionFilter {
            filter: OfMesh { start: self.start.clone() },
            max_subscribed_topics: TOPICS_OF_PEER_MAX,
            max_subscriptions_per_request: TOPICS_OF_PEER_MAX,
        };
        let metrics = gossipsub::MetricsConfig {
            max_topics: NAMESPACES_MAX,
            max_never_subscribed_topics: 1,
            ..gossipsub::MetricsConfig::default()
        };
        let config = config(tuning).map_err(|error| error.to_string())?;
        let mut behaviour =
            Gossipsub::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)?
                .with_metrics(registry.sub_registry_with_prefix("gossipsub"), metrics);
        for topic in self.topics.values() {
            behaviour.subscribe(topic).map_err(|error| error.to_string())?;
        }
        Ok(behaviour)
    }

    /// The topic of a namespace carried here.
    pub(super) fn topic(&self, namespace: &Namespace) -> Option<TopicHash> {
        self.topics.get(namespace).map(IdentTopic::hash)
    }

    /// The namespace of a topic of ours.
    pub(super) fn namespace(&self, topic: &TopicHash) -> Option<&Namespace> {
        self.namespaces.get(topic)
    }

    /// Judges a message. The signature is checked last: it is what costs most.
    pub(super) fn judge(&self, topic: &TopicHash, data: &[u8]) -> Verdict {
        match self.open(topic, data) {
            Ok(Some(envelope)) => Verdict::Accept(envelope),
            Ok(None) => Verdict::Ignore,
            Err(rejection) => Verdict::Reject(rejection),
        }
    }

    fn open(&self, topic: &TopicHash, data: &[u8]) -> Result<Option<Envelope>, Rejection> {
        let signed = SignedEnvelope::from_bytes(data)?;
        let envelope = signed.open()?;
        if self.namespace(topic) != Some(&envelope.namespace) {
            return Err(Rejection::Topic(envelope.namespace));
        }
        if !(self.is_new)(&envelope) {
            return Ok(None);
        }
        verify(&signed)?;
        Ok(Some(envelope))
    }

    /// Keeps a publication that nobody could take: a peer that has just connected says which topics
    /// it follows only after a round trip.
    pub(super) fn keep(&mut self, now: Duration, namespace: Namespace, data: Bytes) {
        self.unheard.push_back((now, namespace, data));
        let mut bytes: usize = self.unheard.iter().map(|(_, _, data)| data.len()).sum();
        while self.unheard.len() > UNHEARD_MAX || bytes > UNHEARD_BYTES_MAX {
            let Some((_, _, gone)) = self.unheard.pop_front() else { return };
            bytes -= gone.len();
        }
    }

    /// Takes out what is kept for a namespace and not too old.
    pub(super) fn take_kept(&mut self, now: Duration, wanted: &Namespace) -> Vec<Bytes> {
        self.unheard.retain(|(at, _, _)| now.saturating_sub(*at) <= UNHEARD_FOR);
        let (out, left) =
            self.unheard.drain(..).partition::<VecDeque<_>, _>(|(_, namespace, _)| namespace == wanted);
        self.unheard = left;
        out.into_iter().map(|(_, _, data)| data).collect()
    }
}

fn config(tuning: &Tuning) -> Result<gossipsub::Config, gossipsub::ConfigBuilderError> {
    let degree = tuning.gossip_degree.max(1);
    let low = degree.saturating_sub(1).max(1);
    ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| MessageId::from(&blake3::hash(&message.data).as_bytes()[..MESSAGE_ID_BYTES]))
        .mesh_n(degree)
        .mesh_n_low(low)
        .mesh_n_high(degree + 3)
        .mesh_outbound_min((degree / 2).min(low).min(2))
        .gossip_lazy(degree)
        .heartbeat_interval(tuning.heartbeat)
        .heartbeat_initial_delay(tuning.heartbeat.min(Duration::from_millis(200)))
        .history_length(HISTORY.0)
        .history_gossip(HISTORY.1)
        .duplicate_cache_time(DUPLICATES_KNOWN)
        // The mesh and, while it is small, random peers beside it: flooding costs a copy per link.
        .flood_publish(false)
        .max_transmit_size(FRAME_BYTES_MAX + OVERHEAD_BYTES_MAX)
        .connection_handler_queue_len(tuning.gossip_queue_max)
        .max_control_messages_sent(OFFER_IDS_MAX)
        .max_control_message_size(CONTROL_BYTES_MAX)
        // Links come and go faster here than in the networks that the default minute is made for.
        .prune_backoff(Duration::from_secs(10))
        .unsubscribe_backoff(Duration::from_secs(2))
        .build()
}

#[cfg(test)]
#[path = "gossip_tests.rs"]
mod tests;
