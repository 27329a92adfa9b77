//! A transport that shows what nodes say to each other, before it is encrypted.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use futures::{AsyncRead, AsyncWrite, FutureExt, future::BoxFuture, ready};
use libp2p::{
    PeerId, Transport,
    core::{
        muxing::StreamMuxerBox,
        upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo, Version},
    },
    noise, tcp, yamux,
};
use tidings::network::TransportFactory;

/// What was said over each connection, one way.
#[derive(Clone, Default)]
pub struct Tap(Arc<Mutex<Vec<Vec<u8>>>>);

impl Tap {
    /// TCP, Noise and Yamux; all that is sent is recorded.
    pub fn transport(&self) -> TransportFactory {
        let tap = self.clone();
        Arc::new(move |key| {
            let noise = noise::Config::new(key).unwrap();
            tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
                .upgrade(Version::V1Lazy)
                .authenticate(Tapped { noise, tap: tap.clone() })
                .multiplex(yamux::Config::default())
                .timeout(Duration::from_secs(10))
                .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
                .boxed()
        })
    }

    /// Whether anybody said `what`.
    pub fn carried(&self, what: &str) -> bool {
        self.0.lock().unwrap().iter().any(|said| holds(said, what))
    }

    fn connection(&self) -> usize {
        let mut all = self.0.lock().unwrap();
        all.push(Vec::new());
        all.len() - 1
    }
}

/// Whether `what` stands somewhere in `bytes`.
pub fn holds(bytes: &[u8], what: &str) -> bool {
    bytes.windows(what.len()).any(|window| window == what.as_bytes())
}

#[derive(Clone)]
struct Tapped {
    noise: noise::Config,
    tap: Tap,
}

impl UpgradeInfo for Tapped {
    type Info = <noise::Config as UpgradeInfo>::Info;
    type InfoIter = <noise::Config as UpgradeInfo>::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.noise.protocol_info()
    }
}

type Secured<T> = BoxFuture<'static, Result<(PeerId, Recorded<noise::Output<T>>), noise::Error>>;

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> InboundConnectionUpgrade<T> for Tapped {
    type Output = (PeerId, Recorded<noise::Output<T>>);
    type Error = noise::Error;
    type Future = Secured<T>;

    fn upgrade_inbound(self, socket: T, info: Self::Info) -> Secured<T> {
        record(self.tap, self.noise.upgrade_inbound(socket, info))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> OutboundConnectionUpgrade<T> for Tapped {
    type Output = (PeerId, Recorded<noise::Output<T>>);
    type Error = noise::Error;
    type Future = Secured<T>;

    fn upgrade_outbound(self, socket: T, info: Self::Info) -> Secured<T> {
        record(self.tap, self.noise.upgrade_outbound(socket, info))
    }
}

fn record<T: Send + 'static>(
    tap: Tap,
    shaking: impl Future<Output = Result<(PeerId, noise::Output<T>), noise::Error>> + Send + 'static,
) -> Secured<T> {
    async move {
        let (peer, stream) = shaking.await?;
        let at = tap.connection();
        Ok((peer, Recorded { stream, tap, at }))
    }
    .boxed()
}

struct Recorded<S> {
    stream: S,
    tap: Tap,
    at: usize,
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.tap.0.lock().unwrap()[self.at].extend_from_slice(&buf[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}
