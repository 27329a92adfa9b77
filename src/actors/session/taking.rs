//! Has versions of a peer stored: a page, with the large values that belong to it.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{blobs, exchange::Broken, frames::ANSWER_PATIENCE};
use crate::{
    actors::{
        society::Society,
        storage::{MergeRequest, Source, StorageMsg},
    },
    causality::{Dot, NodeId},
    conflict::Version,
    network::Streams,
    types::Namespace,
};

/// Large values are asked for twice more, for they are there as long as their version is.
const BLOB_TRY_AGAIN: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// Where versions come from, and where they belong.
#[derive(Clone, Copy)]
pub struct Giver<'a> {
    pub society: &'a Arc<Society>,
    /// Opens others to the same peer, for large values.
    pub streams: &'a dyn Streams,
    pub peer: NodeId,
    pub namespace: &'a Namespace,
}

/// What became of them.
#[derive(Debug, Default)]
pub struct Taken {
    /// The versions whose large values were not to be had.
    pub set_aside: Vec<Dot>,
    /// How many were new.
    pub fresh: u64,
}

impl Giver<'_> {
    /// Has versions stored.
    ///
    /// # Errors
    /// When they are not stored: nothing is known of them then.
    pub async fn take(&self, versions: Vec<Version>, source: Source) -> Result<Taken, Broken> {
        let Self { society, namespace, peer, .. } = *self;
        let bytes = versions.iter().map(Version::size_hint).sum();
        let permit = society.admission.pages.admit(bytes, ANSWER_PATIENCE).await.ok_or(Broken::Stalled)?;
        let permit = permit.heard_of(&society.admission.waiting, namespace);
        let mut request = MergeRequest {
            namespace: namespace.clone(),
            versions,
            blobs: std::collections::BTreeMap::new(),
            from: peer,
            source,
            permit,
            reply: None,
        };
        let mut taken = Taken::default();
        // One version at a time, for a page of large values is larger than memory should be.
        let (large, small): (Vec<_>, Vec<_>) = request.versions.into_iter().partition(Version::is_large);
        request.versions = small;
        if request.versions.is_empty() {
            drop(request);
        } else {
            taken.fresh += merge(society, request).await?;
        }
        for version in large {
            let dot = version.dot;
            // Gossip may have brought it meanwhile.
            if source == Source::Exchange
                && society.reader().with_seen(namespace, |seen| seen.contains(dot)) == Some(true)
            {
                continue;
            }
            let unit = [version];
            let fetched =
                blobs::fetch_all(society, self.streams, peer, namespace, &unit, &BLOB_TRY_AGAIN).await;
            let Some((blobs, permit)) = fetched else {
                taken.set_aside.push(dot);
                continue;
            };
            let [version] = unit;
            let (namespace, versions) = (namespace.clone(), vec![version]);
            let request =
                MergeRequest { namespace, versions, blobs, from: peer, source, permit, reply: None };
            taken.fresh += merge(society, request).await?;
        }
        Ok(taken)
    }
}

async fn merge(society: &Society, mut request: MergeRequest) -> Result<u64, Broken> {
    let (reply, merged) = oneshot::channel();
    request.reply = Some(reply);
    society.storage.cast(StorageMsg::Merge(request));
    Ok(merged.await.map_err(|_| Broken::Closing)??.fresh)
}
