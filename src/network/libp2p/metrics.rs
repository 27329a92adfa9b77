//! What the network counts.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// A label that says why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Why {
    reason: &'static str,
}

/// A label for [`Why`].
pub(super) const fn why(reason: &'static str) -> Why {
    Why { reason }
}

/// The numbers of the network; the registry says whose they are.
#[derive(Clone, Default)]
pub(super) struct Metrics {
    /// Envelopes taken in.
    pub(super) received: Counter,
    /// Envelopes that were entirely known.
    pub(super) ignored: Counter,
    /// Envelopes refused.
    pub(super) rejected: Family<Why, Counter>,
    /// Envelopes sent to at least one peer.
    pub(super) published: Counter,
    /// Envelopes that could not be sent at once.
    pub(super) publish_failures: Family<Why, Counter>,
    /// Dials begun.
    pub(super) dials: Counter,
    /// Dials that failed.
    pub(super) dial_failures: Counter,
    /// Inbound connections that never stood.
    pub(super) inbound_failures: Counter,
    /// Peers connected.
    pub(super) connections: Gauge,
    /// Forwards and publications dropped because a peer is slow.
    pub(super) slow_peer_drops: Counter,
}

impl Metrics {
    /// Registers all of them.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let new = Self::default();
        registry.register("gossip_received", "Envelopes taken in by gossip", new.received.clone());
        registry.register("gossip_ignored", "Envelopes that were entirely known", new.ignored.clone());
        registry.register("gossip_rejected", "Envelopes refused, by reason", new.rejected.clone());
        registry.register("gossip_published", "Envelopes sent to at least one peer", new.published.clone());
        let help = "Envelopes that could not be sent at once, by reason";
        registry.register("gossip_publish_failures", help, new.publish_failures.clone());
        let help = "Messages dropped because a peer is slow";
        registry.register("gossip_slow_peer_drops", help, new.slow_peer_drops.clone());
        registry.register("dials", "Dials begun", new.dials.clone());
        registry.register("dial_failures", "Dials that failed", new.dial_failures.clone());
        let help = "Inbound connections that failed before they stood";
        registry.register("inbound_failures", help, new.inbound_failures.clone());
        registry.register("connected_peers", "Peers connected", new.connections.clone());
        new
    }
}
