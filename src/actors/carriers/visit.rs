//! One visit to another node over a carrier: every namespace is compared once.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::{
    sync::{mpsc, oneshot},
    time,
};

use super::{RemoteError, greet, serve};
use crate::{
    actors::{
        session::{
            exchange::{Broken, Conversation, End, Ended, MAY_NOT},
            frames::ANSWER_PATIENCE,
        },
        society::Society,
    },
    causality::NodeId,
    network::{
        Protocol, Stream, Streams,
        carried::{Bytes, Carrying, carry},
    },
    ports::{Carrier, CarrierStream, Operation, Scope},
    report::{ExchangeReport, SyncReport},
    types::Namespace,
    wire::{PAGE_BYTES, Way},
};

/// A carrier opens its stream within this time.
const OPEN_PATIENCE: Duration = Duration::from_secs(30);
/// The other end, where it is busy, is asked again after these times.
const BUSY_TRY_AGAIN: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_600),
];
/// These times are shorter or longer by up to so much.
const BUSY_JITTER_PERCENT: u32 = 25;
/// An exchange that broke off and had got on is begun anew so often, in one visit.
const GO_ON_MAX: u32 = 100;

/// What a report says where the stream ended before the other end can have said that it is through.
const ENDED_EARLY: &str =
    "the stream ended early: it is not known whether the other end has stored all it was given";

/// Visits the node at the other end, as a task in `scope`.
pub async fn visit(
    society: Arc<Society>,
    scope: Scope,
    carrier: Arc<dyn Carrier>,
    way: Way,
) -> Result<SyncReport, RemoteError> {
    let mut stream = Bytes::of(open(&*carrier).await?);
    let peer = greet::open(&society, &mut stream, carrier.peer()).await?;
    let Carrying { streams, inbound, moving } = carry(stream, true);
    let (tell, mut closed) = oneshot::channel();
    scope.spawn(async move {
        let _visit_is_over = tell.send(moving.await);
    });
    scope.spawn(serve_values(society.clone(), scope.clone(), peer, inbound));
    let mut reports = Vec::new();
    for namespace in society.reader().namespaces() {
        let streams: Arc<dyn Streams> = streams.clone();
        reports.push(settle(&society, &streams, peer, &namespace, way).await);
    }
    if let Ok(early) = closed.try_recv() {
        // The other end never closes it first, but may have stored all the same.
        tracing::debug!(%peer, ?early, "a carrier's stream ended early");
        if let Some(last) = reports.last_mut().filter(|last| way.gives() && last.error.is_none()) {
            last.error = Some(ENDED_EARLY.to_owned());
        }
        return Ok(SyncReport::of(reports));
    }
    // Nobody asks for streams any more, so it is closed.
    drop(streams);
    match time::timeout(ANSWER_PATIENCE, closed).await {
        Ok(Ok(Ok(()))) => {}
        broken => tracing::debug!(%peer, ?broken, "a carrier's stream was not closed in good order"),
    }
    Ok(SyncReport::of(reports))
}

/// The code of the host's that opens a stream may do anything: hang, or panic.
async fn open(carrier: &dyn Carrier) -> Result<CarrierStream, RemoteError> {
    let failed = |reason: String| RemoteError::Open { carrier: carrier.describe(), reason };
    let opening = AssertUnwindSafe(async { carrier.open().await }).catch_unwind();
    match time::timeout(OPEN_PATIENCE, opening).await {
        Ok(Ok(Ok(stream))) => Ok(stream),
        Ok(Ok(Err(error))) => Err(failed(error.to_string())),
        Ok(Err(_)) => Err(failed("it panicked".to_owned())),
        Err(_) => Err(failed(format!("nothing came of it within {} s", OPEN_PATIENCE.as_secs()))),
    }
}

/// Large values that the other end asks for.
async fn serve_values(
    society: Arc<Society>,
    scope: Scope,
    peer: NodeId,
    mut inbound: mpsc::Receiver<Stream>,
) {
    while let Some(stream) = inbound.recv().await {
        // Their number is bounded by that of the streams.
        scope.spawn(serve::value(society.clone(), peer, stream));
    }
}

/// Compares one namespace, until it is settled or gets on no more.
async fn settle(
    society: &Arc<Society>,
    streams: &Arc<dyn Streams>,
    peer: NodeId,
    namespace: &Namespace,
    way: Way,
) -> ExchangeReport {
    let mut busy = BUSY_TRY_AGAIN.into_iter();
    let mut before: Option<ExchangeReport> = None;
    for _ in 0..GO_ON_MAX {
        let Ended { mut report, end } = compare(society, streams, peer, namespace, way).await;
        let got_on = report.versions_in > 0 || report.bytes_out > PAGE_BYTES as u64;
        if let Some(before) = &before {
            report.add(before);
        }
        match end {
            End::Broken if got_on => {
                tracing::debug!(%peer, %namespace, error = report.error, "an exchange broke off and goes on");
            }
            End::Busy => match busy.next() {
                Some(wait) => time::sleep(society.entropy.jittered(wait, BUSY_JITTER_PERCENT)).await,
                None => return report,
            },
            _ => return report,
        }
        before = Some(report);
    }
    before.unwrap_or_else(|| failed(peer, namespace, "it was not begun".to_owned()).report)
}

fn failed(peer: NodeId, namespace: &Namespace, error: String) -> Ended {
    Ended::failed(peer, namespace.clone(), error)
}

/// One exchange, on a stream of its own.
async fn compare(
    society: &Arc<Society>,
    streams: &Arc<dyn Streams>,
    peer: NodeId,
    namespace: &Namespace,
    way: Way,
) -> Ended {
    if !society.hooks.allows(peer, Operation::Exchange, namespace) {
        return failed(peer, namespace, MAY_NOT.to_owned());
    }
    if let Some(other) = society.fills.other_than(&peer, namespace).filter(|_| way.takes()) {
        return failed(peer, namespace, Broken::Elsewhere(other).to_string());
    }
    let Some(_permit) = society.admission.exchanges.admit(1, ANSWER_PATIENCE).await else {
        return failed(peer, namespace, "this node is busy with other exchanges".to_owned());
    };
    let opened = time::timeout(ANSWER_PATIENCE, streams.open(peer, Protocol::Sync)).await;
    let stream = match opened {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return failed(peer, namespace, error.to_string()),
        Err(_) => return failed(peer, namespace, Broken::Stalled.to_string()),
    };
    let mark = society.peers.stand(peer, namespace, |standing| standing.mark());
    let (society, namespace, streams) = (society.clone(), namespace.clone(), streams.clone());
    let (first, first_bytes) = (None, 0);
    Conversation { society, peer, namespace, way, streams, stream, first, first_bytes, mark }.run().await
}
