//! The host's hooks, kept from doing harm: one that panics refuses; of that, and of one that dawdles, somebody is
//! told.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;

use super::society::Events;
use crate::{
    causality::NodeId,
    ports::{Asked, Authorize, Extent, Operation, Refusal, Validator, Who},
    report::NodeEvent,
    types::{ByPrefix, Key, Namespace, Prefix, Value},
};

/// The most prefixes that have a validator, in all namespaces together.
pub const VALIDATORS_MAX: usize = 256;
/// A hook that takes longer is counted, and told of: it keeps a task of the runtime from its work.
pub const HOOK_TIME_MAX: Duration = Duration::from_millis(100);
/// So many peers that were refused are remembered: each is told of once, unless there are more.
const REFUSED_TOLD_MAX: usize = 1_024;

/// What a host has to say about what happens at its node.
pub(crate) struct Hooks {
    validators: BTreeMap<Namespace, ByPrefix<Arc<dyn Validator>>>,
    authorize: Option<Arc<dyn Authorize>>,
    events: Events,
    failures: Counter,
    /// The validators that panicked, and those that dawdled: each is told of once.
    panicked: Mutex<BTreeSet<(Namespace, String)>>,
    slow: Mutex<BTreeSet<(Namespace, String)>>,
    authorize_panicked: AtomicBool,
    authorize_slow: AtomicBool,
    refused: Mutex<BTreeSet<NodeId>>,
}

impl Hooks {
    pub(crate) fn new(authorize: Option<Arc<dyn Authorize>>, events: Events, failures: Counter) -> Self {
        Self {
            validators: BTreeMap::new(),
            authorize,
            events,
            failures,
            panicked: Mutex::default(),
            slow: Mutex::default(),
            authorize_panicked: AtomicBool::new(false),
            authorize_slow: AtomicBool::new(false),
            refused: Mutex::default(),
        }
    }

    /// Gives a prefix a validator, in the place of the one it had. False if there is no room for more.
    pub(crate) fn add(
        &mut self,
        namespace: Namespace,
        prefix: Prefix,
        validator: Arc<dyn Validator>,
    ) -> bool {
        let count: usize = self.validators.values().map(ByPrefix::len).sum();
        let table = self.validators.entry(namespace).or_default();
        let room = count < VALIDATORS_MAX || table.has(&prefix);
        if room {
            table.set(prefix, validator);
        }
        room
    }

    /// Whether `value` may be written under `key` here.
    pub(crate) fn validate(&self, namespace: &Namespace, key: &Key, value: &Value) -> Result<(), Refusal> {
        let Some(table) = self.validators.get(namespace) else { return Ok(()) };
        let Some((prefix, validator)) = table.of(key) else { return Ok(()) };
        let begun = Instant::now();
        let answer = catch_unwind(AssertUnwindSafe(|| validator.validate(namespace, key, value)));
        let first = |told: &Mutex<BTreeSet<_>>| {
            let place = (namespace.clone(), prefix.as_str().to_owned());
            told.lock().unwrap_or_else(PoisonError::into_inner).insert(place)
        };
        let name = || format!("the validator for {:?} of {namespace}", prefix.as_str());
        if self.dawdled(begun, &answer) && first(&self.slow) {
            self.warn_slow(&name(), &format!("{key}"));
        }
        answer.unwrap_or_else(|_| {
            self.failures.inc();
            let text = name() + " panicked";
            if first(&self.panicked) {
                self.warn(format!("{text} at {key}; whatever it panics at is refused"));
            }
            Err(text.into())
        })
    }

    /// Counts a hook that took too long to answer. One that panicked did not answer: it is counted as such, and
    /// the time until it was caught may be that of the host's panic hook, which prints a backtrace.
    fn dawdled(&self, begun: Instant, answer: &thread::Result<Result<(), Refusal>>) -> bool {
        let slow = answer.is_ok() && begun.elapsed() > HOOK_TIME_MAX;
        if slow {
            self.failures.inc();
        }
        slow
    }

    fn warn_slow(&self, who: &str, at: &str) {
        let limit = HOOK_TIME_MAX.as_millis();
        self.warn(format!(
            "{who} took more than {limit} ms at {at}: others wait meanwhile; its answer stands"
        ));
    }

    /// Whether anybody has to be asked at all.
    #[cfg(feature = "http")]
    pub(crate) fn asks(&self) -> bool {
        self.authorize.is_some()
    }

    /// Whether `who` may.
    pub(crate) fn authorize(&self, who: &Who, asked: &Asked) -> Result<(), Refusal> {
        let Some(authorize) = &self.authorize else { return Ok(()) };
        let begun = Instant::now();
        let answer = catch_unwind(AssertUnwindSafe(|| authorize.authorize(who, asked)));
        if self.dawdled(begun, &answer) && !self.authorize_slow.swap(true, Ordering::Relaxed) {
            self.warn_slow("the authorizer", &format!("{asked:?}"));
        }
        answer.unwrap_or_else(|_| {
            self.failures.inc();
            if !self.authorize_panicked.swap(true, Ordering::Relaxed) {
                self.warn(format!("the authorizer panicked at {asked:?}; whatever it panics at is refused"));
            }
            Err("the authorizer of this node panicked".into())
        })
    }

    /// Whether a peer may exchange or gossip a namespace.
    pub(crate) fn allows(&self, peer: NodeId, operation: Operation, namespace: &Namespace) -> bool {
        if self.authorize.is_none() {
            return true;
        }
        let asked = Asked::new(operation, Some(namespace.clone()), Extent::Below(Prefix::all()));
        let answer = self.authorize(&Who::Peer(peer), &asked);
        if let Err(refusal) = &answer {
            tracing::debug!(%peer, ?operation, %namespace, %refusal, "not authorized");
        }
        answer.is_ok()
    }

    /// Whether a peer may be connected.
    pub(crate) fn admits(&self, peer: NodeId) -> Result<(), String> {
        let asked = Asked::new(Operation::Connect, None, Extent::Node);
        self.authorize(&Who::Peer(peer), &asked).map_err(|refusal| {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            if refused.len() >= REFUSED_TOLD_MAX {
                refused.clear();
            }
            if refused.insert(peer) {
                self.warn(format!("{peer} is refused: {refusal}"));
            }
            refusal.reason
        })
    }

    fn warn(&self, text: String) {
        tracing::warn!("{text}");
        let _nobody_listens = self.events.send(NodeEvent::Warning(text));
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast;

    use super::*;

    fn check(hooks: &Hooks, namespace: &Namespace, key: &str) -> Result<(), String> {
        let key = Key::new(key).expect("a key");
        hooks.validate(namespace, &key, &"v".into()).map_err(|refusal| refusal.reason)
    }

    fn says(word: &'static str) -> Arc<dyn Validator> {
        Arc::new(move |_: &Namespace, _: &Key, _: &Value| Err(Refusal::from(word)))
    }

    #[test]
    fn the_longest_prefix_decides_and_others_are_not_asked() {
        let (mut hooks, default) =
            (Hooks::new(None, broadcast::Sender::new(4), Counter::default()), Namespace::default());
        for (prefix, word) in [("a", "a"), ("a/b", "first"), ("a/b", "a/b")] {
            assert!(hooks.add(default.clone(), Prefix::new(prefix).expect("a prefix"), says(word)));
        }
        assert_eq!(check(&hooks, &default, "a/b/c"), Err("a/b".into()), "of two the later");
        assert_eq!(check(&hooks, &default, "a/bc"), Err("a".into()));
        assert_eq!(check(&hooks, &default, "ab"), Ok(()));
        assert_eq!(check(&hooks, &Namespace::new("other").expect("a name"), "a/b/c"), Ok(()));
    }

    #[test]
    fn there_is_a_bound() {
        let mut hooks = Hooks::new(None, broadcast::Sender::new(4), Counter::default());
        let mut add = |n: usize| {
            let prefix = Prefix::new(&n.to_string()).expect("a prefix");
            hooks.add(Namespace::default(), prefix, says("no"))
        };
        assert!((0..VALIDATORS_MAX).all(&mut add));
        assert!(!add(VALIDATORS_MAX));
        assert!(add(0), "one that has its place already");
    }

    #[test]
    fn what_panics_refuses_and_is_told_of_once() {
        let (events, mut heard) = broadcast::channel(8);
        let failures = Counter::default();
        // As slow as a backtrace may be on a busy machine: what panics is not told of as slow besides.
        let slowly = || thread::sleep(HOOK_TIME_MAX + Duration::from_millis(1));
        let authorize = move |_: &Who, _: &Asked| -> Result<(), Refusal> {
            slowly();
            panic!("no good")
        };
        let mut hooks = Hooks::new(Some(Arc::new(authorize)), events, failures.clone());
        let panics = move |_: &Namespace, _: &Key, _: &Value| -> Result<(), Refusal> {
            slowly();
            panic!("no good")
        };
        assert!(hooks.add(Namespace::default(), Prefix::all(), Arc::new(panics)));
        for _ in 0..2 {
            assert!(
                check(&hooks, &Namespace::default(), "k").is_err_and(|reason| reason.contains("panicked"))
            );
            assert!(!hooks.allows(NodeId([1; 32]), Operation::Gossip, &Namespace::default()));
        }
        let mut warnings = Vec::new();
        while let Ok(NodeEvent::Warning(text)) = heard.try_recv() {
            warnings.push(text);
        }
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert_eq!(failures.get(), 4);
    }

    #[test]
    fn what_dawdles_is_counted_and_told_of_once_and_its_answer_stands() {
        let (events, mut heard) = broadcast::channel(8);
        let failures = Counter::default();
        let dawdle = || thread::sleep(HOOK_TIME_MAX + Duration::from_millis(1));
        let authorize = move |_: &Who, _: &Asked| -> Result<(), Refusal> {
            dawdle();
            Ok(())
        };
        let mut hooks = Hooks::new(Some(Arc::new(authorize)), events, failures.clone());
        let validator = move |_: &Namespace, key: &Key, _: &Value| -> Result<(), Refusal> {
            dawdle();
            if key.as_str() == "good" { Ok(()) } else { Err("bad".into()) }
        };
        assert!(hooks.add(Namespace::default(), Prefix::all(), Arc::new(validator)));
        for _ in 0..2 {
            assert_eq!(check(&hooks, &Namespace::default(), "good"), Ok(()));
            assert_eq!(check(&hooks, &Namespace::default(), "k"), Err("bad".into()));
            assert!(hooks.allows(NodeId([1; 32]), Operation::Gossip, &Namespace::default()));
        }
        let mut warnings = Vec::new();
        while let Ok(NodeEvent::Warning(text)) = heard.try_recv() {
            warnings.push(text);
        }
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings.iter().all(|text| text.contains("more than 100 ms")), "{warnings:?}");
        assert_eq!(failures.get(), 6);
    }
}
