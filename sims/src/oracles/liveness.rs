//! Liveness: every operation is answered, nobody is stuck, and links come back.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    Oracle,
    index::Index,
    violation::{Findings, clock, list},
};
use crate::{
    history::{Sample, What},
    plan::{Action, NodeNo},
};

pub(super) const ORACLE: Oracle = Oracle {
    name: "liveness",
    about: "operations are answered in time and as asked, exchanges end, and links that work are connected at the end",
    find,
};

/// A node whose disk answers has answered a user by then: it waits 10 s for room, and 10 s more is
/// what a commit may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// A link that works again is connected by then: a dial that nobody answers takes ten seconds to fail,
/// and the next one comes a second later, or a little more.
const RECONNECTED: Duration = Duration::from_secs(30);

/// Exchanges that grow in number over so many samples, while nothing happens, do not end.
const SAMPLES: usize = 4;

fn find(index: &Index<'_>, findings: &mut Findings) {
    let answered = answers(index, findings);
    for (number, operation) in index.plan.operations.iter().enumerate() {
        if operation.at < index.end && !answered.contains(&number) {
            findings.add(index.end, operation.node, || {
                format!("operation {number}, due at {}, was neither asked nor refused", clock(operation.at))
            });
        }
    }
    exchanges(index, findings);
    links(index, findings);
}

/// Goes through questions and answers; which operations there was anything of.
fn answers(index: &Index<'_>, findings: &mut Findings) -> BTreeSet<usize> {
    let mut open: BTreeMap<usize, Duration> = BTreeMap::new();
    let mut heard = BTreeSet::new();
    let node = |operation: usize| index.plan.operations.get(operation).map(|operation| operation.node);
    let patience = |operation| PATIENCE + node(operation).map_or(Duration::ZERO, |node| index.stalls(node));
    for event in &index.history.events {
        let at = event.at;
        let operation = match &event.what {
            What::Asked { operation } => {
                heard.insert(*operation);
                open.insert(*operation, at);
                continue;
            }
            What::Stopped { node: who, .. } => {
                open.retain(|operation, _| node(*operation) != Some(*who));
                continue;
            }
            What::Acknowledged { operation, .. }
            | What::Refused { operation, .. }
            | What::Read { operation, .. } => *operation,
            _ => continue,
        };
        as_asked(index, at, operation, &event.what, findings);
        heard.insert(operation);
        if let Some(asked) = open.remove(&operation).filter(|asked| at > *asked + patience(operation)) {
            findings.add(at, node(operation), || {
                format!(
                    "operation {operation}, asked at {}, was answered after more than {}",
                    clock(asked),
                    clock(patience(operation))
                )
            });
        }
    }
    for (operation, asked) in
        open.into_iter().filter(|(operation, asked)| index.end > *asked + patience(*operation))
    {
        findings.add(index.end, node(operation), || {
            format!(
                "operation {operation}, asked at {}, was never answered, though its node lives",
                clock(asked)
            )
        });
    }
    heard
}

/// A read is read, a write is written as often as asked.
fn as_asked(index: &Index<'_>, at: Duration, operation: usize, answer: &What, findings: &mut Findings) {
    let Some(asked) = index.plan.operations.get(operation) else {
        return findings
            .add(at, None, || format!("operation {operation} was answered and is not in the plan"));
    };
    let writes = match &asked.action {
        Action::Put { .. } | Action::Delete { .. } => 1,
        Action::Batch { keys, .. } => keys.len(),
        Action::Get { .. } => 0,
    };
    let got = match answer {
        What::Acknowledged { dots, .. } => dots.len(),
        What::Read { .. } => 0,
        _ => return,
    };
    if writes != got {
        findings.add(at, asked.node, || {
            format!("operation {operation} asked for {writes} writes and was answered with {got}")
        });
    }
}

/// Exchanges do not pile up.
fn exchanges(index: &Index<'_>, findings: &mut Findings) {
    let samples = index.history.events.iter().filter_map(|event| match &event.what {
        What::Sample(samples) if event.at > index.disturbed => Some(samples),
        _ => None,
    });
    let samples: Vec<&Vec<Sample>> = samples.collect();
    let Some(last) = samples.len().checked_sub(SAMPLES).map(|from| &samples[from..]) else { return };
    for node in 0..index.plan.nodes {
        let under_way: Vec<usize> =
            last.iter().filter_map(|all| all.get(node)).map(|one| one.exchanges).collect();
        if under_way.len() == SAMPLES && under_way.windows(2).all(|pair| pair[0] < pair[1]) {
            findings.add(index.end, node, || {
                format!("has more and more exchanges under way though nothing happens: {}", list(under_way))
            });
        }
    }
}

/// Links that work are connected, as both ends see it, once there was time for it.
fn links(index: &Index<'_>, findings: &mut Findings) {
    if index.end < index.disturbed + index.plan.expect.agree_within.max(RECONNECTED) {
        return;
    }
    let mut connected: BTreeSet<(NodeNo, NodeNo)> = BTreeSet::new();
    for event in &index.history.events {
        match event.what {
            What::Connected { node, to } => _ = connected.insert((node, to)),
            What::Parted { node, from } => _ = connected.remove(&(node, from)),
            What::Stopped { node, .. } | What::Started { node, .. } => {
                connected.retain(|(who, _)| *who != node);
            }
            _ => {}
        }
    }
    for (a, b) in index.weather.links() {
        for (node, other) in [(a, b), (b, a)] {
            if !connected.contains(&(node, other)) {
                findings.add(index.end, node, || {
                    format!("is not connected to node {other} at the end, though nothing is in the way")
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        history::Event,
        oracles::fixture::{ANT, BAT, CAT, Fixture},
        plan::{FaultKind, How},
    };

    #[test]
    fn an_operation_without_its_answer_is_found_unless_its_node_died() {
        let mut lawful = Fixture::new();
        lawful.put(ANT, "nest");
        lawful.agree();
        let unanswered =
            |doctored: &mut Fixture| doctored.forget(|what| matches!(what, What::Acknowledged { .. }));
        lawful.doctored(&ORACLE, "was never answered", unanswered);
        lawful.doctored(&ORACLE, "neither asked nor refused", |doctored| {
            doctored.forget(|what| matches!(what, What::Acknowledged { .. } | What::Asked { .. }));
        });
        let mut died = lawful.clone();
        unanswered(&mut died);
        died.stop(ANT, false);
        died.start(ANT);
        assert_eq!(died.judge(&ORACLE), vec![]);
    }

    #[test]
    fn a_wrong_or_late_answer_is_found() {
        let lawful = Fixture::lawful();
        lawful.doctored(&ORACLE, "was answered with 0", |doctored| {
            for event in &mut doctored.history.events {
                if let What::Acknowledged { dots, .. } = &mut event.what {
                    dots.clear();
                }
            }
        });
        lawful.doctored(&ORACLE, "answered after more than", |doctored| {
            doctored.forget(|what| matches!(what, What::Acknowledged { operation: 0, .. }));
            let dots = vec![doctored.applied().next().expect("ant's").2.dot];
            doctored.say(What::Acknowledged { operation: 0, dots });
        });
    }

    #[test]
    fn exchanges_that_pile_up_are_found() {
        Fixture::lawful().doctored(&ORACLE, "more and more exchanges", |doctored| {
            for more in 1..=SAMPLES {
                doctored.sample(|node, sample| sample.exchanges = if node == BAT { more } else { 0 });
            }
        });
    }

    #[test]
    fn a_link_that_does_not_come_back_is_found_unless_something_is_in_the_way() {
        let mut lawful = Fixture::lawful();
        lawful.agree();
        let parted = |doctored: &mut Fixture| doctored.say(What::Parted { node: CAT, from: BAT });
        lawful.doctored(&ORACLE, "is not connected to node 1", parted);
        let mut cut = lawful;
        let kind = FaultKind::Cut { links: vec![(BAT, CAT)], how: How::Break, one_way: false };
        cut.history.events.insert(0, Event { at: Duration::ZERO, what: What::Broke { fault: 0, kind } });
        parted(&mut cut);
        assert_eq!(cut.judge(&ORACLE), vec![]);
    }
}
