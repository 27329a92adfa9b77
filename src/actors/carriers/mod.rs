//! Exchanges with nodes that libp2p does not reach, over streams that carriers of the host's open.
//!
//! ```text
//! → hello, or nothing                ← hello, or why it is refused
//! yamux over the rest: each stream begins with a byte that says what it speaks
//!   of the end that opened the carrier's stream: one exchange after the other, one for each namespace
//!   of both: one for each large value
//! the end that opened it closes it
//! ```
//!
//! From there on it is the same session as over libp2p: an exchange is opened, admitted, carried out, bounded
//! and counted by the same code (`session`), and its large values are served by the same.

mod error;
mod greet;
mod other;
mod schedules;
mod serve;
mod visit;

pub use error::RemoteError;
pub use other::Other;
pub use schedules::{INTERVAL_MIN, SCHEDULES_MAX, Schedules, Target};
pub use serve::{CARRIED_MAX, serve};

use std::sync::Arc;

use tokio::sync::oneshot;

use super::society::Society;
use crate::ports::Scope;

/// Closes a scope when it is dropped.
struct Closing(Scope);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Does `work` as a task of the node, in a scope of its own. All of it ends with the node, or when the future is
/// dropped.
///
/// # Errors
/// [`RemoteError::Closed`] where the node ended first.
pub async fn as_task<T, F>(
    society: &Arc<Society>,
    work: impl FnOnce(Arc<Society>, Scope) -> F,
) -> Result<T, RemoteError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, RemoteError>> + Send + 'static,
{
    let scope = Closing(society.scope.child());
    let (tell, told) = oneshot::channel();
    let work = work(society.clone(), scope.0.clone());
    scope.0.spawn(async move {
        let _asker_is_gone = tell.send(work.await);
    });
    told.await.map_err(|_| RemoteError::Closed)?
}
