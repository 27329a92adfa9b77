//! Frames on a stream.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt, io};
use thiserror::Error;
use tokio::time;

use crate::{
    network::Streams,
    wire::{self, FRAME_HEAD_BYTES, Frame, FrameError},
};

/// A peer that is expected to say something says it within this time.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(15);

/// A stream broke, or carries what it must not.
#[derive(Debug, Error)]
pub enum StreamBroken {
    /// The connection is gone.
    #[error("the stream broke: {0}")]
    Io(#[from] io::Error),
    /// The bytes are no frames of ours.
    #[error("the peer sent what is no frame: {0}")]
    Frame(#[from] FrameError),
    /// Nothing came for too long.
    #[error("the peer did not answer within {} s", ANSWER_PATIENCE.as_secs())]
    Silent,
}

impl StreamBroken {
    /// Whether the peer sent what it must not, so that the stream was refused, not lost.
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Frame(_))
    }
}

/// Reads one frame; `None` at the end of the stream. Not cancel-safe: what was read of a frame is
/// lost with the future.
pub async fn read_frame(
    stream: &mut (impl AsyncReadExt + Unpin),
    bytes: &AtomicU64,
) -> Result<Option<Frame>, StreamBroken> {
    let mut head = [0; FRAME_HEAD_BYTES];
    let mut filled = 0;
    while filled < head.len() {
        match stream.read(&mut head[filled..]).await? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            n => filled += n,
        }
    }
    let head = wire::read_head(head)?;
    let mut payload = vec![0; head.length];
    stream.read_exact(&mut payload).await?;
    bytes.fetch_add((FRAME_HEAD_BYTES + head.length) as u64, Ordering::Relaxed);
    Ok(Some(Frame { kind: head.kind, payload: payload.into() }))
}

/// Reads one frame that must come, and soon.
pub async fn expect_frame(
    stream: &mut (impl AsyncReadExt + Unpin),
    bytes: &AtomicU64,
) -> Result<Frame, StreamBroken> {
    match time::timeout(ANSWER_PATIENCE, read_frame(stream, bytes)).await {
        Ok(Ok(Some(frame))) => Ok(frame),
        Ok(Ok(None)) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        Ok(Err(broken)) => Err(broken),
        Err(_) => Err(StreamBroken::Silent),
    }
}

/// Writes one frame and hands it to the network.
pub async fn send_frame(
    stream: &mut (impl AsyncWriteExt + Unpin),
    frame: &Bytes,
    bytes: &AtomicU64,
) -> Result<(), StreamBroken> {
    let send = async {
        stream.write_all(frame).await?;
        stream.flush().await
    };
    match time::timeout(ANSWER_PATIENCE, send).await {
        Ok(sent) => sent?,
        Err(_) => return Err(StreamBroken::Silent),
    }
    bytes.fetch_add(frame.len() as u64, Ordering::Relaxed);
    Ok(())
}

/// Waits until the other end has closed the stream, which it does when all that it was given is stored: until
/// then it may ask for large values. As long as anything moves there is no hurry.
pub async fn linger(reader: &mut (impl AsyncReadExt + Unpin), streams: &dyn Streams) {
    let mut moved = streams.moved();
    while time::timeout(ANSWER_PATIENCE, reader.read(&mut [0])).await.is_err() {
        if std::mem::replace(&mut moved, streams.moved()) == moved {
            return tracing::debug!("the other end does not close the stream of an exchange that is over");
        }
    }
}
