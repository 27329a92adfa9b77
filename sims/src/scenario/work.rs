//! What users do.

use std::{ops::Range as Span, time::Duration};

use tidings::types::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, VALUE_BYTES_MAX};

use super::{
    file::{File, LargeTable, Maybe, WorkTable},
    keys::Keys,
    pick::Mesh,
    problem::Complaint,
    times::times,
    value::{Bytes, Range},
};
use crate::{
    dice::Dice,
    plan::{Action, NodeNo, Operation},
};

/// Every value is told from all others by its first bytes.
const VALUE_BYTES_MIN: u64 = 16;

/// Draws all of it, in order of time.
pub(super) fn draw(file: &File, mesh: &Mesh, seed: u64) -> Result<Vec<Operation>, Complaint> {
    let Some(work) = &file.work else {
        let message = "nobody does anything: add a `[work]` with `rate = 2.0` or `count = 100`";
        return Err(Complaint::new(0..0, message));
    };
    let mut operations = Vec::new();
    for (number, table) in work.get_ref().0.iter().enumerate() {
        let dice = Dice::of(seed, &format!("work {number}"));
        let span = if table.span().is_empty() { work.span() } else { table.span() };
        operations.extend(Work::of(table.get_ref(), span, number, mesh, dice)?.operations(mesh));
    }
    operations.sort_by_key(|operation| operation.at);
    Ok(operations)
}

/// One block of work, ready to be drawn from.
struct Work {
    dice: Dice,
    times: Vec<Duration>,
    writers: Vec<NodeNo>,
    keys: Keys,
    value: Range<Bytes>,
    large: Option<LargeTable>,
    reads: f64,
    deletes: f64,
    batches: f64,
    batch: Range<usize>,
}

impl Work {
    fn of(
        table: &WorkTable,
        span: Span<usize>,
        number: usize,
        mesh: &Mesh,
        mut dice: Dice,
    ) -> Result<Self, Complaint> {
        check_shares(table)?;
        let batch = *check_batch(table)?;
        let writers = match &table.writers {
            Some(writers) => mesh.pick(writers.get_ref(), writers.span(), |_| true, &mut dice)?,
            None => (0..mesh.nodes).collect(),
        };
        let share = |share: &Maybe<f64>| share.as_ref().map_or(0.0, |share| *share.get_ref());
        Ok(Self {
            times: times(table, span, mesh.ends, &mut dice)?,
            writers,
            keys: Keys::of(table, number)?,
            value: value(table)?,
            large: table.large.as_ref().map(|large| large.get_ref().clone()),
            reads: share(&table.reads),
            deletes: share(&table.deletes),
            batches: share(&table.batches),
            batch,
            dice,
        })
    }

    fn operations(mut self, mesh: &Mesh) -> Vec<Operation> {
        std::mem::take(&mut self.times)
            .into_iter()
            .map(|at| {
                let chosen = self.dice.index(self.writers.len());
                let node = self.present(chosen, at, mesh);
                Operation { at, node, action: self.action() }
            })
            .collect()
    }

    /// This writer, or the next that is there already. No dice: who joins when does not move the rest.
    fn present(&self, chosen: usize, at: Duration, mesh: &Mesh) -> NodeNo {
        let is_there =
            |node: &NodeNo| mesh.late.get(node).is_none_or(|joins| joins.is_some_and(|joins| joins < at));
        let in_turn = self.writers[chosen..].iter().chain(&self.writers[..chosen]);
        in_turn.copied().find(is_there).unwrap_or(self.writers[chosen])
    }

    fn action(&mut self) -> Action {
        let dice = &mut self.dice;
        let what = dice.unit();
        if what < self.reads {
            return Action::Get { key: self.keys.known(dice) };
        }
        if what < self.reads + self.deletes {
            return Action::Delete { key: self.keys.known(dice) };
        }
        let size = size(self.value, self.large.as_ref(), dice);
        if what < self.reads + self.deletes + self.batches {
            let count = self.batch.draw(dice);
            // Half of what a batch may hold, to leave room for its keys.
            let size = size.min(BATCH_BYTES_MAX / 2 / count);
            return Action::Batch { keys: self.keys.several(count, dice), size };
        }
        Action::Put { key: self.keys.next(dice), size }
    }
}

fn size(value: Range<Bytes>, large: Option<&LargeTable>, dice: &mut Dice) -> usize {
    let range = match large {
        Some(large) if dice.chance(*large.share.get_ref()) => *large.value.get_ref(),
        _ => value,
    };
    usize::try_from(range.draw(dice).0).unwrap_or(usize::MAX)
}

fn value(table: &WorkTable) -> Result<Range<Bytes>, Complaint> {
    let large = table.large.as_ref().map(|large| &large.get_ref().value);
    for given in [table.value.as_ref(), large].into_iter().flatten() {
        let (low, high) = (given.get_ref().low.0, given.get_ref().high.0);
        let message = if low < VALUE_BYTES_MIN {
            format!("a value needs {VALUE_BYTES_MIN} bytes at least, to be told from all others")
        } else if high > VALUE_BYTES_MAX as u64 {
            format!("a value of {high} bytes: {VALUE_BYTES_MAX} is the most that a node takes")
        } else {
            continue;
        };
        return Err(Complaint::new(given.span(), message));
    }
    Ok(table.value.as_ref().map_or_else(|| Range::just(Bytes(20)), |value| *value.get_ref()))
}

fn check_batch(table: &WorkTable) -> Result<&Range<usize>, Complaint> {
    const USUAL: Range<usize> = Range { low: 2, high: 5 };
    match &table.batch {
        Some(batch) if batch.get_ref().low == 0 => {
            Err(Complaint::new(batch.span(), "a batch of nothing: set `batch = \"2..5\"`"))
        }
        Some(batch) if batch.get_ref().high > BATCH_OPERATIONS_MAX => {
            let message = format!("a batch takes {BATCH_OPERATIONS_MAX} puts at most: lower `batch`");
            Err(Complaint::new(batch.span(), message))
        }
        Some(batch) => Ok(batch.get_ref()),
        None => Ok(&USUAL),
    }
}

fn check_shares(table: &WorkTable) -> Result<(), Complaint> {
    let large = table.large.as_ref().map(|large| &large.get_ref().share);
    let kinds = [
        ("reads", table.reads.as_ref()),
        ("deletes", table.deletes.as_ref()),
        ("batches", table.batches.as_ref()),
    ];
    let others = [("hot", table.hot.as_ref()), ("share", large)];
    for (key, share) in kinds.into_iter().chain(others).filter_map(|(key, share)| Some((key, share?))) {
        if !(0.0..=1.0).contains(share.get_ref()) {
            let message = format!("`{key} = {}` is no share: take one from 0.0 to 1.0", share.get_ref());
            return Err(Complaint::new(share.span(), message));
        }
    }
    let given: Vec<_> = kinds.into_iter().filter_map(|(_, share)| share).collect();
    let sum: f64 = given.iter().map(|share| share.get_ref()).sum();
    match given.last() {
        // A little more is the sum of shares that are not exact in binary.
        Some(last) if sum > 1.000_001 => {
            let message = format!(
                "`reads`, `deletes` and `batches` are {sum:.2} together: take at most 1.0; what is left are puts"
            );
            Err(Complaint::new(last.span(), message))
        }
        _ => Ok(()),
    }
}
