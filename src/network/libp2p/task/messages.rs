//! Messages of gossip, out and in.

use bytes::Bytes;
use libp2p::{
    PeerId,
    gossipsub::{self, Message, MessageAcceptance, MessageId, PublishError},
};

use super::{
    super::{gossip::Verdict, metrics::why, peer::node_of},
    Task,
};
use crate::{network::Event, types::Namespace};

impl Task {
    pub(super) fn publish(&mut self, namespace: &Namespace, data: Bytes) {
        let Some(topic) = self.parts.gossip.topic(namespace) else {
            self.count_publish_failure("namespace");
            tracing::warn!(%namespace, "nothing can be published in a namespace that is not carried");
            return;
        };
        let reason = match self.parts.swarm.behaviour_mut().gossip.publish(topic, data.clone()) {
            Ok(_) => {
                self.parts.metrics.published.inc();
                return;
            }
            Err(PublishError::NoPeersSubscribedToTopic) => {
                // Whoever connects later compares anyway.
                if !self.links.is_empty() {
                    let now = self.now();
                    self.parts.gossip.keep(now, namespace.clone(), data);
                }
                "no_peers"
            }
            Err(PublishError::Duplicate) => "duplicate",
            Err(PublishError::AllQueuesFull(_)) => "queues_full",
            Err(PublishError::MessageTooLarge) => "too_large",
            Err(_) => "other",
        };
        tracing::debug!(%namespace, reason, "not published");
        self.count_publish_failure(reason);
    }

    /// Follows a topic from now on. Who follows it already is known, and gets what is published.
    pub(super) fn join(&mut self, namespace: &Namespace) {
        let topic = self.parts.gossip.join(namespace);
        if let Err(error) = self.parts.swarm.behaviour_mut().gossip.subscribe(&topic) {
            // What gossip does not bring is found by comparisons.
            tracing::warn!(%error, %namespace, "the topic could not be joined");
        }
    }

    /// Follows it no more.
    pub(super) fn leave(&mut self, namespace: &Namespace) {
        if let Some(topic) = self.parts.gossip.leave(namespace) {
            self.parts.swarm.behaviour_mut().gossip.unsubscribe(&topic);
        }
    }

    fn count_publish_failure(&self, reason: &'static str) {
        self.parts.metrics.publish_failures.get_or_create(&why(reason)).inc();
    }

    pub(super) fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                self.on_message(propagation_source, &message_id, &message);
            }
            gossipsub::Event::Subscribed { peer_id, topic } => {
                let namespace = self.parts.gossip.namespace(&topic).cloned();
                if let (Some(peer), Some(namespace)) = (node_of(&peer_id), namespace) {
                    for data in self.parts.gossip.take_kept(self.now(), &namespace) {
                        self.publish(&namespace, data);
                    }
                    self.tell(Event::Following { peer, namespace });
                }
            }
            gossipsub::Event::SlowPeer { peer_id, failed_messages } => {
                let dropped = failed_messages.priority + failed_messages.non_priority;
                tracing::debug!(%peer_id, dropped, "a slow peer");
                self.parts.metrics.slow_peer_drops.inc_by(dropped as u64);
            }
            _ => {}
        }
    }

    fn on_message(&mut self, source: PeerId, id: &MessageId, message: &Message) {
        let Some(from) = node_of(&source) else {
            return self.report(id, &source, MessageAcceptance::Ignore);
        };
        match self.parts.gossip.judge(&message.topic, &message.data) {
            Verdict::Accept(envelope) => {
                // First, so that it is forwarded before it is stored.
                self.report(id, &source, MessageAcceptance::Accept);
                self.parts.metrics.received.inc();
                self.untold.push(Event::Gossip { from, envelope, bytes: message.data.len() });
            }
            Verdict::Ignore => {
                self.report(id, &source, MessageAcceptance::Ignore);
                self.parts.metrics.ignored.inc();
            }
            Verdict::Reject(rejection) => {
                tracing::debug!(%from, %rejection, "refused");
                self.report(id, &source, MessageAcceptance::Reject);
                self.parts.metrics.rejected.get_or_create(&why(rejection.word())).inc();
            }
        }
    }

    fn report(&mut self, id: &MessageId, source: &PeerId, verdict: MessageAcceptance) {
        let gossip = &mut self.parts.swarm.behaviour_mut().gossip;
        if !gossip.report_message_validation_result(id, source, verdict) {
            tracing::debug!(%id, "judged too late to be forwarded");
        }
    }
}
