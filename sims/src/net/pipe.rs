//! One end of a connection.

use std::{
    io,
    net::SocketAddrV4,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::{
    Shared,
    state::{Chunk, Connection, Direction, Fin, State, WINDOW},
};

/// One end of a connection: a stream of bytes.
pub struct Pipe {
    shared: Arc<Shared>,
    connection: u64,
    end: Direction,
    open: bool,
}

/// When somebody is to be woken for a direction, if he is not yet.
type Appointment = Option<Instant>;

impl Pipe {
    /// Both ends of a new connection.
    pub(super) fn pair(
        shared: &Arc<Shared>,
        state: &mut State,
        dialler: SocketAddrV4,
        listener: SocketAddrV4,
    ) -> (Self, Self) {
        let connection = state.connect(dialler, listener);
        let end = |end| Self { shared: shared.clone(), connection, end, open: true };
        (end(0), end(1))
    }

    /// Puts the reader of `direction` on the agenda. After the state's lock is free.
    fn appoint(&self, at: Appointment, direction: Direction) {
        if let Some(at) = at {
            self.shared.agenda().put(at, self.connection, direction);
        }
    }

    /// Tells the other end that no more is coming.
    fn finish(&mut self) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let mut state = self.shared.lock();
        let default = state.default_quality();
        let State { connections, links, .. } = &mut *state;
        let Some(connection) = connections.get_mut(&self.connection) else { return };
        if connection.silent[self.end] || connection.reset {
            return;
        }
        let link = links.entry(connection.way(self.end)).or_default();
        let half = &mut connection.halves[self.end];
        let mut appointment = None;
        half.fin = if link.frozen {
            Fin::Held
        } else {
            let at = half.arrival(0, link, default, Instant::now());
            appointment = half.appoint(at);
            Fin::Arrives(at)
        };
        drop(state);
        self.appoint(appointment, self.end);
    }
}

impl super::state::Half {
    /// The reader waits and is not yet to be woken by `at`.
    fn appoint(&mut self, at: Instant) -> Appointment {
        if self.reader.is_none() || self.scheduled.is_some_and(|scheduled| scheduled <= at) {
            return None;
        }
        self.scheduled = Some(at);
        Some(at)
    }

    /// Moves what has arrived by `now` into `buffer`; how much that was.
    fn take(&mut self, buffer: &mut [u8], now: Instant) -> usize {
        let mut taken = 0;
        while taken < buffer.len()
            && let Some(chunk) = self.queue.front_mut()
            && chunk.at <= now
            && !chunk.lost
        {
            let rest = &chunk.bytes[chunk.read..];
            let count = rest.len().min(buffer.len() - taken);
            buffer[taken..taken + count].copy_from_slice(&rest[..count]);
            taken += count;
            chunk.read += count;
            if chunk.read == chunk.bytes.len() {
                self.queue.pop_front();
            }
        }
        taken
    }

    fn push(&mut self, at: Instant, bytes: &[u8], lost: bool) {
        self.in_flight += bytes.len();
        match self.queue.back_mut() {
            Some(last) if last.lost == lost && (lost || last.at == at) => last.bytes.extend_from_slice(bytes),
            _ => self.queue.push_back(Chunk { at, bytes: bytes.to_vec(), read: 0, lost }),
        }
    }

    /// When the next byte, or the end, arrives; nothing if neither is under way.
    fn next_arrival(&self) -> Option<Instant> {
        match (self.queue.front(), self.fin) {
            (Some(chunk), _) => (!chunk.lost).then_some(chunk.at),
            (None, Fin::Arrives(at)) => Some(at),
            (None, _) => None,
        }
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let direction = 1 - self.end;
        let mut state = self.shared.lock();
        let State { connections, links, .. } = &mut *state;
        let Some(connection) = open(connections.get_mut(&self.connection)) else { return reset() };
        let now = Instant::now();
        let acknowledged = links.get(&connection.way(self.end)).is_none_or(|back| !back.frozen);
        let half = &mut connection.halves[direction];
        let taken = half.take(buffer, now);
        if taken > 0 {
            let writer = if acknowledged {
                half.in_flight -= taken;
                half.writer.take()
            } else {
                half.unacknowledged += taken;
                None
            };
            drop(state);
            if let Some(writer) = writer {
                writer.wake();
            }
            return Poll::Ready(Ok(taken));
        }
        if half.queue.is_empty() && matches!(half.fin, Fin::Arrives(at) if at <= now) {
            return Poll::Ready(Ok(0));
        }
        half.reader = Some(context.waker().clone());
        let appointment = half.next_arrival().and_then(|at| half.appoint(at));
        drop(state);
        self.appoint(appointment, direction);
        Poll::Pending
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let direction = self.end;
        let mut state = self.shared.lock();
        let default = state.default_quality();
        let State { connections, links, .. } = &mut *state;
        let Some(connection) = open(connections.get_mut(&self.connection)) else { return reset() };
        let now = Instant::now();
        let closed_here = connection.halves[direction].fin != Fin::No;
        let other = &connection.halves[1 - direction];
        let gone = connection.gone[1 - direction] && matches!(other.fin, Fin::Arrives(at) if at <= now);
        if closed_here || gone {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let link = links.entry(connection.way(direction)).or_default();
        let half = &mut connection.halves[direction];
        let count = bytes.len().min(WINDOW - half.in_flight);
        if count == 0 {
            half.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        link.bytes += count as u64;
        let lost = link.frozen;
        let at = if lost { now } else { half.arrival(count, link, default, now) };
        half.push(at, &bytes[..count], lost);
        let appointment = if lost { None } else { half.appoint(at) };
        drop(state);
        self.appoint(appointment, direction);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}

fn open(connection: Option<&mut Connection>) -> Option<&mut Connection> {
    connection.filter(|connection| !connection.reset)
}

fn reset() -> Poll<io::Result<usize>> {
    Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.finish();
        self.shared.clone().change(|state, wakers| {
            let Some(connection) = state.connections.get_mut(&self.connection) else { return };
            connection.gone[self.end] = true;
            if !connection.silent[self.end] {
                wakers.add(connection.halves[1 - self.end].writer.take());
            }
            if connection.gone == [true; 2] {
                state.connections.remove(&self.connection);
            }
        });
    }
}
