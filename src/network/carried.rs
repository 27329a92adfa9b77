//! Several streams over the one that a carrier opened: an exchange, and the large values that it asks for, go
//! side by side, each with back-pressure of its own (yamux).

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, future::BoxFuture};
use tokio::{
    io::ReadBuf,
    sync::{mpsc, oneshot},
};
use yamux::{Config, Connection, Mode};

use super::{Protocol, Stream, StreamError, Streams};
use crate::{causality::NodeId, ports::CarrierStream};

/// The most streams at once over one that a carrier opened: an exchange, and large values each way.
pub const CARRIED_STREAMS_MAX: usize = 16;
/// The most bytes that have come on all of them and are not read.
const WINDOW_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A carrier's stream, its bytes counted.
pub struct Bytes {
    stream: CarrierStream,
    moved: Arc<AtomicU64>,
}

impl Bytes {
    /// Of a stream on which nothing was said yet.
    #[must_use]
    pub fn of(stream: CarrierStream) -> Self {
        Self { stream, moved: Arc::default() }
    }

    fn count(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl AsyncRead for Bytes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(tokio::io::AsyncRead::poll_read(Pin::new(&mut self.stream), cx, &mut buffer))?;
        self.count(buffer.filled().len());
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl AsyncWrite for Bytes {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(tokio::io::AsyncWrite::poll_write(Pin::new(&mut self.stream), cx, bytes))?;
        self.count(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_flush(Pin::new(&mut self.stream), cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.stream), cx)
    }
}

/// Opens streams to the node at the other end. When the last one lets go of it the carrier's stream is
/// closed in good order.
pub struct Carried {
    asked: mpsc::Sender<oneshot::Sender<Result<Stream, StreamError>>>,
    moved: Arc<AtomicU64>,
}

/// A carrier's stream that carries several.
pub struct Carrying {
    /// Opens streams.
    pub streams: Arc<Carried>,
    /// Those that the other end opened; their protocol is told by [`protocol_of`].
    pub inbound: mpsc::Receiver<Stream>,
    /// Moves the bytes. It ends when the stream does, or all of `streams` is let go of; with an error where
    /// it broke, or carries something else.
    pub moving: BoxFuture<'static, Result<(), String>>,
}

/// Has `bytes` carry streams. `opened`: whether this end opened it.
#[must_use]
pub fn carry(bytes: Bytes, opened: bool) -> Carrying {
    let mut config = Config::default();
    config.set_max_num_streams(CARRIED_STREAMS_MAX).set_max_connection_receive_window(Some(WINDOW_BYTES_MAX));
    let moved = bytes.moved.clone();
    let connection = Connection::new(bytes, config, if opened { Mode::Client } else { Mode::Server });
    let (asked, asks) = mpsc::channel(CARRIED_STREAMS_MAX);
    let (came, inbound) = mpsc::channel(CARRIED_STREAMS_MAX);
    let streams = Arc::new(Carried { asked, moved });
    Carrying { streams, inbound, moving: Box::pin(move_bytes(connection, asks, came)) }
}

async fn move_bytes(
    mut connection: Connection<Bytes>,
    mut asks: mpsc::Receiver<oneshot::Sender<Result<Stream, StreamError>>>,
    came: mpsc::Sender<Stream>,
) -> Result<(), String> {
    let mut asking = None;
    let mut closing = false;
    let moved = poll_fn(|cx| {
        loop {
            if asking.is_none() && !closing {
                match asks.poll_recv(cx) {
                    Poll::Ready(Some(reply)) => asking = Some(reply),
                    Poll::Ready(None) => closing = true,
                    Poll::Pending => {}
                }
            }
            if closing {
                return connection.poll_close(cx);
            }
            if let Some(reply) = asking.take() {
                match connection.poll_new_outbound(cx) {
                    Poll::Ready(opened) => {
                        let opened = opened.map(|stream| Box::new(stream) as Stream);
                        let opened = opened.map_err(|error| StreamError::Closed(error.to_string()));
                        let _asker_is_gone = reply.send(opened);
                        continue;
                    }
                    Poll::Pending => asking = Some(reply),
                }
            }
            match ready!(connection.poll_next_inbound(cx)) {
                // Where there are too many, one that is dropped is closed, and the other end sees it.
                Some(Ok(stream)) => drop(came.try_send(Box::new(stream))),
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(())),
            }
        }
    });
    moved.await.map_err(|error| error.to_string())
}

/// The byte that a stream begins with says what it speaks; no control stream is carried.
const fn tag(protocol: Protocol) -> Option<u8> {
    match protocol {
        Protocol::Link => None,
        Protocol::Sync => Some(1),
        Protocol::Blob => Some(2),
    }
}

/// What a stream that the other end opened speaks.
///
/// # Errors
/// When it ends or breaks before it says so, or speaks something unknown.
pub async fn protocol_of(stream: &mut Stream) -> io::Result<Protocol> {
    let mut said = [0];
    stream.read_exact(&mut said).await?;
    let known = [Protocol::Sync, Protocol::Blob].into_iter().find(|known| tag(*known) == Some(said[0]));
    known.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("no protocol has number {}", said[0]))
    })
}

impl Streams for Carried {
    fn open(&self, _: NodeId, protocol: Protocol) -> BoxFuture<'static, Result<Stream, StreamError>> {
        let asked = self.asked.clone();
        Box::pin(async move {
            let tag = tag(protocol).ok_or(StreamError::Unsupported(protocol.name()))?;
            let gone = || StreamError::Closed("the carrier's stream has ended".to_owned());
            let (reply, opened) = oneshot::channel();
            asked.send(reply).await.map_err(|_| gone())?;
            let mut stream = opened.await.map_err(|_| gone())??;
            stream.write_all(&[tag]).await.map_err(|error| StreamError::Closed(error.to_string()))?;
            Ok(stream)
        })
    }

    fn moved(&self) -> Option<u64> {
        Some(self.moved.load(Ordering::Relaxed))
    }
}
