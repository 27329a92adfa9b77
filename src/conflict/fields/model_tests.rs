//! Random histories of one object, against a model that remembers all writes with their ancestors and
//! knows nothing of contexts, of stamps left out, or of what may be forgotten.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use bytes::Bytes;
use proptest::{collection, prelude::*};

use super::{
    Stamp,
    leaves::{self, EMPTY, leaves, object},
};
use crate::{
    causality::{Dot, Hlc, NodeId, Origin},
    conflict::{Body, Payload, Put, Record, Strategy as Resolving, Version},
    replica::{Precondition, Rules, plan_write},
    types::{ContentType, Key},
    wire,
};

const REPLICAS: usize = 4;

type Path = leaves::Path<'static>;

/// What happens. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Event {
    /// A replica changes what it shows.
    Edit { replica: usize, edits: Vec<Edit> },
    /// A version arrives, for the first time or again.
    Arrive { replica: usize, version: usize },
}

#[derive(Clone, Debug)]
enum Edit {
    Set(Vec<u8>, u8),
    Remove(Vec<u8>),
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    collection::vec(0..3_u8, 1..3)
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        3 => (path(), 0..4_u8).prop_map(|(path, value)| Edit::Set(path, value)),
        2 => path().prop_map(Edit::Remove),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let replica = 0..REPLICAS;
    prop_oneof![
        (replica.clone(), collection::vec(edit(), 1..4))
            .prop_map(|(replica, edits)| Event::Edit { replica, edits }),
        (replica, any::<usize>()).prop_map(|(replica, version)| Event::Arrive { replica, version }),
    ]
}

/// A version as the model knows it.
#[derive(Clone, Debug)]
struct Known {
    stamp: Stamp,
    /// The versions in front of its writer, with all in front of theirs.
    ancestors: BTreeSet<Dot>,
    leaves: BTreeMap<Path, (Box<str>, Stamp)>,
    gone: BTreeMap<Path, Stamp>,
}

type State = (BTreeMap<Path, (Box<str>, Stamp)>, BTreeMap<Path, Stamp>);

/// What replicas that know of `known` are to show.
fn expected(known: &[&Known]) -> State {
    // A claim stands unless somebody who knew of it says something else.
    let stands = |dot: Dot, says: &dyn Fn(&Known) -> bool| {
        known.iter().all(|version| {
            let knew = version.stamp.dot == dot || version.ancestors.contains(&dot);
            !knew || says(version)
        })
    };
    let mut gone = BTreeMap::<Path, Stamp>::new();
    for (path, stamp) in known.iter().flat_map(|version| &version.gone) {
        if stands(stamp.dot, &|version| version.gone.get(path) == Some(stamp)) {
            let latest = gone.entry(path.clone()).or_insert(*stamp);
            *latest = (*latest).max(*stamp);
        }
    }
    let mut all = BTreeMap::<Path, (Box<str>, Stamp)>::new();
    for (path, claim) in known.iter().flat_map(|version| &version.leaves) {
        let removed = gone.iter().any(|(cut, stamp)| path.starts_with(cut) && *stamp > claim.1);
        if !removed && stands(claim.1.dot, &|version| version.leaves.get(path) == Some(claim)) {
            let latest = all.entry(path.clone()).or_insert_with(|| claim.clone());
            if claim.1 > latest.1 {
                *latest = claim.clone();
            }
        }
    }
    let whole = all.clone();
    all.retain(|path, (text, stamp)| {
        let below = whole.iter().filter(|(other, _)| other.len() > path.len() && other.starts_with(path));
        let ends = below
            .map(|(_, (_, stamp))| *stamp)
            .max()
            .is_none_or(|latest| &**text != EMPTY && *stamp > latest);
        let above = whole.iter().filter(|(other, _)| other.len() < path.len() && path.starts_with(other));
        let cut = above.into_iter().any(|(other, (text, stamp))| {
            let latest = whole.iter().filter(|(o, _)| o.len() > other.len() && o.starts_with(other));
            &**text != EMPTY
                && latest.map(|(_, (_, stamp))| *stamp).max().is_some_and(|latest| *stamp > latest)
        });
        ends && !cut
    });
    if all.is_empty() {
        let greatest = known.iter().map(|version| version.stamp).max().expect("some version");
        all.insert(Path::new(), (EMPTY.into(), greatest));
    }
    (all, gone)
}

#[derive(Default)]
struct World {
    versions: Vec<Version>,
    known: BTreeMap<Dot, Known>,
    records: [Record; REPLICAS],
    holds: [BTreeSet<Dot>; REPLICAS],
    clock: [u64; REPLICAS],
}

fn names(path: &[u8]) -> Path {
    path.iter().map(|name| Cow::Borrowed(["a", "b", "c"][usize::from(*name)])).collect()
}

impl World {
    fn shows(&self, replica: usize) -> Option<String> {
        let seen = self.records[replica].visible(&Resolving::MergeFields, 0)?;
        let Payload::Inline(bytes) = &seen.put.payload else { panic!("small values") };
        let all = leaves(bytes).expect("an object");
        Some(object(all.iter().map(|(path, text)| (path, &**text))))
    }

    fn model(&self, replica: usize) -> State {
        let known: Vec<_> = self.holds[replica].iter().map(|dot| &self.known[dot]).collect();
        expected(&known)
    }

    fn check(&self, replica: usize) -> Result<(), TestCaseError> {
        if self.holds[replica].is_empty() {
            return Ok(());
        }
        let (leaves, _) = self.model(replica);
        let model = object(leaves.iter().map(|(path, (text, _))| (path, &**text)));
        prop_assert_eq!(self.shows(replica), Some(model));
        Ok(())
    }

    fn edit(&mut self, replica: usize, edits: &[Edit]) {
        let (before, gone) =
            if self.holds[replica].is_empty() { Default::default() } else { self.model(replica) };
        let mut value: BTreeMap<Path, Box<str>> =
            before.iter().map(|(path, (text, _))| (path.clone(), text.clone())).collect();
        for edit in edits {
            match edit {
                Edit::Set(path, number) => {
                    let path = names(path);
                    value.retain(|other, _| !other.starts_with(&path) && !path.starts_with(other));
                    value.insert(path, number.to_string().into());
                }
                Edit::Remove(path) => {
                    let path = names(path);
                    value.retain(|other, _| !other.starts_with(&path));
                    let parent = path[..path.len() - 1].to_vec();
                    if !value.keys().any(|other| other.starts_with(&parent)) {
                        value.retain(|other, _| !parent.starts_with(other));
                        value.insert(parent, EMPTY.into());
                    }
                }
            }
        }
        let bytes = Bytes::from(object(value.iter().map(|(path, text)| (path, &**text))));
        let node = NodeId([u8::try_from(replica).expect("few"); 32]);
        let count = self.versions.iter().filter(|version| version.dot.origin.node == node).count();
        let dot = Dot::new(Origin { node, epoch: 0 }, 1 + count as u64);
        let put = Put { content_type: ContentType::json(), payload: Payload::Inline(bytes) };
        let rules = Rules { strategy: &Resolving::MergeFields, ..Rules::default() };
        let clock = &mut self.clock[replica];
        let stamp = |seen: &[Version]| {
            let latest = seen.iter().map(|version| version.hlc.0).max().unwrap_or_default();
            *clock = (*clock).max(latest) + 1;
            Hlc(*clock)
        };
        let (body, none) = (Body::Put(put), Precondition::None);
        let key = Key::new("object").expect("a key");
        let current = Some(&self.records[replica]).filter(|record| !record.siblings().is_empty());
        let planned =
            plan_write(current, key, dot, body, none, None, rules, stamp).expect("nothing forbids it");
        // All of it survives the way over the wire.
        let version: Version = wire::decode(&wire::encode(&planned.version)).expect("just encoded");
        self.records[replica].merge(version.clone());
        self.learn(replica, &version, &before, gone, value);
        self.versions.push(version);
    }

    /// The model takes note of a write.
    fn learn(
        &mut self,
        replica: usize,
        version: &Version,
        before: &BTreeMap<Path, (Box<str>, Stamp)>,
        mut gone: BTreeMap<Path, Stamp>,
        value: BTreeMap<Path, Box<str>>,
    ) {
        let stamp = Stamp { hlc: version.hlc, dot: version.dot };
        let stands = |path: &[Cow<'_, str>]| value.keys().any(|other| other.starts_with(path));
        for path in before.keys().filter(|path| !value.contains_key(*path)) {
            if let Some(length) = (1..=path.len()).find(|length| !stands(&path[..*length])) {
                gone.retain(|mark, _| !mark.starts_with(&path[..length]));
                gone.insert(path[..length].to_vec(), stamp);
            }
        }
        let claim = |(path, text): (Path, Box<str>)| {
            let same = before.get(&path).filter(|(before, _)| *before == text);
            let at = same.map_or(stamp, |(_, at)| *at);
            (path, (text, at))
        };
        let leaves: BTreeMap<_, _> = value.into_iter().map(claim).collect();
        gone.retain(|mark, _| leaves.get(mark).is_none_or(|(_, at)| *at != stamp));
        let ancestors = self.holds[replica].clone();
        self.holds[replica].insert(version.dot);
        self.known.insert(version.dot, Known { stamp, ancestors, leaves, gone });
    }

    fn arrive(&mut self, replica: usize, at: usize) {
        let version = self.versions[at].clone();
        let known = &self.known[&version.dot];
        self.holds[replica].extend(&known.ancestors);
        self.holds[replica].insert(version.dot);
        self.clock[replica] = self.clock[replica].max(version.hlc.0);
        self.records[replica].merge(version);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn objects_merge_to_what_all_writes_together_say(
        events in collection::vec(event(), 1..60),
        order in any::<u64>(),
    ) {
        let mut world = World::default();
        for event in events {
            match event {
                Event::Edit { replica, edits } => {
                    world.edit(replica, &edits);
                    world.check(replica)?;
                }
                Event::Arrive { replica, version } if !world.versions.is_empty() => {
                    world.arrive(replica, version % world.versions.len());
                    world.check(replica)?;
                }
                Event::Arrive { .. } => {}
            }
        }
        // Then all arrive everywhere, in orders of their own.
        let count = world.versions.len();
        for replica in 0..REPLICAS {
            let mut left: Vec<usize> = (0..count).collect();
            let mut dice = order.wrapping_add(replica as u64) | 1;
            while !left.is_empty() {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = usize::try_from(dice >> 33).expect("31 bits") % left.len();
                world.arrive(replica, left.swap_remove(at));
            }
            world.check(replica)?;
            prop_assert_eq!(world.shows(replica), world.shows(0));
            prop_assert_eq!(world.records[replica].siblings(), world.records[0].siblings());
        }
    }
}
