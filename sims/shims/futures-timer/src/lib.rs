//! What libp2p needs of `futures-timer`, on tokio's clock: where that is paused, libp2p's heartbeats
//! and pings run in virtual time. A [`Delay`] must be made within a tokio runtime.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

/// As good as never.
const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);

/// A future that is ready when its time has passed.
pub struct Delay(Pin<Box<Sleep>>);

impl Delay {
    /// Ready `after` now.
    #[must_use]
    pub fn new(after: Duration) -> Self {
        Self(Box::pin(sleep(after)))
    }

    /// Ready `after` now, whatever was said before.
    pub fn reset(&mut self, after: Duration) {
        let now = Instant::now();
        self.0.as_mut().reset(now.checked_add(after).unwrap_or_else(|| now + FAR));
    }
}

impl Future for Delay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Delay")
    }
}
