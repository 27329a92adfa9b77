//! Supervisor: starts the actors of a node, restarts those that fail, and gives up in a clear way
//! when that does not help.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::{
    sync::oneshot,
    time::{self, Instant},
};

use super::{
    anti_entropy::AntiEntropy,
    clock::Clock,
    mesh::{Mesh, MeshArgs, StartNetwork},
    runner::StorageRunner,
    sessions::Sessions,
    society::{Ending, Society},
    storage::{Storage, StorageArgs, StorageMsg},
    watch::Watch,
};
use crate::{
    network::Command,
    report::NodeEvent,
    storage::{Store, StoreError},
    types::Namespace,
};

/// More restarts than this …
const RESTARTS_MAX: usize = 5;
/// … within this time, and the node is closed.
const RESTARTS_WITHIN: Duration = Duration::from_secs(60);
/// The network is given so long to say goodbye.
const GOODBYE: Duration = Duration::from_millis(800);
/// Storage is given so long to commit what is planned.
const LAST_COMMIT: Duration = Duration::from_secs(4);

/// An actor that the supervisor keeps alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Gives stamps, and knows the skew of each peer.
    Clock,
    /// Fans changes out to subscribers.
    Watch,
    /// The single writer.
    Storage,
    /// Keeps a session with each peer that is connected.
    Sessions,
    /// Decides when neighbours compare what they hold.
    AntiEntropy,
    /// Owns the network.
    Mesh,
}

/// Who needs whom: started in this order.
const ROLES: [Role; 6] =
    [Role::Clock, Role::Watch, Role::Storage, Role::Sessions, Role::AntiEntropy, Role::Mesh];

/// What the Supervisor is told.
#[derive(Debug)]
pub enum SupervisorMsg {
    /// Stop in good order, and tell when it is done.
    Close(oneshot::Sender<()>),
    /// Which actor plays a role now (for tests that kill it).
    Who(Role, oneshot::Sender<Option<ActorCell>>),
}

/// What the Supervisor needs to start.
pub struct SupervisorArgs {
    /// What all actors share.
    pub society: Arc<Society>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The namespaces to carry beside those that the store knows of.
    pub namespaces: Vec<Namespace>,
    /// Who runs Storage.
    pub runner: Arc<dyn StorageRunner>,
    /// Starts the network.
    pub network: StartNetwork,
}

/// The Supervisor actor.
pub struct Supervisor;

/// What it keeps.
pub struct SupervisorState {
    args: SupervisorArgs,
    children: BTreeMap<Role, ActorCell>,
    restarts: Vec<Instant>,
    closing: bool,
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Supervisor {
    type Msg = SupervisorMsg;
    type State = SupervisorState;
    type Arguments = SupervisorArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorMsg>,
        args: SupervisorArgs,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        let mut state =
            SupervisorState { args, children: BTreeMap::new(), restarts: Vec::new(), closing: false };
        for role in ROLES {
            state.start(&myself, role).await?;
        }
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMsg>,
        message: SupervisorMsg,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMsg::Close(reply) => {
                state.close().await;
                let _asker_is_gone = reply.send(());
                myself.stop(None);
            }
            SupervisorMsg::Who(role, reply) => {
                let _asker_is_gone = reply.send(state.children.get(&role).cloned());
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorMsg>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(who, error) => {
                let fatal = error.downcast_ref::<StoreError>().map(ToString::to_string);
                state.on_child_ended(&myself, who.get_id(), &error.to_string(), fatal).await;
            }
            SupervisionEvent::ActorTerminated(who, kept, reason) => {
                // What it kept ends with it, such as a swarm that holds the port of the next one.
                drop(kept);
                let reason = reason.unwrap_or_else(|| "it stopped".to_owned());
                state.on_child_ended(&myself, who.get_id(), &reason, None).await;
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl SupervisorState {
    async fn start(
        &mut self,
        myself: &ActorRef<SupervisorMsg>,
        role: Role,
    ) -> Result<(), ActorProcessingErr> {
        let society = self.args.society.clone();
        let boss = myself.get_cell();
        let (cell, task) = match role {
            Role::Clock => {
                let (actor, task) = Actor::spawn_linked(None, Clock, society.clock.clone(), boss).await?;
                society.clock_box.set(actor.clone());
                (actor.get_cell(), task)
            }
            Role::Watch => {
                let (actor, task) = Actor::spawn_linked(None, Watch, society.clone(), boss).await?;
                society.watch.set(actor.clone());
                (actor.get_cell(), task)
            }
            Role::Sessions => {
                let (actor, task) = Actor::spawn_linked(None, Sessions, society.clone(), boss).await?;
                society.sessions.set(actor.clone());
                (actor.get_cell(), task)
            }
            Role::AntiEntropy => {
                let (actor, task) = Actor::spawn_linked(None, AntiEntropy, society.clone(), boss).await?;
                society.anti_entropy.set(actor.clone());
                (actor.get_cell(), task)
            }
            Role::Mesh => {
                let args = MeshArgs { society: society.clone(), start: self.args.network.clone() };
                let (actor, task) = Actor::spawn_linked(None, Mesh, args, boss).await?;
                (actor.get_cell(), task)
            }
            Role::Storage => {
                let cell = self.start_storage(boss).await?;
                self.children.insert(role, cell);
                return Ok(());
            }
        };
        society.scope.adopt(task.abort_handle());
        self.children.insert(role, cell);
        Ok(())
    }

    /// Storage is spawned where its runner runs it, and linked from there.
    async fn start_storage(&mut self, boss: ActorCell) -> Result<ActorCell, ActorProcessingErr> {
        let society = self.args.society.clone();
        let args = StorageArgs {
            society: society.clone(),
            store: self.args.store.clone(),
            // The store knows them from then on; one may be left meanwhile.
            namespaces: std::mem::take(&mut self.args.namespaces),
        };
        let (told, started) = oneshot::channel();
        let scope = society.scope.clone();
        let task = async move {
            match Actor::spawn_linked(None, Storage, args, boss).await {
                Ok((actor, task)) => {
                    scope.adopt(task.abort_handle());
                    let _supervisor_is_gone = told.send(Ok(actor));
                    let _ended_either_way = task.await;
                }
                Err(error) => {
                    let _supervisor_is_gone = told.send(Err(error));
                }
            }
        };
        self.args.runner.run(&society.scope, Box::pin(task))?;
        let actor: ActorRef<StorageMsg> = started.await.map_err(|_| "the storage thread ended at once")??;
        society.storage.set(actor.clone());
        Ok(actor.get_cell())
    }

    async fn on_child_ended(
        &mut self,
        myself: &ActorRef<SupervisorMsg>,
        who: ActorId,
        reason: &str,
        fatal: Option<String>,
    ) {
        let role = self.children.iter().find(|(_, cell)| cell.get_id() == who).map(|(role, _)| *role);
        let Some(role) = role.filter(|_| !self.closing) else { return };
        if let Some(error) = fatal {
            return self.give_up(myself, &error);
        }
        tracing::error!(?role, reason, "an actor ended and is started again");
        self.args.society.metrics.restarts.inc();
        let now = Instant::now();
        self.restarts.retain(|at| now.duration_since(*at) < RESTARTS_WITHIN);
        self.restarts.push(now);
        if self.restarts.len() > RESTARTS_MAX {
            return self.give_up(myself, &format!("{role:?} failed again and again: {reason}"));
        }
        self.args.society.tell(NodeEvent::Warning(format!("{role:?} failed and is started again: {reason}")));
        if let Err(error) = self.start(myself, role).await {
            self.give_up(myself, &format!("{role:?} could not be started again: {error}"));
        }
    }

    /// The node cannot go on: it is closed, and says why.
    fn give_up(&mut self, myself: &ActorRef<SupervisorMsg>, reason: &str) {
        tracing::error!(reason, "the node is closed");
        self.closing = true;
        let society = &self.args.society;
        society.ready.store(false, Ordering::Relaxed);
        society.ended.send_replace(Some(Ending::Failed(reason.to_owned())));
        myself.stop(Some(reason.to_owned()));
        society.scope.close();
    }

    async fn close(&mut self) {
        self.closing = true;
        let society = self.args.society.clone();
        society.ready.store(false, Ordering::Relaxed);
        if let Some(network) = society.network() {
            let goodbye = async {
                let _network_is_gone = network.commands.send(Command::Stop).await;
                network.commands.closed().await;
            };
            let _told_in_time = time::timeout(GOODBYE, goodbye).await;
        }
        let (reply, closed) = oneshot::channel();
        society.storage.cast(StorageMsg::Close(reply));
        if time::timeout(LAST_COMMIT, closed).await.is_err() {
            tracing::warn!("storage did not close in time; the next start finds an unclean stop");
        }
    }
}
