//! The end of one namespace that somebody follows: what was missed first, then what happens, without a gap.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{self, Sleep},
};

use super::{
    ReadError, WatchEvent,
    follow::{Follower, Page},
    handle::Inner,
};
use crate::{
    actors::{
        WATCH_QUEUE_MAX,
        society::Society,
        storage::StorageMsg,
        subscribers::{Line, Told},
        watch::WatchMsg,
    },
    causality::Origin,
    storage::{PageLimit, Reader, StoreError, View},
};

/// So much of a backlog is read at once.
const PAGE: PageLimit = PageLimit { count: 256, bytes: 1024 * 1024 };
/// An actor that failed is there again after about this time.
const RESTART_TIME: Duration = Duration::from_millis(100);

/// Somebody who follows one namespace of a store.
#[derive(Debug)]
pub(super) struct Tail {
    /// Following keeps no node alive.
    node: Weak<Inner>,
    pub(super) follower: Follower,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// What was missed is told.
    CatchingUp,
    /// All of that was told; the writer is asked to tell the rest.
    Joining(oneshot::Receiver<Result<View, StoreError>>, Tap),
    /// What happens is told.
    Following(Tap),
    /// An actor is being started again.
    Pausing(Pin<Box<Sleep>>),
    /// Nothing comes any more.
    Ended,
}

/// The near end of a line from the Watch actor.
#[derive(Debug)]
struct Tap {
    id: u64,
    told: mpsc::Receiver<Told>,
    waiting: Arc<AtomicUsize>,
    /// Whether anything ever came.
    used: bool,
    node: Weak<Inner>,
}

impl Drop for Tap {
    fn drop(&mut self) {
        if let Some(node) = self.node.upgrade() {
            node.society.watch.cast(WatchMsg::Unsubscribe(self.id));
        }
    }
}

impl Tail {
    /// Follows from where `follower` stands.
    pub(super) fn new(node: Weak<Inner>, follower: Follower) -> Self {
        Self { node, follower, stage: Stage::CatchingUp }
    }

    /// Follows from now on: what is written after this returns is told. Cancel-safe.
    ///
    /// # Errors
    /// When `check` says that there is nothing to follow (any more), or the store cannot be read.
    pub(super) async fn begin_now(
        &mut self,
        society: &Society,
        check: impl Fn() -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        loop {
            check()?;
            let (view, tap) = self.ask(society);
            match view.await {
                Ok(view) => {
                    self.follower.begin_at(&view?)?;
                    self.stage = Stage::Following(tap);
                    return Ok(());
                }
                // The writer is just being started again, or the node ends.
                Err(_) => time::sleep(RESTART_TIME).await,
            }
        }
    }

    /// Asks to have the cursor brought up to date.
    pub(super) fn refresh(&self, society: &Society) {
        if let Stage::Following(tap) = &self.stage {
            society.watch.cast(WatchMsg::Mark(tap.id));
        }
    }

    /// The next event; an error also where the node is closed, or does not carry the namespace any more.
    pub(super) fn poll_event(
        &mut self,
        node: &Inner,
        cx: &mut Context<'_>,
    ) -> Poll<Result<WatchEvent, ReadError>> {
        loop {
            if let Some(event) = ready!(self.step(node, cx))? {
                return Poll::Ready(Ok(event));
            }
        }
    }

    fn ask(&self, society: &Society) -> (oneshot::Receiver<Result<View, StoreError>>, Tap) {
        let (to, told) = mpsc::channel(WATCH_QUEUE_MAX);
        let (id, waiting) = (society.next_subscriber.fetch_add(1, Ordering::Relaxed), Arc::default());
        let line = Line { id, to, waiting: Arc::clone(&waiting) };
        let (reply, view) = oneshot::channel();
        let (namespace, prefix) = (self.follower.namespace.clone(), self.follower.prefix.clone());
        society.storage.cast(StorageMsg::Watch { namespace, prefix, line, reply });
        (view, Tap { id, told, waiting, used: false, node: self.node.clone() })
    }

    fn pause(&mut self) {
        self.stage = Stage::Pausing(Box::pin(time::sleep(RESTART_TIME)));
    }

    /// One step: an event, or nothing yet.
    fn step(&mut self, node: &Inner, cx: &mut Context<'_>) -> Poll<Result<Option<WatchEvent>, ReadError>> {
        let society = &node.society;
        let reader = society.reader();
        if !society.ready.load(Ordering::SeqCst) {
            self.stage = Stage::Ended;
            return Poll::Ready(Err(ReadError::Closed));
        }
        if !reader.carries(&self.follower.namespace) {
            return Poll::Ready(Err(ReadError::NoNamespace(self.follower.namespace.home())));
        }
        if let Some(change) = self.follower.next(&reader)? {
            return Poll::Ready(Ok(Some(WatchEvent::Change(change))));
        }
        let me = Origin { node: society.node, epoch: society.epoch.load(Ordering::Relaxed) };
        let now = society.clock.wall_ms();
        match std::mem::replace(&mut self.stage, Stage::CatchingUp) {
            Stage::CatchingUp => match self.follower.page(&reader.view(), me, now, PAGE)? {
                Page::Reset => return Poll::Ready(Ok(Some(WatchEvent::Reset))),
                Page::Nothing => {
                    let (view, tap) = self.ask(society);
                    self.stage = Stage::Joining(view, tap);
                }
                // Others get their turn: a page is read without waiting for anything.
                Page::Part | Page::Last => {
                    let Some(first) = self.follower.next(&reader)? else {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    };
                    return Poll::Ready(Ok(Some(WatchEvent::Change(first))));
                }
            },
            Stage::Joining(mut view, tap) => match Pin::new(&mut view).poll(cx) {
                Poll::Pending => {
                    self.stage = Stage::Joining(view, tap);
                    return Poll::Pending;
                }
                Poll::Ready(Err(_)) => self.pause(),
                Poll::Ready(Ok(view)) => match self.follower.page(&view?, me, now, PAGE)? {
                    Page::Reset => {
                        self.stage = Stage::Following(tap);
                        return Poll::Ready(Ok(Some(WatchEvent::Reset)));
                    }
                    Page::Nothing | Page::Last => self.stage = Stage::Following(tap),
                    // More came meanwhile than can be told at once: catch up first.
                    Page::Part => {}
                },
            },
            Stage::Following(mut tap) => {
                let told = tap.told.poll_recv(cx);
                let lagged = matches!(told, Poll::Ready(None)) && tap.used;
                match told {
                    Poll::Ready(None) if !tap.used => self.pause(),
                    Poll::Ready(None) => {}
                    _ => self.stage = Stage::Following(tap),
                }
                if lagged {
                    return Poll::Ready(Ok(Some(WatchEvent::Lagged)));
                }
                if let Some(told) = ready!(told) {
                    return Poll::Ready(self.hear(&reader, told));
                }
            }
            Stage::Pausing(mut sleep) => {
                if sleep.as_mut().poll(cx).is_pending() {
                    self.stage = Stage::Pausing(sleep);
                    return Poll::Pending;
                }
            }
            Stage::Ended => {
                self.stage = Stage::Ended;
                return Poll::Ready(Err(ReadError::Closed));
            }
        }
        Poll::Ready(Ok(None))
    }

    fn hear(&mut self, reader: &Reader, told: Told) -> Result<Option<WatchEvent>, ReadError> {
        let mut change = None;
        if let Stage::Following(tap) = &mut self.stage {
            tap.used = true;
            let bytes = told.sight.as_ref().map_or(0, |sight| sight.size_hint());
            tap.waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
        if let Some(sight) = &told.sight {
            change = self.follower.hear(reader, sight)?;
        }
        if let Some(seen) = told.seen {
            self.follower.heard(seen);
        }
        Ok(change.map(WatchEvent::Change))
    }
}
