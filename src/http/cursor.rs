//! Cursors as text: short ones as they are, long ones as tokens of this node.

use axum::http::HeaderMap;

use super::{
    params::Params,
    problem::{Code, Problem},
    router::App,
};
use crate::node::{Cursor, CursorError, WatchError};

/// The longest cursor that is given out as it is: it must fit into a header on its way back.
const CURSOR_BYTES_MAX: usize = 4 * 1024;
const LAST_EVENT_ID: &str = "last-event-id";

/// `cursor` as it is given to a client.
pub(super) fn text(app: &App, cursor: &Cursor) -> String {
    let text = cursor.to_string();
    if text.len() > CURSOR_BYTES_MAX { app.cursors.keep(app.node.id(), &text, cursor) } else { text }
}

/// The cursor to go on from: what an `EventSource` that comes back sends, else `since`.
pub(super) fn since(app: &App, headers: &HeaderMap, params: &Params) -> Result<Option<Cursor>, Problem> {
    let header = headers.get(LAST_EVENT_ID).map(|value| value.to_str());
    let header = header.transpose().map_err(|_| bad("Last-Event-ID is not ASCII"))?;
    let Some(text) = header.or(params.get("since")).map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    // The long frontier of a read is a token, too.
    if let Ok(Some(frontier)) = app.tokens.find(app.node.id(), text) {
        return Ok(Some(frontier.into()));
    }
    match app.cursors.find(app.node.id(), text) {
        Ok(Some(cursor)) => return Ok(Some(cursor)),
        Ok(None) => {}
        Err(problem) if problem.code() == Code::ForeignFrontier => return Err(problem),
        Err(_) => return Err(bad("this token names no node: send a cursor as it was given")),
    }
    text.parse().map(Some).map_err(|error: CursorError| bad(&error.to_string()))
}

fn bad(why: &str) -> Problem {
    Problem::new(Code::BadCursor, why)
}

impl From<WatchError> for Problem {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::Cursor(error) => bad(&error.to_string()),
            WatchError::Read(error) => error.into(),
            WatchError::TooMany => {
                Self::new(Code::Busy, error.to_string()).retry_after(std::time::Duration::from_secs(1))
            }
        }
    }
}
