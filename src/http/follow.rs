//! `/v1/watch/{prefix}`: changes as server-sent events.

use std::time::Duration;

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use futures::{Stream, stream};
use serde_json::json;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time,
};

use super::{
    at_least,
    changes::ChangeView,
    cursor,
    params::{self, Params},
    problem::{Code, Problem},
    reply::Answer,
    router::App,
};
use crate::node::{Watch, WatchEvent, WatchOptions};

const BASE: &str = "/v1/watch/";
/// The most answers of this kind at once; half of all connections.
pub(super) const STREAMS_MAX: usize = 256;
/// Something is said so often, that both ends notice when the other is gone.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// An `EventSource` that lost its node comes back after this time.
const COME_BACK_MS: u64 = 1_000;

/// Becomes true when the server stops: answers that would go on end then.
#[derive(Clone, Debug)]
pub(super) struct Stopping(pub(super) watch::Receiver<bool>);

/// `GET`.
pub(super) async fn follow(
    State(app): State<App>,
    stopping: Option<Extension<Stopping>>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    let params = Params::of(&uri, &["since", "snapshot", "wait"])?;
    let space = params.space(&app.node)?;
    let prefix = params::prefix(&uri, BASE)?;
    let options =
        WatchOptions { since: cursor::since(&app, &headers, &params)?, snapshot: params.switch("snapshot")? };
    at_least::wait(&app, &space, &headers, &params).await?;
    let Ok(turn) = app.streams.clone().try_acquire_owned() else {
        let detail = format!("{STREAMS_MAX} others are following changes: ask for /v1/changes now and then");
        return Err(Problem::new(Code::Busy, detail).retry_after(Duration::from_secs(10)));
    };
    let watch = space.watch(prefix, options).await?;
    let stopping = stopping.map(|Extension(stopping)| stopping.0);
    let events = Events { app, watch, stopping, last: String::new(), begun: false, _turn: turn };
    Ok(answer(events.stream()))
}

fn answer(events: impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + 'static) -> Response {
    let mut response = Body::from_stream(events).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Some proxies hold back what they think is one answer.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct Events {
    app: App,
    watch: Watch,
    stopping: Option<watch::Receiver<bool>>,
    /// The cursor as it was told last.
    last: String,
    begun: bool,
    _turn: OwnedSemaphorePermit,
}

impl Events {
    fn stream(self) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send {
        stream::unfold(self, async |mut events| {
            let text = events.next().await?;
            Some((Ok(Bytes::from(text)), events))
        })
    }

    async fn next(&mut self) -> Option<String> {
        if !std::mem::replace(&mut self.begun, true) {
            // Whoever is cut off before the first change comes back to here.
            return Some(format!("retry: {COME_BACK_MS}\n{}\n", self.id()));
        }
        let next = time::timeout(HEARTBEAT, self.watch.next());
        let event = match &mut self.stopping {
            Some(stopping) => tokio::select! {
                event = next => event,
                _ = stopping.wait_for(|stopping| *stopping) => return None,
            },
            None => next.await,
        };
        match event {
            Ok(None) => None,
            Ok(Some(event)) => Some(self.tell(event)),
            Err(_) => {
                let moved = self.id();
                // Brings the cursor up to date, for the next time.
                self.watch.refresh();
                Some(format!(": still here\n{moved}\n"))
            }
        }
    }

    /// The line that says where to go on, where that is news.
    fn id(&mut self) -> String {
        let text = cursor::text(&self.app, self.watch.cursor());
        if text == self.last {
            return String::new();
        }
        self.last = text;
        format!("id: {}\n", self.last)
    }

    fn tell(&mut self, event: Result<WatchEvent, crate::node::ReadError>) -> String {
        let (name, data) = match event {
            Ok(WatchEvent::Change(change)) => {
                let data = serde_json::to_string(&ChangeView::of(&change));
                ("change", data.expect("its maps have texts for keys, so it serialises"))
            }
            Ok(WatchEvent::Lagged) => ("lagged", json!({}).to_string()),
            Ok(WatchEvent::Reset) => {
                let why = "deletes may have been missed: scan, and forget what the scan does not show";
                ("reset", json!({ "detail": why }).to_string())
            }
            Err(error) => ("error", json!({ "detail": error.to_string() }).to_string()),
        };
        format!("event: {name}\n{}{}\n", self.id(), lines(&data))
    }
}

/// JSON as the data of an event: a line break in it, which stands between its parts only, must not end
/// the event.
fn lines(json: &str) -> String {
    json.replace('\r', " ").split('\n').map(|line| format!("data: {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_in_json_does_not_end_an_event() {
        assert_eq!(lines("{}"), "data: {}\n");
        assert_eq!(lines("{\r\n\"a\":1\n}"), "data: { \ndata: \"a\":1\ndata: }\n");
    }
}
