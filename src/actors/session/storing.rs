//! What an exchange has Storage do, one thing after the other.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{OnceCell, mpsc, oneshot};

use super::{
    exchange::{Broken, snapshot},
    taking::{Giver, Taken},
};
use crate::{
    actors::{
        fills::Fill,
        society::Society,
        storage::{Absorbed, Source, StorageMsg},
    },
    causality::{Dot, Floors, NodeId, SeenSet},
    network::Streams,
    reconcile::Input,
    storage::Judgement,
    types::{Key, Namespace},
    wire::{Items, Page, Verdict},
};

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
                Work::Apply(page) => self.apply(page, &own).await?,
                Work::Settle(items) => {
                    self.giver().take(items.versions, Source::Ranges).await?;
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

    fn giver(&self) -> Giver<'_> {
        let Self { society, streams, peer, namespace, .. } = *self;
        Giver { society, streams, peer, namespace }
    }

    async fn apply(&self, page: Page, own: &mpsc::UnboundedSender<Input>) -> Result<Input, Broken> {
        let (count, last) = (page.versions.len(), page.versions.last().map(|version| version.dot));
        let Taken { set_aside, fresh } = self.giver().take(page.versions, Source::Exchange).await?;
        self.versions_in.fetch_add((count - set_aside.len()) as u64, Ordering::Relaxed);
        if let Some((fill, last)) = self.fill.get().zip(last) {
            if !fill.stored(fresh, last) {
                let other = self.society.fills.other_than(&self.peer, self.namespace);
                return Err(other.map_or(Broken::Stalled, Broken::Elsewhere));
            }
            let lent = fill.lent();
            if !lent.is_empty() {
                let _conversation_is_over = own.send(Input::Got(lent));
            }
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
        // Known when the exchange began; if something damaged was found since, they are being made anew.
        let digests = whole.digests.ok_or(Broken::DoesNotAddUp)?;
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
            Judgement::Collides(held) => {
                items.push(*held);
                Verdict::Want
            }
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
}
