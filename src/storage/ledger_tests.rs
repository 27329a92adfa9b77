//! Ledgers on stores that lose power, held to the laws of the protocol at every step.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{collection::vec, prelude::*};

use super::{Batch, Durability, Ledger, Received, Sights, Store, Write, layout, memory::Memory};
use crate::{
    causality::{Dot, Floors, Hlc, HlcClock, NodeId, Origin, SeenSet},
    conflict::{Body, Payload, Put, Record, Strategy as Reading, Version},
    digest::Digests,
    replica::{Precondition, Refused},
    types::{ContentType, Key, Namespace, Prefix},
};

const KEYS: [&str; 3] = ["ant", "bat", "cat"];
const REPLICAS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Put(usize, usize),
    Delete(usize, usize),
    Receive(usize, proptest::sample::Index),
    Commit(usize),
    Exchange(usize, usize, Option<usize>),
    PowerLoss(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let replica = 0..REPLICAS;
    let step = prop_oneof![
        4 => (replica.clone(), 0..KEYS.len()).prop_map(|(r, k)| Step::Put(r, k)),
        2 => (replica.clone(), 0..KEYS.len()).prop_map(|(r, k)| Step::Delete(r, k)),
        6 => (replica.clone(), any::<proptest::sample::Index>()).prop_map(|(r, v)| Step::Receive(r, v)),
        3 => replica.clone().prop_map(Step::Commit),
        2 => (replica.clone(), replica.clone(), proptest::option::of(0..4_usize))
            .prop_map(|(a, b, cut)| Step::Exchange(a, b, cut)),
        1 => replica.prop_map(Step::PowerLoss),
    ];
    vec(step, 1..80)
}

pub(super) struct Replica {
    pub(super) store: Memory,
    pub(super) ledger: Ledger,
    pub(super) clock: HlcClock,
    pub(super) origin: Origin,
    pub(super) written: Vec<Version>,
}

pub(super) fn ns() -> Namespace {
    Namespace::default()
}

impl Replica {
    pub(super) fn new(n: u8) -> Self {
        let store = Memory::new();
        let origin = Origin { node: NodeId([n; 32]), epoch: u64::from(n) };
        let (ledger, _) = Ledger::open(Arc::new(store.clone()), origin, &[ns()]).unwrap();
        let clock = HlcClock::new(Hlc::default(), std::time::Duration::from_secs(60));
        Self { store, ledger, clock, origin, written: Vec::new() }
    }

    pub(super) fn write(&mut self, key: &str, value: Option<&str>) {
        let body = match value {
            Some(value) => Body::Put(Put {
                content_type: ContentType::text(),
                payload: Payload::Inline(value.to_owned().into()),
            }),
            None => Body::Delete,
        };
        let write = Write::new(Key::new(key).unwrap(), body);
        let clock = &mut self.clock;
        match self
            .ledger
            .write(&ns(), write, |superseded| clock.tick(1_000, superseded.iter().map(|version| version.hlc)))
            .unwrap()
        {
            Ok(version) => self.written.push(version),
            Err(refused) => assert_eq!(refused, Refused::NothingThere),
        }
    }

    /// Own writes are synced before they are acknowledged; others need no sync of their own.
    pub(super) fn commit(&mut self, acknowledged: &mut Vec<Version>) -> Sights {
        let durability = if self.written.is_empty() { Durability::Buffer } else { Durability::Fsync };
        let committed = self.ledger.commit(durability, self.clock.last()).unwrap();
        acknowledged.append(&mut self.written);
        committed.sights
    }

    pub(super) fn lose_power(&mut self) {
        self.store.crash();
        self.written.clear();
        let reopened = self.store.reopen();
        self.ledger = Ledger::open(Arc::new(reopened), self.origin, &[ns()]).unwrap().0;
    }

    pub(super) fn seen(&self) -> SeenSet {
        self.ledger.reader().view().seen(&ns()).unwrap()
    }

    pub(super) fn records(&self) -> BTreeMap<Key, Record> {
        let view = self.ledger.reader().view();
        view.records(&ns(), &Prefix::all(), None, false).map(Result::unwrap).collect()
    }

    /// Rule 3, the dot index, and the count of keys, against a full scan of what is committed.
    pub(super) fn audit(&self) {
        let reader = self.ledger.reader();
        let view = reader.view();
        let seen = self.seen();
        assert!(view.unaccounted(&ns(), &seen).unwrap().is_empty(), "a seen dot is neither held nor dead");
        let held: SeenSet = view
            .versions(&ns(), &seen, None, usize::MAX, usize::MAX)
            .unwrap()
            .versions
            .iter()
            .map(|version| version.dot)
            .filter(|dot| view.claims(&ns(), &SeenSet::from_iter([*dot])).unwrap().len() == 1)
            .collect();
        let records = self.records();
        let siblings: SeenSet =
            records.values().flat_map(|record| record.siblings().iter().map(|sibling| sibling.dot)).collect();
        assert_eq!(held, siblings, "the dot index names the siblings and nothing else");
        let mut digests = Digests::new();
        for (record, sibling) in records.values().flat_map(|r| r.siblings().iter().map(move |s| (r, s))) {
            digests.insert(sibling.dot, &sibling.hash().0, !record.is_deleted());
        }
        let kept = self.ledger.digests(&ns()).expect("a small store is read at once");
        assert!(kept.blocks().eq(digests.blocks()), "digests are those of a full scan");
        assert_eq!(kept.root(), digests.root());
        let visible =
            records.values().filter(|record| record.visible(&Reading::default(), 0).is_some()).count();
        assert_eq!(reader.keys(&ns()), visible as u64);
        assert!(reader.with_seen(&ns(), |memory| *memory == seen).unwrap(), "memory and disk agree");
    }
}

/// Rule 4 one way: `to` gets what it has not seen, and merges the frontier unless cut.
fn deliver(from: &Replica, to: &mut Replica, cut: Option<usize>, acknowledged: &mut Vec<Version>) {
    let view = from.ledger.reader().view();
    let frontier = view.seen(&ns()).unwrap();
    let missing = frontier.difference(&to.seen());
    let mut after = None;
    let mut pages = 0;
    loop {
        if cut == Some(pages) {
            return;
        }
        let page = view.versions(&ns(), &missing, after, 2, usize::MAX).unwrap();
        for version in page.versions {
            to.ledger.receive(&ns(), version, None).unwrap();
        }
        to.commit(acknowledged);
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    to.ledger.absorb(&ns(), &frontier, &Floors::new());
    to.commit(acknowledged);
}

fn exchange(replicas: &mut [Replica], a: usize, b: usize, cut: Option<usize>, log: &mut Vec<Version>) {
    if a == b {
        return;
    }
    let (low, high) = replicas.split_at_mut(a.max(b));
    let (one, other) = (&mut low[a.min(b)], &mut high[0]);
    one.commit(log);
    other.commit(log);
    deliver(one, other, cut, log);
    deliver(other, one, cut, log);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn replicas_end_equal_and_lose_nothing_whatever_the_weather(steps in steps()) {
        let mut replicas: Vec<_> = (1..).take(REPLICAS).map(Replica::new).collect();
        let mut log = Vec::new();
        for (index, step) in steps.into_iter().enumerate() {
            match step {
                Step::Put(r, k) => replicas[r].write(KEYS[k], Some(&index.to_string())),
                Step::Delete(r, k) => replicas[r].write(KEYS[k], None),
                Step::Receive(r, v) if !log.is_empty() => {
                    let version: &Version = &log[v.index(log.len())];
                    replicas[r].ledger.receive(&ns(), version.clone(), None).unwrap();
                }
                Step::Receive(..) => {}
                Step::Commit(r) => drop(replicas[r].commit(&mut log)),
                Step::Exchange(a, b, cut) => exchange(&mut replicas, a, b, cut, &mut log),
                Step::PowerLoss(r) => replicas[r].lose_power(),
            }
            replicas.iter().for_each(Replica::audit);
        }
        for _ in 0..2 {
            for (a, b) in [(0, 1), (1, 2), (0, 2)] {
                exchange(&mut replicas, a, b, None, &mut log);
            }
        }
        replicas.iter().for_each(Replica::audit);
        let records = replicas[0].records();
        for replica in &replicas {
            prop_assert_eq!(&replica.records(), &records);
            prop_assert_eq!(replica.seen(), log.iter().map(|version| version.dot).collect::<SeenSet>());
        }
        // Against the set of all acknowledged versions: what nothing supersedes is what stands.
        let standing = |version: &&Version| !log.iter().any(|other| {
            other.key == version.key && other.supersedes(version.dot)
        });
        let expected: SeenSet = log.iter().filter(standing).map(|version| version.dot).collect();
        let held: SeenSet =
            records.values().flat_map(|record| record.siblings().iter().map(|sibling| sibling.dot)).collect();
        prop_assert_eq!(held, expected);
    }
}

#[test]
fn a_large_value_is_stored_beside_its_version_and_goes_with_it() {
    let mut ant = Replica::new(1);
    let mut bat = Replica::new(2);
    let bytes = bytes::Bytes::from(vec![1; 100_000]);
    let payload = Payload::Blob { hash: *blake3::hash(&bytes).as_bytes(), size: 100_000 };
    let put = Body::Put(Put { content_type: ContentType::octets(), payload });
    let key = Key::new("big").unwrap();
    let write = Write {
        key,
        body: put,
        blob: Some(bytes.clone()),
        precondition: Precondition::None,
        made_from: None,
    };
    let version = ant.ledger.write(&ns(), write, |_| Hlc(1)).unwrap().unwrap();
    ant.commit(&mut Vec::new());
    assert_eq!(ant.ledger.reader().blob(&ns(), version.dot).unwrap(), Some(bytes.clone()));
    assert_eq!(bat.ledger.receive(&ns(), version.clone(), None).unwrap(), Received::NeedsBlob);
    assert!(!bat.ledger.has_draft(), "nothing is stored without the bytes");
    assert_eq!(bat.ledger.receive(&ns(), version.clone(), Some(bytes)).unwrap(), Received::Held);
    bat.commit(&mut Vec::new());
    assert!(bat.ledger.reader().blob(&ns(), version.dot).unwrap().is_some());
    bat.write("big", None);
    bat.commit(&mut Vec::new());
    assert_eq!(bat.ledger.reader().blob(&ns(), version.dot).unwrap(), None);
    bat.audit();
}

#[test]
fn a_dot_with_two_contents_ends_with_the_same_one_on_all_replicas() {
    let origin = Origin { node: NodeId([9; 32]), epoch: 9 };
    let version = |key: &str, text: &'static str| Version {
        dot: Dot::new(origin, 1),
        hlc: Hlc::from_millis(5),
        base: None,
        context: crate::causality::Context::new(),
        key: Key::new(key).unwrap(),
        body: Body::Put(Put { content_type: ContentType::text(), payload: Payload::Inline(text.into()) }),
    };
    for (one, other) in [(version("k", "a"), version("k", "b")), (version("k", "a"), version("l", "b"))] {
        let mut ends = Vec::new();
        for order in [[&one, &other], [&other, &one]] {
            let mut replica = Replica::new(1);
            replica.ledger.receive(&ns(), order[0].clone(), None).unwrap();
            replica.commit(&mut Vec::new());
            let again = replica.ledger.receive(&ns(), order[1].clone(), None).unwrap();
            assert!(matches!(again, Received::Collision(_)), "{again:?}");
            replica.commit(&mut Vec::new());
            replica.audit();
            let held: Vec<Version> =
                replica.records().values().flat_map(|record| record.siblings().to_vec()).collect();
            ends.push(held);
        }
        assert_eq!(ends[0], ends[1]);
        assert_eq!(ends[0].len(), 1);
    }
}

#[test]
fn a_power_cut_at_any_batch_boundary_leaves_one_consistent_past_with_all_that_was_acknowledged() {
    for cut in 0..12 {
        let mut ant = Replica::new(1);
        let mut acknowledged = Vec::new();
        let mut bat = Replica::new(2);
        let mut others = Vec::new();
        for n in 0..6 {
            bat.write(KEYS[n % 3], Some("x"));
            bat.commit(&mut others);
        }
        for step in 0..12 {
            if step == cut {
                ant.store.crash();
                break;
            }
            if step % 3 == 0 {
                ant.write(KEYS[step % 2], Some("y"));
            } else {
                ant.ledger.receive(&ns(), others[step / 2].clone(), None).unwrap();
            }
            ant.commit(&mut acknowledged);
        }
        ant.lose_power();
        ant.audit();
        let seen = ant.seen();
        assert!(acknowledged.iter().all(|version| seen.contains(version.dot)), "cut at {cut}");
        let own = seen.get(&ant.origin).cloned().unwrap_or_default();
        assert_eq!(own.base(), own.max(), "own sequence without a hole");
    }
}

#[test]
fn a_write_that_lost_its_dot_is_written_again_beside_the_winner() {
    let mut ant = Replica::new(1);
    let mut log = Vec::new();
    ant.write("ant", Some("mine"));
    ant.commit(&mut log);
    let mine = log[0].clone();
    // A clone of this node gave the same dot to another content; seek one that wins.
    let clones = (0..).map(|n| Version {
        body: Body::Put(Put {
            content_type: ContentType::text(),
            payload: Payload::Inline(format!("clone {n}").into()),
        }),
        ..mine.clone()
    });
    let winner = clones.into_iter().find(|clone| clone.hash() > mine.hash()).unwrap();
    let Received::Collision(Some(lost)) = ant.ledger.receive(&ns(), winner.clone(), None).unwrap() else {
        panic!("the greater hash wins");
    };
    assert_eq!(*lost, mine);
    ant.ledger.set_origin(Origin { epoch: 77, ..ant.origin });
    let again =
        ant.ledger.write_again(&ns(), &lost, None).unwrap().unwrap().expect("nothing like it is there");
    assert_eq!(ant.ledger.write_again(&ns(), &lost, None).unwrap(), Ok(None), "once is enough");
    ant.commit(&mut log);
    ant.audit();
    let record = &ant.records()[&mine.key];
    let held: Vec<Dot> = record.siblings().iter().map(|sibling| sibling.dot).collect();
    assert_eq!(held.len(), 2);
    assert!(held.contains(&winner.dot) && held.contains(&again.dot));
    assert_eq!(again.body, mine.body);
}

#[test]
fn a_store_of_the_first_format_learns_which_deletes_stand_alone() {
    let mut replica = Replica::new(1);
    for (key, value) in [("ant", Some("worm")), ("bat", Some("moth")), ("bat", None)] {
        replica.write(key, value);
    }
    replica.commit(&mut Vec::new());
    let view = replica.ledger.reader().view();
    let held = view.versions(&ns(), &replica.seen(), None, 10, usize::MAX).unwrap().versions;
    let delete = held.iter().find(|version| version.is_delete()).expect("bat's");
    let mut old = Batch::new();
    old.insert(layout::FORMAT_KEY, 1_u32.to_be_bytes().to_vec());
    old.insert(
        layout::dot(0, 0, delete.dot.seq),
        super::stored::encode_dot(delete.hash(), &delete.key, true),
    );
    old.remove(layout::forgettable(0, delete.hlc.0, 0, delete.dot.seq));
    replica.store.commit(old, Durability::Fsync).unwrap();
    replica.ledger = Ledger::open(Arc::new(replica.store.clone()), replica.origin, &[ns()]).unwrap().0;
    replica.audit();
    let format = replica.store.get(layout::FORMAT_KEY).unwrap();
    assert_eq!(format.as_deref(), Some(&layout::FORMAT.to_be_bytes()[..]));
    let swept = replica.ledger.forget(&ns(), Hlc(u64::MAX >> 1), None, 10).unwrap();
    assert_eq!(swept.forgotten, 1);
}

#[test]
fn a_store_of_the_second_format_is_taken_over_as_it_is() {
    let mut replica = Replica::new(1);
    replica.write("ant", Some("worm"));
    replica.commit(&mut Vec::new());
    let mut old = Batch::new();
    old.insert(layout::FORMAT_KEY, 2_u32.to_be_bytes().to_vec());
    replica.store.commit(old, Durability::Fsync).unwrap();
    replica.ledger = Ledger::open(Arc::new(replica.store.clone()), replica.origin, &[ns()]).unwrap().0;
    replica.audit();
    let format = replica.store.get(layout::FORMAT_KEY).unwrap();
    assert_eq!(format.as_deref(), Some(&layout::FORMAT.to_be_bytes()[..]));
}
