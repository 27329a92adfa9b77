//! Carriers: whatever brings bytes to another node and back.

use std::io;

use futures::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Mutex,
};

use crate::causality::NodeId;

/// A stream of bytes both ways, in order, with nothing lost in between.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Duplex for T {}

/// A stream that a [`Carrier`] opened.
pub type CarrierStream = Box<dyn Duplex>;

/// Opens streams to one other node, which answers them with [`Node::serve`](crate::Node::serve): over a serial
/// line, a Unix socket, the standard input and output of a child process (`ssh`), a tunnel of the host's own.
/// A node that needs no more than that is given to [`Node::remote`](crate::Node::remote).
///
/// A stream is ordered and reliable, as TCP is; it may break at any byte, at any time, and what had come by
/// then stays. Each visit (a pull, a push, a sync) opens one, and closes it; nothing is sent in between.
///
/// **Who is at the other end** the carrier has to know. A node tells its id, its mesh and its version of the protocol when
/// a stream begins, and is refused if they do not fit, if it is blocked, or not among those allowed, or if
/// the host's [`Authorize`](super::Authorize) says no; but its id is what it *says*, and nobody proves it, as
/// the handshake of libp2p does. Bytes travel as they are: where that matters, the carrier is to authenticate
/// and encrypt (TLS, SSH, a socket with the right owner), and to tell by [`peer`](Self::peer) whom it has proven.
///
/// Functions that open streams are made carriers by [`carrier`]; [`OneStream`] is a stream that is open
/// already, and [`UnixSocket`] dials one.
///
/// ```
/// use std::io;
/// use futures::future::BoxFuture;
/// use tidings::{Node, ports::{Carrier, CarrierStream}};
/// use tokio::net::TcpStream;
///
/// /// A port at which somebody gives each stream to `Node::serve`.
/// struct Tunnel(String);
///
/// impl Carrier for Tunnel {
///     fn open(&self) -> BoxFuture<'_, io::Result<CarrierStream>> {
///         Box::pin(async { Ok(Box::new(TcpStream::connect(&self.0).await?) as CarrierStream) })
///     }
///
///     fn describe(&self) -> String {
///         format!("the tunnel to {}", self.0)
///     }
/// }
///
/// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ant = Node::builder().in_memory().start().await?;
/// let bat = Node::builder().in_memory().start().await?;
/// bat.put("nests/bat", "no eggs").await?;
///
/// let door = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let tunnel = ant.remote(Tunnel(door.local_addr()?.to_string()));
/// let (report, _) = tokio::try_join!(
///     async { tunnel.pull().await.map_err(Box::<dyn std::error::Error>::from) },
///     async { Ok(bat.serve(door.accept().await?.0).await?) },
/// )?;
/// assert_eq!((report.versions_in, report.versions_out), (1, 0));
/// assert!(ant.get("nests/bat").await?.is_some());
/// # ant.close().await; bat.close().await;
/// # Ok(()) }
/// ```
pub trait Carrier: Send + Sync + 'static {
    /// Opens a stream to the other node. It is called once for each visit, by one visit at a time, and given up
    /// after 30 s. The future may be dropped at any await.
    ///
    /// # Errors
    /// What keeps it from being opened; the visit then fails, and says so.
    fn open(&self) -> BoxFuture<'_, io::Result<CarrierStream>>;

    /// Where it leads to, in words: for errors, events and logs. No secrets.
    fn describe(&self) -> String;

    /// Who is at the other end, if the carrier has proven that, or the host knows: then whoever says
    /// to be another is refused.
    fn peer(&self) -> Option<NodeId> {
        None
    }
}

/// A function that opens streams, as a carrier.
///
/// ```
/// use tidings::ports::carrier;
/// use tokio::net::TcpStream;
///
/// let tunnel = carrier("the tunnel to bat", || TcpStream::connect("127.0.0.1:7702"));
/// # fn is_carrier(_: impl tidings::ports::Carrier) {}
/// # is_carrier(tunnel);
/// ```
pub fn carrier<F, O, S>(description: impl Into<String>, open: F) -> impl Carrier
where
    F: Fn() -> O + Send + Sync + 'static,
    O: Future<Output = io::Result<S>> + Send + 'static,
    S: Duplex,
{
    struct Opens<F> {
        description: String,
        open: F,
    }
    impl<F, O, S> Carrier for Opens<F>
    where
        F: Fn() -> O + Send + Sync + 'static,
        O: Future<Output = io::Result<S>> + Send + 'static,
        S: Duplex,
    {
        fn open(&self) -> BoxFuture<'_, io::Result<CarrierStream>> {
            let opening = (self.open)();
            Box::pin(async move { Ok(Box::new(opening.await?) as CarrierStream) })
        }

        fn describe(&self) -> String {
            self.description.clone()
        }
    }
    Opens { description: description.into(), open }
}

/// A stream that is open already: good for one visit, for the stream is closed with it. A pair of streams
/// (a child's standard output and input) becomes one by `tokio::io::join`.
pub struct OneStream(Mutex<Option<CarrierStream>>);

impl OneStream {
    /// A carrier that opens `stream`, once.
    #[must_use]
    pub fn new(stream: impl Duplex) -> Self {
        Self(Mutex::new(Some(Box::new(stream))))
    }
}

impl Carrier for OneStream {
    fn open(&self) -> BoxFuture<'_, io::Result<CarrierStream>> {
        Box::pin(async {
            let used =
                "this stream was used already: a carrier that is to be visited again has to open a new one";
            self.0.lock().await.take().ok_or_else(|| io::Error::other(used))
        })
    }

    fn describe(&self) -> String {
        "a stream".to_owned()
    }
}

/// Dials a Unix socket, whose other end is answered with [`Node::serve`](crate::Node::serve). Who may
/// open it is decided by the rights of its directory.
#[cfg(unix)]
#[derive(Clone, Debug)]
pub struct UnixSocket(std::path::PathBuf);

#[cfg(unix)]
impl UnixSocket {
    /// The socket at `path`.
    #[must_use]
    pub fn at(path: impl Into<std::path::PathBuf>) -> Self {
        Self(path.into())
    }
}

#[cfg(unix)]
impl Carrier for UnixSocket {
    fn open(&self) -> BoxFuture<'_, io::Result<CarrierStream>> {
        Box::pin(async { Ok(Box::new(tokio::net::UnixStream::connect(&self.0).await?) as CarrierStream) })
    }

    fn describe(&self) -> String {
        format!("the socket {}", self.0.display())
    }
}
