//! A refused request is read to its end, so that its sender sees the answer.
//!
//! A server that answers and closes while the body is still coming makes the kernel reset the
//! connection, and many clients then report that instead of the answer. So what a route has left of
//! the body is read and thrown away before the answer goes out, within bounds. A client that waits
//! for `100 Continue` and was not asked for the body gets its answer at once.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream, Bytes, HttpBody},
    extract::Request,
    http::header,
    middleware::Next,
    response::Response,
};
use futures::{Stream, StreamExt};
use tokio::{sync::oneshot, time};

const DRAINED_BYTES_MAX: usize = 64 * 1024 * 1024;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);
/// Who sends nothing for so long is waiting for an answer.
const DRAIN_SILENCE_MAX: Duration = Duration::from_secs(1);

/// Lends the body to the routes, and reads what they left of it.
pub(super) async fn drain(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let waits = request.headers().contains_key(header::EXPECT);
    let (back, mut returned) = oneshot::channel();
    let request = request.map(|body| {
        let lent = Lent { body: Some(body.into_data_stream()), back: Some(back), asked: false };
        Body::from_stream(lent)
    });
    let response = next.run(request).await;
    // The routes have dropped the body by now; a task that still holds it also still reads it.
    if let Ok((rest, asked)) = returned.try_recv()
        && (asked || !waits)
    {
        // A body that does not end in time, or at all, is cut off by the connection's end.
        let _ = time::timeout(DRAIN_TIME_MAX, throw_away(rest)).await;
    }
    response
}

async fn throw_away(mut rest: BodyDataStream) {
    let mut bytes = 0;
    while let Ok(Some(Ok(chunk))) = time::timeout(DRAIN_SILENCE_MAX, rest.next()).await {
        bytes += chunk.len();
        if bytes > DRAINED_BYTES_MAX {
            return;
        }
    }
}

/// A body that goes back to its owner when it is dropped before its end.
struct Lent {
    body: Option<BodyDataStream>,
    back: Option<oneshot::Sender<(BodyDataStream, bool)>>,
    asked: bool,
}

impl Stream for Lent {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.asked = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = body.poll_next_unpin(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take()) {
            // Nobody waits for it any more: the connection is gone.
            let _ = back.send((body, self.asked));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{future, stream};
    use tokio::time::Instant;

    use super::*;

    fn chunks(
        count: usize,
        gap: Duration,
    ) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send + 'static {
        stream::iter(0..count).then(move |_| async move {
            time::sleep(gap).await;
            Ok(Bytes::from_static(b"chunk"))
        })
    }

    async fn drained(body: Body) -> Duration {
        let begun = Instant::now();
        throw_away(body.into_data_stream()).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_is_read_and_what_does_not_come_is_not_waited_for() {
        let gap = DRAIN_SILENCE_MAX / 2;
        assert_eq!(drained(Body::from_stream(chunks(4, gap))).await, gap * 4, "to its end");
        let stalls = chunks(2, gap).chain(stream::once(future::pending()));
        assert_eq!(drained(Body::from_stream(stalls)).await, gap * 2 + DRAIN_SILENCE_MAX);
    }
}
