//! Takes in what a second neighbour lends while another one fills this node: from the end of what is missing
//! down, until the two meet.

use std::sync::{Arc, atomic::AtomicU64};

use futures::AsyncWriteExt;

use super::{
    exchange::Broken,
    frames::{ANSWER_PATIENCE, StreamBroken, expect_frame, send_frame},
    taking::Giver,
};
use crate::{
    actors::{fills::Second, society::Society, storage::Source},
    causality::{Dot, NodeId, SeenSet},
    network::{Network, Protocol},
    reconcile::{Borrowing, PAGES_ASKED_MAX, Violation},
    types::Namespace,
    wire::{ExchangeFrame, Page},
};

/// Waits until `peer` may have all of `namespace` to itself, as the one that fills it or in an exchange that
/// does not. Until then it lends, when the second place is free. Cancel-safe.
pub async fn until_free_for(society: &Arc<Society>, peer: NodeId, namespace: &Namespace) {
    let mut had = None;
    loop {
        let changed = society.fills.changed();
        if society.fills.other_than(&peer, namespace).is_none() {
            return;
        }
        let Some(second) = Second::begin(society.clone(), namespace.clone(), peer, had) else {
            changed.await;
            continue;
        };
        tokio::select! {
            () = society.fills.until_free_for(&peer, namespace) => return,
            (stored, broken) = borrow(&second) => {
                // One that got on and broke off, for its snapshot was old, say, goes on with what is missing by
                // now; one that has no more, or brought nothing, waits until the fill is another.
                if broken.is_none() || stored == 0 {
                    had = Some(second.fill());
                }
                if let Some(broken) = broken {
                    society.metrics.frames_refused.inc_by(broken.is_refusal().into());
                    tracing::debug!(%peer, %namespace, %broken, "a second neighbour lends no more");
                }
            }
        }
    }
}

/// How many versions were stored, and what broke it off.
async fn borrow(second: &Second) -> (u64, Option<Broken>) {
    let society = second.society();
    let (traffic, mut stored) = (Traffic { society, bytes: Default::default() }, 0);
    let [bytes_in, bytes_out] = &traffic.bytes;
    let broken = borrow_counted(second, [bytes_in, bytes_out], &mut stored).await.err();
    (stored, broken)
}

/// Bytes in and out, which count also where the loan is given up in the middle.
struct Traffic<'a> {
    society: &'a Society,
    bytes: [AtomicU64; 2],
}

impl Drop for Traffic<'_> {
    fn drop(&mut self) {
        let [bytes_in, bytes_out] = std::mem::take(&mut self.bytes);
        self.society.metrics.exchange_bytes_in.inc_by(bytes_in.into_inner());
        self.society.metrics.exchange_bytes_out.inc_by(bytes_out.into_inner());
    }
}

async fn borrow_counted(
    second: &Second,
    [bytes_in, bytes_out]: [&AtomicU64; 2],
    stored: &mut u64,
) -> Result<(), Broken> {
    let (society, peer, namespace) = (second.society(), second.by(), second.namespace());
    let permit = society.admission.exchanges.admit(1, ANSWER_PATIENCE).await;
    let _permit = permit.ok_or(Broken::Closing)?;
    let Network { streams, .. } = society.network().ok_or(Broken::Closing)?;
    let stream =
        streams.open(peer, Protocol::Sync).await.map_err(|error| Broken::Unreachable(error.to_string()))?;
    let (mut reader, mut writer) = futures::AsyncReadExt::split(stream);
    let (mut borrowing, frames) = Borrowing::begin(namespace, second.wanted());
    for frame in frames {
        send_frame(&mut writer, &frame.to_bytes(), bytes_out).await?;
    }
    let taker = Taker { second, giver: Giver { society, streams: &*streams, peer, namespace } };
    let (mut asked, mut pace) = (0, Pace::default());
    loop {
        while asked < PAGES_ASKED_MAX && pace.may_ask(asked, second.left()) {
            send_frame(&mut writer, &ExchangeFrame::More.to_bytes(), bytes_out).await?;
            asked += 1;
        }
        if asked == 0 {
            // The two have met, or the fill is over. What is not said any more was not lacking.
            let _peer_closed_first = writer.close().await;
            return Ok(());
        }
        let frame = expect_frame(&mut reader, bytes_in).await?;
        match ExchangeFrame::from_frame(&frame).map_err(StreamBroken::Frame)? {
            ExchangeFrame::Page(page) => {
                borrowing.on_page(&page)?;
                asked -= 1;
                pace.on_page(second, &page);
                if !taker.take(page, stored).await? {
                    return Ok(());
                }
            }
            // It has no more of it; or has no room, or does not carry it.
            ExchangeFrame::End(_) | ExchangeFrame::Busy | ExchangeFrame::NotCarried => return Ok(()),
            other => return Err(Violation::NotLent(other.name()).into()),
        }
    }
}

/// How far a page takes, so that near the end no more are asked for than it takes.
#[derive(Default)]
struct Pace {
    low: Option<Dot>,
    /// How many of the missing writes the last page went past.
    span: u64,
}

impl Pace {
    fn on_page(&mut self, second: &Second, page: &Page) {
        let (Some(first), Some(last)) = (page.versions.first(), page.versions.last()) else { return };
        self.span = second.span(last.dot, self.low.unwrap_or(first.dot));
        self.low = Some(last.dot);
    }

    /// Whether one more page may be asked for, with `asked` of them under way and `left` writes between the two.
    fn may_ask(&self, asked: usize, left: u64) -> bool {
        left > self.span.saturating_mul(asked as u64)
    }
}

struct Taker<'a> {
    second: &'a Second,
    giver: Giver<'a>,
}

impl Taker<'_> {
    /// Has a page stored; false if nobody needs more.
    async fn take(&self, page: Page, stored: &mut u64) -> Result<bool, Broken> {
        let dots: Vec<Dot> = page.versions.iter().map(|version| version.dot).collect();
        let Some(low) = dots.last().copied() else { return Ok(true) };
        let taken = self.giver.take(page.versions, Source::Exchange).await?;
        *stored += taken.fresh;
        // Not what came: what is stored. The first neighbour leaves out exactly that.
        let seen = |seen: &SeenSet| dots.into_iter().filter(|dot| seen.contains(*dot)).collect();
        let seen: SeenSet =
            self.giver.society.reader().with_seen(self.giver.namespace, seen).unwrap_or_default();
        Ok(self.second.stored(&seen, taken.fresh, low))
    }
}
