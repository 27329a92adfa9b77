//! What must hold, told without the rules.

use super::{dots::DotSet, reads::Reads, replica::Replica, version::Version, world::World};

/// After every event: no dot names two contents, and every replica accounts for all it has seen.
pub fn at_any_time(world: &World) -> Result<(), String> {
    if let Some((last, earlier)) = world.written.split_last() {
        let dot = last.version.dot;
        if earlier.iter().rev().any(|written| written.version.dot == dot) {
            return Err(format!("{dot:?} names two writes"));
        }
    }
    world.replicas.values().try_for_each(|replica| {
        let node = replica.origin.node;
        let (held, missing) = (replica.held(), replica.missing());
        if !held.difference(&replica.seen).is_empty() || !replica.dead.difference(&replica.seen).is_empty() {
            return Err(format!("{node:?} holds or buries what it has not seen"));
        }
        if !held.intersection(&replica.dead).is_empty() {
            return Err(format!("{node:?} holds what is dead: {:?}", held.intersection(&replica.dead)));
        }
        if !missing.is_empty() && !world.damaged.contains(&node) {
            return Err(format!("{node:?} has seen and does not account for {missing:?}"));
        }
        if world.has_damage { Ok(()) } else { nothing_seen_supersedes(world, replica) }
    })
}

/// A replica that has seen a version holds no put that it superseded, also where it never held it.
fn nothing_seen_supersedes(world: &World, replica: &Replica) -> Result<(), String> {
    let mut puts = replica.versions().filter(|version| !version.is_delete);
    puts.try_for_each(|put| {
        let known = world.written.iter().map(|written| &written.version);
        let known = known.filter(|version| replica.seen.contains(version.dot));
        match known.into_iter().find(|version| supersedes(version, put)) {
            None => Ok(()),
            Some(by) => {
                Err(format!("{:?} holds {:?} and has seen {:?}", replica.origin.node, put.dot, by.dot))
            }
        }
    })
}

/// All have seen the same, hold the same and show the same.
pub fn agree(world: &World) -> Result<(), String> {
    let replicas: Vec<&Replica> = world.replicas.values().collect();
    replicas.windows(2).try_for_each(|pair| {
        let (a, b) = (pair[0], pair[1]);
        let who = format!("{:?} and {:?}", a.origin.node, b.origin.node);
        let live = |replica: &Replica| -> DotSet {
            replica
                .records
                .iter()
                .map(super::record::Record::live)
                .fold(DotSet::default(), |all, live| all.union(&live))
        };
        if live(a) != live(b) {
            return Err(format!("{who} hold {:?} and {:?}", live(a), live(b)));
        }
        let reads = |replica: &Replica| replica.records.each_ref().map(Reads::of);
        if reads(a) != reads(b) {
            return Err(format!("{who} read {:?} and {:?}", reads(a), reads(b)));
        }
        if a.seen != b.seen || a.floors != b.floors {
            return Err(format!("{who} have seen {:?} and {:?}", a.seen, b.seen));
        }
        Ok(())
    })
}

/// After enough exchanges of all with all: they agree, nothing is lost, nothing has come back.
pub fn at_the_end(world: &World) -> Result<(), String> {
    agree(world)?;
    let live = world.replicas.values().fold(DotSet::default(), |all, replica| all.union(&replica.live()));
    world.written.iter().try_for_each(|written| {
        let version = &*written.version;
        if live.contains(version.dot) {
            stays_superseded(world, version)
        } else {
            is_not_lost(world, version)
        }
    })
}

/// A live put is superseded by nothing that is known.
///
/// A delete may be: where the delete that superseded it was forgotten, an earlier one may stand for it.
fn stays_superseded(world: &World, version: &Version) -> Result<(), String> {
    if version.is_delete {
        return Ok(());
    }
    let known = |dot| world.replicas.values().any(|r| r.dead.contains(dot) || r.held().contains(dot));
    let mut superseding =
        world.written.iter().map(|written| &*written.version).filter(|later| supersedes(later, version));
    let forgot = |later: &Version| world.has_damage && is_forgotten(world, later, version);
    if superseding.clone().any(forgot) {
        return Ok(());
    }
    match superseding.find(|later| known(later.dot)) {
        Some(later) => Err(format!("{:?} has come back: {:?} superseded it", version.dot, later.dot)),
        None => Ok(()),
    }
}

/// Whether damage took the knowledge that `later` superseded `version`: it was destroyed, or superseded by
/// a node that had lost it, without noticing, with all that it knew.
fn is_forgotten(world: &World, later: &Version, version: &Version) -> bool {
    let written = world.written.iter().map(|written| &*written.version);
    let mut blind = written.filter(|last| supersedes(last, later) && !supersedes(last, version));
    world.destroyed.contains(later.dot) || blind.next().is_some()
}

fn supersedes(later: &Version, version: &Version) -> bool {
    later.key == version.key && later.dot != version.dot && later.supersedes(version.dot)
}

/// A put that is not live was superseded, or stood nowhere else when its last replica was lost.
fn is_not_lost(world: &World, version: &Version) -> Result<(), String> {
    let was_in_front_of = |later: &super::world::Written| {
        let same_key = later.version.key == version.key && later.version.dot != version.dot;
        same_key && (later.seen.contains(version.dot) || later.version.supersedes(version.dot))
    };
    let superseded = world.written.iter().any(was_in_front_of);
    if version.is_delete || superseded || world.gone.contains(version.dot) {
        return Ok(());
    }
    Err(format!("{:?} is lost", version.dot))
}
