//! Carries out an exchange over a stream: reading, writing and applying go on side by side.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt, io};
use thiserror::Error;
use tokio::{
    sync::{OnceCell, mpsc, oneshot},
    time::{self, Instant},
};
use tracing::{Instrument, Span, field};

use super::{
    frames::{ANSWER_PATIENCE, StreamBroken, linger, read_frame, send_frame},
    storing::{Storing, Watch, Work},
};
use crate::{
    actors::{
        fills::{FILL_WRITES_MIN, Fill},
        society::Society,
        standing::{Mark, Standing},
        storage::{StorageMsg, Whole},
    },
    causality::{Dot, Floors, NodeId, Origin, SeenSet},
    network::{Stream, Streams},
    reconcile::{Effect, Exchange, Input, Outcome, Report, Violation},
    report::{ExchangeKind, ExchangeReport},
    storage::{StoreError, View},
    types::Namespace,
    wire::{ExchangeFrame, Items, PAGE_BYTES, PAGE_VERSIONS, Page, Way},
};

/// A snapshot keeps all memory and files of its time. Who sends more than fits in so long breaks off, and
/// the exchange that follows goes on from there …
const SENDING_MAX: Duration = Duration::from_secs(60);
/// … but not before so many pages are read, or a slow peer would get nowhere.
const PAGES_LEAST: u64 = 16;

/// What a report says where the host's authorizer is against it.
pub const MAY_NOT: &str = "this node may not exchange it with that peer (its authorizer)";
/// What a report says of a peer that does not carry the namespace.
pub const NOT_CARRIED: &str = "the peer does not carry the namespace";

/// How long, and how many pages, a snapshot was sent from.
pub(super) struct Sending {
    began: Instant,
    pages: AtomicU64,
}

impl Sending {
    pub(super) fn begin() -> Self {
        Self { began: Instant::now(), pages: AtomicU64::new(0) }
    }

    pub(super) fn read_one_more(&self) -> Result<(), Broken> {
        let read = self.pages.fetch_add(1, Ordering::Relaxed);
        if read >= PAGES_LEAST && self.began.elapsed() > SENDING_MAX { Err(Broken::Long) } else { Ok(()) }
    }
}

/// Why an exchange ended before its end.
#[derive(Debug, Error)]
pub enum Broken {
    /// The stream broke.
    #[error(transparent)]
    Stream(#[from] StreamBroken),
    /// The peer broke the rules.
    #[error("the peer broke the rules of an exchange: {0}")]
    Violation(#[from] Violation),
    /// Nothing moved for too long.
    #[error("nothing moved for {} s", ANSWER_PATIENCE.as_secs())]
    Stalled,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Deletes were forgotten here since the exchange began: what is dead now was not told of then.
    #[error("deletes were forgotten here meanwhile")]
    Forgotten,
    /// Something that was seen here is lost, or is not counted yet.
    #[error("what is stored here does not add up (yet)")]
    DoesNotAddUp,
    /// Another peer sends all that is missing here.
    #[error("{0} fills this node just now: this peer's turn is after that")]
    Elsewhere(NodeId),
    /// No stream to the peer.
    #[error("the peer cannot be asked: {0}")]
    Unreachable(String),
    /// The snapshot that is sent from is old.
    #[error("it took so long that it goes on with a new snapshot")]
    Long,
    /// The namespace was left here meanwhile.
    #[error("this node has left the namespace")]
    Left,
    /// The node is closing, or a part of it was started again.
    #[error("this node is busy with itself")]
    Closing,
}

/// How an exchange came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both have said what they had to say.
    Equal,
    /// One of them, at least, has learned something.
    Delta,
    /// The peer has no room for one now.
    Busy,
    /// The peer does not carry the namespace.
    NotCarried,
    /// Another peer fills this node, and this one has to wait.
    Elsewhere,
    /// It broke off.
    Broken,
}

/// An exchange that is over.
#[derive(Debug)]
pub struct Ended {
    /// What it did.
    pub report: ExchangeReport,
    /// How it ended.
    pub end: End,
}

impl Ended {
    /// One that did not come about.
    pub fn failed(peer: NodeId, namespace: Namespace, error: String) -> Self {
        Self { report: ExchangeReport::failed(peer.to_string(), namespace, error), end: End::Broken }
    }
}

impl Broken {
    /// Whether the peer sent what it must not.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Stream(broken) => broken.is_refusal(),
            Self::Violation(_) => true,
            Self::Stalled
            | Self::Store(_)
            | Self::Closing
            | Self::Left
            | Self::Forgotten
            | Self::DoesNotAddUp
            | Self::Elsewhere(_)
            | Self::Unreachable(_)
            | Self::Long => false,
        }
    }
}

/// One exchange of this node with a peer.
pub struct Conversation {
    /// What all actors share.
    pub society: Arc<Society>,
    /// The peer.
    pub peer: NodeId,
    /// The namespace compared.
    pub namespace: Namespace,
    /// Which way versions go, as this end sees it.
    pub way: Way,
    /// Opens others to the same peer, for large values.
    pub streams: Arc<dyn Streams>,
    /// The stream.
    pub stream: Stream,
    /// The frame that the peer opened the stream with, if it did.
    pub first: Option<ExchangeFrame>,
    /// Bytes of it.
    pub first_bytes: u64,
    /// When the peer said it; or what it says is newer than this.
    pub mark: Mark,
}

#[derive(Default)]
struct Counted {
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    /// Versions stored.
    versions_in: AtomicU64,
}

/// The parts of a conversation that its loops share.
struct Talk<'a> {
    society: &'a Arc<Society>,
    peer: NodeId,
    namespace: &'a Namespace,
    way: Way,
    /// The snapshot that is sent from, until that is done: it keeps all memory and files of its time.
    view: Mutex<Option<View>>,
    /// Which namespace of that name it is: what is read later must be of the same.
    incarnation: Option<u16>,
    sending: Sending,
    fill: &'a OnceCell<Fill>,
    seen: &'a SeenSet,
    /// What has become live since ranges are compared is watched.
    ranges: &'a OnceCell<Watch>,
    /// The tag of the snapshot, if nothing changed as it was taken.
    tag: Option<u64>,
    /// The peer's hello, once it is here; before that, where it will be in what the peer says.
    mark: Mark,
    out: mpsc::UnboundedSender<(Bytes, bool)>,
    pages: mpsc::UnboundedSender<Work>,
    own: mpsc::UnboundedSender<Input>,
}

impl Conversation {
    /// Carries it out. Dropping the future breaks the exchange off; what was applied stays.
    pub async fn run(self) -> Ended {
        let started = Instant::now();
        let counted = Counted::default();
        counted.bytes_in.store(self.first_bytes, Ordering::Relaxed);
        let (society, peer, namespace) = (self.society.clone(), self.peer, self.namespace.clone());
        let span = tracing::debug_span!(
            "exchange",
            %peer,
            %namespace,
            how = field::Empty,
            error = field::Empty,
            bytes_in = field::Empty,
            bytes_out = field::Empty,
            versions_in = field::Empty,
            versions_out = field::Empty,
            dropped = field::Empty,
            rounds = field::Empty,
        );
        let outcome = self.talk(&counted).instrument(span.clone()).await;
        let metrics = &society.metrics;
        let mut report = ExchangeReport {
            peer_id: peer.to_string(),
            namespace,
            how: None,
            error: None,
            bytes_in: counted.bytes_in.into_inner(),
            bytes_out: counted.bytes_out.into_inner(),
            versions_in: counted.versions_in.into_inner(),
            versions_out: 0,
            dropped: 0,
            rounds: 0,
            elapsed: started.elapsed(),
        };
        metrics.exchange_bytes_in.inc_by(report.bytes_in);
        metrics.exchange_bytes_out.inc_by(report.bytes_out);
        let end = match outcome {
            Ok(done) => fill(&mut report, &done),
            Err(broken) => {
                metrics.frames_refused.inc_by(broken.is_refusal().into());
                report.error = Some(broken.to_string());
                if matches!(broken, Broken::Elsewhere(_)) { End::Elsewhere } else { End::Broken }
            }
        };
        let counter = if report.how.is_some() { &metrics.exchanges } else { &metrics.exchanges_failed };
        counter.inc();
        note(&span, &report);
        Ended { report, end }
    }

    async fn talk(self, counted: &Counted) -> Result<Report, Broken> {
        let Self { society, peer, namespace, way, streams, stream, first, mark, .. } = self;
        // Who opened the stream, and gives, waits until the other end is through with what it was given: the
        // stream may be all there is between the two, or the caller wants to know.
        let alone = streams.moved().is_some();
        let lingers = first.is_none() && (alone && way.gives() || way == Way::Give);
        let before = society.reader().tag(&namespace);
        let Whole { view, seen, floors, digests, .. } = snapshot(&society, &namespace, false).await?;
        let incarnation = view.incarnation(&namespace);
        // The same before and after: then it is the tag of the snapshot.
        let tag = society.reader().tag(&namespace).filter(|after| after.1 && before == Some(*after));
        let tag = tag.map(|(tag, _)| tag);
        let root = digests.map(|digests| digests.root().hash());
        let (ranges, fill) = (OnceCell::new(), OnceCell::new());
        let (out, mut outbox) = mpsc::unbounded_channel();
        let (pages, worklist) = mpsc::unbounded_channel();
        let (own, mut inputs) = mpsc::unbounded_channel();
        let (frames_in, mut frames) = mpsc::channel(1);
        let (mut reader, mut writer) = stream.split();
        let talk = Talk {
            society: &society,
            peer,
            namespace: &namespace,
            way,
            incarnation,
            view: Mutex::new(Some(view)),
            sending: Sending::begin(),
            fill: &fill,
            seen: &seen,
            ranges: &ranges,
            tag,
            mark,
            out,
            pages,
            own: own.clone(),
        };
        let read = read_all(&mut reader, &counted.bytes_in, frames_in);
        let mut write = pin!(write_all(&mut writer, &counted.bytes_out, &mut outbox, own.clone()));
        let store = Storing {
            society: &society,
            streams: &*streams,
            peer,
            namespace: &namespace,
            ranges: &ranges,
            fill: &fill,
            incarnation,
            versions_in: &counted.versions_in,
            floors: &floors,
        };
        let work = store.work_off(worklist, own);
        let converse = talk.converse(first, (floors.clone(), root), &mut frames, &mut inputs);
        let done = tokio::select! {
            biased;
            done = converse => done?,
            broken = &mut write => return Err(broken.err().map_or(Broken::Closing, Broken::Stream)),
            broken = work => return Err(broken.err().unwrap_or(Broken::Closing)),
            broken = read => return Err(broken.err().map_or(Broken::Closing, Broken::Stream)),
        };
        // The conversation has dropped its end of the outbox: what is in it is written, then the
        // stream is closed.
        time::timeout(ANSWER_PATIENCE, write).await.map_err(|_| Broken::Stalled)??;
        if lingers {
            linger(&mut reader, &*streams).await;
        }
        Ok(done)
    }
}

/// Says in the span of an exchange what came of it.
fn note(span: &Span, report: &ExchangeReport) {
    if let Some(how) = report.how {
        span.record("how", field::debug(how));
    }
    if let Some(error) = &report.error {
        span.record("error", error.as_str());
    }
    span.record("bytes_in", report.bytes_in)
        .record("bytes_out", report.bytes_out)
        .record("versions_in", report.versions_in)
        .record("versions_out", report.versions_out)
        .record("dropped", report.dropped)
        .record("rounds", report.rounds);
    span.in_scope(|| tracing::debug!("an exchange ended"));
}

fn fill(report: &mut ExchangeReport, done: &Report) -> End {
    report.versions_in = done.versions_in.saturating_sub(done.set_aside);
    if done.set_aside > 0 {
        report.error =
            Some(format!("{} large values did not come; the next exchange asks again", done.set_aside));
    }
    report.versions_out = done.versions_out;
    report.dropped = done.dropped;
    report.rounds = done.rounds;
    match done.outcome {
        Outcome::Equal => {
            report.how = Some(ExchangeKind::Equal);
            End::Equal
        }
        Outcome::Delta => {
            report.how = Some(ExchangeKind::Delta);
            End::Delta
        }
        Outcome::Ranges => {
            report.how = Some(ExchangeKind::Ranges);
            End::Delta
        }
        Outcome::Busy => {
            report.error = Some("the peer is busy".to_owned());
            End::Busy
        }
        Outcome::NotCarried => {
            report.error = Some(NOT_CARRIED.to_owned());
            End::NotCarried
        }
    }
}

async fn read_all(
    reader: &mut (impl AsyncReadExt + Unpin),
    bytes: &AtomicU64,
    frames: mpsc::Sender<ExchangeFrame>,
) -> Result<(), StreamBroken> {
    while let Some(frame) = read_frame(reader, bytes).await? {
        if frames.send(ExchangeFrame::from_frame(&frame)?).await.is_err() {
            break;
        }
    }
    drop(frames);
    // The end of what the peer says ends nothing by itself: the conversation knows if it was due.
    futures::future::pending().await
}

async fn write_all(
    writer: &mut (impl AsyncWriteExt + Unpin),
    bytes: &AtomicU64,
    outbox: &mut mpsc::UnboundedReceiver<(Bytes, bool)>,
    own: mpsc::UnboundedSender<Input>,
) -> Result<(), StreamBroken> {
    while let Some((frame, page)) = outbox.recv().await {
        send_frame(writer, &frame, bytes).await?;
        if page {
            let _conversation_is_over = own.send(Input::PageSent);
        }
    }
    let _peer_closed_first = writer.close().await;
    Ok(())
}

/// What Storage holds of a namespace, all of one moment.
pub async fn snapshot(society: &Society, namespace: &Namespace, watch: bool) -> Result<Whole, Broken> {
    let (reply, taken) = oneshot::channel();
    society.storage.cast(StorageMsg::Snapshot { namespace: namespace.clone(), watch, reply });
    Ok(taken.await.map_err(|_| Broken::Closing)??)
}

impl Talk<'_> {
    async fn converse(
        mut self,
        first: Option<ExchangeFrame>,
        (floors, root): (Floors, Option<[u8; 32]>),
        frames: &mut mpsc::Receiver<ExchangeFrame>,
        inputs: &mut mpsc::UnboundedReceiver<Input>,
    ) -> Result<Report, Broken> {
        let nonce = Exchange::nonce(self.society.entropy.bits(), first.is_none());
        let parting = self.stand(Standing::take_parting);
        let (exchange, effects) =
            Exchange::after(parting, self.namespace.clone(), self.seen.clone(), floors, root, nonce);
        let mut exchange = exchange.going(self.way);
        if first.is_none() && self.way != Way::Both {
            self.carry_out(vec![Effect::Send(ExchangeFrame::Way(self.way))]).await?;
        }
        self.carry_out(effects).await?;
        let mut first = first;
        let mut unapplied = 0_usize;
        loop {
            let input = match first.take() {
                Some(frame) => Input::Frame(frame),
                None => {
                    let input = next_input(&exchange, frames, inputs, unapplied > 0).await?;
                    if matches!(input, Input::Frame(ExchangeFrame::Hello(_))) {
                        self.mark = self.stand(|standing| standing.hello(self.mark));
                    }
                    input
                }
            };
            unapplied -= usize::from(is_done(&input));
            let effects = exchange.handle(input)?;
            let begun = |effect: &&Effect| is_work(effect);
            unapplied += effects.iter().filter(begun).count();
            if let Some(report) = self.carry_out(effects).await? {
                let parting = exchange.into_parting();
                // What a namespace of that name had seen that was left meanwhile says nothing of the one there is now.
                // Looked at under the lock: who leaves forgets what is kept after it is not listed any more.
                self.stand(|standing| {
                    if self.society.reader().incarnation(self.namespace) == self.incarnation {
                        standing.part(parting);
                    }
                });
                return Ok(report);
            }
        }
    }

    async fn carry_out(&self, effects: Vec<Effect>) -> Result<Option<Report>, Broken> {
        for effect in effects {
            match effect {
                Effect::Send(frame) => {
                    let page = frame.brings_versions();
                    if matches!(frame, ExchangeFrame::End(_)) {
                        self.forget_view();
                    }
                    self.out.send((frame.to_bytes(), page)).map_err(|_| Broken::Closing)?;
                }
                Effect::PeerSeen(seen) => self.on_peer_seen(&seen).await?,
                Effect::ReadPage { missing, after } => {
                    let input = self.read_page(&missing, after)?;
                    self.own.send(input).map_err(|_| Broken::Closing)?;
                }
                Effect::Apply(page) => {
                    if let Some((fill, last)) = self.fill.get().zip(page.versions.last()) {
                        fill.comes(last.dot);
                    }
                    self.work(Work::Apply(page))?;
                }
                Effect::Absorb { frontier, floors, settled, drop } => {
                    self.enough();
                    let watch = self.ranges.get().map(|watch| watch.number);
                    let settled = watch.zip(settled);
                    let floors = floors.unwrap_or_default();
                    self.work(Work::Absorb { frontier, floors, settled, drop })?;
                }
                Effect::OpenRanges => {
                    self.forget_view();
                    self.enough();
                    self.society.metrics.ranges.inc();
                    self.work(Work::OpenRanges)?;
                }
                Effect::Judge(claims) => self.work(Work::Judge(claims))?,
                Effect::Settle(items) => self.work(Work::Settle(items))?,
                Effect::ReadClaims(dots) => {
                    let claims = self.view_now()?.claims(self.namespace, &dots)?;
                    self.own.send(Input::ClaimsRead(claims)).map_err(|_| Broken::Closing)?;
                }
                Effect::Sift(dots) => {
                    let wanted = self.society.reader().lacks(self.namespace, &dots)?;
                    self.own.send(Input::Sifted(wanted)).map_err(|_| Broken::Closing)?;
                }
                Effect::ReadItems { dots, after } => {
                    let input = self.read_items(&dots, after)?;
                    self.own.send(input).map_err(|_| Broken::Closing)?;
                }
                Effect::Done(report) => {
                    self.on_done(&report);
                    return Ok(Some(report));
                }
            }
        }
        Ok(None)
    }

    /// Rule 7: a peer that has seen more of our own writes than we have tells that our past is
    /// missing.
    async fn on_peer_seen(&self, theirs: &SeenSet) -> Result<(), Broken> {
        let now = self.society.clock.wall_ms();
        self.stand(|standing| {
            standing.show(theirs);
            match self.tag {
                Some(tag) => standing.differs(tag, now),
                None => standing.doubt(),
            }
        });
        let me = Origin { node: self.society.node, epoch: self.society.epoch.load(Ordering::Relaxed) };
        let last = |seen: &SeenSet, pen: &Origin| seen.get(pen).map_or(0, crate::causality::Intervals::max);
        let more = |seen: &SeenSet| me.pens().iter().any(|pen| last(theirs, pen) > last(seen, pen));
        let knows_more = self.society.reader().with_seen(self.namespace, more);
        if knows_more.unwrap_or_else(|| more(&SeenSet::new())) {
            let (reply, begun) = oneshot::channel();
            self.society.storage.cast(StorageMsg::PeerKnowsMore { origin: me, reply });
            let _storage_is_gone = begun.await;
        }
        if self.way.takes() { self.begin_to_fill(theirs.difference(self.seen)) } else { Ok(()) }
    }

    /// Where much is to come, only one peer sends it at a time.
    fn begin_to_fill(&self, missing: SeenSet) -> Result<(), Broken> {
        if missing.count() < FILL_WRITES_MIN {
            return Ok(());
        }
        match Fill::begin(self.society.clone(), self.namespace.clone(), self.peer, missing) {
            Some(fill) => {
                let _only_once = self.fill.set(fill);
                Ok(())
            }
            None => {
                let other = self.society.fills.other_than(&self.peer, self.namespace);
                Err(Broken::Elsewhere(other.unwrap_or(self.peer)))
            }
        }
    }

    /// All that was missing came: who lends has no more to bring, and nothing comes late to a comparison of ranges.
    fn enough(&self) {
        if let Some(fill) = self.fill.get() {
            fill.enough();
        }
    }

    fn forget_view(&self) {
        drop(self.view.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn work(&self, work: Work) -> Result<(), Broken> {
        self.pages.send(work).map_err(|_| Broken::Closing)
    }

    fn view_now(&self) -> Result<View, Broken> {
        let view = self.society.reader().view();
        // What is not sent is taken for dead: a namespace that was left meanwhile must not look empty.
        if view.incarnation(self.namespace) == self.incarnation { Ok(view) } else { Err(Broken::Left) }
    }

    /// What is held by now of the versions that the peer wants, a page of it.
    fn read_items(&self, dots: &SeenSet, after: Option<Dot>) -> Result<Input, Broken> {
        let page = self.view_now()?.versions(self.namespace, dots, after, PAGE_VERSIONS, PAGE_BYTES)?;
        self.suspect(&page.lost);
        Ok(Input::ItemsRead { items: Items { versions: page.versions }, next: page.next })
    }

    fn read_page(&self, missing: &SeenSet, after: Option<Dot>) -> Result<Input, Broken> {
        self.sending.read_one_more()?;
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let view = view.as_ref().ok_or(Broken::Closing)?;
        let page = view.versions(self.namespace, missing, after, PAGE_VERSIONS, PAGE_BYTES)?;
        let last = page.next.is_none();
        let mut lost = page.lost;
        if last {
            lost.union(&view.unaccounted(self.namespace, missing)?);
        }
        self.suspect(&lost);
        Ok(Input::PageRead { page: Page { versions: page.versions }, lost, last })
    }

    /// What was to be sent is not there: Storage looks again, and has it fetched.
    fn suspect(&self, lost: &SeenSet) {
        if !lost.is_empty() {
            let (namespace, suspects) = (self.namespace.clone(), lost.clone());
            self.society.storage.cast(StorageMsg::Lost { namespace, suspects });
        }
    }

    fn on_done(&self, report: &Report) {
        if let Some(fill) = self.fill.get() {
            fill.complete();
        }
        let now = self.society.clock.wall_ms();
        match report.outcome {
            Outcome::Equal => self.stand(|standing| match self.tag.filter(|_| report.roots_matched) {
                Some(tag) => standing.confirmed(self.mark, tag, self.seen, now),
                None => standing.doubt(),
            }),
            Outcome::NotCarried => self.society.peers.update(self.peer, |peer| {
                peer.standing.remove(self.namespace);
                peer.carries.as_mut().map(|carries| carries.remove(self.namespace));
            }),
            // What the peer made of what it got, its next beacon tells.
            Outcome::Delta | Outcome::Ranges | Outcome::Busy => {}
        }
    }

    fn stand<T>(&self, change: impl FnOnce(&mut Standing) -> T) -> T {
        self.society.peers.stand(self.peer, self.namespace, change)
    }
}

/// Whether an effect is work for Storage.
fn is_work(effect: &Effect) -> bool {
    use Effect as E;
    matches!(effect, E::Apply(_) | E::Absorb { .. } | E::OpenRanges | E::Judge(_) | E::Settle(_))
}

/// Whether Storage has done what it was given.
fn is_done(input: &Input) -> bool {
    use Input as I;
    matches!(
        input,
        I::Applied { .. } | I::Absorbed | I::Late(_) | I::RangesOpened(_) | I::Judged { .. } | I::Settled
    )
}

/// What comes next. While something is being applied there is no hurry: large values take their time,
/// and whoever fetches them has a patience of its own.
async fn next_input(
    exchange: &Exchange,
    frames: &mut mpsc::Receiver<ExchangeFrame>,
    inputs: &mut mpsc::UnboundedReceiver<Input>,
    applying: bool,
) -> Result<Input, Broken> {
    let next = async {
        tokio::select! {
            biased;
            Some(input) = inputs.recv() => Ok(input),
            frame = frames.recv(), if exchange.wants_frame() => match frame {
                Some(frame) => Ok(Input::Frame(frame)),
                None => Err(Broken::Stream(io::Error::from(io::ErrorKind::UnexpectedEof).into())),
            },
        }
    };
    if applying {
        return next.await;
    }
    time::timeout(ANSWER_PATIENCE * 2, next).await.map_err(|_| Broken::Stalled)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_snapshot_is_sent_from_for_so_long_and_never_without_getting_on() {
        let sending = Sending::begin();
        time::advance(SENDING_MAX * 2).await;
        for _ in 0..PAGES_LEAST {
            assert!(sending.read_one_more().is_ok(), "a slow peer gets some pages all the same");
        }
        assert!(matches!(sending.read_one_more(), Err(Broken::Long)));
        let quick = Sending::begin();
        assert!((0..PAGES_LEAST * 1_000).all(|_| quick.read_one_more().is_ok()));
    }
}
