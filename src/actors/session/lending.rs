//! Lends a peer that another one fills what is held here of what it lacks: page by page, as it asks for them.

use std::sync::{Arc, atomic::AtomicU64};

use futures::AsyncWriteExt;

use super::{
    exchange::{Broken, Sending},
    frames::{ANSWER_PATIENCE, StreamBroken, expect_frame, read_frame, send_frame},
};
use crate::{
    actors::{society::Society, storage::StorageMsg},
    causality::{Dot, NodeId, SeenSet},
    network::Stream,
    reconcile::{Lending, Violation},
    storage::View,
    types::Namespace,
    wire::{End, ExchangeFrame, Frame, Lacking, PAGE_BYTES, PAGE_VERSIONS, Page},
};

/// Answers on a stream whose first frame was `first`, until the peer closes it or nothing is left.
pub async fn lend(society: Arc<Society>, peer: NodeId, stream: Stream, (first, read): (Lacking, u64)) {
    let (bytes_in, bytes_out) = (AtomicU64::new(read), AtomicU64::new(0));
    let lent = lend_counted(&society, stream, first, [&bytes_in, &bytes_out]).await;
    society.metrics.exchange_bytes_in.inc_by(bytes_in.into_inner());
    society.metrics.exchange_bytes_out.inc_by(bytes_out.into_inner());
    if let Err(broken) = lent {
        society.metrics.frames_refused.inc_by(broken.is_refusal().into());
        tracing::debug!(%peer, %broken, "a peer is lent no more");
    }
}

async fn lend_counted(
    society: &Society,
    stream: Stream,
    first: Lacking,
    [bytes_in, bytes_out]: [&AtomicU64; 2],
) -> Result<(), Broken> {
    let (mut reader, mut writer) = futures::AsyncReadExt::split(stream);
    let namespace = first.namespace.clone();
    let mut lending = Lending::begin(namespace.clone());
    let mut part = first;
    let wanted = loop {
        if let Some(wanted) = lending.on_part(part)? {
            break wanted;
        }
        match message(&expect_frame(&mut reader, bytes_in).await?)? {
            ExchangeFrame::Lacking(next) => part = next,
            other => return Err(Violation::NotLent(other.name()).into()),
        }
    };
    let view = society.reader().view();
    let mut pages = Pages { society, view, namespace, wanted, before: None, sending: Sending::begin() };
    loop {
        let asked = tokio::time::timeout(ANSWER_PATIENCE * 2, read_frame(&mut reader, bytes_in)).await;
        let Some(frame) = asked.map_err(|_| Broken::Stalled)?? else { return Ok(()) };
        match message(&frame)? {
            ExchangeFrame::More => {}
            other => return Err(Violation::NotLent(other.name()).into()),
        }
        let Some(page) = pages.next()? else {
            send_frame(&mut writer, &ExchangeFrame::End(End::default()).to_bytes(), bytes_out).await?;
            let _peer_closed_first = writer.close().await;
            return Ok(());
        };
        send_frame(&mut writer, &ExchangeFrame::Page(page).to_bytes(), bytes_out).await?;
    }
}

fn message(frame: &Frame) -> Result<ExchangeFrame, Broken> {
    Ok(ExchangeFrame::from_frame(frame).map_err(StreamBroken::Frame)?)
}

/// What is held of what was asked for, from its end down.
struct Pages<'a> {
    society: &'a Society,
    view: View,
    namespace: Namespace,
    wanted: SeenSet,
    before: Option<Dot>,
    sending: Sending,
}

impl Pages<'_> {
    fn next(&mut self) -> Result<Option<Page>, Broken> {
        self.sending.read_one_more()?;
        let page =
            self.view.versions_down(&self.namespace, &self.wanted, self.before, PAGE_VERSIONS, PAGE_BYTES)?;
        if !page.lost.is_empty() {
            let (namespace, suspects) = (self.namespace.clone(), page.lost);
            self.society.storage.cast(StorageMsg::Lost { namespace, suspects });
        }
        self.before = page.versions.last().map(|version| version.dot);
        Ok((!page.versions.is_empty()).then_some(Page { versions: page.versions }))
    }
}
