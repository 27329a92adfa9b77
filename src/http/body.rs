//! Reading a body, as much of it as is allowed and no more.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, header},
};
use futures::StreamExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};

use super::problem::{Code, Problem};

/// The most bodies above [`SMALL_BYTES`] that are in memory at once.
pub(super) const LARGE_BODIES_MAX: usize = 16;
const SMALL_BYTES: usize = 1024 * 1024;
/// The longest that a body may take to arrive; less than a request may take in all.
const BODY_TIME_MAX: Duration = Duration::from_secs(20);
/// The longest that a large body waits for others to be done.
const TURN_TIME_MAX: Duration = Duration::from_secs(5);

/// A body, and the right to keep it in memory, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Upload {
    /// All of the body.
    pub(super) bytes: Bytes,
    _turn: Option<OwnedSemaphorePermit>,
}

/// How large a body may be, and what is said of a larger one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// The most bytes.
    pub(super) bytes: usize,
    /// The code of a body with more.
    pub(super) code: Code,
    /// The name of the limit.
    pub(super) name: &'static str,
}

impl Limit {
    fn exceeded(self) -> Problem {
        let detail = format!("more than {} bytes, which is the limit ({})", self.bytes, self.name);
        Problem::new(self.code, detail).with("limit", self.bytes)
    }
}

/// Reads a body to its end; refuses it as soon as it is known to be too large.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: Limit,
    large: &Arc<Semaphore>,
) -> Result<Upload, Problem> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > limit.bytes as u64) {
        return Err(limit.exceeded());
    }
    match time::timeout(BODY_TIME_MAX, collect(body, limit, large)).await {
        Ok(upload) => upload,
        Err(_) => {
            let detail = format!("the body did not arrive within {} s", BODY_TIME_MAX.as_secs());
            Err(Problem::new(Code::BodyTimeout, detail))
        }
    }
}

async fn collect(body: Body, limit: Limit, large: &Arc<Semaphore>) -> Result<Upload, Problem> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut turn = None;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Problem::new(Code::BadBody, error.to_string()))?;
        let size = bytes.len() + chunk.len();
        if size > limit.bytes {
            return Err(limit.exceeded());
        }
        if size > SMALL_BYTES && turn.is_none() {
            turn = Some(take_turn(large).await?);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Upload { bytes: bytes.into(), _turn: turn })
}

async fn take_turn(large: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    match time::timeout(TURN_TIME_MAX, Arc::clone(large).acquire_owned()).await {
        Ok(Ok(turn)) => Ok(turn),
        _ => {
            let detail = format!("{LARGE_BODIES_MAX} large bodies are under way already");
            Err(Problem::new(Code::Busy, detail).retry_after(TURN_TIME_MAX))
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use futures::stream;

    use super::*;

    const LIMIT: Limit = Limit { bytes: 8, code: Code::ValueTooLarge, name: "value_bytes_max" };

    async fn read_chunks(chunks: &[&'static str], length: Option<&'static str>) -> Result<Upload, Problem> {
        let chunks: Vec<_> = chunks.iter().map(|text| Ok::<_, std::io::Error>(Bytes::from(*text))).collect();
        let mut headers = HeaderMap::new();
        if let Some(length) = length {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static(length));
        }
        let body = Body::from_stream(stream::iter(chunks));
        read(&headers, body, LIMIT, &Arc::new(Semaphore::new(1))).await
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let upload = read_chunks(&["abcd", "efgh"], Some("8")).await.expect("within the limit");
        assert_eq!(&upload.bytes[..], b"abcdefgh");
        let upload = read_chunks(&[], None).await.expect("empty");
        assert!(upload.bytes.is_empty());
    }

    #[tokio::test]
    async fn a_larger_one_is_refused_whether_it_says_so_or_not() {
        for (chunks, length) in [(&["abcd", "efgh", "i"][..], None), (&[][..], Some("9"))] {
            let problem = read_chunks(chunks, length).await.expect_err("too large");
            assert_eq!(problem.code(), Code::ValueTooLarge);
        }
    }
}
