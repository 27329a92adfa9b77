//! Actors of a host are told of changes.

use std::sync::Arc;

use ractor::DerivedActorRef;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    node::{Cursor, ReadError, Space, Watch, WatchError, WatchEvent, WatchOptions},
    ports::Scope,
    types::Prefix,
};

/// The most news that one actor has not handled yet, …
pub const NEWS_MAX: usize = 256;
/// … and the most bytes of values in them. More waits in the [`Watch`], which tells of
/// [`WatchEvent::Lagged`] when that becomes too much.
pub const NEWS_BYTES_MAX: u32 = 8 * 1024 * 1024;

/// What an actor is told that watches. A host's message type takes it in by `From<News>`, and gives it back by
/// `TryFrom`, as [`ActorRef::get_derived`](ractor::ActorRef::get_derived) asks for.
#[derive(Debug)]
#[non_exhaustive]
pub enum News {
    /// Something happened.
    Told(Box<Told>),
    /// Nothing comes any more, and why if the store could not be read: the last that is told, also when the node
    /// has ended or the [`Watching`] was dropped.
    Ended(Option<String>),
}

/// Something happened. There is room for [`NEWS_MAX`] of these, each until it is dropped: keep it no
/// longer than it takes to handle it.
#[derive(Debug)]
pub struct Told {
    /// What happened.
    pub event: WatchEvent,
    /// Where to go on after it ([`WatchOptions::since`]).
    pub cursor: Cursor,
    _room: [OwnedSemaphorePermit; 2],
}

/// Ends what it stands for when it is dropped: an actor keeps it in its state.
#[derive(Debug)]
#[must_use = "nothing is told any more once this is dropped"]
pub struct Watching {
    scope: Ended,
}

/// Ends its tasks when it is dropped.
struct Ended(Scope);

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scope")
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Watching {
    /// Ends it, as dropping does.
    pub fn end(self) {
        drop(self.scope);
    }
}

pub(super) async fn begin(
    space: &Space,
    prefix: Prefix,
    options: WatchOptions,
    to: DerivedActorRef<News>,
) -> Result<Watching, WatchError> {
    let watch = space.watch(prefix, options).await?;
    let scope = space.scope().child();
    let teller = Teller { to, why: None };
    scope.spawn(tell(watch, teller));
    Ok(Watching { scope: Ended(scope) })
}

/// Says that nothing comes any more, also when its task is ended.
struct Teller {
    to: DerivedActorRef<News>,
    why: Option<String>,
}

impl Drop for Teller {
    fn drop(&mut self) {
        let _nobody_is_there = self.to.send_message(News::Ended(self.why.take()));
    }
}

async fn tell(mut watch: Watch, mut teller: Teller) {
    let (places, bytes) =
        (Arc::new(Semaphore::new(NEWS_MAX)), Arc::new(Semaphore::new(NEWS_BYTES_MAX as usize)));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let event = match watch.next().await {
            Some(Ok(event)) => event,
            Some(Err(error)) => return teller.ends(&error),
            None => return,
        };
        let Ok(weight) = bytes.clone().acquire_many_owned(weight(&event)).await else { return };
        let told = Told { event, cursor: watch.cursor().clone(), _room: [place, weight] };
        if teller.to.send_message(News::Told(Box::new(told))).is_err() {
            return;
        }
    }
}

/// A value that is larger than all the room takes all of it.
fn weight(event: &WatchEvent) -> u32 {
    let value = if let WatchEvent::Change(change) = event { change.value.as_ref() } else { None };
    let bytes = value.map_or(0, |value| value.bytes.len());
    u32::try_from(bytes).unwrap_or(u32::MAX).min(NEWS_BYTES_MAX)
}

impl Teller {
    fn ends(&mut self, error: &ReadError) {
        tracing::warn!(%error, "an actor cannot be told of changes any more");
        self.why = Some(error.to_string());
    }
}
