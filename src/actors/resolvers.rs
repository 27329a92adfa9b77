//! Watches over resolvers of the program's own: one that panics or dawdles costs its records nothing but
//! what it would have decided, and somebody is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;

use super::society::Events;
use crate::{
    conflict::{Failure, Guard, RESOLVER_TIME_MAX, Version},
    report::NodeEvent,
};

/// So long a resolver that was slow is not asked. It is not for good: the machine may have stood still, not it.
pub(crate) const RESOLVER_REST: Duration = Duration::from_secs(60);

/// Watches over all resolvers of a node.
pub(crate) struct Watchdog {
    start: Instant,
    events: Events,
    failures: Counter,
    /// The resolvers that were slow, and until when they are not asked.
    resting: Mutex<BTreeMap<String, Instant>>,
    /// What was told of: each failure of a resolver is told of once, and counted every time.
    told: Mutex<BTreeSet<(String, String)>>,
}

impl Watchdog {
    pub(crate) fn new(events: Events, failures: Counter) -> Self {
        Self { start: Instant::now(), events, failures, resting: Mutex::default(), told: Mutex::default() }
    }

    fn tell_once(&self, name: &str, what: &str, text: impl FnOnce() -> String) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert((name.to_owned(), what.to_owned())) {
            let text = text();
            tracing::warn!("{text}");
            let _nobody_listens = self.events.send(NodeEvent::Warning(text));
        }
    }
}

impl Guard for Watchdog {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn trusts(&self, name: &str) -> bool {
        let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.get(name).is_none_or(|until| Instant::now() >= *until)
    }

    fn late(&self, name: &str, version: &Version) {
        self.failures.inc();
        let until = Instant::now() + RESOLVER_REST;
        self.resting.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), until);
        self.tell_once(name, "late", || {
            format!(
                "the resolver {name:?} took more than {} ms for {}: its answer stands, and it is not asked for {} s; readers see \
                 all siblings meanwhile, as under keep-all",
                RESOLVER_TIME_MAX.as_millis(),
                version.key,
                RESOLVER_REST.as_secs()
            )
        });
    }

    fn failed(&self, name: &str, version: &Version, why: Failure) {
        self.failures.inc();
        // That it rests was told when it was late.
        if why != Failure::Resting {
            self.tell_once(name, &why.to_string(), || {
                format!(
                    "the resolver {name:?} was not followed for {}: {why}; readers see all siblings there, as under keep-all",
                    version.key
                )
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{sync::broadcast, time};

    use super::*;
    use crate::{
        causality::{Context, Dot, Hlc, NodeId, Origin},
        conflict::Body,
        types::Key,
    };

    #[tokio::test(start_paused = true)]
    async fn one_that_is_late_rests_and_is_asked_again_and_is_told_of_once() {
        let (events, mut heard) = broadcast::channel(8);
        let watchdog = Watchdog::new(events, Counter::default());
        let version = Version {
            dot: Dot::new(Origin { node: NodeId([1; 32]), epoch: 1 }, 1),
            hlc: Hlc::from_millis(1),
            base: None,
            context: Context::new(),
            key: Key::new("k").expect("a key"),
            body: Body::Delete,
        };
        for _ in 0..2 {
            assert!(watchdog.trusts("own"));
            watchdog.late("own", &version);
            time::advance(RESOLVER_REST - Duration::from_millis(1)).await;
            assert!(!watchdog.trusts("own"));
            assert!(watchdog.trusts("another"));
            watchdog.failed("own", &version, Failure::Resting);
            time::advance(Duration::from_millis(1)).await;
        }
        let Ok(NodeEvent::Warning(text)) = heard.try_recv() else { panic!("a warning") };
        assert!(text.contains("100 ms for k") && text.contains("not asked for 60 s"), "{text}");
        assert!(heard.try_recv().is_err(), "once");
        assert_eq!(watchdog.failures.get(), 4);
    }
}
