//! `/v1/export`, `/v1/import`: bundles, streamed.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use tokio::{sync::OwnedSemaphorePermit, time};

use super::{
    params::Params,
    problem::{Code, Problem},
    reply::{Answer, json},
    router::App,
};
use crate::node::{Frontier, ImportError};

/// The media type of a bundle.
const BUNDLE: HeaderValue = HeaderValue::from_static("application/vnd.tidings.bundle");
/// Who sends a bundle and falls silent for so long is not waited for.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// The most bundles that are written or read at once: each keeps a snapshot, or a large value, in memory.
pub(super) const BUNDLES_MAX: usize = 4;
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
    let ends = time::Instant::now() + EXPORT_TIME_MAX;
    let bounded = stream::unfold(Some((bundle, turn)), move |bundle| async move {
        let (mut bundle, turn) = bundle?;
        match time::timeout_at(ends, bundle.next()).await {
            Ok(Some(Ok(bytes))) => Some((Ok(bytes), Some((bundle, turn)))),
            Ok(Some(Err(error))) => Some((Err(error.to_string()), None)),
            Ok(None) => None,
            Err(_) => Some((Err("the export took too long".to_owned()), None)),
        }
    });
    let mut response = Body::from_stream(bounded).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, BUNDLE);
    Ok(response)
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
