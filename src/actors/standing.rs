//! How a peer stands in one namespace: what it said last, and what of that still counts.
//!
//! Of a peer that moves only this can be known: at a time `T` this node found that it held exactly
//! what the peer had last said that it holds. Every change here, and every word of the peer that
//! says otherwise, ends that; it may end too early, and never too late. Tags are 64 bits of keyed
//! hashes of seen set, root and floors: a peer that forges one is out of scope, as one that lies is.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    causality::SeenSet,
    reconcile::Parting,
    report::{Agreement, NamespaceSync},
    types::Namespace,
};

/// What a peer has shown is kept for counting if it names at most so many origins and intervals.
const SHOWN_FRAGMENTS_MAX: usize = 1_024;

/// What a peer said last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Word {
    /// Nothing that still counts.
    #[default]
    None,
    /// That it held what this node held, whose tag that was.
    Equal(u64),
    /// That it held something else than this node, whose tag that was.
    Differs(u64),
}

/// How a peer stands in one namespace.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    word: Word,
    since_ms: Option<u64>,
    matched: Option<(u64, Instant)>,
    shown: Option<Arc<SeenSet>>,
    parting: Option<Parting>,
    /// Rises with whatever changes the word.
    words: u64,
}

/// A moment in what a peer says: an exchange that finds both equal counts only if the peer said
/// nothing else since it began, for what it says on other streams may have overtaken it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(Option<u64>);

/// What this node holds of one namespace, of one moment.
#[derive(Clone, Debug)]
pub struct Ours {
    /// What it has seen.
    pub seen: SeenSet,
    /// The tag of all that is compared.
    pub tag: u64,
    /// Whether what is held is known, and nothing that was heard waits to be stored.
    pub settled: bool,
}

impl Standing {
    /// The peer says that it holds what this node holds: `seen`, with this tag.
    pub fn matched(&mut self, tag: u64, seen: &SeenSet, now_ms: u64) {
        if self.word != Word::Equal(tag) {
            self.say(Word::Equal(tag), now_ms);
            self.show(seen);
        }
        self.matched = Some((now_ms, Instant::now()));
    }

    /// The peer says that it holds something else than this node, whose tag is `tag`.
    pub fn differs(&mut self, tag: u64, now_ms: u64) {
        if self.word != Word::Differs(tag) {
            self.say(Word::Differs(tag), now_ms);
        }
    }

    /// What the peer says from now on is newer than what it has said so far.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(Some(self.words))
    }

    /// The hello of an exchange that was begun at `mark`. Whatever the peer said before it is over: the
    /// exchange will find both equal, or not, or break off.
    #[must_use]
    pub fn hello(&mut self, mark: Mark) -> Mark {
        let newest = mark == self.mark();
        self.doubt();
        Mark(newest.then_some(self.words))
    }

    /// The same, of a hello that nobody asked for: where the peer has said last that it holds something
    /// else, nobody knows which of the two it said first.
    #[must_use]
    pub fn hello_unasked(&mut self) -> Mark {
        let mark = if matches!(self.word, Word::Differs(_)) { Mark(None) } else { self.mark() };
        self.hello(mark)
    }

    /// An exchange found both equal. That counts if the peer has said nothing since its hello.
    pub fn confirmed(&mut self, mark: Mark, tag: u64, seen: &SeenSet, now_ms: u64) {
        if mark == self.mark() {
            self.matched(tag, seen, now_ms);
        }
    }

    /// The peer has shown what it has seen.
    pub fn show(&mut self, seen: &SeenSet) {
        let fragments: usize = seen.iter().map(|(_, seqs)| 1 + seqs.fragments()).sum();
        self.shown = (fragments <= SHOWN_FRAGMENTS_MAX).then(|| Arc::new(seen.clone()));
    }

    /// Nothing that the peer has said of agreement counts any more.
    pub fn doubt(&mut self) {
        (self.word, self.since_ms) = (Word::None, None);
        self.words += 1;
    }

    /// Whether anything that it has shown is kept.
    #[must_use]
    pub fn has_shown(&self) -> bool {
        self.shown.is_some() || self.parting.is_some()
    }

    /// What it has shown is not kept any more.
    pub fn forget_shown(&mut self) {
        (self.shown, self.parting) = (None, None);
    }

    /// An exchange ended so.
    pub fn part(&mut self, parting: Option<Parting>) {
        self.parting = parting;
    }

    /// What both had seen when the last exchange ended; it is forgotten, and remembered again when the
    /// one that begins has ended, too: one that breaks off may have gone wrong for it.
    pub fn take_parting(&mut self) -> Option<Parting> {
        self.parting.take()
    }

    /// What the peer has shown that is not in `ours`.
    pub fn lacking(&self, ours: &SeenSet) -> SeenSet {
        self.shown.as_ref().map(|shown| shown.difference(ours)).unwrap_or_default()
    }

    /// How it stands now. `reachable`: it is connected, and has spoken on this connection. A match
    /// older than `age_max` says nothing any more.
    pub fn judge(
        &self,
        namespace: Namespace,
        ours: &Ours,
        reachable: bool,
        age_max: Duration,
    ) -> NamespaceSync {
        let behind = self.shown.as_ref().map(|shown| shown.difference(&ours.seen).count());
        let ahead = self.shown.as_ref().map(|shown| ours.seen.difference(shown).count());
        let fresh = self.matched.is_some_and(|(_, at)| at.elapsed() <= age_max);
        let state = match self.word {
            _ if !reachable => Agreement::Unknown,
            Word::Equal(tag) if tag == ours.tag && ours.settled && fresh => Agreement::InSync,
            Word::Differs(tag) if tag == ours.tag || behind > Some(0) => Agreement::Behind,
            _ => Agreement::Unknown,
        };
        NamespaceSync {
            namespace,
            state,
            in_sync: state.in_sync(),
            behind,
            ahead,
            matched_at: self.matched.map(|(at, _)| at),
            since: self.since_ms.filter(|_| state != Agreement::Unknown),
        }
    }

    fn say(&mut self, word: Word, now_ms: u64) {
        (self.word, self.since_ms) = (word, Some(now_ms));
        self.words += 1;
    }
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
