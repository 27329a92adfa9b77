//! Namespaces are joined and left while the node runs: Storage decides, keeps it, and tells the others.

use ractor::ActorRef;
use tokio::sync::oneshot;

use super::{
    anti_entropy::AntiEntropyMsg,
    storage::{StorageMsg, StorageState, WriteFailure},
    watch::WatchMsg,
};
use crate::{
    network::Command,
    storage::{Joining, Ledger, StoreError},
    types::Namespace,
};

/// Why a new epoch begins where something was written in a namespace that is left.
const LEFT: &str =
    "a namespace was left that this node had written to: a new epoch begins, so that no name is given twice";

/// A change of what is carried; told when it is durable.
#[derive(Debug)]
pub enum Membership {
    /// Carry this.
    Join(Namespace, oneshot::Sender<Result<Joining, StoreError>>),
    /// Carry it no more, and remove what it held. Tells whether it was carried.
    Leave(Namespace, oneshot::Sender<Result<bool, StoreError>>),
}

/// The message, if it is of a namespace that is carried, as the same one that it is about. Who asked about
/// another one sees the reply dropped, as when Storage is started again, or is told.
pub(super) fn of_what_is_carried(message: StorageMsg, ledger: &Ledger) -> Option<StorageMsg> {
    let carried = |namespace: &Namespace| ledger.incarnation(namespace).is_some();
    let lawful = match &message {
        StorageMsg::Write(request) => carried(&request.namespace),
        StorageMsg::Merge(request) => carried(&request.namespace),
        StorageMsg::Absorb { namespace, incarnation, .. } => {
            incarnation.is_some() && ledger.incarnation(namespace) == *incarnation
        }
        StorageMsg::Snapshot { namespace, .. }
        | StorageMsg::Watch { namespace, .. }
        | StorageMsg::Judge { namespace, .. }
        | StorageMsg::Lost { namespace, .. } => carried(namespace),
        _ => true,
    };
    match message {
        message if lawful => Some(message),
        StorageMsg::Write(request) => {
            let _writer_is_gone = request.reply.send(Err(WriteFailure::NotCarried(request.namespace)));
            None
        }
        _ => None,
    }
}

impl StorageState {
    pub(super) fn on_membership(
        &mut self,
        myself: &ActorRef<StorageMsg>,
        change: Membership,
    ) -> Result<(), StoreError> {
        self.flush()?;
        match change {
            Membership::Join(namespace, reply) => {
                let joining = self.ledger.join(&namespace, &self.society.settings.strategies)?;
                if joining == Joining::Joined {
                    self.ledger
                        .keep_local(&self.society.settings.locals, &self.society.settings.strategies)?;
                    self.tell_network(Command::Join(namespace));
                }
                let _asker_is_gone = reply.send(Ok(joining));
            }
            Membership::Leave(namespace, reply) => {
                let left = self.leave(&namespace)?;
                let _asker_is_gone = reply.send(Ok(left));
                let _stopping = myself.cast(StorageMsg::ClearLeft);
            }
        }
        Ok(())
    }

    fn leave(&mut self, namespace: &Namespace) -> Result<bool, StoreError> {
        if self.ledger.has_written(namespace) {
            self.begin_epoch(self.ledger.origin(), LEFT)?;
            self.flush()?;
        }
        let left = self.ledger.leave(namespace)?;
        if left {
            for space in [namespace.clone(), namespace.companion()] {
                self.sweeps.remove(&space);
                self.society.watch.cast(WatchMsg::Left(space));
            }
            self.gaps.retain(|(_, of, _)| of != namespace);
            self.society.peers.forget_namespace(namespace);
            self.tell_network(Command::Leave(namespace.clone()));
        }
        Ok(left)
    }

    /// The topic is joined or left, and neighbours hear soon of what is carried now.
    fn tell_network(&self, command: Command) {
        if let Some(network) = self.society.network() {
            self.society.scope.spawn(async move {
                let _network_is_gone = network.commands.send(command).await;
            });
        }
        self.society.anti_entropy.cast(AntiEntropyMsg::Learned);
    }

    pub(super) fn clear_left(&mut self, myself: &ActorRef<StorageMsg>) -> Result<(), StoreError> {
        if self.ledger.clear_left()? {
            // Behind what waits in the mailbox.
            let _stopping = myself.cast(StorageMsg::ClearLeft);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        causality::{Floors, NodeId, Origin, SeenSet},
        conflict::Strategies,
        storage::memory::Memory,
    };

    #[test]
    fn what_an_exchange_found_out_is_never_taken_for_a_namespace_that_was_joined_since() {
        let birds: Namespace = "birds".parse().expect("lawful");
        let me = Origin { node: NodeId([1; 32]), epoch: 1 };
        let (mut ledger, _) =
            Ledger::open(Arc::new(Memory::new()), me, std::slice::from_ref(&birds)).expect("opens");
        let absorb = |incarnation| StorageMsg::Absorb {
            namespace: birds.clone(),
            frontier: SeenSet::new(),
            floors: Floors::new(),
            settled: None,
            incarnation,
            drop: Vec::new(),
            reply: oneshot::channel().0,
        };
        let before = ledger.incarnation(&birds);
        assert!(of_what_is_carried(absorb(before), &ledger).is_some());
        ledger.leave(&birds).expect("leaves");
        assert!(of_what_is_carried(absorb(before), &ledger).is_none());
        assert!(of_what_is_carried(absorb(None), &ledger).is_none());
        ledger.join(&birds, &Strategies::default()).expect("joins");
        assert!(of_what_is_carried(absorb(before), &ledger).is_none());
        assert!(of_what_is_carried(absorb(ledger.incarnation(&birds)), &ledger).is_some());
    }
}
