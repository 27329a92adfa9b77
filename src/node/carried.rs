//! Which namespaces a node carries: they are joined and left while it runs.

use std::collections::BTreeMap;

use thiserror::Error;
use tokio::sync::oneshot;

use super::Node;
use crate::{
    actors::{membership::Membership, society::Society, storage::StorageMsg},
    storage::{Joining, StoreError},
    types::{Locals, NAMESPACES_MAX, Namespace},
};

/// A namespace carried by a node.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Carried {
    /// Its name.
    pub name: Namespace,
    /// Keys with a value, those that never leave the node among them.
    pub keys: u64,
    /// The prefixes whose keys never leave the node ([`Builder::local_only`](super::Builder::local_only)).
    pub local_only: Vec<String>,
}

/// A namespace could not be joined or left. Nothing was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CarryError {
    /// The node carries as many as it may.
    #[error("this node carries {NAMESPACES_MAX} namespaces, which is the limit: leave one of them first")]
    TooMany,
    /// `default` is what everything means that names no namespace: it is always carried.
    #[error("the namespace `default` is always carried: delete what is in it, key by key")]
    Default,
    /// The node does not carry it.
    #[error("this node does not carry the namespace {0}")]
    NoNamespace(Namespace),
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node is closed, or closed meanwhile; then it may have happened.
    #[error("the node is closed")]
    Closed,
}

/// The local-only prefixes of each namespace that is carried and has some, in their order.
pub(super) fn local_only(society: &Society) -> BTreeMap<Namespace, Vec<String>> {
    let reader = society.reader();
    let locals = society.settings.locals.iter().filter(|(name, _)| reader.carries(name));
    let texts = |locals: &Locals| {
        let mut texts: Vec<_> = locals.prefixes().map(|prefix| prefix.as_str().to_owned()).collect();
        texts.sort();
        texts
    };
    locals.map(|(name, locals)| (name.clone(), texts(locals))).collect()
}

impl Node {
    /// The namespaces that the node carries, by name.
    #[must_use]
    pub fn namespaces(&self) -> Vec<Carried> {
        let reader = self.inner.society.reader();
        let mut locals = local_only(&self.inner.society);
        let carried = |name: Namespace| {
            let local_only = locals.remove(&name).unwrap_or_default();
            Carried { keys: reader.keys(&name), name, local_only }
        };
        reader.namespaces().into_iter().map(carried).collect()
    }

    /// Carries `namespace` from now on, over restarts, too; what neighbours hold of it comes with the next
    /// comparison. False if it was carried already. If the future is dropped, it may have been joined.
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
    /// let birds: tidings::Namespace = "birds".parse()?;
    /// assert!(node.join(&birds).await?);
    /// node.space(&birds)?.put("wren", "small").await?;
    /// node.leave(&birds).await?;
    /// assert!(node.space(&birds).is_err());
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`CarryError`].
    pub async fn join(&self, namespace: &Namespace) -> Result<bool, CarryError> {
        let (reply, joining) = oneshot::channel();
        self.change(Membership::Join(namespace.clone(), reply));
        match joining.await.map_err(|_| CarryError::Closed)?? {
            Joining::Joined => Ok(true),
            Joining::Carried => Ok(false),
            Joining::Full => Err(CarryError::TooMany),
        }
    }

    /// Carries `namespace` no more, here: its data, what is local-only included, is removed from this node, in small batches after this has
    /// returned, and stays at all others. What no other node has is gone. Reads, writes and watches of it end with
    /// an error. If this node has written to it, a new epoch begins. One that the configuration names
    /// ([`Builder::namespace`](super::Builder::namespace)) is joined again at the next start.
    ///
    /// # Errors
    /// See [`CarryError`].
    pub async fn leave(&self, namespace: &Namespace) -> Result<(), CarryError> {
        if *namespace == Namespace::default() {
            return Err(CarryError::Default);
        }
        let (reply, left) = oneshot::channel();
        self.change(Membership::Leave(namespace.clone(), reply));
        let left = left.await.map_err(|_| CarryError::Closed)??;
        if left { Ok(()) } else { Err(CarryError::NoNamespace(namespace.clone())) }
    }

    /// Where nobody takes it the reply is dropped with it, and the asker sees that.
    fn change(&self, membership: Membership) {
        self.inner.society.storage.cast(StorageMsg::Membership(membership));
    }
}
