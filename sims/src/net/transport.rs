//! The network as libp2p sees it.

use std::{
    collections::VecDeque,
    future::{Ready, ready},
    io,
    net::{Ipv4Addr, SocketAddrV4},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use libp2p::core::{
    multiaddr::{Multiaddr, Protocol},
    transport::{DialOpts, ListenerId, Transport, TransportError, TransportEvent},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout_at},
};

use super::{PORT, Pipe, Shared, state::Way};

/// A dial that nobody answers fails after this time, as Linux's does.
const SYN_TIMEOUT: Duration = Duration::from_secs(63);

/// One machine's access to the network.
pub struct SimTransport {
    shared: Arc<Shared>,
    ip: Ipv4Addr,
    listeners: Vec<Listener>,
    events: VecDeque<TransportEvent<Ready<io::Result<Pipe>>, io::Error>>,
}

struct Listener {
    id: ListenerId,
    socket: SocketAddrV4,
    inbound: mpsc::UnboundedReceiver<(Pipe, SocketAddrV4)>,
}

fn socket_of(address: &Multiaddr) -> Option<SocketAddrV4> {
    let mut parts = address.iter();
    match (parts.next()?, parts.next()?) {
        (Protocol::Ip4(ip), Protocol::Tcp(port)) => Some(SocketAddrV4::new(ip, port)),
        _ => None,
    }
}

fn address_of(socket: SocketAddrV4) -> Multiaddr {
    Multiaddr::empty().with(Protocol::Ip4(*socket.ip())).with(Protocol::Tcp(socket.port()))
}

impl SimTransport {
    pub(super) fn new(shared: Arc<Shared>, ip: Ipv4Addr) -> Self {
        Self { shared, ip, listeners: Vec::new(), events: VecDeque::new() }
    }
}

/// Waits until a packet gets through.
async fn passes(shared: &Shared, way: Way) {
    loop {
        let changed = shared.changed.notified();
        if shared.lock().passes(way) {
            return;
        }
        changed.await;
    }
}

/// A packet there, an answer back.
async fn dial(shared: Arc<Shared>, from: Ipv4Addr, to: SocketAddrV4) -> io::Result<Pipe> {
    let (there, back) = ((from, *to.ip()), (*to.ip(), from));
    passes(&shared, there).await;
    let latency = shared.lock().latency(there);
    sleep(latency).await;
    let pipe = knock(&shared, from, to);
    passes(&shared, back).await;
    let latency = shared.lock().latency(back);
    sleep(latency).await;
    pipe.ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
}

/// Hands the far end to whoever listens there.
fn knock(shared: &Arc<Shared>, from: Ipv4Addr, to: SocketAddrV4) -> Option<Pipe> {
    let mut state = shared.lock();
    if state.refuses((from, *to.ip())) {
        return None;
    }
    let door = state.doors.get(&to).cloned()?;
    let dialler = SocketAddrV4::new(from, state.draw_port());
    let (near, far) = Pipe::pair(shared, &mut state, dialler, to);
    // A pipe that nobody takes is dropped, which asks for the lock.
    drop(state);
    door.send((far, dialler)).ok().map(|()| near)
}

impl Transport for SimTransport {
    type Output = Pipe;
    type Error = io::Error;
    type ListenerUpgrade = Ready<io::Result<Pipe>>;
    type Dial = BoxFuture<'static, io::Result<Pipe>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        let mut socket = socket_of(&address).ok_or(TransportError::MultiaddrNotSupported(address))?;
        if socket.ip().is_unspecified() {
            socket.set_ip(self.ip);
        }
        if socket.port() == 0 {
            socket.set_port(PORT);
        }
        let (door, inbound) = mpsc::unbounded_channel();
        let mut state = self.shared.lock();
        if state.doors.get(&socket).is_some_and(|door| !door.is_closed()) {
            return Err(TransportError::Other(io::ErrorKind::AddrInUse.into()));
        }
        state.doors.insert(socket, door);
        drop(state);
        let listen_addr = address_of(socket);
        self.events.push_back(TransportEvent::NewAddress { listener_id: id, listen_addr });
        self.listeners.push(Listener { id, socket, inbound });
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let Some(at) = self.listeners.iter().position(|listener| listener.id == id) else { return false };
        let listener = self.listeners.remove(at);
        self.shared.lock().doors.remove(&listener.socket);
        true
    }

    fn dial(&mut self, address: Multiaddr, _: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        let to = socket_of(&address).ok_or(TransportError::MultiaddrNotSupported(address))?;
        let dialled = dial(self.shared.clone(), self.ip, to);
        let give_up = Instant::now() + SYN_TIMEOUT;
        Ok(async move {
            let answered = timeout_at(give_up, dialled).await;
            answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        }
        .boxed())
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        for listener in &mut self.listeners {
            if let Poll::Ready(Some((pipe, from))) = listener.inbound.poll_recv(context) {
                return Poll::Ready(TransportEvent::Incoming {
                    listener_id: listener.id,
                    upgrade: ready(Ok(pipe)),
                    local_addr: address_of(listener.socket),
                    send_back_addr: address_of(from),
                });
            }
        }
        Poll::Pending
    }
}

impl Drop for SimTransport {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        for listener in &self.listeners {
            state.doors.remove(&listener.socket);
        }
    }
}
