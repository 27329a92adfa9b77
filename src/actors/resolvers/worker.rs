//! The thread on which a resolver is asked, so that one that never returns keeps nobody from their work for long.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel},
    },
    thread,
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};

use crate::conflict::{Failure, Resolution, Resolver, Version};

/// So long an answer is waited for. By the machine's clock, also in virtual time: a thread is no task, and what it
/// does takes none.
pub(crate) const RESOLVER_PATIENCE: Duration = Duration::from_secs(5);

/// What it resolved to, and how long it was at it.
type Answer = Result<(Resolution, Duration), Failure>;

/// A resolver on its thread. The thread ends with it; one that is stuck stays until its resolver returns.
pub(crate) struct Worker {
    questions: SyncSender<Vec<Version>>,
    answers: Receiver<Answer>,
    /// A question has no answer yet: nobody waits for it any more.
    stuck: bool,
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the machine has no thread to give.
    pub(crate) fn start(resolver: Arc<dyn Resolver>) -> io::Result<Self> {
        // One question is under way at most.
        let (questions, asked) = sync_channel(1);
        let (answer, answers) = sync_channel(1);
        let runtime = Handle::try_current().ok();
        thread::Builder::new().name("tidings-resolver".into()).spawn(move || {
            // For its clock: what a resolver does takes no virtual time.
            let _inside = runtime.as_ref().map(Handle::enter);
            work(&*resolver, &asked, &answer);
        })?;
        Ok(Self { questions, answers, stuck: false })
    }

    /// Asks, and waits for the answer for [`RESOLVER_PATIENCE`] at most.
    pub(crate) fn ask(&mut self, siblings: &[Version]) -> Answer {
        if self.stuck && self.answers.try_recv() == Err(TryRecvError::Empty) {
            return Err(Failure::Resting);
        }
        self.stuck = false;
        self.questions.send(siblings.to_vec()).map_err(|_| Failure::Silent)?;
        match self.answers.recv_timeout(RESOLVER_PATIENCE) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                self.stuck = true;
                Err(Failure::Silent)
            }
            Err(RecvTimeoutError::Disconnected) => Err(Failure::Silent),
        }
    }
}

fn work(resolver: &dyn Resolver, asked: &Receiver<Vec<Version>>, answer: &SyncSender<Answer>) {
    while let Ok(siblings) = asked.recv() {
        // Timed here, and not by who asks: how long either thread waits to be woken is no fault of the resolver.
        let begun = Instant::now();
        let resolved = catch_unwind(AssertUnwindSafe(|| resolver.resolve(&siblings)));
        let took = begun.elapsed();
        if answer.send(resolved.map(|resolution| (resolution, took)).map_err(|_| Failure::Panicked)).is_err()
        {
            return;
        }
    }
}
