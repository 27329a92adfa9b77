//! Watches over resolvers of the program's own: one that panics or dawdles costs its records nothing but
//! what it would have decided, and somebody is told.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;

use super::society::Events;
use crate::{
    conflict::{Failure, Guard, Version},
    report::NodeEvent,
};

/// Watches over all resolvers of a node.
pub(crate) struct Watchdog {
    start: Instant,
    events: Events,
    failures: Counter,
    /// The resolvers that were slow: they are not asked any more.
    given_up: Mutex<BTreeSet<String>>,
    /// What was told of: each failure of a resolver is told of once, and counted every time.
    told: Mutex<BTreeSet<(String, String)>>,
}

impl Watchdog {
    pub(crate) fn new(events: Events, failures: Counter) -> Self {
        Self { start: Instant::now(), events, failures, given_up: Mutex::default(), told: Mutex::default() }
    }
}

impl Guard for Watchdog {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn trusts(&self, name: &str) -> bool {
        !self.given_up.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    fn failed(&self, name: &str, version: &Version, why: Failure) {
        self.failures.inc();
        if why == Failure::Slow {
            self.given_up.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if why != Failure::GivenUp && told.insert((name.to_owned(), why.to_string())) {
            let and = if why == Failure::Slow { ", and is not asked again before a restart" } else { "" };
            let text = format!(
                "the resolver {name:?} was not followed for {}: {why}{and}; readers see all siblings there, as under keep-all",
                version.key
            );
            tracing::warn!("{text}");
            let _nobody_listens = self.events.send(NodeEvent::Warning(text));
        }
    }
}
