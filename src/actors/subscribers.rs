//! Who is told of what: subscribers by the prefix that they watch, so that a change costs a look for
//! each segment of its key, however many watch other prefixes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::mpsc;

use crate::{
    causality::SeenSet,
    storage::{Sight, Sights},
    types::{Key, Namespace, Prefix},
};

/// The most changes that wait for one subscriber, …
pub const WATCH_QUEUE_MAX: usize = 1_024;
/// … and the most bytes of them. Who has more waiting is let go, and told.
pub const WATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a subscriber is told.
#[derive(Clone, Debug)]
pub struct Told {
    /// What readers see of a key now.
    pub sight: Option<Arc<Sight>>,
    /// All that this subscriber was told of, or that does not concern it: with the last change of each
    /// commit, and when it asks.
    pub seen: Option<Arc<SeenSet>>,
}

/// A way to one subscriber.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its own number.
    pub id: u64,
    /// Where to.
    pub to: mpsc::Sender<Told>,
    /// Bytes that wait; the subscriber takes off what it has taken.
    pub waiting: Arc<AtomicUsize>,
}

struct Subscriber {
    namespace: Namespace,
    prefix: Prefix,
    line: Line,
    /// The last change of the commit that is being told.
    held_back: Option<Arc<Sight>>,
}

#[derive(Default)]
struct Watched {
    /// What was seen, as far as it was told here.
    seen: Arc<SeenSet>,
    by_prefix: HashMap<Box<str>, Vec<u64>>,
}

/// All subscribers of a node.
#[derive(Default)]
pub struct Subscribers {
    all: HashMap<u64, Subscriber>,
    namespaces: BTreeMap<Namespace, Watched>,
}

impl Subscribers {
    /// Has `line` told of changes below `prefix`, from those on that come after `seen`.
    pub fn add(&mut self, namespace: Namespace, prefix: Prefix, seen: SeenSet, line: Line) {
        let watched = self.namespaces.entry(namespace.clone()).or_default();
        watched.seen = Arc::new(seen);
        watched.by_prefix.entry(prefix.as_str().into()).or_default().push(line.id);
        self.all.insert(line.id, Subscriber { namespace, prefix, line, held_back: None });
    }

    /// Forgets a subscriber and all that was kept for it; false if there is none of this number.
    pub fn remove(&mut self, id: u64) -> bool {
        let Some(gone) = self.all.remove(&id) else { return false };
        if let Some(watched) = self.namespaces.get_mut(&gone.namespace) {
            if let Some(ids) = watched.by_prefix.get_mut(gone.prefix.as_str()) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    watched.by_prefix.remove(gone.prefix.as_str());
                }
            }
            if watched.by_prefix.is_empty() {
                self.namespaces.remove(&gone.namespace);
            }
        }
        true
    }

    /// Forgets all subscribers of a namespace; how many there were.
    pub fn leave(&mut self, namespace: &Namespace) -> usize {
        let before = self.all.len();
        self.all.retain(|_, subscriber| subscriber.namespace != *namespace);
        self.namespaces.remove(namespace);
        before - self.all.len()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Tells of a commit; the numbers of those who listen no more, or were too slow, and were removed.
    pub fn tell(&mut self, sights: Sights) -> Vec<u64> {
        let mut touched = Vec::new();
        let mut lost = Vec::new();
        for (namespace, fresh) in sights.fresh {
            if let Some(watched) = self.namespaces.get_mut(&namespace) {
                Arc::make_mut(&mut watched.seen).union(&fresh);
            }
        }
        for sight in sights.keys {
            let Some(watched) = self.namespaces.get(&sight.namespace) else { continue };
            let sight = Arc::new(sight);
            for prefix in prefixes(&sight.key) {
                for id in watched.by_prefix.get(prefix).into_iter().flatten() {
                    let subscriber = self.all.get_mut(id).expect("listed by its prefix");
                    match subscriber.held_back.replace(sight.clone()) {
                        None => touched.push(*id),
                        before if subscriber.line.send(before.clone(), None) => {}
                        Some(_) => lost.push(*id),
                    }
                }
            }
        }
        for id in touched {
            let Some(subscriber) = self.all.get_mut(&id) else { continue };
            let seen = self.namespaces.get(&subscriber.namespace).map(|watched| watched.seen.clone());
            let last = subscriber.held_back.take();
            if !lost.contains(&id) && !subscriber.line.send(last, seen) {
                lost.push(id);
            }
        }
        lost.sort_unstable();
        lost.dedup();
        for id in &lost {
            self.remove(*id);
        }
        lost
    }

    /// Tells a subscriber how far it was told. False if it was too slow, and was removed.
    pub fn mark(&mut self, id: u64) -> bool {
        let Some(subscriber) = self.all.get(&id) else { return true };
        let seen = self.namespaces.get(&subscriber.namespace).map(|watched| watched.seen.clone());
        subscriber.line.send(None, seen) || !self.remove(id)
    }
}

impl Line {
    fn send(&self, sight: Option<Arc<Sight>>, seen: Option<Arc<SeenSet>>) -> bool {
        let bytes = sight.as_ref().map_or(0, |sight| sight.size_hint());
        // One change may be larger than the bound, if it waits alone.
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let room = waiting == 0 || waiting + bytes <= WATCH_BYTES_MAX;
        room && self.to.try_send(Told { sight, seen }).is_ok()
    }
}

/// The prefixes that select `key`: none, and each of its leading segments.
fn prefixes(key: &Key) -> impl Iterator<Item = &str> {
    let text = key.as_str();
    let ends = text.match_indices('/').map(|(at, _)| at).chain([text.len()]);
    std::iter::once("").chain(ends.map(move |end| &text[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causality::{Dot, Hlc, NodeId, Origin};

    fn dot(seq: u64) -> Dot {
        Dot::new(Origin { node: NodeId([1; 32]), epoch: 1 }, seq)
    }

    fn commit(keys: &[&str], first: u64) -> Sights {
        let dots = (first..).take(keys.len()).map(dot);
        let sight = |(key, dot): (&&str, Dot)| Sight {
            namespace: Namespace::default(),
            key: Key::new(*key).expect("lawful"),
            dot,
            hlc: Hlc::from_millis(1),
            shown: None,
            news: true,
            again: false,
        };
        let fresh = vec![(Namespace::default(), dots.clone().collect())];
        Sights { keys: keys.iter().zip(dots).map(sight).collect(), fresh }
    }

    fn add(all: &mut Subscribers, id: u64, prefix: &str) -> mpsc::Receiver<Told> {
        let (to, told) = mpsc::channel(4);
        let line = Line { id, to, waiting: Arc::default() };
        all.add(Namespace::default(), Prefix::new(prefix).expect("lawful"), SeenSet::new(), line);
        told
    }

    fn keys(told: &mut mpsc::Receiver<Told>) -> Vec<String> {
        let mut keys = Vec::new();
        while let Ok(told) = told.try_recv() {
            keys.extend(told.sight.map(|sight| sight.key.to_string()));
        }
        keys
    }

    #[test]
    fn each_is_told_of_its_prefix_and_of_all_that_lies_below() {
        let mut all = Subscribers::default();
        let prefixes = ["", "a", "a/b", "a/b/c", "b", "ab"];
        let mut told: Vec<_> = prefixes.iter().zip(0..).map(|(p, id)| add(&mut all, id, p)).collect();
        assert!(all.tell(commit(&["a/b", "ab"], 1)).is_empty());
        let expected: [&[&str]; 6] = [&["a/b", "ab"], &["a/b"], &["a/b"], &[], &[], &["ab"]];
        for (told, expected) in told.iter_mut().zip(expected) {
            assert_eq!(keys(told), expected);
        }
    }

    #[test]
    fn the_last_change_of_a_commit_says_how_far_it_was_told() {
        let mut all = Subscribers::default();
        let mut told = add(&mut all, 1, "a");
        all.tell(commit(&["b", "a/1", "a/2", "b"], 1));
        assert!(told.try_recv().expect("the first").seen.is_none());
        let last = told.try_recv().expect("the second").seen.expect("it is the last");
        assert_eq!(last.count(), 4);
        all.tell(commit(&["b"], 5));
        assert!(told.try_recv().is_err(), "nothing that concerns it");
        assert!(all.mark(1));
        assert_eq!(told.try_recv().expect("asked for").seen.expect("all").count(), 5);
    }

    #[test]
    fn who_is_slow_or_gone_is_removed_and_nobody_else_is_hurt() {
        let mut all = Subscribers::default();
        let (mut slow, gone, mut quick) =
            (add(&mut all, 1, "a"), add(&mut all, 2, "a"), add(&mut all, 3, ""));
        drop(gone);
        assert_eq!(all.tell(commit(&["a"], 1)), [2]);
        for n in 2..5 {
            assert!(all.tell(commit(&["a"], n)).is_empty());
            keys(&mut quick);
        }
        assert_eq!(all.tell(commit(&["a"], 5)), [1]);
        assert_eq!(keys(&mut quick).len(), 1);
        assert_eq!(keys(&mut slow).len(), 4, "what waited is not lost");
        assert!(matches!(slow.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)));
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn what_waits_is_bounded_in_bytes() {
        let line = Line { id: 1, to: mpsc::channel(4).0, waiting: Arc::new(WATCH_BYTES_MAX.into()) };
        let sight = commit(&["a"], 1).keys.remove(0);
        assert!(!line.send(Some(Arc::new(sight)), None));
    }

    #[test]
    fn nothing_is_kept_for_those_who_left() {
        let mut all = Subscribers::default();
        let told: Vec<_> = (0..100).map(|id| add(&mut all, id, &format!("a/{id}"))).collect();
        for id in 0..100 {
            assert!(all.remove(id) && !all.remove(id));
        }
        assert!(all.all.is_empty() && all.namespaces.is_empty());
        drop(told);
    }
}
