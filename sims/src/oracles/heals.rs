//! Heals: once nothing is in the way any more, what some node holds is with all of them within two
//! sync intervals, unattended.

use std::{collections::BTreeMap, time::Duration};

use tidings::{causality::Dot, types::Key};

use super::{
    Oracle,
    index::Index,
    replay::Replay,
    violation::{Findings, clock},
    weather::Weather,
};
use crate::{history::What, plan::NodeNo};

pub(super) const ORACLE: Oracle = Oracle {
    name: "heals",
    about: "two sync intervals after the last thing that was in the way is gone, all hold what any of them held then",
    find,
};

/// So many sync intervals.
const INTERVALS: u32 = 2;

/// What was not everywhere when the weather cleared up.
struct Debt<'a> {
    since: Duration,
    due: Duration,
    nodes: Vec<NodeNo>,
    versions: Vec<(&'a Key, Dot)>,
}

fn find(index: &Index<'_>, findings: &mut Findings) {
    if index.plan.forgets() {
        return;
    }
    let (mut weather, mut replay) = (Weather::new(index.plan), Replay::default());
    let mut debt: Option<Debt<'_>> = None;
    for event in &index.history.events {
        if let Some(due) = debt.take_if(|debt| debt.due < event.at) {
            collect(&due, &replay, findings);
        }
        replay.read(&event.what);
        let broke = matches!(event.what, What::Broke { .. });
        if weather.read(&event.what) || broke {
            debt = weather.is_fair().then(|| owed(index, &weather, &replay, event.at)).flatten();
        }
    }
    if let Some(due) = debt.filter(|debt| debt.due <= index.end) {
        collect(&due, &replay, findings);
    }
}

/// What some hold and others do not, where all that are up can reach each other.
fn owed<'a>(index: &Index<'a>, weather: &Weather<'_>, replay: &Replay<'a>, at: Duration) -> Option<Debt<'a>> {
    let [group] = &weather.groups()[..] else { return None };
    let mut held: BTreeMap<(&Key, Dot), usize> = BTreeMap::new();
    for node in group {
        for (key, sibling) in replay.siblings(*node) {
            *held.entry((key, sibling.dot)).or_default() += 1;
        }
    }
    held.retain(|_, holders| *holders < group.len());
    let due = at + index.plan.settings.sync_interval * INTERVALS;
    let versions = held.into_keys().collect();
    Some(Debt { since: at, due, nodes: group.iter().copied().collect(), versions })
}

fn collect(debt: &Debt<'_>, replay: &Replay<'_>, findings: &mut Findings) {
    for (key, dot) in &debt.versions {
        for node in &debt.nodes {
            if !replay.held(*node, key).is_some_and(|held| held.context.covers(*dot)) {
                findings.add(debt.due, *node, || {
                    format!(
                        "has not got {dot:?} of {key}, which another node held at {}, since when nothing was in the way",
                        clock(debt.since)
                    )
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        oracles::fixture::{ANT, BAT, CAT, Fixture},
        plan::{FaultKind, How},
    };

    fn parted() -> (Fixture, Dot) {
        let mut parted = Fixture::new();
        let kind = FaultKind::Partition { groups: vec![vec![ANT, BAT], vec![CAT]], how: How::Freeze };
        parted.say(What::Broke { fault: 0, kind });
        let dot = parted.put(ANT, "nest");
        parted.apply(BAT, dot, false);
        parted.say(What::Mended { fault: 0 });
        (parted, dot)
    }

    #[test]
    fn what_comes_within_two_intervals_of_the_heal_is_in_time() {
        let (mut parted, dot) = parted();
        parted.apply(CAT, dot, false);
        parted.wait(60_000);
        parted.say(What::Sample(vec![]));
        assert_eq!(parted.judge(&ORACLE), vec![]);
    }

    #[test]
    fn what_comes_later_is_found() {
        let (mut late, dot) = parted();
        late.wait(60_000);
        late.apply(CAT, dot, false);
        let found = late.judge(&ORACLE);
        assert_eq!(found.len(), 1);
        assert!(found[0].text.contains("has not got"), "{}", found[0]);
    }

    #[test]
    fn where_something_is_in_the_way_again_nothing_is_owed() {
        let (mut again, _) = parted();
        let kind = FaultKind::Partition { groups: vec![vec![ANT, BAT], vec![CAT]], how: How::Freeze };
        again.say(What::Broke { fault: 1, kind });
        again.wait(60_000);
        again.say(What::Sample(vec![]));
        assert_eq!(again.judge(&ORACLE), vec![]);
    }
}
