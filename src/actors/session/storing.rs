//! What an exchange has Storage do, one thing after the other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OnceCell, mpsc, oneshot};

use super::{
    blobs,
    exchange::{Broken, snapshot},
    frames::ANSWER_PATIENCE,
};
use crate::{
    actors::{
        fills::Fill,
        society::Society,
        storage::{Absorbed, MergeRequest, Source, StorageMsg},
    },
    causality::{Dot, Floors, NodeId, SeenSet},
    conflict::Version,
    network::Streams,
    reconcile::Input,
    storage::Judgement,
    types::{Key, Namespace},
    wire::{Items, Page, Verdict},
};

/// Large values are asked for twice more, for they are there as long as their version is.
const BLOB_TRY_AGAIN: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// What Storage is to do, in order.
pub enum Work {
    Apply(Page),
    Absorb { frontier: SeenSet, floors: Floors, settled: Option<(u64, SeenSet)>, drop: Vec<(Dot, Key)> },
    OpenRanges,
    Judge(Vec<(Dot, Key)>),
    Settle(Items),
}

/// Storage watches what becomes live while ranges are compared, until this is dropped.
pub struct Watch {
    pub society: Arc<Society>,
    pub number: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.society.storage.cast(StorageMsg::CloseRanges(self.number));
    }
}

/// What Storage is given to do, one thing after the other.
pub struct Storing<'a> {
    pub society: &'a Arc<Society>,
    pub streams: &'a dyn Streams,
    pub peer: NodeId,
    pub namespace: &'a Namespace,
    pub ranges: &'a OnceCell<Watch>,
    pub fill: &'a OnceCell<Fill>,
    /// Which namespace of that name it is.
    pub incarnation: Option<u16>,
    pub versions_in: &'a AtomicU64,
    pub floors: &'a Floors,
}

impl Storing<'_> {
    pub async fn work_off(
        self,
        mut worklist: mpsc::UnboundedReceiver<Work>,
        own: mpsc::UnboundedSender<Input>,
    ) -> Result<(), Broken> {
        while let Some(work) = worklist.recv().await {
            let done = match work {
                Work::Apply(page) => self.apply(page).await?,
                Work::Settle(items) => {
                    self.apply_all(items.versions, Source::Ranges).await?;
                    Input::Settled
                }
                Work::OpenRanges => self.open_ranges().await?,
                Work::Judge(claims) => self.judge(claims).await?,
                Work::Absorb { frontier, floors, settled, drop } => {
                    let (reply, absorbed) = oneshot::channel();
                    let namespace = self.namespace.clone();
                    let incarnation = self.incarnation;
                    let absorb =
                        StorageMsg::Absorb { namespace, frontier, floors, settled, incarnation, drop, reply };
                    self.society.storage.cast(absorb);
                    match absorbed.await.map_err(|_| Broken::Closing)?? {
                        Absorbed::Done => Input::Absorbed,
                        Absorbed::Late(late) => Input::Late(late),
                        Absorbed::DoesNotAddUp => return Err(Broken::DoesNotAddUp),
                    }
                }
            };
            let _conversation_is_over = own.send(done);
        }
        futures::future::pending().await
    }

    async fn apply(&self, page: Page) -> Result<Input, Broken> {
        let (count, last) = (page.versions.len(), page.versions.last().map(|version| version.dot));
        let set_aside = self.apply_all(page.versions, Source::Exchange).await?;
        let stored = (count - set_aside.len()) as u64;
        self.versions_in.fetch_add(stored, Ordering::Relaxed);
        if let Some((fill, last)) = self.fill.get().zip(last)
            && !fill.stored(stored, last)
        {
            let other = self.society.fills.other_than(&self.peer, self.namespace);
            return Err(other.map_or(Broken::Stalled, Broken::Elsewhere));
        }
        Ok(Input::Applied { set_aside })
    }

    async fn open_ranges(&self) -> Result<Input, Broken> {
        let whole = snapshot(self.society, self.namespace, true).await?;
        if whole.view.incarnation(self.namespace) != self.incarnation {
            self.society.storage.cast(StorageMsg::CloseRanges(whole.watch));
            return Err(Broken::Left);
        }
        let watch = Watch { society: self.society.clone(), number: whole.watch };
        // Known when the exchange began, and digests are never unlearned.
        let digests = whole.digests.ok_or(Broken::Closing)?;
        let _first = self.ranges.set(watch);
        Ok(Input::RangesOpened(digests))
    }

    async fn judge(&self, claims: Vec<(Dot, Key)>) -> Result<Input, Broken> {
        let (reply, judged) = oneshot::channel();
        let namespace = self.namespace.clone();
        self.society.storage.cast(StorageMsg::Judge { namespace, claims, reply });
        let mut items = Vec::new();
        let verdict = |judgement| match judgement {
            Judgement::Want => Verdict::Want,
            Judgement::Held => Verdict::Held,
            Judgement::Dead => Verdict::Dead,
            Judgement::Superseded(by) => {
                items.push(*by);
                Verdict::Superseded
            }
        };
        let (judgements, floors_now) = judged.await.map_err(|_| Broken::Closing)??;
        let verdicts: Vec<_> = judgements.into_iter().map(verdict).collect();
        if verdicts.contains(&Verdict::Dead) && floors_now != *self.floors {
            return Err(Broken::Forgotten);
        }
        Ok(Input::Judged { verdicts, items: Items::fitted(items) })
    }

    /// Has a page stored, and answers with the versions whose large values were not to be had.
    async fn apply_all(&self, versions: Vec<Version>, source: Source) -> Result<Vec<Dot>, Broken> {
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
        let mut set_aside = Vec::new();
        // One version at a time, for a page of large values is larger than memory should be.
        let (large, small): (Vec<_>, Vec<_>) = request.versions.into_iter().partition(Version::is_large);
        request.versions = small;
        if request.versions.is_empty() {
            drop(request);
        } else {
            merge(society, request).await?;
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
                set_aside.push(dot);
                continue;
            };
            let [version] = unit;
            let (namespace, versions) = (namespace.clone(), vec![version]);
            let (from, reply) = (peer, None);
            merge(society, MergeRequest { namespace, versions, blobs, from, source, permit, reply }).await?;
        }
        Ok(set_aside)
    }
}

async fn merge(society: &Society, mut request: MergeRequest) -> Result<(), Broken> {
    let (reply, merged) = oneshot::channel();
    request.reply = Some(reply);
    society.storage.cast(StorageMsg::Merge(request));
    merged.await.map_err(|_| Broken::Closing)??;
    Ok(())
}
