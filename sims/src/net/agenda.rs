//! Whose reader is to be woken when: one heap, one task, one timer, however many connections.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Weak,
    task::{Context, Poll, Waker},
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::{Shared, Wakers, state::Direction};

/// What arrives when. Ties go by the order in which it was put down.
#[derive(Default)]
pub(super) struct Agenda {
    entries: BinaryHeap<Reverse<(Instant, u64, u64, Direction)>>,
    next: u64,
    driver: Option<Waker>,
    armed: Option<Instant>,
}

impl Agenda {
    /// Something arrives `at` at the reader of this direction of a connection.
    pub(super) fn put(&mut self, at: Instant, connection: u64, direction: Direction) {
        self.entries.push(Reverse((at, self.next, connection, direction)));
        self.next += 1;
        if self.armed.is_none_or(|armed| at < armed)
            && let Some(driver) = self.driver.take()
        {
            driver.wake();
        }
    }

    /// What has arrived by `now`; arms for the rest.
    fn due(&mut self, now: Instant, driver: &Waker) -> Vec<(u64, Direction)> {
        let mut due = Vec::new();
        while let Some(&Reverse((at, _, connection, direction))) = self.entries.peek()
            && at <= now
        {
            self.entries.pop();
            due.push((connection, direction));
        }
        self.driver = Some(driver.clone());
        self.armed = self.entries.peek().map(|Reverse(entry)| entry.0);
        due
    }
}

/// Wakes readers as their bytes arrive, until the network is gone.
pub(super) async fn drive(shared: Weak<Shared>) {
    let mut timer = Box::pin(sleep_until(Instant::now()));
    poll_fn(|context| match shared.upgrade() {
        None => Poll::Ready(()),
        Some(shared) => {
            turn(&shared, timer.as_mut(), context);
            Poll::Pending
        }
    })
    .await;
}

fn turn(shared: &Shared, mut timer: Pin<&mut Sleep>, context: &mut Context<'_>) {
    loop {
        let due = shared.agenda().due(Instant::now(), context.waker());
        let mut wakers = Wakers::default();
        {
            let mut state = shared.lock();
            for (connection, direction) in due {
                state.arrived(connection, direction, &mut wakers);
            }
        }
        wakers.wake();
        let Some(next) = shared.agenda().armed else { return };
        if timer.deadline() != next {
            timer.as_mut().reset(next);
        }
        if timer.as_mut().poll(context).is_pending() {
            return;
        }
    }
}
