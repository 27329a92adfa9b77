//! A replica: what it holds, what it has seen, and how both change (rules 1, 2, 3, 5 and 7).

use std::{array, rc::Rc};

use super::{
    dots::{Dot, DotSet, Node, Origin, Vector},
    mistake::Mistake,
    record::Record,
    version::{KEYS, Key, Version},
};

/// What is left of deletes that were forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floors {
    /// Per origin the highest dot that a forgotten delete had superseded.
    pub superseded: Vector,
    /// Per origin the highest delete that was forgotten.
    pub forgotten: Vector,
}

impl Floors {
    pub fn join(&self, other: &Self) -> Self {
        Self {
            superseded: self.superseded.join(&other.superseded),
            forgotten: self.forgotten.join(&other.forgotten),
        }
    }
}

/// What a replica answers about a dot that only the peer holds.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// This supersedes it.
    Superseded(Rc<Version>),
    /// It is missing here.
    Want,
    /// It is here by now.
    Held,
    /// It was superseded or deleted, and what did it was forgotten.
    Dead,
}

#[derive(Clone, Debug)]
pub struct Replica {
    pub origin: Origin,
    pub mistake: Option<Mistake>,
    /// The last sequence that was given out. It is not read off the seen set: what is lost leaves that.
    pub written: u32,
    pub seen: DotSet,
    pub dead: DotSet,
    /// Seen once, and found missing since.
    pub lost: DotSet,
    pub floors: Floors,
    pub records: [Record; KEYS],
}

impl Replica {
    pub fn new(node: Node, mistake: Option<Mistake>) -> Self {
        Self {
            origin: Origin { node, epoch: 0 },
            mistake,
            written: 0,
            seen: DotSet::default(),
            dead: DotSet::default(),
            lost: DotSet::default(),
            floors: Floors::default(),
            records: array::from_fn(|_| Record::default()),
        }
    }

    /// Rule 1.
    pub fn write(&mut self, key: Key, is_delete: bool, now: u32) -> Rc<Version> {
        self.written += 1;
        let dot = Dot { origin: self.origin, seq: self.written };
        let record = &self.records[key];
        let latest = record.siblings.iter().map(|sibling| sibling.hlc + 1).max();
        let version = Rc::new(Version {
            dot,
            key,
            hlc: now.max(latest.unwrap_or(0)),
            context: record.context.join(&self.base()),
            is_delete,
        });
        let superseded: DotSet = record.siblings.iter().map(|sibling| sibling.dot).collect();
        let mut context = version.context;
        context.include(dot);
        self.records[key] = Record { siblings: vec![version.clone()], context };
        self.dead = self.dead.union(&superseded);
        self.seen.insert(dot);
        version
    }

    /// What a write supersedes beside its record: the deletes that were forgotten, and what they superseded.
    fn base(&self) -> Vector {
        if self.mistake == Some(Mistake::BaseLeftOut) {
            return Vector::default();
        }
        self.floors.superseded.join(&self.floors.forgotten).within(&self.seen)
    }

    /// Rule 2.
    pub fn receive(&mut self, version: &Rc<Version>) {
        if self.seen.contains(version.dot) {
            return;
        }
        let was_lost = self.lost.contains(version.dot);
        if was_lost && self.mistake != Some(Mistake::LostDotsSwallowed) {
            return self.take_back(version);
        }
        let dead = self.records[version.key].receive(version);
        self.account_for(version.dot, &dead);
    }

    /// Rule 6: a version that the peer was asked for, or that supersedes one it had.
    pub fn settle(&mut self, version: &Rc<Version>) {
        if self.seen.contains(version.dot) && self.misses(version.dot) {
            self.take_back(version);
        } else {
            self.receive(version);
        }
    }

    /// Rule 6: `version` supersedes even where it is dead here itself: what superseded it, and covered all
    /// that it covers, may have been lost since.
    pub fn drop_superseded(&mut self, version: &Version) {
        if self.mistake == Some(Mistake::DeadVersionsSupersedeNothing) {
            return;
        }
        let record = &mut self.records[version.key];
        let superseded = |sibling: &&Rc<Version>| version.supersedes(sibling.dot);
        let dots: DotSet = record.siblings.iter().filter(superseded).map(|sibling| sibling.dot).collect();
        record.siblings.retain(|sibling| !dots.contains(sibling.dot));
        self.dead = self.dead.union(&dots);
    }

    pub fn take_back(&mut self, version: &Rc<Version>) {
        let dead = self.records[version.key].take_back(version);
        self.account_for(version.dot, &dead);
    }

    fn account_for(&mut self, dot: Dot, dead: &DotSet) {
        self.seen.insert(dot);
        self.lost.remove(dot);
        self.dead = self.dead.union(dead);
    }

    fn misses(&self, dot: Dot) -> bool {
        !self.dead.contains(dot) && !self.held().contains(dot)
    }

    pub fn versions(&self) -> impl Iterator<Item = &Rc<Version>> {
        self.records.iter().flat_map(|record| &record.siblings)
    }

    pub fn held(&self) -> DotSet {
        self.versions().map(|version| version.dot).collect()
    }

    /// What ranges compare.
    pub fn live(&self) -> DotSet {
        let live = |record: &Record| match self.mistake {
            Some(Mistake::DeletesBesidePutsNotCompared) => record.live_puts(),
            _ => record.live(),
        };
        self.records.iter().map(live).fold(DotSet::default(), |all, live| all.union(&live))
    }

    /// Rule 3: what was seen and is neither held nor dead.
    pub fn missing(&self) -> DotSet {
        self.seen.difference(&self.dead).difference(&self.held())
    }

    /// Rule 3: what is missing leaves the seen set, and is fetched again.
    pub fn account(&mut self) {
        let missing = self.missing();
        self.seen = self.seen.difference(&missing);
        self.lost = self.lost.union(&missing);
    }

    /// Rule 5: a key whose siblings are all deletes is forgotten, where nothing can come late any more.
    pub fn forget(&mut self, key: Key) {
        let record = &self.records[key];
        let late = !self.seen.reaches(&record.context) && self.mistake != Some(Mistake::NoProviso);
        if record.has_put() || late {
            return;
        }
        self.floors.superseded = self.floors.superseded.join(&record.context);
        for delete in &record.siblings {
            self.floors.forgotten.include(delete.dot);
            self.dead.insert(delete.dot);
        }
        self.records[key] = Record::default();
    }

    /// Rule 4: what a peer has seen and did not send is dead.
    pub fn absorb(&mut self, frontier: &DotSet) {
        let news = frontier.difference(&self.seen);
        self.seen = self.seen.union(&news);
        self.dead = self.dead.union(&news);
        self.lost = self.lost.difference(&news);
    }

    pub fn absorb_floors(&mut self, floors: &Floors) {
        if self.mistake != Some(Mistake::FloorsNotMerged) {
            self.floors = self.floors.join(floors);
        }
    }

    /// Rule 6: what is to become of a dot that only the peer holds.
    pub fn verdict(&self, dot: Dot, key: Key) -> Verdict {
        let record = &self.records[key];
        if let Some(version) = record.superseding(dot) {
            Verdict::Superseded(version.clone())
        } else if record.holds(dot) {
            Verdict::Held
        } else if self.counts_as_dead(dot) {
            Verdict::Dead
        } else {
            Verdict::Want
        }
    }

    fn counts_as_dead(&self, dot: Dot) -> bool {
        match self.mistake {
            Some(Mistake::FloorDecides) => {
                let floors = self.floors.superseded.join(&self.floors.forgotten);
                self.seen.contains(dot) && floors.covers(dot)
            }
            _ => self.dead.contains(dot),
        }
    }

    /// Rule 6: the peer knows `dot` as dead. The context stays: what it covers may still be under way.
    pub fn drop(&mut self, dot: Dot, key: Key) {
        let record = &mut self.records[key];
        record.siblings.retain(|sibling| sibling.dot != dot);
        if record.siblings.is_empty() && self.mistake == Some(Mistake::DroppedAtOnceWithContext) {
            *record = Record::default();
        }
        self.seen.insert(dot);
        self.dead.insert(dot);
    }

    /// Damage that nobody notices: a version vanishes, and its entry in the dot index.
    pub fn lose(&mut self, dot: Dot) {
        for record in &mut self.records {
            record.siblings.retain(|sibling| sibling.dot != dot);
        }
    }
}
