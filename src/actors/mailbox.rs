//! Addresses of actors that may be restarted.

use std::sync::{Arc, PoisonError, RwLock};

use ractor::{ActorRef, Message};

/// Where an actor is reached, whichever life of it is running. Cloning shares the address.
pub struct Mailbox<M>(Arc<RwLock<Option<ActorRef<M>>>>);

impl<M> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> Default for Mailbox<M> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<M: Message> Mailbox<M> {
    /// From now on messages go to `actor`.
    pub fn set(&self, actor: ActorRef<M>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(actor);
    }

    /// Casts `message`; false if nobody is there. What is in it, such as a permit or a reply port,
    /// is then dropped, which tells whoever waits.
    pub fn cast(&self, message: M) -> bool {
        let actor = self.0.read().unwrap_or_else(PoisonError::into_inner);
        actor.as_ref().is_some_and(|actor| actor.cast(message).is_ok())
    }
}
