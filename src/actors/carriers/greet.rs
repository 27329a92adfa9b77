//! Who is at the other end of a carrier's stream, and whether the two may exchange anything.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{AsyncReadExt, AsyncWriteExt};
use tokio::time;

use super::RemoteError;
use crate::{
    actors::{
        clock,
        session::frames::{StreamBroken, expect_frame, send_frame},
        society::Society,
    },
    causality::NodeId,
    network::carried::Bytes,
    wire::{CarrierFrame, CarrierHello, LinkHello},
};

/// Somebody who is refused is told so within this time.
const REFUSING_MAX: Duration = Duration::from_secs(1);
/// So many KiB are read of what it still says.
const UNREAD_MAX: usize = 64;

/// Greets as the end that opened the stream: who is there.
pub async fn open(
    society: &Arc<Society>,
    stream: &mut Bytes,
    expected: Option<NodeId>,
) -> Result<NodeId, RemoteError> {
    // Who has no place refuses before it has read anything.
    let said = say(stream, &hello(society)).await;
    let answer = read(society, stream).await;
    if let (Err(broken), Err(_)) = (said, &answer) {
        return Err(broken.into());
    }
    match answer? {
        CarrierFrame::Refused(reason) => Err(RemoteError::Refused(reason)),
        CarrierFrame::Hello(theirs) => {
            check(society, &theirs, expected).map_err(RemoteError::Stranger)?;
            Ok(meet(society, theirs))
        }
    }
}

/// Greets as the other end: who is there. Whoever is refused is told why.
pub async fn answer(
    society: &Arc<Society>,
    stream: &mut Bytes,
    expected: Option<NodeId>,
) -> Result<NodeId, RemoteError> {
    let theirs = match read(society, stream).await {
        Ok(CarrierFrame::Hello(theirs)) => theirs,
        Ok(CarrierFrame::Refused(reason)) => return Err(RemoteError::Refused(reason)),
        Err(broken) => {
            if broken.is_refusal() {
                refuse(stream, &broken.to_string()).await;
            }
            return Err(broken.into());
        }
    };
    if let Err(reason) = check(society, &theirs, expected) {
        refuse(stream, &reason).await;
        return Err(RemoteError::Stranger(reason));
    }
    say(stream, &hello(society)).await?;
    Ok(meet(society, theirs))
}

/// Tells the other end why nothing will be exchanged, as far as it listens. Many streams lose what was
/// written last if they are dropped with something unread; so that is read, for a moment.
pub async fn refuse(stream: &mut Bytes, reason: &str) {
    let told = async {
        say(stream, &CarrierFrame::refused(reason)).await?;
        stream.close().await?;
        let mut unread = [0; 1_024];
        for _ in 0..UNREAD_MAX {
            if stream.read(&mut unread).await? == 0 {
                break;
            }
        }
        Ok::<_, StreamBroken>(())
    };
    let _as_far_as_it_listens = time::timeout(REFUSING_MAX, told).await;
}

async fn say(stream: &mut Bytes, frame: &CarrierFrame) -> Result<(), StreamBroken> {
    send_frame(stream, &frame.to_bytes(), &AtomicU64::new(0)).await
}

async fn read(society: &Society, stream: &mut Bytes) -> Result<CarrierFrame, StreamBroken> {
    let frame = expect_frame(stream, &AtomicU64::new(0)).await;
    let read = frame.and_then(|frame| Ok(CarrierFrame::from_frame(&frame)?));
    read.inspect_err(|broken| {
        society.metrics.frames_refused.inc_by(broken.is_refusal().into());
    })
}

fn hello(society: &Society) -> CarrierFrame {
    let hello = LinkHello {
        mesh: society.settings.mesh.clone(),
        name: society.settings.name.clone(),
        epoch: society.epoch.load(Ordering::Relaxed),
        instance: society.instance,
        wall_ms: society.clock.wall_ms(),
        // It is not dialled.
        listen: Vec::new(),
    };
    CarrierFrame::Hello(CarrierHello { node: society.node, hello })
}

/// Whether anything may be exchanged with whoever says so, or why not, as both ends can read it.
fn check(society: &Society, theirs: &CarrierHello, expected: Option<NodeId>) -> Result<(), String> {
    let (settings, us, them) = (&society.settings, society.node, theirs.node);
    if theirs.hello.mesh != settings.mesh {
        return Err(format!(
            "{them} belongs to the mesh {:?}, {us} to {:?}",
            theirs.hello.mesh, settings.mesh
        ));
    }
    if them == us {
        return Err(format!("both ends have the identity {us}: each needs a data directory of its own"));
    }
    if let Some(expected) = expected.filter(|expected| *expected != them) {
        return Err(format!("{us} expects {expected} at the other end, not {them}"));
    }
    if !settings.allow.is_empty() && !settings.allow.contains(&them) {
        return Err(format!("{them} is not among the peers that {us} allows"));
    }
    if society.peers.is_blocked(&them) {
        return Err(format!("{us} blocks {them}"));
    }
    society.hooks.admits(them)
}

/// Takes note of who was met.
fn meet(society: &Society, theirs: CarrierHello) -> NodeId {
    let CarrierHello { node, hello } = theirs;
    let now = society.clock.wall_ms();
    society.peers.met(node, now, |known| {
        known.name = Some(hello.name);
        known.epoch = Some(hello.epoch);
        known.skew_ms = Some(clock::skew_ms(hello.wall_ms, now));
    });
    node
}
