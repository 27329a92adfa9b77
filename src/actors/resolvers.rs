//! Watches over resolvers of the program's own: one that panics, dawdles or never returns costs its records nothing
//! but what it would have decided, and somebody is told.

mod worker;

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;

pub(crate) use worker::{RESOLVER_PATIENCE, Worker};

use super::society::Events;
use crate::{
    conflict::{Ask, Failure, Resolution, Version},
    report::NodeEvent,
};

/// A resolver that took longer than this for one record is not asked for a while.
pub(crate) const RESOLVER_TIME_MAX: Duration = Duration::from_millis(100);
/// So long one that was slow is not asked. It is not for good: the machine may have stood still, not it.
pub(crate) const RESOLVER_REST: Duration = Duration::from_secs(60);

/// One resolver of a node, by its name.
pub(crate) struct Watched {
    name: String,
    events: Events,
    failures: Counter,
    asked: Mutex<Asked>,
    /// What was told of: each kind of failure is told of once, and counted every time.
    told: Mutex<BTreeSet<&'static str>>,
}

struct Asked {
    worker: Worker,
    /// It was slow, and is not asked before.
    rests_until: Option<Instant>,
}

impl Watched {
    pub(crate) fn new(name: String, worker: Worker, events: Events, failures: Counter) -> Self {
        let asked = Mutex::new(Asked { worker, rests_until: None });
        Self { name, events, failures, asked, told: Mutex::default() }
    }

    /// The answer, and whether it took too long.
    fn answer(&self, siblings: &[Version]) -> (Result<Resolution, Failure>, bool) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.rests_until.is_some_and(|until| Instant::now() < until) {
            return (Err(Failure::Resting), false);
        }
        let answer = asked.worker.ask(siblings);
        let slow = match &answer {
            Ok((_, took)) => *took > RESOLVER_TIME_MAX,
            Err(why) => matches!(why, Failure::Silent | Failure::Resting),
        };
        asked.rests_until = slow.then(|| Instant::now() + RESOLVER_REST);
        (answer.map(|(resolution, _)| resolution), slow)
    }

    /// Counts a failure, and tells of it unless that was done.
    fn tell(&self, kind: &'static str, text: impl FnOnce() -> String) {
        self.failures.inc();
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(kind) {
            let text = format!("the resolver {:?} {}", self.name, text());
            tracing::warn!("{text}");
            let _nobody_listens = self.events.send(NodeEvent::Warning(text));
        }
    }
}

impl Ask for Watched {
    fn ask(&self, siblings: &[Version]) -> Result<Resolution, Failure> {
        let (answer, slow) = self.answer(siblings);
        if let (Ok(_), true, Some(first)) = (&answer, slow, siblings.first()) {
            let (limit, rest) = (RESOLVER_TIME_MAX.as_millis(), RESOLVER_REST.as_secs());
            self.tell("late", || {
                format!(
                    "took more than {limit} ms for {}: its answer stands, and it is not asked for {rest} s; readers see all \
                     siblings meanwhile, as under keep-all",
                    first.key
                )
            });
        }
        answer
    }

    fn failed(&self, version: &Version, why: Failure) {
        let key = &version.key;
        match why {
            // That it rests was told when it was slow.
            Failure::Resting => {
                self.failures.inc();
            }
            Failure::Silent => self.tell("silent", || {
                let (patience, rest) = (RESOLVER_PATIENCE.as_secs(), RESOLVER_REST.as_secs());
                format!(
                    "did not answer for {key} within {patience} s, and is not asked for {rest} s at least, nor before it \
                     returns; readers see all siblings meanwhile, as under keep-all"
                )
            }),
            Failure::Panicked => self.tell("panicked", || {
                format!("panicked at {key}; readers see all siblings there, as under keep-all")
            }),
            Failure::NoSuchVersion => self.tell("no such version", || {
                format!("was not followed for {key}: {why}; readers see all siblings there, as under keep-all")
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use tokio::{sync::broadcast, time};

    use super::*;
    use crate::{
        causality::{Context, Dot, Hlc, NodeId, Origin},
        conflict::{Body, Resolver},
        types::Key,
    };

    /// Answers when it is told to, and says when it was asked.
    struct Told {
        asked: mpsc::Sender<()>,
        go_on: Mutex<mpsc::Receiver<()>>,
    }

    impl Resolver for Told {
        fn resolve(&self, _: &[Version]) -> Resolution {
            let _test_is_over = self.asked.send(());
            let _test_is_over = self.go_on.lock().expect("one asks").recv();
            Resolution::Nothing
        }
    }

    struct Late;

    impl Resolver for Late {
        fn resolve(&self, _: &[Version]) -> Resolution {
            std::thread::sleep(RESOLVER_TIME_MAX + Duration::from_millis(1));
            Resolution::Nothing
        }
    }

    fn siblings() -> Vec<Version> {
        let version = |seq| Version {
            dot: Dot::new(Origin { node: NodeId([1; 32]), epoch: 1 }, seq),
            hlc: Hlc::from_millis(1),
            base: None,
            context: Context::new(),
            key: Key::new("k").expect("a key"),
            body: Body::Delete,
        };
        vec![version(1), version(2)]
    }

    fn watched(resolver: impl Resolver) -> (Watched, broadcast::Receiver<NodeEvent>) {
        let (events, heard) = broadcast::channel(8);
        let worker = Worker::start(Arc::new(resolver)).expect("a thread");
        (Watched::new("own".into(), worker, events, Counter::default()), heard)
    }

    fn warning(heard: &mut broadcast::Receiver<NodeEvent>) -> String {
        let Ok(NodeEvent::Warning(text)) = heard.try_recv() else { panic!("a warning") };
        text
    }

    /// Lets the rest pass. Lateness goes by the clock of the runtime, which this moves.
    async fn rest(watched: &Watched) {
        let resting = |watched: &Watched| watched.asked.lock().expect("one asks").rests_until;
        let until = resting(watched).expect("it rests");
        time::sleep_until(until - Duration::from_millis(1)).await;
        assert_eq!(watched.ask(&siblings()), Err(Failure::Resting));
        time::sleep_until(until).await;
    }

    #[test]
    fn the_answer_of_one_that_is_late_stands_and_it_rests_and_is_told_of_once() {
        let (watched, mut heard) = watched(Late);
        assert_eq!(watched.ask(&siblings()), Ok(Resolution::Nothing));
        for _ in 0..2 {
            assert_eq!(watched.ask(&siblings()), Err(Failure::Resting));
            watched.failed(&siblings()[0], Failure::Resting);
        }
        let text = warning(&mut heard);
        assert!(text.contains("100 ms for k") && text.contains("not asked for 60 s"), "{text}");
        assert!(heard.try_recv().is_err(), "once");
        assert_eq!(watched.failures.get(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_return_is_not_waited_for_again_before_it_has() {
        let (asked, was_asked) = mpsc::channel();
        let (go_on, told) = mpsc::channel();
        let (watched, mut heard) = watched(Told { asked, go_on: Mutex::new(told) });
        let ask = || {
            let answer = watched.ask(&siblings());
            if let Err(why) = answer {
                watched.failed(&siblings()[0], why);
            }
            answer
        };
        assert_eq!(ask(), Err(Failure::Silent));
        was_asked.recv().expect("it was asked");
        assert!(warning(&mut heard).contains("did not answer for k within 5 s"));
        rest(&watched).await;
        assert_eq!(ask(), Err(Failure::Resting), "it is still at the first");
        rest(&watched).await;
        assert!(was_asked.try_recv().is_err(), "it was asked once");
        // It returns; what it says is for nobody. Then it is asked anew.
        go_on.send(()).expect("it waits");
        go_on.send(()).expect("it will wait");
        loop {
            match ask() {
                Err(Failure::Resting) => rest(&watched).await,
                other => break assert_eq!(other, Ok(Resolution::Nothing)),
            }
        }
        was_asked.recv().expect("it was asked again");
        assert!(heard.try_recv().is_err(), "told of once");
    }

    #[test]
    fn one_that_panics_is_asked_again_at_once_however_long_that_took() {
        struct Panics;
        impl Resolver for Panics {
            fn resolve(&self, _: &[Version]) -> Resolution {
                std::thread::sleep(RESOLVER_TIME_MAX + Duration::from_millis(1));
                // Without a backtrace, which takes seconds on a busy machine.
                std::panic::resume_unwind(Box::new("no good"))
            }
        }
        let (watched, _) = watched(Panics);
        for _ in 0..2 {
            assert_eq!(watched.ask(&siblings()), Err(Failure::Panicked));
        }
    }
}
