//! Measures nodes as an operator would: by their metrics and their status.

use std::{collections::BTreeMap, time::Duration};

use tidings::{Node, node::PeerSync, ports::WallClock};

use crate::{
    history::{InSync, Sample, Traffic},
    os,
    plan::NodeNo,
    ports::SimClock,
};

/// What the metrics of a node say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes of gossiped messages sent.
    pub gossip: u64,
    /// Gossiped messages sent.
    pub gossip_messages: u64,
    /// Bytes of exchange frames sent.
    pub exchange: u64,
}

/// What is measured of a node that is up; `before` is what its machine's earlier nodes counted.
pub async fn sample(node: &Node, before: Counts, wire: u64, store_bytes: u64) -> (Sample, Counts) {
    let now = counts(&node.metrics());
    let queues: BTreeMap<String, (usize, usize)> = node
        .status()
        .await
        .queues
        .into_iter()
        .map(|(name, queue)| (name, (queue.depth, queue.max)))
        .collect();
    let exchanges = queues.get("exchanges").map_or(0, |queue| queue.0);
    let sent = traffic(add(before, now), wire);
    (Sample { up: true, sent, queues, exchanges, store_bytes, ..Sample::default() }, now)
}

/// Whom a node says it is in sync with; `names` tells who is who.
pub async fn in_sync(node: &Node, names: &BTreeMap<String, NodeNo>, clock: &SimClock) -> Vec<InSync> {
    let status = node.sync_status().await;
    let (at, now_ms) = (os::elapsed(), clock.now_ms());
    let claims = status.peers.into_iter().filter(|peer| peer.in_sync == Some(true));
    let claim = |peer: PeerSync| {
        let ago = Duration::from_millis(now_ms.saturating_sub(peer.matched_at?));
        Some(InSync { peer: *names.get(&peer.peer_id)?, at, matched: at.saturating_sub(ago) })
    };
    claims.filter_map(claim).collect()
}

/// What is known of a node that is down.
#[must_use]
pub fn absent(before: Counts, wire: u64) -> Sample {
    Sample { sent: traffic(before, wire), ..Sample::default() }
}

fn traffic(counts: Counts, wire: u64) -> Traffic {
    let Counts { gossip, gossip_messages, exchange } = counts;
    Traffic { wire, gossip, gossip_messages, exchange }
}

/// The sum of both.
#[must_use]
pub fn add(one: Counts, other: Counts) -> Counts {
    Counts {
        gossip: one.gossip + other.gossip,
        gossip_messages: one.gossip_messages + other.gossip_messages,
        exchange: one.exchange + other.exchange,
    }
}

/// Reads what is wanted out of the text format of `OpenMetrics`.
fn counts(text: &str) -> Counts {
    let mut counts = Counts::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = line.rsplit_once(' ') else { continue };
        let name = name.split('{').next().unwrap_or(name);
        let value = value.parse().unwrap_or(0);
        if name.ends_with("topic_msg_sent_bytes_total") {
            counts.gossip += value;
        } else if name.ends_with("topic_msg_sent_counts_total") {
            counts.gossip_messages += value;
        } else if name == "tidings_exchange_out_bytes_total" {
            counts.exchange += value;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_a_real_node_are_found_by_their_names() {
        let text = "# TYPE x counter\n\
                    tidings_network_gossipsub_topic_msg_sent_bytes_total{hash=\"a\"} 17\n\
                    tidings_network_gossipsub_topic_msg_sent_bytes_total{hash=\"b\"} 3\n\
                    tidings_network_gossipsub_topic_msg_sent_counts_total{hash=\"a\"} 2\n\
                    tidings_exchange_out_bytes_total 5\n";
        assert_eq!(counts(text), Counts { gossip: 20, gossip_messages: 2, exchange: 5 });
    }
}
