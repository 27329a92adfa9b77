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

use crate::conflict::{Failure, Resolution, Resolver, Version};

/// So long an answer is waited for. By the machine's clock, also in virtual time: a thread is no task, and what it
/// does takes none.
pub(crate) const RESOLVER_PATIENCE: Duration = Duration::from_secs(2);

type Answer = Result<Resolution, Failure>;

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
        thread::Builder::new()
            .name("tidings-resolver".into())
            .spawn(move || work(&*resolver, &asked, &answer))?;
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
        let resolved = catch_unwind(AssertUnwindSafe(|| resolver.resolve(&siblings)));
        if answer.send(resolved.map_err(|_| Failure::Panicked)).is_err() {
            return;
        }
    }
}
