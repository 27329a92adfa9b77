//! The control stream: one task reads it, one writes it; the Session decides.

use std::sync::{Arc, atomic::AtomicU64};

use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt, io::ReadHalf};
use ractor::ActorRef;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{
    SessionMsg,
    frames::{StreamBroken, expect_frame, read_frame, send_frame},
};
use crate::{network::Stream, ports::Scope, wire::LinkFrame};

/// The most frames that wait to be written.
const LINK_QUEUE_MAX: usize = 64;
/// The most frames that wait for the Session; then the peer waits.
const LINK_UNREAD_MAX: usize = 32;

/// The writing end of a control stream.
pub struct Link {
    /// Which of the control streams that this Session saw.
    pub number: u64,
    queue: mpsc::Sender<Bytes>,
}

impl Link {
    /// Starts reading and writing `stream`.
    pub fn start(scope: &Scope, stream: Stream, session: &ActorRef<SessionMsg>, number: u64) -> Self {
        let (reader, writer) = stream.split();
        let (queue, mut frames) = mpsc::channel::<Bytes>(LINK_QUEUE_MAX);
        let (reading, writing) = (session.clone(), session.clone());
        scope.spawn(async move {
            let broken = read(reader, &reading, number).await.err();
            let _session_is_ending = reading.cast(SessionMsg::LinkClosed(number, broken));
        });
        scope.spawn(async move {
            let mut writer = writer;
            let uncounted = AtomicU64::new(0);
            while let Some(frame) = frames.recv().await {
                if let Err(broken) = send_frame(&mut writer, &frame, &uncounted).await {
                    let _session_is_ending = writing.cast(SessionMsg::LinkClosed(number, Some(broken)));
                    return;
                }
            }
            let _peer_closed_first = writer.close().await;
        });
        Self { number, queue }
    }

    /// Has `frame` written; false if too many wait. What is sent here is sent again later or not
    /// missed, so nothing waits for room.
    pub fn send(&self, frame: &LinkFrame) -> bool {
        self.queue.try_send(frame.to_bytes()).is_ok()
    }
}

/// A frame of the control stream, with the room it takes.
pub struct Said {
    /// What was said.
    pub frame: LinkFrame,
    /// On which control stream.
    pub link: u64,
    pub(super) _room: OwnedSemaphorePermit,
}

async fn read(
    mut reader: ReadHalf<Stream>,
    session: &ActorRef<SessionMsg>,
    link: u64,
) -> Result<(), StreamBroken> {
    let room = Arc::new(Semaphore::new(LINK_UNREAD_MAX));
    let uncounted = AtomicU64::new(0);
    let mut next = Some(expect_frame(&mut reader, &uncounted).await?);
    while let Some(frame) = next {
        let frame = LinkFrame::from_frame(&frame)?;
        let Ok(permit) = room.clone().acquire_owned().await else { return Ok(()) };
        if session.cast(SessionMsg::Said(Said { frame, link, _room: permit })).is_err() {
            return Ok(());
        }
        next = read_frame(&mut reader, &uncounted).await?;
    }
    Ok(())
}
