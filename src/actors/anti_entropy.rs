//! AntiEntropy: decides when neighbours compare what they hold.
//!
//! Each neighbour gets a beacon (8 bytes per namespace) every sync interval, jittered, up to four
//! intervals apart while nothing changes; and all get one 50 ms after something was learned by
//! repair, for gossip will not tell them. Who receives a beacon that differs starts an exchange.

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::time;

use super::{sessions::SessionsMsg, society::Society};

/// After something was learned by repair, neighbours are told so much later.
const LEARNED_DELAY: Duration = Duration::from_millis(50);
/// While nothing changes the interval grows up to so many times.
const BACKOFF_MAX: u32 = 4;

/// What AntiEntropy is told.
#[derive(Debug)]
pub enum AntiEntropyMsg {
    /// The interval is over (the timer of this generation).
    Tick(u64),
    /// Something was learned by repair.
    Learned,
    /// Neighbours are to be told now.
    Tell,
    /// Neighbours came or went.
    NeighboursChanged,
    /// A neighbour could not close a gap that it was asked about.
    Gap,
}

/// The AntiEntropy actor.
pub struct AntiEntropy;

/// What it keeps.
pub struct AntiEntropyState {
    society: Arc<Society>,
    generation: u64,
    factor: u32,
    revision: u64,
    telling: bool,
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for AntiEntropy {
    type Msg = AntiEntropyMsg;
    type State = AntiEntropyState;
    type Arguments = Arc<Society>;

    async fn pre_start(
        &self,
        myself: ActorRef<AntiEntropyMsg>,
        society: Arc<Society>,
    ) -> Result<AntiEntropyState, ActorProcessingErr> {
        let mut state = AntiEntropyState { society, generation: 0, factor: 1, revision: 0, telling: false };
        state.schedule(&myself);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<AntiEntropyMsg>,
        message: AntiEntropyMsg,
        state: &mut AntiEntropyState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            AntiEntropyMsg::Tick(generation) if generation == state.generation => {
                state.society.sessions.cast(SessionsMsg::Beacon);
                state.back_off();
                state.schedule(&myself);
            }
            AntiEntropyMsg::Tick(_) => {}
            AntiEntropyMsg::Learned | AntiEntropyMsg::NeighboursChanged | AntiEntropyMsg::Gap => {
                state.tell_soon(&myself);
            }
            AntiEntropyMsg::Tell => {
                state.telling = false;
                state.society.sessions.cast(SessionsMsg::Beacon);
            }
        }
        Ok(())
    }
}

impl AntiEntropyState {
    /// The interval grows while nothing was seen since the last one.
    fn back_off(&mut self) {
        let reader = self.society.reader();
        let revision = reader.namespaces().iter().map(|namespace| reader.revision(namespace)).sum();
        self.factor = if revision == self.revision { (self.factor * 2).min(BACKOFF_MAX) } else { 1 };
        self.revision = revision;
    }

    fn schedule(&mut self, myself: &ActorRef<AntiEntropyMsg>) {
        self.generation += 1;
        let generation = self.generation;
        let interval = self.society.settings.sync_interval * self.factor;
        let wait = self.society.entropy.jittered(interval, 20);
        let myself = myself.clone();
        self.society.scope.spawn(async move {
            time::sleep(wait).await;
            let _stopped_meanwhile = myself.cast(AntiEntropyMsg::Tick(generation));
        });
    }

    fn tell_soon(&mut self, myself: &ActorRef<AntiEntropyMsg>) {
        self.factor = 1;
        if std::mem::replace(&mut self.telling, true) {
            return;
        }
        let myself = myself.clone();
        self.society.scope.spawn(async move {
            time::sleep(LEARNED_DELAY).await;
            let _stopped_meanwhile = myself.cast(AntiEntropyMsg::Tell);
        });
    }
}
