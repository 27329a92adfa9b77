//! Makes a plan that fails smaller, for as long as it still fails: what is left is the reason.
//!
//! Faults and operations go by delta debugging (Zeller and Hildebrandt 2002), nodes one at a time, then
//! time; all of it again while anything got smaller.

mod ddmin;
mod without;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::plan::{Fault, FaultKind, Plan};

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Plans that were run.
    pub runs: usize,
    /// Plans that may be run.
    pub runs_max: usize,
    /// Nodes of the smallest plan that fails so far.
    pub nodes: usize,
    /// Its faults.
    pub faults: usize,
    /// Its operations.
    pub operations: usize,
    /// Its end.
    pub ends: Duration,
}

/// The smallest plan found that still fails, after at most `runs_max` runs.
///
/// `plan` fails; `fails` runs a plan and says whether it does too, and `progress` hears of every run.
pub fn shrink(
    plan: &Plan,
    runs_max: usize,
    fails: impl FnMut(&Plan) -> bool,
    progress: impl FnMut(&Progress),
) -> Plan {
    let mut search = Search { best: plan.clone(), runs: 0, runs_max, fails, progress };
    loop {
        let before = search.best.clone();
        search.fewer_faults();
        search.fewer_operations();
        search.fewer_nodes();
        search.less_time();
        if search.best == before || search.runs == runs_max {
            return search.best;
        }
    }
}

struct Search<F, P> {
    best: Plan,
    runs: usize,
    runs_max: usize,
    fails: F,
    progress: P,
}

impl<F: FnMut(&Plan) -> bool, P: FnMut(&Progress)> Search<F, P> {
    /// Runs it, and keeps it where it still fails.
    fn try_out(&mut self, plan: Plan) -> bool {
        if self.runs == self.runs_max || plan == self.best {
            return false;
        }
        self.runs += 1;
        let fails = (self.fails)(&plan);
        if fails {
            self.best = plan;
        }
        (self.progress)(&Progress {
            runs: self.runs,
            runs_max: self.runs_max,
            nodes: self.best.nodes,
            faults: self.best.faults.len(),
            operations: self.best.operations.len(),
            ends: self.best.ends,
        });
        fails
    }

    fn fewer_faults(&mut self) {
        let plan = self.best.clone();
        ddmin::ddmin(plan.faults.clone(), |faults| {
            self.try_out(Plan { faults: faults.to_vec(), ..plan.clone() })
        });
    }

    fn fewer_operations(&mut self) {
        let plan = self.best.clone();
        ddmin::ddmin(plan.operations.clone(), |operations| {
            self.try_out(Plan { operations: operations.to_vec(), ..plan.clone() })
        });
    }

    /// From the last to the first: those before keep their numbers.
    fn fewer_nodes(&mut self) {
        for node in (0..self.best.nodes).rev() {
            if let Some(plan) = without::without(&self.best, node) {
                self.try_out(plan);
            }
        }
    }

    /// Nothing after the last event, then everything twice as fast, then every fault half as long.
    fn less_time(&mut self) {
        let ends = last(&self.best);
        self.try_out(Plan { ends, ..self.best.clone() });
        while self.best.ends > TIME_MIN && self.try_out(faster(&self.best)) {}
        for fault in 0..self.best.faults.len() {
            while let Some(plan) = shorter(&self.best, fault)
                && self.try_out(plan)
            {}
        }
    }
}

/// It is not worth a run to be faster than this.
const TIME_MIN: Duration = Duration::from_millis(100);

/// When the last thing happens.
fn last(plan: &Plan) -> Duration {
    let faults = plan.faults.iter().map(|fault| fault.ends().unwrap_or(fault.at));
    faults.chain(plan.operations.iter().map(|operation| operation.at)).max().unwrap_or_default().max(TIME_MIN)
}

fn halved(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis() / 2).unwrap_or(u64::MAX))
}

fn faster(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for operation in &mut plan.operations {
        operation.at = halved(operation.at);
    }
    for fault in &mut plan.faults {
        // From its ends, for both to stay in order with all else.
        let ends = fault.ends().map(halved);
        fault.at = halved(fault.at);
        fault.lasts = ends.map(|ends| ends.saturating_sub(fault.at));
    }
    plan.ends = halved(plan.ends).max(last(&plan));
    plan
}

/// With this fault half as long, unless it is hardly one any more, or a change of who takes part.
fn shorter(plan: &Plan, fault: usize) -> Option<Plan> {
    let mut plan = plan.clone();
    let Fault { lasts: Some(lasts), kind, .. } = &mut plan.faults[fault] else { return None };
    if *lasts <= TIME_MIN || matches!(kind, FaultKind::Join { .. }) {
        return None;
    }
    *lasts = halved(*lasts);
    Some(plan)
}
