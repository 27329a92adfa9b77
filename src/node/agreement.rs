//! Whether the node agrees with its peers, and what it knows that it lacks.

use std::collections::BTreeMap;

use super::{Filling, Node, OriginGap, Space, SyncStatus};
use crate::{
    actors::{society::Society, standing::Ours},
    types::Namespace,
};

/// Beacons are at most four intervals and a fifth apart; a match older than so many intervals says
/// nothing any more.
const MATCH_AGE_INTERVALS: u32 = 6;

/// What the node holds of each of `namespaces` now.
pub(super) fn ours(society: &Society, namespaces: &[Namespace]) -> BTreeMap<Namespace, Ours> {
    let reader = society.reader();
    let of = |namespace: &Namespace| {
        // Before the look: what was heard by then is stored, or waits.
        let idle = society.admission.waiting.is_settled(namespace);
        let (seen, tag, known) = reader.tagged(namespace)?;
        Some((namespace.clone(), Ours { seen, tag, settled: known && idle }))
    };
    namespaces.iter().filter_map(of).collect()
}

impl Node {
    /// Whether the node knows of anything it lacks, and how it stands with each peer, over all
    /// namespaces. It may say that it does not know; it never says "in sync" of a peer whose last
    /// word, or whose own state since, says otherwise.
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
    /// let status = node.sync_status().await;
    /// assert_eq!(status.missing, 0);
    /// for peer in &status.peers {
    ///     println!("{}: {:?}, matched at {:?}", peer.peer_id, peer.in_sync, peer.matched_at);
    /// }
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    #[expect(clippy::unused_async, reason = "later numbers are asked of actors")]
    pub async fn sync_status(&self) -> SyncStatus {
        status(&self.inner.society, &self.inner.society.reader().namespaces())
    }

    /// The namespaces that are being filled, each from one peer, and how far that is: the same as in
    /// [`Node::sync_status`], at no cost.
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
    /// for one in node.filling() {
    ///     println!("{}: {} of {}, {:?} s left", one.namespace, one.passed, one.expected, one.seconds_left);
    /// }
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn filling(&self) -> Vec<Filling> {
        self.inner.society.fills.shown(|_| true)
    }
}

impl Space {
    /// The same as [`Node::sync_status`], of this namespace alone.
    #[expect(clippy::unused_async, reason = "later numbers are asked of actors")]
    pub async fn sync_status(&self) -> SyncStatus {
        status(&self.node.inner.society, std::slice::from_ref(&self.namespace))
    }
}

fn status(society: &Society, namespaces: &[Namespace]) -> SyncStatus {
    let reader = society.reader();
    let ours = ours(society, namespaces);
    let (mut missing, mut gaps) = (0, Vec::new());
    for (namespace, ours) in &ours {
        let mut lacking = society.peers.lacking(namespace, &ours.seen);
        lacking.union(&ours.seen.gaps());
        missing += lacking.count();
        gaps.extend(lacking.iter().map(|(origin, seqs)| OriginGap {
            namespace: namespace.clone(),
            origin: origin.to_string(),
            missing: seqs.count(),
        }));
    }
    gaps.truncate(SyncStatus::GAPS_MAX);
    let floors_unreached = namespaces.iter().any(|namespace| !reader.floors_reached(namespace));
    let known = namespaces.iter().all(|namespace| reader.tag(namespace).is_some_and(|(_, known)| known));
    let lacks = missing > 0 || floors_unreached;
    SyncStatus {
        lacks: (lacks || known).then_some(lacks),
        missing,
        gaps,
        floors_unreached,
        filling: society.fills.shown(|namespace| namespaces.contains(namespace)),
        peers: society.peers.standings(&ours, society.settings.sync_interval * MATCH_AGE_INTERVALS),
    }
}
