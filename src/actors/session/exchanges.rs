//! Which exchanges are under way with a peer: one at a time, others wait; where both ends start at
//! once, the one of the end with the lesser id wins.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use ractor::ActorRef;
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time,
};

use super::{
    SessionMsg, borrowing,
    exchange::{Broken, Conversation, End, Ended, MAY_NOT},
    frames::{ANSWER_PATIENCE, send_frame},
    lending::lend,
    opening::Opening,
};
use crate::{
    actors::society::Society,
    causality::NodeId,
    network::{Protocol, Stream},
    ports::{Operation, Scope},
    report::ExchangeReport,
    types::Namespace,
    wire::{ExchangeFrame, Lacking, Way},
};

/// An exchange that ended early is tried again after this time …
const TRY_AGAIN: Duration = Duration::from_millis(200);
/// … which doubles so many times.
const TRY_AGAIN_DOUBLINGS_MAX: u32 = 8;
/// The most who wait for the outcome of an exchange about one namespace; more are told nothing.
const REPLIES_MAX: usize = 64;

type Reply = oneshot::Sender<ExchangeReport>;

/// What is to be compared, and which way versions go, as this end sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Errand {
    pub namespace: Namespace,
    pub way: Way,
}

struct Running {
    number: u64,
    errand: Errand,
    outgoing: bool,
    scope: Scope,
    replies: Vec<Reply>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.scope.close();
    }
}

/// The exchanges with one peer.
pub struct Exchanges {
    society: Arc<Society>,
    peer: NodeId,
    scope: Scope,
    running: Option<Running>,
    /// What the peer is lent, while another one fills it: once at a time.
    lending: Option<Scope>,
    /// One entry per namespace and way at most, so it is bounded by their number.
    waiting: VecDeque<Errand>,
    replies: BTreeMap<Errand, Vec<Reply>>,
    compared: BTreeSet<Namespace>,
    trying_again: BTreeSet<Errand>,
    /// Filled from another peer just now; each is looked at again when that is over.
    held: BTreeSet<Namespace>,
    next: u64,
    failures: u32,
}

impl Exchanges {
    /// None yet.
    pub fn new(society: Arc<Society>, peer: NodeId, scope: Scope) -> Self {
        Self {
            society,
            peer,
            scope,
            running: None,
            lending: None,
            waiting: VecDeque::new(),
            replies: BTreeMap::new(),
            compared: BTreeSet::new(),
            trying_again: BTreeSet::new(),
            held: BTreeSet::new(),
            next: 0,
            failures: 0,
        }
    }

    /// Whether an exchange about `namespace` is under way.
    pub fn is_running(&self, namespace: &Namespace) -> bool {
        self.running.as_ref().is_some_and(|running| running.errand.namespace == *namespace)
    }

    /// Whether an exchange about `namespace`, both ways, was begun with this peer.
    pub fn has_compared(&self, namespace: &Namespace) -> bool {
        self.compared.contains(namespace)
    }

    /// Asks for an exchange both ways.
    pub fn ask(&mut self, myself: &ActorRef<SessionMsg>, namespace: Namespace, reply: Option<Reply>) {
        self.ask_going(myself, Errand { namespace, way: Way::Both }, reply);
    }

    /// Asks for an exchange; one that waits already serves all who ask for the same.
    pub fn ask_going(&mut self, myself: &ActorRef<SessionMsg>, errand: Errand, reply: Option<Reply>) {
        if !self.may(&errand.namespace) {
            if let Some(reply) = reply {
                let report =
                    ExchangeReport::failed(self.peer.to_string(), errand.namespace, MAY_NOT.to_owned());
                let _asker_is_gone = reply.send(report);
            }
            return;
        }
        self.reply_later(errand.clone(), reply);
        if !self.waiting.contains(&errand) {
            self.waiting.push_back(errand);
        }
        self.start_next(myself);
    }

    /// Whether this peer may exchange the namespace.
    pub fn may(&self, namespace: &Namespace) -> bool {
        self.society.hooks.allows(self.peer, Operation::Exchange, namespace)
    }

    fn reply_later(&mut self, errand: Errand, more: impl IntoIterator<Item = Reply>) {
        let replies = self.replies.entry(errand).or_default();
        replies.extend(more);
        replies.retain(|reply| !reply.is_closed());
        replies.truncate(REPLIES_MAX);
    }

    fn start_next(&mut self, myself: &ActorRef<SessionMsg>) {
        if self.running.is_some() {
            return;
        }
        self.hold_what_others_fill(myself);
        let is_free = |errand: &Errand| !errand.way.takes() || !self.held.contains(&errand.namespace);
        let next = self.waiting.iter().position(is_free);
        let Some(errand) = next.and_then(|place| self.waiting.remove(place)) else { return };
        let replies = self.replies.remove(&errand).unwrap_or_default();
        let (number, scope) = self.run(errand.clone(), true, replies);
        let (society, peer) = (self.society.clone(), self.peer);
        let teller = Teller::new(myself, number, peer, &errand.namespace);
        scope.spawn(async move { teller.tell(outgoing(society, peer, errand).await) });
    }

    /// Another peer sends all there is: a second one would send the same, but for what it lends meanwhile. Who
    /// asked is told so.
    fn hold_what_others_fill(&mut self, myself: &ActorRef<SessionMsg>) {
        for errand in self.waiting.clone().into_iter().filter(|errand| errand.way.takes()) {
            let namespace = errand.namespace.clone();
            let Some(other) = self.society.fills.other_than(&self.peer, &namespace) else { continue };
            for reply in self.replies.remove(&errand).unwrap_or_default() {
                let error = Broken::Elsewhere(other).to_string();
                let report = ExchangeReport::failed(self.peer.to_string(), namespace.clone(), error);
                let _asker_is_gone = reply.send(report);
            }
            if self.held.insert(namespace.clone()) {
                let (society, peer, myself) = (self.society.clone(), self.peer, myself.clone());
                self.scope.spawn(async move {
                    borrowing::until_free_for(&society, peer, &namespace).await;
                    let _session_is_ending = myself.cast(SessionMsg::FillEnded(namespace));
                });
            }
        }
    }

    /// What another peer filled is free again.
    pub fn on_fill_ended(&mut self, myself: &ActorRef<SessionMsg>, namespace: &Namespace) {
        self.held.remove(namespace);
        self.start_next(myself);
    }

    fn run(&mut self, errand: Errand, outgoing: bool, replies: Vec<Reply>) -> (u64, Scope) {
        if errand.way == Way::Both {
            self.compared.insert(errand.namespace.clone());
        }
        let (number, scope) = (self.next, self.scope.child());
        self.next += 1;
        self.running = Some(Running { number, errand, outgoing, scope: scope.clone(), replies });
        (number, scope)
    }

    /// The peer has begun an exchange.
    pub fn accept(
        &mut self,
        myself: &ActorRef<SessionMsg>,
        stream: Stream,
        opening: Opening,
        place: OwnedSemaphorePermit,
    ) {
        if let ExchangeFrame::Lacking(first) = opening.first {
            return self.lend(stream, (first, opening.bytes), place);
        }
        let Some(namespace) = opening.namespace().cloned() else {
            tracing::debug!(peer = %self.peer, "an exchange did not begin with a hello");
            return;
        };
        let mark = match opening.admit(&self.society, self.peer, &namespace) {
            Ok(mark) => mark,
            Err(refusal) => {
                // It is filled from another peer, and this one may lend meanwhile.
                let lends = refusal == ExchangeFrame::Busy && opening.way == Way::Both;
                self.refuse(stream, refusal, place);
                if lends {
                    self.ask(myself, namespace, None);
                }
                return;
            }
        };
        let ours_wins = |running: &Running| !running.outgoing || self.society.node < self.peer;
        if self.running.as_ref().is_some_and(ours_wins) {
            return self.refuse(stream, ExchangeFrame::Busy, place);
        }
        let Some(permit) = self.society.admission.exchanges.admit_now(1) else {
            return self.refuse(stream, ExchangeFrame::Busy, place);
        };
        // Large values of the peer's come over the connection that it opened this one on.
        let Some(network) = self.society.network() else { return };
        let errand = Errand { namespace: namespace.clone(), way: opening.way };
        let mut replies = self.replies.remove(&errand).unwrap_or_default();
        self.waiting.retain(|waiting| *waiting != errand);
        if let Some(mut lost) = self.running.take() {
            let unanswered = std::mem::take(&mut lost.replies);
            if lost.errand == errand {
                replies.extend(unanswered);
            } else {
                self.waiting.push_front(lost.errand.clone());
                self.reply_later(lost.errand.clone(), unanswered);
            }
        }
        let (number, scope) = self.run(errand, false, replies);
        let conversation = Conversation {
            society: self.society.clone(),
            peer: self.peer,
            namespace,
            way: opening.way,
            streams: network.streams,
            stream,
            first: Some(opening.first),
            first_bytes: opening.bytes,
            mark,
        };
        let teller = Teller::new(myself, number, self.peer, &conversation.namespace);
        scope.spawn(async move {
            let ended = conversation.run().await;
            drop((permit, place));
            teller.tell(ended);
        });
    }

    /// The peer is filled from another one, and asks for single versions.
    fn lend(&mut self, stream: Stream, first: (Lacking, u64), place: OwnedSemaphorePermit) {
        let namespace = &first.0.namespace;
        if !self.society.reader().carries(namespace) || !self.may(namespace) {
            return self.refuse(stream, ExchangeFrame::NotCarried, place);
        }
        let Some(permit) = self.society.admission.exchanges.admit_now(1) else {
            return self.refuse(stream, ExchangeFrame::Busy, place);
        };
        let (scope, society, peer) = (self.scope.child(), self.society.clone(), self.peer);
        if let Some(before) = self.lending.replace(scope.clone()) {
            before.close();
        }
        scope.spawn(async move {
            lend(society, peer, stream, first).await;
            drop((permit, place));
        });
    }

    fn refuse(&self, mut stream: Stream, frame: ExchangeFrame, place: OwnedSemaphorePermit) {
        self.scope.spawn(async move {
            let uncounted = std::sync::atomic::AtomicU64::new(0);
            if let Err(broken) = send_frame(&mut stream, &frame.to_bytes(), &uncounted).await {
                tracing::debug!(%broken, "an exchange could not be refused");
            }
            let _peer_closed_first = futures::AsyncWriteExt::close(&mut stream).await;
            drop(place);
        });
    }

    /// A peer that was busy, or a stream that broke, is tried again before the next beacon.
    fn try_again_later(&mut self, myself: &ActorRef<SessionMsg>, errand: Errand) {
        // One timer per errand, however many exchanges fail meanwhile.
        if !self.trying_again.insert(errand.clone()) {
            return;
        }
        self.failures = (self.failures + 1).min(TRY_AGAIN_DOUBLINGS_MAX);
        let base = TRY_AGAIN * 2_u32.pow(self.failures - 1);
        let wait = self.society.entropy.jittered(base, 25);
        let myself = myself.clone();
        self.scope.spawn(async move {
            time::sleep(wait).await;
            let _session_is_ending = myself.cast(SessionMsg::TryAgain(errand));
        });
    }

    /// The time has come to try again.
    pub fn try_again(&mut self, myself: &ActorRef<SessionMsg>, errand: Errand) {
        self.trying_again.remove(&errand);
        if errand.way == Way::Both || self.is_awaited(&errand) {
            self.ask_going(myself, errand, None);
        } else {
            self.replies.remove(&errand);
        }
    }

    /// Whether somebody still waits for the outcome: only then versions go one way.
    fn is_awaited(&self, errand: &Errand) -> bool {
        self.replies.get(errand).is_some_and(|replies| replies.iter().any(|reply| !reply.is_closed()))
    }

    /// An exchange is over: tells who waited, and starts the next. True if something was learned.
    pub fn on_compared(&mut self, myself: &ActorRef<SessionMsg>, number: u64, ended: Ended) -> bool {
        let Some(mut running) = self.running.take_if(|running| running.number == number) else {
            return false;
        };
        let Ended { report, end } = ended;
        let (errand, mut replies) = (running.errand.clone(), std::mem::take(&mut running.replies));
        drop(running);
        // Who asked for one way is told how it went, and asks again.
        let goes_on = errand.way == Way::Both;
        if let Some(error) = &report.error {
            tracing::debug!(peer = %self.peer, error, "an exchange ended early");
        }
        match end {
            End::Equal | End::Delta => self.failures = 0,
            End::Elsewhere if goes_on => self.waiting.push_back(errand),
            End::NotCarried | End::Elsewhere => {}
            End::Broken => {
                if report.versions_in > 0 {
                    // It goes on from there, and soon.
                    self.failures = 0;
                }
                if goes_on {
                    self.try_again_later(myself, errand);
                }
            }
            End::Busy => {
                // Both began at once, or it talks to others: whoever waits is told of the next one.
                self.reply_later(errand.clone(), std::mem::take(&mut replies));
                self.try_again_later(myself, errand);
            }
        }
        for reply in replies {
            let _asker_is_gone = reply.send(report.clone());
        }
        self.start_next(myself);
        end == End::Delta
    }
}

/// Tells the Session that an exchange is over, also when its task ends in a panic.
struct Teller {
    session: ActorRef<SessionMsg>,
    number: u64,
    unfinished: Option<Ended>,
}

impl Teller {
    fn new(session: &ActorRef<SessionMsg>, number: u64, peer: NodeId, namespace: &Namespace) -> Self {
        let unfinished = Ended::failed(peer, namespace.clone(), "it broke off".to_owned());
        Self { session: session.clone(), number, unfinished: Some(unfinished) }
    }

    fn tell(mut self, ended: Ended) {
        self.unfinished = Some(ended);
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        if let Some(ended) = self.unfinished.take() {
            let _session_is_ending = self.session.cast(SessionMsg::Compared(self.number, ended));
        }
    }
}

async fn outgoing(society: Arc<Society>, peer: NodeId, errand: Errand) -> Ended {
    let Errand { namespace, way } = errand;
    let failed = |error: String| Ended::failed(peer, namespace.clone(), error);
    let Some(_permit) = society.admission.exchanges.admit(1, ANSWER_PATIENCE).await else {
        return failed("this node is busy with other exchanges".to_owned());
    };
    let Some(network) = society.network() else { return failed("the network is down".to_owned()) };
    let streams = network.streams;
    let stream = match streams.open(peer, Protocol::Sync).await {
        Ok(stream) => stream,
        Err(error) => return failed(error.to_string()),
    };
    let mark = society.peers.stand(peer, &namespace, |standing| standing.mark());
    let namespace = namespace.clone();
    let (first, first_bytes) = (None, 0);
    Conversation { society, peer, namespace, way, streams, stream, first, first_bytes, mark }.run().await
}
