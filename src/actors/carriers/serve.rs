//! The other end of a visit: answers what is asked on a stream that somebody accepted.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};

use super::{RemoteError, greet};
use crate::{
    actors::{
        session::{
            blobs,
            exchange::Conversation,
            frames::{ANSWER_PATIENCE, send_frame},
            opening::Opening,
        },
        society::Society,
    },
    causality::NodeId,
    network::{
        Protocol, Stream, Streams,
        carried::{Bytes, CARRIED_STREAMS_MAX, Carrying, carry, protocol_of},
    },
    ports::{CarrierStream, Scope},
    report::{ExchangeReport, SyncReport},
    types::NAMESPACES_MAX,
    wire::ExchangeFrame,
};

/// The most streams of carriers that are answered at once; others are refused.
pub const CARRIED_MAX: usize = 16;
/// A stream on which nothing moves, and nothing is asked for, for so long is given up.
const IDLE_PATIENCE: Duration = Duration::from_secs(30);
/// The most exchanges that a report names one by one; more are added to the last.
const REPORTS_MAX: usize = NAMESPACES_MAX * 2;

/// What is shared by all that is answered on one stream.
struct Visitor {
    society: Arc<Society>,
    peer: NodeId,
    streams: Arc<dyn Streams>,
    /// One exchange at a time.
    exchanging: Semaphore,
    reports: Mutex<Vec<ExchangeReport>>,
}

/// Answers until the other end closes `stream`, as a task in `scope`.
pub async fn serve(
    society: Arc<Society>,
    scope: Scope,
    stream: CarrierStream,
    expected: Option<NodeId>,
) -> Result<SyncReport, RemoteError> {
    let mut stream = Bytes::of(stream);
    let Ok(_place) = society.carried.try_acquire() else {
        greet::refuse(&mut stream, "it answers too many others just now: try again later").await;
        return Err(RemoteError::Busy);
    };
    let peer = greet::answer(&society, &mut stream, expected).await?;
    let Carrying { streams, mut inbound, moving } = carry(stream, false);
    scope.spawn(async move {
        if let Err(broken) = moving.await {
            tracing::debug!(%peer, broken, "a carrier's stream broke");
        }
    });
    let (exchanging, reports) = (Semaphore::new(1), Mutex::default());
    let visitor = Arc::new(Visitor { society: society.clone(), peer, streams, exchanging, reports });
    let places = Arc::new(Semaphore::new(CARRIED_STREAMS_MAX));
    let mut moved = None;
    loop {
        match time::timeout(IDLE_PATIENCE, inbound.recv()).await {
            Ok(Some(stream)) => {
                // One that finds no place is dropped, and with it closed.
                let Ok(place) = places.clone().try_acquire_owned() else { continue };
                scope.spawn(visitor.clone().answer(stream, place));
            }
            Ok(None) => break,
            Err(_) if places.available_permits() < CARRIED_STREAMS_MAX => {}
            Err(_) if std::mem::replace(&mut moved, visitor.streams.moved()) != moved => {}
            Err(_) => {
                return Err(RemoteError::Broken(format!(
                    "it asked for nothing for {} s",
                    IDLE_PATIENCE.as_secs()
                )));
            }
        }
    }
    // The stream is gone: what is under way breaks off, or stores what it has.
    let all = u32::try_from(CARRIED_STREAMS_MAX).unwrap_or(u32::MAX);
    let _settled_in_time = time::timeout(IDLE_PATIENCE, places.acquire_many(all)).await;
    let reports = std::mem::take(&mut *visitor.reports.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(SyncReport::of(reports))
}

/// Answers a stream on which the other end asks for a large value, and nothing else.
pub async fn value(society: Arc<Society>, peer: NodeId, mut stream: Stream) {
    match time::timeout(ANSWER_PATIENCE, protocol_of(&mut stream)).await {
        Ok(Ok(Protocol::Blob)) => blobs::serve(society, peer, stream).await,
        other => tracing::debug!(%peer, ?other, "a stream that is not for a large value"),
    }
}

impl Visitor {
    async fn answer(self: Arc<Self>, mut stream: Stream, place: OwnedSemaphorePermit) {
        match time::timeout(ANSWER_PATIENCE, protocol_of(&mut stream)).await {
            Ok(Ok(Protocol::Blob)) => blobs::serve(self.society.clone(), self.peer, stream).await,
            Ok(Ok(Protocol::Sync)) => self.exchange(stream).await,
            other => tracing::debug!(peer = %self.peer, ?other, "a stream that asks for nothing"),
        }
        drop(place);
    }

    async fn exchange(&self, mut stream: Stream) {
        let (society, peer) = (&self.society, self.peer);
        let opening = match Opening::read(&mut stream).await {
            Ok(opening) => opening,
            Err(broken) => {
                society.metrics.frames_refused.inc_by(broken.is_refusal().into());
                return tracing::debug!(%peer, %broken, "an exchange did not begin");
            }
        };
        let Some(namespace) = opening.namespace().cloned() else {
            return tracing::debug!(%peer, "an exchange did not begin with a hello");
        };
        let mark = match opening.admit(society, peer, &namespace) {
            Ok(mark) => mark,
            Err(refusal) => return refuse(stream, &refusal).await,
        };
        let place = self.exchanging.try_acquire().ok();
        let Some(_permit) = place.and_then(|place| Some((place, society.admission.exchanges.admit_now(1)?)))
        else {
            return refuse(stream, &ExchangeFrame::Busy).await;
        };
        let Opening { way, first, bytes } = opening;
        let (society, streams) = (society.clone(), self.streams.clone());
        let (first, first_bytes) = (Some(first), bytes);
        let conversation =
            Conversation { society, peer, namespace, way, streams, stream, first, first_bytes, mark };
        let mut report = conversation.run().await.report;
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let full = reports.len() >= REPORTS_MAX;
        if let Some(before) = reports.pop_if(|last| full || last.namespace == report.namespace) {
            report.add(&before);
        }
        reports.push(report);
    }
}

async fn refuse(mut stream: Stream, frame: &ExchangeFrame) {
    if let Err(broken) = send_frame(&mut stream, &frame.to_bytes(), &AtomicU64::new(0)).await {
        tracing::debug!(%broken, "an exchange could not be refused");
    }
    let _peer_closed_first = futures::AsyncWriteExt::close(&mut stream).await;
}
