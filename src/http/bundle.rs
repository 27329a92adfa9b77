//! `/v1/export`, `/v1/import`: bundles, streamed.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use futures::{Stream, StreamExt, stream};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::JoinSet,
    time,
};

use super::{
    params::Params,
    problem::{Code, Problem},
    reply::{Answer, json},
    router::App,
};
use crate::node::{Export, Frontier, ImportError};

/// The media type of a bundle.
const BUNDLE: HeaderValue = HeaderValue::from_static("application/vnd.tidings.bundle");
/// Who sends a bundle and falls silent for so long is not waited for.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// The most bundles that are written or read at once: each keeps a snapshot, or a large value, in memory.
pub(super) const BUNDLES_MAX: usize = 4;
/// So many parts of an export are read ahead of who reads it.
const EXPORT_AHEAD_MAX: usize = 2;
/// The longest that an export may take: a snapshot keeps in memory what is written meanwhile.
const EXPORT_TIME_MAX: Duration = Duration::from_secs(600);

/// `GET /v1/export`: what the node holds, beyond `since`. An answer that ends without the bundle's end broke off.
pub(super) async fn export(State(app): State<App>, uri: Uri) -> Answer {
    let params = Params::of(&uri, &["since"])?;
    let space = params.space(&app.node)?;
    let since = params.get("since").filter(|text| !text.is_empty());
    let since = since.map(|text| app.tokens.read_parameter(app.node.id(), "since", text)).transpose()?;
    let turn = turn(&app)?;
    let bundle = space.export(&since.unwrap_or_else(Frontier::default)).await?;
    let mut response = Body::from_stream(bounded(bundle, turn)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, BUNDLE);
    Ok(response)
}

/// What `bundle` yields, until it ends or its time is over. It is read by a task: the body of an answer is not
/// polled while its reader does not read, and would keep the snapshot and the place for good.
fn bounded(
    mut bundle: Export,
    turn: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Bytes, String>> + Send + 'static {
    let (parts, mut read) = mpsc::channel(EXPORT_AHEAD_MAX);
    let mut task = JoinSet::new();
    task.spawn(async move {
        let reading = async {
            while let Some(part) = bundle.next().await {
                let part = part.map_err(|error| error.to_string());
                let last = part.is_err();
                if parts.send(part).await.is_err() || last {
                    return;
                }
            }
        };
        if time::timeout(EXPORT_TIME_MAX, reading).await.is_err() {
            drop((bundle, turn));
            let _reader_is_gone = parts.send(Err("the export took too long".to_owned())).await;
        }
    });
    stream::poll_fn(move |cx| {
        // It ends with the answer, whether that was read or not.
        let _with_it = &task;
        read.poll_recv(cx)
    })
}

/// `POST /v1/import`: `{versions, fresh, too_large, complete, incomplete_because}`.
pub(super) async fn import(State(app): State<App>, request: Request) -> Answer {
    let (head, body) = request.into_parts();
    let space = Params::of(&head.uri, &[])?.space(&app.node)?;
    // A form of another site can send other types without being asked.
    if head.headers.get(header::CONTENT_TYPE) != Some(&BUNDLE) {
        let detail = format!("send `Content-Type: {}`", BUNDLE.to_str().unwrap_or_default());
        return Err(Problem::new(Code::BadContentType, detail));
    }
    let _turn = turn(&app)?;
    let parts = stream::unfold(Some(body.into_data_stream()), |body| async move {
        let mut body = body?;
        match time::timeout(SILENCE_MAX, body.next()).await {
            Ok(Some(Ok(bytes))) => Some((Ok::<Bytes, String>(bytes), Some(body))),
            Ok(Some(Err(error))) => Some((Err(error.to_string()), None)),
            Ok(None) => None,
            Err(_) => Some((Err(format!("nothing came for {} s", SILENCE_MAX.as_secs())), None)),
        }
    });
    let imported: Response = json(&space.import(Box::pin(parts)).await?);
    Ok(imported)
}

fn turn(app: &App) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(&app.bundles).try_acquire_owned().map_err(|_| {
        let detail = format!("{BUNDLES_MAX} bundles are under way already");
        Problem::new(Code::Busy, detail).retry_after(SILENCE_MAX)
    })
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        let detail = error.to_string();
        match error {
            ImportError::Bundle { stored, .. } => Self::new(Code::BadBundle, detail).with("stored", stored),
            ImportError::Namespace(namespace) => {
                Self::new(Code::BadBundle, detail).with("namespace", namespace.as_str())
            }
            ImportError::Broken(_) => Self::new(Code::BadBody, detail),
            ImportError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_an_export_keeps_its_place_and_its_snapshot_no_longer_than_others() {
        let places = Arc::new(Semaphore::new(1));
        let turn = Arc::clone(&places).try_acquire_owned().expect("one is free");
        let endless: Export = Box::pin(stream::repeat_with(|| Ok(Bytes::from_static(b"part"))));
        let mut read = Box::pin(bounded(endless, turn));
        assert_eq!(read.next().await, Some(Ok(Bytes::from_static(b"part"))));
        time::sleep(EXPORT_TIME_MAX.mul_f32(0.9)).await;
        assert_eq!(places.available_permits(), 0);
        time::sleep(EXPORT_TIME_MAX.mul_f32(0.2)).await;
        assert_eq!(places.available_permits(), 1, "the answer was not polled meanwhile");
        let rest: Vec<_> = read.collect().await;
        assert_eq!(rest.last(), Some(&Err("the export took too long".to_owned())));
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_gives_its_place_back_at_once() {
        let places = Arc::new(Semaphore::new(1));
        let turn = Arc::clone(&places).try_acquire_owned().expect("one is free");
        let part = stream::iter([Ok(Bytes::from_static(b"part")), Ok(Bytes::from_static(b"part"))]);
        let silent: Export = Box::pin(part.chain(stream::once(future::pending())));
        drop(bounded(silent, turn));
        let begun = time::Instant::now();
        let _turn = places.acquire().await.expect("is open");
        assert!(begun.elapsed() < EXPORT_TIME_MAX, "{:?}", begun.elapsed());
    }
}
