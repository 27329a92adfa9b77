//! What each node holds, as an observer of its commits knows it: enough to say, at every moment and
//! without asking anybody, whether the nodes agree.

use std::collections::{BTreeMap, BTreeSet};

use tidings::{causality::Dot, types::Key};

use crate::{history::Seen, plan::NodeNo};

/// What stands under a key: the numbers of the siblings' dots, in order.
type Siblings = Vec<u32>;

/// What all nodes hold, and what they would hold if each had everything.
#[derive(Debug, Default)]
pub struct Shadow {
    up: Vec<bool>,
    /// Keys of which a node holds what the union holds.
    complete: Vec<usize>,
    keys: BTreeMap<Key, Held>,
    /// Keys that the nodes that are up do not all hold alike.
    differing: usize,
    numbers: BTreeMap<Dot, u32>,
    /// The versions, by number.
    versions: Vec<Seen>,
}

/// What stands under one key, and where.
#[derive(Debug)]
struct Held {
    /// All that is held anywhere, but for what it supersedes.
    union: Siblings,
    by_node: Vec<Siblings>,
    alike: bool,
}

impl Shadow {
    /// So many nodes, all down and empty.
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        Self { up: vec![false; nodes], complete: vec![0; nodes], ..Self::default() }
    }

    /// Whether all nodes that are up hold the same.
    #[must_use]
    pub fn agreed(&self) -> bool {
        self.differing == 0
    }

    /// Keys that exist anywhere.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Keys of which a node holds all that exists anywhere.
    #[must_use]
    pub fn complete(&self, node: NodeNo) -> usize {
        self.complete[node]
    }

    /// A node is up and holds exactly these versions.
    pub fn start(&mut self, node: NodeNo, records: &[Seen]) {
        self.up[node] = true;
        self.keys.values_mut().for_each(|held| held.by_node[node].clear());
        for version in records {
            let (number, is_new) = self.number(version);
            let held = entry(&mut self.keys, &version.key, self.up.len());
            insert(&mut held.by_node[node], number);
            if is_new {
                insert(&mut held.union, number);
            }
        }
        self.count_again();
    }

    /// A node is down; what it held is on its disk.
    pub fn stop(&mut self, node: NodeNo) {
        self.up[node] = false;
        self.count_again();
    }

    /// The disks may have lost something: the union is what is held still.
    pub fn forget_lost(&mut self) {
        let versions = &self.versions;
        for held in self.keys.values_mut() {
            held.unite(versions);
        }
        self.keys.retain(|_, held| !held.union.is_empty());
        self.count_again();
    }

    /// A node's disk is lost.
    pub fn wipe(&mut self, node: NodeNo) {
        self.keys.values_mut().for_each(|held| held.by_node[node].clear());
        self.forget_lost();
    }

    /// A node holds another version; nothing that it holds supersedes it.
    pub fn apply(&mut self, node: NodeNo, version: &Seen) {
        let (number, is_new) = self.number(version);
        if !self.keys.contains_key(&version.key) {
            // Of a key that exists nowhere yet, everybody holds all there is.
            self.complete.iter_mut().for_each(|complete| *complete += 1);
        }
        let held = entry(&mut self.keys, &version.key, self.up.len());
        let was_complete = held.by_node[node] == held.union;
        merge(&mut held.by_node[node], number, version, &self.versions);
        // Whoever supersedes a version has seen it: nothing of the kind precedes its first sight.
        if is_new {
            let complete =
                |held: &Held| held.by_node.iter().map(|own| *own == held.union).collect::<Vec<_>>();
            let before = complete(held);
            merge(&mut held.union, number, version, &self.versions);
            for (other, (was, is)) in before.into_iter().zip(complete(held)).enumerate() {
                let was = if other == node { was_complete } else { was };
                adjust(&mut self.complete[other], was, is);
            }
        } else {
            adjust(&mut self.complete[node], was_complete, held.by_node[node] == held.union);
        }
        let alike = held.is_alike(&self.up);
        adjust(&mut self.differing, !held.alike, !alike);
        held.alike = alike;
    }

    /// The number of a version, and whether it was not seen before.
    fn number(&mut self, version: &Seen) -> (u32, bool) {
        let next = u32::try_from(self.versions.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(version.dot).or_insert(next);
        if number == next {
            self.versions.push(version.clone());
        }
        (number, number == next)
    }

    fn count_again(&mut self) {
        self.differing = 0;
        self.complete.fill(0);
        for held in self.keys.values_mut() {
            held.alike = held.is_alike(&self.up);
            self.differing += usize::from(!held.alike);
            for (count, siblings) in self.complete.iter_mut().zip(&held.by_node) {
                *count += usize::from(*siblings == held.union);
            }
        }
    }
}

impl Held {
    /// The union is what is held anywhere and superseded by nothing that is.
    fn unite(&mut self, versions: &[Seen]) {
        let held: BTreeSet<u32> = self.by_node.iter().flatten().copied().collect();
        let superseded =
            |dot: u32| held.iter().any(|by| versions[*by as usize].supersedes(versions[dot as usize].dot));
        self.union = held.iter().copied().filter(|dot| !superseded(*dot)).collect();
    }

    fn is_alike(&self, up: &[bool]) -> bool {
        let mut held = self.by_node.iter().zip(up).filter(|(_, up)| **up).map(|(siblings, _)| siblings);
        held.next().is_none_or(|first| held.all(|other| other == first))
    }
}

fn entry<'a>(keys: &'a mut BTreeMap<Key, Held>, key: &Key, nodes: usize) -> &'a mut Held {
    if !keys.contains_key(key) {
        let held = Held { union: Vec::new(), by_node: vec![Vec::new(); nodes], alike: true };
        keys.insert(key.clone(), held);
    }
    keys.get_mut(key).expect("it was just put there")
}

fn adjust(count: &mut usize, was: bool, is: bool) {
    *count = *count + usize::from(is) - usize::from(was);
}

fn insert(siblings: &mut Siblings, dot: u32) {
    if let Err(at) = siblings.binary_search(&dot) {
        siblings.insert(at, dot);
    }
}

fn merge(siblings: &mut Siblings, number: u32, version: &Seen, versions: &[Seen]) {
    siblings.retain(|dot| !version.supersedes(versions[*dot as usize].dot));
    insert(siblings, number);
}

#[cfg(test)]
mod tests {
    use tidings::causality::{Hlc, NodeId, Origin};

    use super::*;

    fn dot(node: u8, seq: u64) -> Dot {
        Dot::new(Origin { node: NodeId([node; 32]), epoch: 0 }, seq)
    }

    fn version(key: &str, dot: Dot, context: &[Dot]) -> Seen {
        Seen {
            dot,
            key: Key::new(key).unwrap(),
            hlc: Hlc(0),
            context: context.to_vec(),
            base: vec![],
            value: None,
            bytes: 100,
        }
    }

    fn two() -> Shadow {
        let mut shadow = Shadow::new(2);
        shadow.start(0, &[]);
        shadow.start(1, &[]);
        shadow
    }

    #[test]
    fn nodes_agree_when_the_last_has_what_the_others_have() {
        let mut shadow = two();
        let write = version("a", dot(0, 1), &[]);
        shadow.apply(0, &write);
        assert!(!shadow.agreed());
        assert_eq!((shadow.complete(0), shadow.complete(1)), (1, 0));
        shadow.apply(1, &write);
        assert!(shadow.agreed());
        assert_eq!((shadow.complete(0), shadow.complete(1)), (1, 1));
    }

    #[test]
    fn siblings_count_until_something_supersedes_both() {
        let mut shadow = two();
        let (one, other) = (version("a", dot(0, 1), &[]), version("a", dot(1, 1), &[]));
        shadow.apply(0, &one);
        shadow.apply(1, &other);
        shadow.apply(0, &other);
        assert!(!shadow.agreed());
        let both = version("a", dot(0, 2), &[dot(0, 1), dot(1, 1)]);
        shadow.apply(0, &both);
        shadow.apply(1, &both);
        assert!(shadow.agreed());
    }

    #[test]
    fn who_is_down_is_not_asked_and_counts_again_when_it_is_back() {
        let mut shadow = two();
        let write = version("a", dot(0, 1), &[]);
        shadow.stop(1);
        shadow.apply(0, &write);
        assert!(shadow.agreed());
        shadow.start(1, &[]);
        assert!(!shadow.agreed());
        shadow.stop(0);
        shadow.wipe(0);
        assert!(shadow.agreed());
        assert_eq!(shadow.keys(), 0);
    }

    #[test]
    fn who_comes_back_with_what_was_superseded_is_behind_and_nobody_else() {
        let mut shadow = two();
        let (one, other) = (version("a", dot(0, 1), &[]), version("a", dot(0, 2), &[]));
        shadow.apply(0, &one);
        shadow.apply(1, &one);
        shadow.stop(1);
        shadow.apply(0, &other);
        shadow.start(1, &[one]);
        assert_eq!((shadow.complete(0), shadow.complete(1)), (1, 0));
        shadow.stop(0);
        shadow.wipe(0);
        assert_eq!((shadow.complete(0), shadow.complete(1)), (0, 1));
    }
}
