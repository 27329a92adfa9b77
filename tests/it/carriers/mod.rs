//! Exchanges over carriers: nodes that no connection of libp2p joins, and streams that are cut, silent, or speak
//! something else.

mod refusals;
mod schedules;

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tidings::{
    Namespace, Node,
    node::{Agreement, Asked, Builder, ExchangeKind, Operation, Refusal, RemoteError, Who},
    ports::{Carrier, OneStream, carrier},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex},
    task::JoinSet,
};

use crate::support::{contents, link, mesh_name, metric, node, text, until};

/// Bytes that a pair of streams holds: less than most frames.
const PIPE_BYTES: usize = 4_096;

/// A node that listens nowhere and knows nobody.
fn alone(mesh: &str, name: &str) -> Builder {
    node(mesh, name).listen([])
}

async fn pair() -> (Node, Node) {
    let mesh = mesh_name();
    (alone(&mesh, "ant").start().await.unwrap(), alone(&mesh, "bat").start().await.unwrap())
}

/// Leads to a node, which answers each stream.
#[derive(Clone)]
struct Door {
    to: Node,
    answered: Arc<AtomicUsize>,
    visits: Arc<Mutex<JoinSet<()>>>,
}

impl Door {
    fn to(node: &Node) -> Self {
        Self { to: node.clone(), answered: Arc::default(), visits: Arc::default() }
    }

    fn answer(&self, there: DuplexStream) {
        let (to, answered) = (self.to.clone(), self.answered.clone());
        self.visits.lock().unwrap().spawn(async move {
            let _cut_or_not = to.serve(there).await;
            answered.fetch_add(1, Ordering::SeqCst);
        });
    }

    fn carrier(&self) -> impl Carrier + use<> {
        let door = self.clone();
        carrier("the door", move || {
            let (here, there) = duplex(PIPE_BYTES);
            door.answer(there);
            async { Ok(here) }
        })
    }

    /// The same over streams that break after so many bytes, each way together.
    fn cut_after(&self, bytes: Arc<AtomicUsize>) -> impl Carrier + use<> {
        let door = self.clone();
        carrier("the door that slams", move || {
            let (here, there) = duplex(PIPE_BYTES);
            door.answer(there);
            let left = bytes.load(Ordering::SeqCst);
            async move { Ok(Cut { stream: here, left }) }
        })
    }
}

/// A stream that breaks after so many bytes.
struct Cut {
    stream: DuplexStream,
    left: usize,
}

fn broke() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

impl AsyncRead for Cut {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = self.left.min(to.remaining());
        if most == 0 {
            return Poll::Ready(Err(broke()));
        }
        let mut some = ReadBuf::new(to.initialize_unfilled_to(most));
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut some))?;
        let read = some.filled().len();
        to.advance(read);
        self.left -= read;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Cut {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let most = self.left.min(bytes.len());
        if most == 0 {
            return Poll::Ready(Err(broke()));
        }
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, &bytes[..most]))?;
        self.left -= written;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

async fn write(node: &Node, prefix: &str, count: usize) {
    for n in 0..count {
        node.put(format!("{prefix}/{n}"), format!("of {}", node.name())).await.unwrap();
    }
}

/// A value that travels beside its version.
fn large(byte: u8) -> Vec<u8> {
    vec![byte; 300_000]
}

async fn root(node: &Node) -> (String, String) {
    let digest = node.digest().await.unwrap();
    (digest.root, digest.frontier.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_nothing_connects_agree_over_a_pair_of_streams() {
    let (ant, bat) = pair().await;
    write(&ant, "ant", 1_200).await;
    write(&bat, "bat", 30).await;
    ant.put("large/ant", large(1)).await.unwrap();
    bat.put("large/bat", large(2)).await.unwrap();
    bat.put("large/bat/too", large(3)).await.unwrap();
    let (here, there) = duplex(PIPE_BYTES);
    let remote = ant.remote(OneStream::new(here));
    let (done, served) = tokio::join!(remote.sync(), bat.serve(there));
    let (done, served) = (done.unwrap(), served.unwrap());
    assert_eq!((done.error(), served.error()), (None, None));
    assert_eq!((done.versions_in, done.versions_out), (32, 1_201));
    assert_eq!((served.versions_in, served.versions_out), (1_201, 32));
    assert_eq!((done.bytes_in, done.bytes_out), (served.bytes_out, served.bytes_in));
    assert_eq!(done.peers[0].how, Some(ExchangeKind::Delta));
    assert_eq!(root(&ant).await, root(&bat).await);
    assert_eq!(contents(&ant).await, contents(&bat).await);
    // Exactly that was said to whoever asks how the node stands with others.
    let status = ant.sync_status().await;
    let [standing] = &status.peers[..] else { panic!("{status:?}") };
    assert_eq!((standing.peer_id.clone(), standing.name.as_deref()), (bat.id().to_string(), Some("bat")));
    assert_eq!((standing.connected, standing.state), (false, Agreement::Unknown));
    assert!(ant.peers().await.iter().all(|peer| !peer.connected));
    assert!(metric(&bat, "tidings_exchanges_total") == 1);
    let error = remote.sync().await.unwrap_err();
    assert!(
        matches!(error, RemoteError::Open { .. }) && error.to_string().contains("used already"),
        "{error}"
    );
    // Two pipes, as a child process has them, are a stream, too.
    let ((to_bat, from_ant), (to_ant, from_bat)) = (duplex(PIPE_BYTES), duplex(PIPE_BYTES));
    let remote = ant.remote(OneStream::new(tokio::io::join(from_bat, to_bat)));
    let (again, _) = tokio::join!(remote.sync(), bat.serve(tokio::io::join(from_ant, to_ant)));
    assert_eq!(again.unwrap().peers[0].how, Some(ExchangeKind::Equal));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_agree_over_a_unix_socket_as_often_as_they_like() {
    use tidings::ports::UnixSocket;

    let (ant, bat) = pair().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bat.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let remote = ant.remote(UnixSocket::at(&path));
    let serving = async {
        loop {
            bat.serve_peer(ant.id(), listener.accept().await.unwrap().0).await.unwrap();
        }
    };
    let visiting = async {
        for n in 0..5 {
            write(&ant, &format!("ant/{n}"), 3).await;
            write(&bat, &format!("bat/{n}"), 4).await;
            let done = remote.sync().await.unwrap();
            assert_eq!((done.error(), done.versions_in, done.versions_out), (None, 4, 3));
            assert_eq!(root(&ant).await, root(&bat).await);
        }
    };
    tokio::select! {
        () = visiting => {}
        () = serving => {}
    }
    drop(listener);
    let error = remote.sync().await.unwrap_err();
    assert!(error.to_string().contains("bat.sock"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_gives_nothing_and_a_push_takes_nothing() {
    let (ant, bat) = pair().await;
    write(&ant, "ant", 20).await;
    write(&bat, "bat", 30).await;
    for (node, byte) in [(&ant, 1), (&bat, 2)] {
        node.put(format!("large/{}", node.name()), large(byte)).await.unwrap();
    }
    let remote = ant.remote(Door::to(&bat).carrier());
    let before = root(&bat).await;
    let pulled = remote.pull().await.unwrap();
    assert_eq!((pulled.error(), pulled.versions_in, pulled.versions_out), (None, 31, 0));
    assert_eq!(root(&bat).await, before, "nothing is new there");
    assert_eq!(ant.digest().await.unwrap().keys, 52);
    ant.delete("bat/7").await.unwrap();

    write(&bat, "bat/later", 3).await;
    let before = root(&ant).await;
    let pushed = remote.push().await.unwrap();
    assert_eq!((pushed.error(), pushed.versions_in, pushed.versions_out), (None, 0, 22));
    assert_eq!(root(&ant).await, before, "nothing is new here");
    // It is stored there when the push is over, large values and deletes, too.
    assert_eq!(bat.get("large/ant").await.unwrap().unwrap().value.bytes, large(1));
    assert_eq!(text(&bat, "bat/7").await, None);
    assert_eq!(bat.digest().await.unwrap().keys, 54);

    let nothing = remote.push().await.unwrap();
    assert_eq!((nothing.versions_in, nothing.versions_out), (0, 0));
    let last = remote.pull().await.unwrap();
    assert_eq!((last.versions_in, last.versions_out), (3, 0));
    assert_eq!(root(&ant).await, root(&bat).await);
    assert_eq!(remote.pull().await.unwrap().peers[0].how, Some(ExchangeKind::Equal));
}

/// So that neither gossip nor beacons bring anything.
fn only_asked(mesh: &str, name: &str) -> Builder {
    let no_gossip = |_: &Who, asked: &Asked| -> Result<(), Refusal> {
        if asked.operation == Operation::Gossip { Err("not by gossip".into()) } else { Ok(()) }
    };
    node(mesh, name).authorize(Arc::new(no_gossip)).sync_interval(Duration::from_secs(3_600))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_connected_is_pulled_from_and_pushed_to_as_well() {
    let mesh = mesh_name();
    let (ant, bat) =
        (only_asked(&mesh, "ant").start().await.unwrap(), only_asked(&mesh, "bat").start().await.unwrap());
    let remote = ant.peer(bat.id());
    assert!(matches!(remote.pull().await, Err(RemoteError::NotConnected(peer)) if peer == bat.id()));
    link(&ant, &bat).await;
    // Beacons that are under way may have it compared before it is asked for; what is asked for goes one way all
    // the same.
    let (mut pulled, mut pushed) = (0, 0);
    for n in 0..50 {
        ant.put(format!("ant/{n}"), "x").await.unwrap();
        bat.put(format!("bat/{n}"), "x").await.unwrap();
        if pulled == 0 {
            let done = remote.pull().await.unwrap();
            assert_eq!((done.error(), done.versions_out), (None, 0));
            assert!(text(&ant, &format!("bat/{n}")).await.is_some());
            pulled += done.versions_in;
        } else {
            let done = remote.push().await.unwrap();
            assert_eq!((done.error(), done.versions_in), (None, 0));
            assert!(text(&bat, &format!("ant/{n}")).await.is_some());
            pushed += done.versions_out;
        }
        if pushed > 0 {
            break;
        }
        // Who has learned something says so, and the rest follows.
        remote.sync().await.unwrap();
        until("both agree", || async { (root(&ant).await == root(&bat).await).then_some(()) }).await;
    }
    assert!(pulled > 0 && pushed > 0, "{pulled} pulled, {pushed} pushed");
    remote.sync().await.unwrap();
    until("both agree", || async { (root(&ant).await == root(&bat).await).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_anywhere_does_no_harm_and_the_next_visit_goes_on() {
    let (ant, bat) = pair().await;
    write(&ant, "ant", 900).await;
    write(&bat, "bat", 900).await;
    ant.put("large/ant", large(1)).await.unwrap();
    bat.put("large/bat", large(2)).await.unwrap();
    let bytes = Arc::new(AtomicUsize::new(0));
    let remote = ant.remote(Door::to(&bat).cut_after(bytes.clone()));
    let (mut came, mut visits, mut dice) = (0, 0_usize, 12_345_usize);
    while root(&ant).await != root(&bat).await {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        visits += 1;
        // Anywhere: in the hello, between frames, in a page, in a large value.
        let most = if visits < 30 { 2_000 } else { 60_000 * (visits - 20) };
        bytes.store((dice >> 33) % most, Ordering::SeqCst);
        match remote.sync().await {
            Ok(report) => came += report.versions_in,
            Err(error) => assert!(matches!(error, RemoteError::Broken(_)), "{error}"),
        }
        assert!(visits < 300, "it gets on");
    }
    assert!(visits > 30);
    // What was being stored as the stream was cut is stored, and counted by nobody.
    assert!(came <= 901, "nothing came twice: {came}");
    assert_eq!(contents(&ant).await, contents(&bat).await);
    bytes.store(usize::MAX, Ordering::SeqCst);
    assert_eq!(remote.sync().await.unwrap().peers[0].how, Some(ExchangeKind::Equal));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_other_end_does_not_carry_or_may_not_have_is_told_and_the_rest_is_exchanged() {
    let mesh = mesh_name();
    let birds: Namespace = "birds".parse().unwrap();
    let secret: Namespace = "secret".parse().unwrap();
    let hidden = secret.clone();
    let keeps = move |_: &Who, asked: &Asked| -> Result<(), Refusal> {
        let no = asked.operation == Operation::Exchange && asked.namespace.as_ref() == Some(&hidden);
        if no { Err("a secret".into()) } else { Ok(()) }
    };
    let ant = alone(&mesh, "ant").start().await.unwrap();
    let bat = alone(&mesh, "bat").authorize(Arc::new(keeps)).start().await.unwrap();
    for namespace in [&birds, &secret] {
        ant.join(namespace).await.unwrap();
    }
    bat.join(&secret).await.unwrap();
    bat.space(&secret).unwrap().put("k", "v").await.unwrap();
    bat.put("nest", "eggs").await.unwrap();
    let done = ant.remote(Door::to(&bat).carrier()).sync().await.unwrap();
    for report in &done.peers {
        let told = report.error.as_deref().unwrap_or_default();
        let carried = report.namespace == Namespace::default();
        assert_eq!(carried, told.is_empty(), "{report:?}");
        assert!(carried || told.contains("does not carry"), "{told}");
    }
    assert_eq!((done.peers.len(), done.versions_in), (3, 1));
    assert!(ant.space(&secret).unwrap().get("k").await.unwrap().is_none());
    // Nor does it ask for what it may not have.
    let done = bat.remote(Door::to(&ant).carrier()).sync().await.unwrap();
    assert!(done.error().unwrap().contains("authorizer"));
}
