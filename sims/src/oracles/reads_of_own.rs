//! Reads of one's own: who wrote at a node and then reads there, while it lives, sees the write or
//! something that outranks it.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use tidings::{causality::Dot, types::Key};

use super::{
    Oracle,
    index::{Index, dies, rank, supersedes},
    violation::{Findings, clock},
};
use crate::{
    history::{Seen, What},
    plan::{Action, NodeNo},
};

pub(super) const ORACLE: Oracle = Oracle {
    name: "reads-of-own",
    about: "a client reads what it wrote at the same node, or something that supersedes or outranks it",
    find,
};

type Place<'a> = (NodeNo, &'a Key);

#[derive(Default)]
struct State<'a> {
    /// The last acknowledged write of each key at each node, in its present life.
    wrote: BTreeMap<Place<'a>, (&'a Seen, Duration)>,
    /// What each node has applied of each key, with the times: a reader may see one before the observer does.
    applied: HashMap<Place<'a>, Vec<(&'a Seen, Duration)>>,
    /// Reads under way, and the write each must see.
    reads: HashMap<usize, (Place<'a>, &'a Seen, Duration)>,
}

fn find(index: &Index<'_>, findings: &mut Findings) {
    let mut state = State { applied: applied(index), ..State::default() };
    for event in &index.history.events {
        let at = event.at;
        if let Some(node) = dies(&event.what) {
            state.wrote.retain(|(who, _), _| *who != node);
            state.reads.retain(|_, ((who, _), ..)| *who != node);
        }
        match &event.what {
            What::Acknowledged { operation, dots } => state.acknowledged(index, *operation, dots, at),
            What::Asked { operation } => state.asked(index, *operation),
            What::Read { operation, found } => {
                if let Some((place, own, written)) = state.reads.remove(operation) {
                    let dot = found.map(|found| found.0);
                    if !state.sees(index, place, own, dot, at) {
                        findings.add(at, place.0, || {
                            format!(
                                "read number {operation} of {} found {dot:?}, though {:?} was acknowledged there at {}",
                                place.1, own.dot, clock(written)
                            )
                        });
                    }
                }
            }
            _ => {}
        }
    }
}

fn applied<'a>(index: &Index<'a>) -> HashMap<Place<'a>, Vec<(&'a Seen, Duration)>> {
    let mut applied: HashMap<Place<'_>, Vec<_>> = HashMap::new();
    for event in &index.history.events {
        if let What::Applied { node, version, .. } = &event.what {
            applied.entry((*node, &version.key)).or_default().push((version, event.at));
        }
    }
    applied
}

impl<'a> State<'a> {
    fn acknowledged(&mut self, index: &Index<'a>, operation: usize, dots: &[Dot], at: Duration) {
        let Some(node) = index.plan.operations.get(operation).map(|operation| operation.node) else { return };
        for known in dots.iter().filter_map(|dot| index.known(*dot)) {
            let wrote = self.wrote.entry((node, &known.version.key)).or_insert((known.version, at));
            if supersedes(known.version, wrote.0.dot) {
                *wrote = (known.version, at);
            }
        }
    }

    fn asked(&mut self, index: &Index<'a>, operation: usize) {
        let Some(asked) = index.plan.operations.get(operation) else { return };
        let Action::Get { key } = &asked.action else { return };
        let Ok(key) = key.parse::<Key>() else { return };
        let Some((key, _)) = index.by_key.get_key_value(&key) else { return };
        if let Some((own, at)) = self.wrote.get(&(asked.node, *key)) {
            self.reads.insert(operation, ((asked.node, key), own, *at));
        }
    }

    fn sees(
        &self,
        index: &Index<'_>,
        place: Place<'_>,
        own: &Seen,
        found: Option<Dot>,
        at: Duration,
    ) -> bool {
        let applied = self.applied.get(&place).into_iter().flatten();
        let applied: Vec<&Seen> =
            applied.filter(|(_, time)| *time <= at).map(|(version, _)| *version).collect();
        // What superseded the write may have an earlier stamp (its writer's clock was too far behind to follow):
        // then less is needed to outrank it.
        let superseding = applied.iter().filter(|version| supersedes(version, own.dot));
        let least = superseding.map(|version| rank(version)).chain([rank(own)]).min();
        let outranks = |version: &Seen| supersedes(version, own.dot) || Some(rank(version)) > least;
        match found {
            Some(dot) if dot == own.dot => true,
            Some(dot) => index.known(dot).is_none_or(|known| {
                known.version.key == own.key && outranks(known.version) && !supersedes(own, dot)
            }),
            None if own.value.is_none() => true,
            None => applied.iter().any(|version| version.value.is_none() && outranks(version)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidings::causality::Hlc;

    use super::*;
    use crate::oracles::fixture::{ANT, BAT, CAT, Fixture};

    fn find(dot: Option<Dot>) -> impl Fn(&mut Fixture) {
        move |doctored| {
            let last = doctored.history.events.iter_mut().rev().find_map(|event| match &mut event.what {
                What::Read { found, .. } => Some(found),
                _ => None,
            });
            *last.expect("a read") = dot.map(|dot| (dot, [1; 32]));
        }
    }

    #[test]
    fn a_reader_who_does_not_see_his_own_write_is_found() {
        let mut lawful = Fixture::new();
        let first = lawful.put(ANT, "nest");
        let other = lawful.put(CAT, "nest");
        lawful.put(ANT, "nest");
        lawful.read(ANT, "nest");
        lawful.doctored(&ORACLE, "found None", find(None));
        lawful.doctored(&ORACLE, "was acknowledged there", find(Some(first)));
        lawful.doctored(&ORACLE, "was acknowledged there", find(Some(other)));
    }

    #[test]
    fn a_reader_may_see_what_outranks_his_write() {
        let mut lawful = Fixture::new();
        let own = lawful.put(ANT, "nest");
        let other = lawful.put(CAT, "nest");
        lawful.apply(ANT, other, false);
        lawful.read(ANT, "nest");
        assert_eq!(lawful.judge(&ORACLE), vec![]);
        lawful.spread(own);
        let delete = lawful.delete(BAT, "nest");
        lawful.apply(ANT, delete, false);
        lawful.read(ANT, "nest");
        lawful.doctored(&ORACLE, "found None", |doctored| {
            doctored.forget(|what| matches!(what, What::Applied { version, .. } if version.value.is_none()));
        });
    }

    #[test]
    fn a_reader_may_see_what_outranks_the_earlier_stamp_that_superseded_his_write() {
        let mut lawful = Fixture::new();
        let other = lawful.put(CAT, "nest");
        let own = lawful.put(ANT, "nest");
        lawful.apply(BAT, own, false);
        let slow = lawful.put(BAT, "nest");
        lawful.restamp(slow, Hlc::from_millis(1));
        lawful.apply(ANT, other, false);
        lawful.apply(ANT, slow, false);
        lawful.read(ANT, "nest");
        find(Some(other))(&mut lawful);
        assert_eq!(lawful.judge(&ORACLE), vec![]);
        lawful.doctored(&ORACLE, "was acknowledged there", |doctored| {
            doctored.forget(
                |what| matches!(what, What::Applied { node: ANT, version, .. } if version.dot == slow),
            );
        });
    }

    #[test]
    fn another_life_owes_nothing() {
        let mut restarted = Fixture::new();
        restarted.put(ANT, "nest");
        restarted.stop(ANT, false);
        restarted.start(ANT);
        restarted.read(ANT, "nest");
        find(None)(&mut restarted);
        assert_eq!(restarted.judge(&ORACLE), vec![]);
    }
}
