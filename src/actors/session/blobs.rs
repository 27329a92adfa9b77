//! Large values: fetched from the peer that announced them, and served.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::AsyncWriteExt;
use tokio::time;

use super::frames::{ANSWER_PATIENCE, StreamBroken, expect_frame, send_frame};
use crate::{
    actors::{
        admission::Permit,
        society::Society,
        storage::{MergeRequest, Source, StorageMsg},
    },
    causality::{Dot, NodeId},
    conflict::{Payload, Version},
    network::{Protocol, Stream, Streams},
    ports::Operation,
    types::{BATCH_BYTES_MAX, Namespace},
    wire::{BLOB_CHUNK_BYTES, BlobReply, BlobRequest},
};

/// A neighbour forwards an announcement before it has the bytes itself, so it is asked again after
/// these times.
const TRY_AGAIN: [Duration; 7] = [
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// A large value comes at this rate at least, or its transfer is broken off.
const BYTES_PER_SECOND_MIN: u64 = 64 * 1024;

/// What became of a fetch.
#[derive(Debug)]
pub enum Fetched {
    /// The bytes, verified.
    Bytes(Bytes),
    /// The peer does not hold it (yet, or any more).
    Gone,
    /// The peer cannot be asked, or sent something else.
    Failed(String),
}

/// Fetches the large values of `versions`, one unit, and has them stored together. False if some
/// could not be had.
pub async fn fetch_unit(
    society: &Society,
    peer: NodeId,
    namespace: Namespace,
    versions: Vec<Version>,
) -> bool {
    let Some(network) = society.network() else { return false };
    let fetched = fetch_all(society, &*network.streams, peer, &namespace, &versions, &TRY_AGAIN).await;
    let Some((blobs, permit)) = fetched else {
        society.metrics.blobs_failed.inc();
        return false;
    };
    society.storage.cast(StorageMsg::Merge(MergeRequest {
        namespace,
        versions,
        blobs,
        from: peer,
        source: Source::Gossip,
        permit,
        reply: None,
    }))
}

/// Fetches the large values of `versions` that are announced by hash; none if one is not to be had.
pub async fn fetch_all(
    society: &Society,
    streams: &dyn Streams,
    peer: NodeId,
    namespace: &Namespace,
    versions: &[Version],
    try_again: &[Duration],
) -> Option<(BTreeMap<Dot, Bytes>, Permit)> {
    let wanted: Vec<(Dot, [u8; 32], u64)> = versions.iter().filter_map(announced).collect();
    let total: u64 = wanted.iter().map(|(_, _, size)| size).sum();
    let largest = society.settings.limits.value_bytes_max as u64;
    if let Some((dot, _, size)) = wanted.iter().find(|(_, _, size)| *size > largest) {
        tracing::warn!(%peer, %dot, size, limit = largest, "a value is larger than this node takes");
        return None;
    }
    if wanted.len() > 1 && total > BATCH_BYTES_MAX as u64 {
        // No batch is so large. What merely travelled together an exchange brings one by one.
        tracing::debug!(%peer, total, "too many large values to be fetched as one unit");
        return None;
    }
    let permit = society.admission.blobs.admit(usize::try_from(total).ok()?, ANSWER_PATIENCE).await?;
    let permit = permit.heard_of(&society.admission.waiting, namespace);
    let mut blobs = BTreeMap::new();
    for (dot, hash, size) in wanted {
        let request = BlobRequest { namespace: namespace.clone(), dot, hash };
        let bytes = fetch_patiently(streams, peer, &request, size, try_again).await?;
        society.metrics.blobs_fetched.inc();
        blobs.insert(dot, bytes);
    }
    Some((blobs, permit))
}

fn announced(version: &Version) -> Option<(Dot, [u8; 32], u64)> {
    match version.put().map(|put| &put.payload) {
        Some(Payload::Blob { hash, size }) => Some((version.dot, *hash, *size)),
        _ => None,
    }
}

async fn fetch_patiently(
    streams: &dyn Streams,
    peer: NodeId,
    request: &BlobRequest,
    size: u64,
    try_again: &[Duration],
) -> Option<Bytes> {
    let mut waits = try_again.iter();
    loop {
        match fetch(streams, peer, request, size).await {
            Fetched::Bytes(bytes) => return Some(bytes),
            Fetched::Gone => {}
            Fetched::Failed(reason) => {
                tracing::debug!(%peer, dot = %request.dot, reason, "a large value did not come");
            }
        }
        time::sleep(*waits.next()?).await;
    }
}

/// Asks `peer` for one large value.
async fn fetch(streams: &dyn Streams, peer: NodeId, request: &BlobRequest, size: u64) -> Fetched {
    let mut stream = match streams.open(peer, Protocol::Blob).await {
        Ok(stream) => stream,
        Err(error) => return Fetched::Failed(error.to_string()),
    };
    let patience = ANSWER_PATIENCE + Duration::from_secs(size / BYTES_PER_SECOND_MIN);
    let received = time::timeout(patience, receive(&mut stream, request, size)).await;
    match received.unwrap_or(Err(StreamBroken::Silent)) {
        Ok(Some(bytes)) if *blake3::hash(&bytes).as_bytes() == request.hash => Fetched::Bytes(bytes),
        Ok(Some(_)) => Fetched::Failed("the bytes do not have the hash announced".into()),
        Ok(None) => Fetched::Gone,
        Err(broken) => Fetched::Failed(broken.to_string()),
    }
}

async fn receive(
    stream: &mut Stream,
    request: &BlobRequest,
    size: u64,
) -> Result<Option<Bytes>, StreamBroken> {
    let uncounted = AtomicU64::new(0);
    send_frame(stream, &request.to_bytes(), &uncounted).await?;
    let mut bytes = BytesMut::new();
    while (bytes.len() as u64) < size {
        match BlobReply::from_frame(&expect_frame(stream, &uncounted).await?)? {
            BlobReply::Chunk(chunk) => bytes.extend_from_slice(&chunk),
            BlobReply::Gone | BlobReply::Busy => return Ok(None),
        }
    }
    Ok(Some(bytes.freeze()))
}

/// Answers a stream on which a peer asks for a large value.
pub async fn serve(society: Arc<Society>, peer: NodeId, mut stream: Stream) {
    if let Err(broken) = answer(&society, peer, &mut stream).await {
        society.metrics.frames_refused.inc_by(broken.is_refusal().into());
        tracing::debug!(%broken, "a large value could not be served");
    }
}

async fn answer(society: &Society, peer: NodeId, stream: &mut Stream) -> Result<(), StreamBroken> {
    let uncounted = AtomicU64::new(0);
    let request = BlobRequest::from_frame(&expect_frame(stream, &uncounted).await?)?;
    let Some(place) = society.admission.served_blobs.admit_now(BLOB_CHUNK_BYTES) else {
        return finish(stream, &BlobReply::Busy, &uncounted).await;
    };
    let may = society.hooks.allows(peer, Operation::Exchange, &request.namespace);
    let held = may.then(|| society.reader().blob(&request.namespace, request.dot).ok()).flatten().flatten();
    let Some(bytes) = held else { return finish(stream, &BlobReply::Gone, &uncounted).await };
    // How large it is shows only now.
    drop(place);
    let Some(_permit) = society.admission.served_blobs.admit_now(bytes.len()) else {
        return finish(stream, &BlobReply::Busy, &uncounted).await;
    };
    for at in (0..bytes.len()).step_by(BLOB_CHUNK_BYTES) {
        let chunk = bytes.slice(at..bytes.len().min(at + BLOB_CHUNK_BYTES));
        send_frame(stream, &BlobReply::Chunk(chunk).to_bytes(), &uncounted).await?;
    }
    Ok(stream.close().await?)
}

async fn finish(stream: &mut Stream, reply: &BlobReply, bytes: &AtomicU64) -> Result<(), StreamBroken> {
    send_frame(stream, &reply.to_bytes(), bytes).await?;
    Ok(stream.close().await?)
}
