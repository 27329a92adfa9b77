//! A thread that stays awake for a moment after its work, where more is likely to come at once.
//!
//! To park a thread and to wake it takes longer than to store a value, and whoever wakes it pays as
//! well. A writer that awaits each of its puts would wait for that each time.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;

/// How long a thread stays awake without work.
const AWAKE: Duration = Duration::from_micros(100);
/// It does so only if the work before came within this time: a trickle costs no more than it must.
const CLOSE_TOGETHER: Duration = Duration::from_micros(400);

thread_local! {
    static STIRRED: Cell<bool> = const { Cell::new(false) };
    static LINGERING: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// Says that work has come. On a thread that does not linger this does nothing.
pub(super) fn stir() {
    STIRRED.set(true);
    LINGERING.with_borrow(|waker| waker.iter().for_each(Waker::wake_by_ref));
}

/// The task that a thread ends with, and what keeps the thread awake meanwhile.
pub(super) struct Lingering {
    task: BoxFuture<'static, ()>,
    worked: Instant,
    awake_until: Option<Instant>,
}

impl Lingering {
    pub(super) fn new(task: BoxFuture<'static, ()>) -> Self {
        Self { task, worked: Instant::now(), awake_until: None }
    }

    /// Whether the thread is to look for work once more before it parks.
    fn lingers(&mut self, now: Instant) -> bool {
        if STIRRED.take() {
            let close = now.duration_since(self.worked) < CLOSE_TOGETHER;
            self.worked = now;
            self.awake_until = close.then(|| now + AWAKE);
        }
        self.awake_until.is_some_and(|until| now < until)
    }
}

impl Future for Lingering {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.task.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        LINGERING.with_borrow_mut(|waker| match waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        });
        if self.lingers(Instant::now()) {
            // Others who want this processor, the one who is to bring work among them, go first.
            thread::yield_now();
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_lingers_only_where_work_comes_close_together() {
        let mut lingering = Lingering::new(Box::pin(async {}));
        let start = lingering.worked;
        let after = |micros| start + Duration::from_micros(micros);
        assert!(!lingering.lingers(after(10)), "nothing came yet");
        stir();
        assert!(lingering.lingers(after(50)));
        assert!(lingering.lingers(after(120)));
        assert!(!lingering.lingers(after(200)), "nothing more came");
        stir();
        assert!(!lingering.lingers(after(20_000)), "a trickle");
        stir();
        assert!(lingering.lingers(after(20_100)), "no trickle any more");
    }
}
