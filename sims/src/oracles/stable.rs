//! Latencies as Maelstrom counts them: by what readers notice.

use std::{collections::HashMap, time::Duration};

use tidings::causality::Dot;

use crate::{
    history::{History, What},
    plan::{NodeNo, Plan},
};

/// For each acknowledged write the time to the last read, at any node, that was asked for before the
/// node had the write; zero where no reader came too early. (Jepsen's `set-full`, its *stable
/// latency*; there a read returns the whole set, here every read is of all that its node holds.)
#[must_use]
pub fn stable_latencies(plan: &Plan, history: &History) -> Vec<Duration> {
    let mut notes = Notes::default();
    for event in &history.events {
        match &event.what {
            What::Asked { operation } => drop(notes.asked.insert(*operation, event.at)),
            What::Read { operation, .. } => {
                if let Some((asked, read)) = notes.asked.get(operation).zip(plan.operations.get(*operation)) {
                    notes.reads.entry(read.node).or_default().push(*asked);
                }
            }
            What::Acknowledged { dots, .. } => {
                notes.acknowledged.extend(dots.iter().map(|dot| (*dot, event.at)));
            }
            What::Applied { node, version, .. } => {
                notes.arrived.entry(version.dot).or_default().push((*node, event.at));
            }
            _ => {}
        }
    }
    notes.reads.values_mut().for_each(|reads| reads.sort_unstable());
    notes
        .acknowledged
        .iter()
        .map(|(dot, at)| notes.last_miss(*dot).unwrap_or_default().saturating_sub(*at))
        .collect()
}

#[derive(Default)]
struct Notes {
    asked: HashMap<usize, Duration>,
    reads: HashMap<NodeNo, Vec<Duration>>,
    acknowledged: Vec<(Dot, Duration)>,
    arrived: HashMap<Dot, Vec<(NodeNo, Duration)>>,
}

impl Notes {
    /// When the last read was asked for that missed a write.
    fn last_miss(&self, dot: Dot) -> Option<Duration> {
        let before = |(node, at): &(NodeNo, Duration)| {
            let reads = self.reads.get(node)?;
            let missed = reads.partition_point(|read| read < at);
            reads[..missed].last().copied()
        };
        self.arrived.get(&dot)?.iter().filter_map(before).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracles::fixture::{ANT, CAT, Fixture, millis};

    #[test]
    fn a_write_is_late_until_the_last_read_that_misses_it() {
        let mut history = Fixture::new();
        let dot = history.put(ANT, "nest");
        history.wait(30);
        history.read(CAT, "nest");
        history.wait(40);
        history.spread(dot);
        history.wait(50);
        history.read(CAT, "nest");
        history.agree();
        assert_eq!(stable_latencies(&history.plan, &history.history), [millis(40)]);
    }
}
