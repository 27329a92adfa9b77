//! What a node counts.

use prometheus_client::{
    metrics::{
        counter::Counter,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// The numbers of one node; the actors add to them, `/metrics` shows them.
#[derive(Debug)]
pub struct Metrics {
    /// Local writes committed.
    pub writes: Counter,
    /// Batches committed.
    pub commits: Counter,
    /// Seconds a commit took.
    pub commit_seconds: Histogram,
    /// Versions that arrived and are held.
    pub received: Counter,
    /// Versions that arrived after something that superseded them.
    pub superseded: Counter,
    /// Versions that arrived again.
    pub repeated: Counter,
    /// Dots with two contents.
    pub collisions: Counter,
    /// Seen writes that are neither held nor dead.
    pub lost: Counter,
    /// Entries of the store that the scrub has looked at.
    pub scrubbed: Counter,
    /// Those of them that were damaged.
    pub damaged: Counter,
    /// Versions dropped because a peer had forgotten the delete of them.
    pub dropped: Counter,
    /// Deletes forgotten.
    pub forgotten: Counter,
    /// Exchanges that compared ranges.
    pub ranges: Counter,
    /// Envelopes that were not stored for lack of room.
    pub gossip_shed: Counter,
    /// Envelopes from neighbours that the host does not take them from.
    pub gossip_refused: Counter,
    /// Envelopes that could not be handed to the network.
    pub announce_shed: Counter,
    /// Envelopes handed to the network.
    pub announced: Counter,
    /// Gaps asked for.
    pub needs: Counter,
    /// Exchanges that ended well.
    pub exchanges: Counter,
    /// Exchanges that were cut off or refused.
    pub exchanges_failed: Counter,
    /// Bytes of exchange frames in.
    pub exchange_bytes_in: Counter,
    /// Bytes of exchange frames out.
    pub exchange_bytes_out: Counter,
    /// Large values fetched.
    pub blobs_fetched: Counter,
    /// Large values that could not be fetched (yet).
    pub blobs_failed: Counter,
    /// Frames refused.
    pub frames_refused: Counter,
    /// Actors restarted.
    pub restarts: Counter,
    /// Changes that a slow subscriber missed.
    pub watch_lagged: Counter,
    /// Connected peers.
    pub peers: Gauge,
    /// Records for which a resolver of the program's own was not followed.
    pub resolver_failures: Counter,
    /// Validators and authorizers that panicked, or took too long.
    pub hook_failures: Counter,
    /// Writes from elsewhere below what is local-only here.
    pub shadowed: Counter,
    /// Epochs begun because a peer knew more of our writes than we did.
    pub epochs: Counter,
}

impl Metrics {
    /// New numbers, known to `registry`.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            writes: Counter::default(),
            commits: Counter::default(),
            commit_seconds: Histogram::new(exponential_buckets(16e-6, 2.0, 18)),
            received: Counter::default(),
            superseded: Counter::default(),
            repeated: Counter::default(),
            collisions: Counter::default(),
            lost: Counter::default(),
            scrubbed: Counter::default(),
            damaged: Counter::default(),
            dropped: Counter::default(),
            forgotten: Counter::default(),
            ranges: Counter::default(),
            gossip_shed: Counter::default(),
            gossip_refused: Counter::default(),
            announce_shed: Counter::default(),
            announced: Counter::default(),
            needs: Counter::default(),
            exchanges: Counter::default(),
            exchanges_failed: Counter::default(),
            exchange_bytes_in: Counter::default(),
            exchange_bytes_out: Counter::default(),
            blobs_fetched: Counter::default(),
            blobs_failed: Counter::default(),
            frames_refused: Counter::default(),
            restarts: Counter::default(),
            watch_lagged: Counter::default(),
            peers: Gauge::default(),
            resolver_failures: Counter::default(),
            hook_failures: Counter::default(),
            shadowed: Counter::default(),
            epochs: Counter::default(),
        };
        metrics.register(registry);
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        let counters = [
            ("writes", "local writes committed", &self.writes),
            ("commits", "batches committed", &self.commits),
            ("received", "versions that arrived and are held", &self.received),
            ("superseded", "versions that arrived after their successors", &self.superseded),
            ("repeated", "versions that arrived again", &self.repeated),
            ("collisions", "dots with two contents", &self.collisions),
            ("lost", "seen writes that are neither held nor dead", &self.lost),
            ("scrubbed", "entries of the store looked at in the background", &self.scrubbed),
            ("damaged", "entries of the store that were damaged", &self.damaged),
            ("dropped", "versions dropped because a peer forgot the delete of them", &self.dropped),
            ("forgotten", "deletes forgotten", &self.forgotten),
            ("ranges", "exchanges that compared ranges", &self.ranges),
            ("gossip_shed", "envelopes not stored for lack of room", &self.gossip_shed),
            (
                "gossip_refused",
                "envelopes not taken from a neighbour, as the host said",
                &self.gossip_refused,
            ),
            ("announce_shed", "envelopes the network had no room for", &self.announce_shed),
            ("announced", "envelopes handed to the network", &self.announced),
            ("needs", "gaps asked for", &self.needs),
            ("exchanges", "exchanges that ended well", &self.exchanges),
            ("exchanges_failed", "exchanges cut off or refused", &self.exchanges_failed),
            ("exchange_in_bytes", "exchange frames received", &self.exchange_bytes_in),
            ("exchange_out_bytes", "exchange frames sent", &self.exchange_bytes_out),
            ("blobs_fetched", "large values fetched", &self.blobs_fetched),
            ("blobs_failed", "large values not to be had yet", &self.blobs_failed),
            ("frames_refused", "frames refused", &self.frames_refused),
            ("restarts", "actors restarted", &self.restarts),
            ("watch_lagged", "changes that slow subscribers missed", &self.watch_lagged),
            (
                "resolver_failures",
                "reads that did not follow a resolver that failed",
                &self.resolver_failures,
            ),
            (
                "hook_failures",
                "validators and authorizers that panicked, or took more than 100 ms",
                &self.hook_failures,
            ),
            (
                "local_only_shadowed",
                "writes from elsewhere below what is local-only here: carried, and not shown",
                &self.shadowed,
            ),
            ("epochs", "epochs begun on a peer's word", &self.epochs),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        registry.register("peers", "connected peers", self.peers.clone());
        let seconds = self.commit_seconds.clone();
        registry.register_with_unit("commit", "time a commit took", Unit::Seconds, seconds);
    }
}
