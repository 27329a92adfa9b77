//! What must hold of every simulation: pure functions of the plan and of what happened.
//!
//! An oracle knows nothing of how a node works, only what an observer outside of all nodes saw.
//! Each is shown able to fail: by doctored histories in its tests, and by bugs planted into the
//! product (`tests/mutants`). Crashes excuse what the observer could not see, and nothing else.

mod bounds;
mod causality;
mod convergence;
mod dots_unique;
mod expectations;
mod frontiers;
mod heals;
mod index;
mod latency;
mod liveness;
mod lost_writes;
mod model;
mod quiet;
mod reads_of_own;
mod replay;
mod resurrection;
mod stable;
mod stamps;
mod truth;
mod violation;
pub(crate) mod weather;
mod writers;

#[cfg(test)]
mod fixture;

pub use stable::stable_latencies;
pub use violation::{VIOLATIONS_MAX, Violation};

use std::time::Duration;

use self::{index::Index, violation::Findings};
use super::{history::History, plan::Plan};

/// Something that must hold, and who finds where it does not.
#[derive(Clone, Copy, Debug)]
pub struct Oracle {
    /// Its name, as violations show it.
    pub name: &'static str,
    /// What must hold, in a sentence.
    pub about: &'static str,
    find: fn(&Index<'_>, &mut Findings),
}

impl Oracle {
    /// Where it does not hold. To ask all of them, [`judge`] reads the history once.
    #[must_use]
    pub fn judge(&self, plan: &Plan, history: &History) -> Vec<Violation> {
        self.ask(&Index::new(plan, history))
    }

    fn ask(&self, index: &Index<'_>) -> Vec<Violation> {
        let mut findings = Findings::new(self.name);
        (self.find)(index, &mut findings);
        findings.into_violations(index.end)
    }
}

/// All oracles, those that name causes before those that name consequences.
#[must_use]
pub fn all() -> &'static [Oracle] {
    const ALL: [Oracle; 15] = [
        dots_unique::ORACLE,
        stamps::ORACLE,
        causality::ORACLE,
        frontiers::ORACLE,
        lost_writes::ORACLE,
        resurrection::ORACLE,
        model::ORACLE,
        convergence::ORACLE,
        heals::ORACLE,
        truth::ORACLE,
        reads_of_own::ORACLE,
        liveness::ORACLE,
        bounds::ORACLE,
        quiet::ORACLE,
        expectations::ORACLE,
    ];
    &ALL
}

/// How long each acknowledged write took to all nodes that were up and connected with its writer from
/// then on. A node has it when it has applied it or what supersedes it.
#[must_use]
pub fn latencies(plan: &Plan, history: &History) -> Vec<Duration> {
    latency::latencies(&Index::new(plan, history)).into_iter().map(|((took, _), _)| took).collect()
}

/// What all oracles find, in their order; of each [`VIOLATIONS_MAX`] at most.
#[must_use]
pub fn judge(plan: &Plan, history: &History) -> Vec<Violation> {
    let index = Index::new(plan, history);
    all().iter().flat_map(|oracle| oracle.ask(&index)).collect()
}

#[cfg(test)]
mod tests;
