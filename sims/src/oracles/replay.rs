//! What each node holds at each moment, as follows from what it was seen applying.

use std::collections::{BTreeMap, HashMap};

use tidings::{causality::Context, types::Key};

use super::index::{past, supersedes};
use crate::{
    history::{Seen, What},
    plan::NodeNo,
};

/// What a node holds of one key.
#[derive(Clone, Debug, Default)]
pub(super) struct Held<'a> {
    /// The versions none of which supersedes another.
    pub(super) siblings: Vec<&'a Seen>,
    /// What is accounted for.
    pub(super) context: Context,
    /// What is superseded.
    pub(super) superseded: Context,
}

impl<'a> Held<'a> {
    fn apply(&mut self, version: &'a Seen) {
        self.siblings.retain(|sibling| !supersedes(version, sibling.dot));
        if !self.context.covers(version.dot) {
            self.siblings.push(version);
        }
        for dot in past(version) {
            self.context.insert(dot);
            self.superseded.insert(dot);
        }
        self.context.insert(version.dot);
    }
}

/// The stores of all nodes.
#[derive(Debug, Default)]
pub(super) struct Replay<'a>(BTreeMap<NodeNo, HashMap<&'a Key, Held<'a>>>);

impl<'a> Replay<'a> {
    /// Follows an event.
    pub(super) fn read(&mut self, what: &'a What) {
        match what {
            What::Started { node, records, .. } => {
                let mut store: HashMap<&Key, Held<'_>> = HashMap::new();
                for version in records {
                    store.entry(&version.key).or_default().apply(version);
                }
                self.0.insert(*node, store);
            }
            What::Applied { node, version, .. } => {
                let store = self.0.entry(*node).or_default();
                store.entry(&version.key).or_default().apply(version);
            }
            _ => {}
        }
    }

    /// All that a node holds.
    pub(super) fn siblings(&self, node: NodeNo) -> impl Iterator<Item = (&'a Key, &'a Seen)> + '_ {
        let store = self.0.get(&node).into_iter().flatten();
        store.flat_map(|(key, held)| held.siblings.iter().map(|sibling| (*key, *sibling)))
    }

    /// What a node holds of a key, if it ever had anything of it.
    pub(super) fn held(&self, node: NodeNo, key: &Key) -> Option<&Held<'a>> {
        self.0.get(&node)?.get(key)
    }
}
