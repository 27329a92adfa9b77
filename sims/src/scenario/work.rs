//! What users do.

use std::{ops::Range as Span, time::Duration};

use toml::Spanned;

use super::{
    draw::whole,
    file::{Distribution, File, LargeTable, Maybe, Spacing, WorkTable},
    pick::Mesh,
    problem::Complaint,
    value::{Bytes, Range},
};
use crate::{
    dice::Dice,
    plan::{Action, NodeNo, Operation},
};

/// More operations are a mistake: a simulation holds all of them in memory, and its history.
const OPERATIONS_MAX: usize = 1_000_000;
/// More keys are.
const KEYS_MAX: usize = 1_000_000;
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

/// Which keys are used how often.
struct Keys {
    prefix: String,
    distribution: Distribution,
    hot: f64,
    /// The sums of the weights of all keys up to each: for `Zipf` only.
    sums: Vec<f64>,
    /// How many there are; for `Unique`, so far.
    count: usize,
}

impl Keys {
    fn of(table: &WorkTable, number: usize) -> Result<Self, Complaint> {
        let unique = table.distribution == Distribution::Unique;
        let usual = if unique { 0 } else { 20 };
        let count = table.keys.as_ref().map_or(usual, |keys| *keys.get_ref());
        if let Some(keys) = &table.keys
            && (count == 0 || count > KEYS_MAX || unique)
        {
            let message = if unique {
                "`keys` means nothing where every key is `unique`: remove it".into()
            } else {
                format!("{count} keys: take 1 to {KEYS_MAX}")
            };
            return Err(Complaint::new(keys.span(), message));
        }
        let exponent = table.exponent.as_ref().map_or(1.0, |exponent| *exponent.get_ref());
        let zipf = table.distribution == Distribution::Zipf;
        let prefix = if unique { format!("item{number}-") } else { "key".into() };
        Ok(Self {
            prefix: table.prefix.clone().unwrap_or(prefix),
            distribution: table.distribution,
            hot: table.hot.as_ref().map_or(0.9, |hot| *hot.get_ref()),
            sums: if zipf { zipf_sums(count, exponent) } else { Vec::new() },
            count,
        })
    }

    fn name(&self, number: usize) -> String {
        format!("{}{number}", self.prefix)
    }

    fn draw(&self, dice: &mut Dice) -> usize {
        match self.distribution {
            Distribution::Uniform | Distribution::Unique => dice.index(self.count),
            Distribution::Hot if dice.chance(self.hot) || self.count == 1 => 0,
            Distribution::Hot => 1 + dice.index(self.count - 1),
            Distribution::Zipf => {
                let at = dice.unit() * self.sums.last().copied().unwrap_or_default();
                self.sums.partition_point(|sum| *sum <= at).min(self.count - 1)
            }
        }
    }

    /// A key to write to.
    fn next(&mut self, dice: &mut Dice) -> String {
        if self.distribution == Distribution::Unique {
            self.count += 1;
            return self.name(self.count - 1);
        }
        self.name(self.draw(dice))
    }

    /// A key that may be there.
    fn known(&self, dice: &mut Dice) -> String {
        self.name(self.draw(dice))
    }

    /// Different keys to write to.
    fn several(&mut self, count: usize, dice: &mut Dice) -> Vec<String> {
        if self.distribution == Distribution::Unique {
            return (0..count).map(|_| self.next(dice)).collect();
        }
        let mut numbers: Vec<usize> = Vec::new();
        while numbers.len() < count.min(self.count) {
            let mut number = self.draw(dice);
            while numbers.contains(&number) {
                number = (number + 1) % self.count;
            }
            numbers.push(number);
        }
        numbers.into_iter().map(|number| self.name(number)).collect()
    }
}

fn zipf_sums(count: usize, exponent: f64) -> Vec<f64> {
    let weight = |rank: u32| f64::from(rank).powf(-exponent);
    let ranks = 1..=u32::try_from(count).unwrap_or(u32::MAX);
    ranks
        .scan(0.0, |sum, rank| {
            *sum += weight(rank);
            Some(*sum)
        })
        .collect()
}

fn value(table: &WorkTable) -> Result<Range<Bytes>, Complaint> {
    let large = table.large.as_ref().map(|large| &large.get_ref().value);
    for given in [table.value.as_ref(), large].into_iter().flatten() {
        if given.get_ref().low.0 < VALUE_BYTES_MIN {
            let message =
                format!("a value needs {VALUE_BYTES_MIN} bytes at least, to be told from all others");
            return Err(Complaint::new(given.span(), message));
        }
    }
    Ok(table.value.as_ref().map_or_else(|| Range::just(Bytes(20)), |value| *value.get_ref()))
}

fn check_batch(table: &WorkTable) -> Result<&Range<usize>, Complaint> {
    const USUAL: Range<usize> = Range { low: 2, high: 5 };
    match &table.batch {
        Some(batch) if batch.get_ref().low == 0 => {
            Err(Complaint::new(batch.span(), "a batch of nothing: set `batch = \"2..5\"`"))
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

/// When something is done.
fn times(
    table: &WorkTable,
    span: Span<usize>,
    ends: Duration,
    dice: &mut Dice,
) -> Result<Vec<Duration>, Complaint> {
    let (from, until) = interval(table, ends, dice)?;
    let count = match (&table.rate, &table.count) {
        (Some(rate), None) => rated(rate, until - from)?,
        (None, Some(count)) if count.get_ref().low == 0 => {
            return Err(Complaint::new(
                count.span(),
                "work of no operation: set `count = 100`, or another number",
            ));
        }
        (None, Some(count)) => count.get_ref().draw(dice),
        (None, None) => {
            let message = "work of no operation: set `rate = 2.0`, operations per second, or `count = 100`";
            return Err(Complaint::new(span, message));
        }
        (Some(_), Some(count)) => {
            return Err(Complaint::new(count.span(), "`rate` and `count` exclude each other: remove one"));
        }
    };
    if count > OPERATIONS_MAX {
        let message = format!("{count} operations: {OPERATIONS_MAX} is the most; lower `rate` or `count`");
        return Err(Complaint::new(span, message));
    }
    Ok(match (table.spacing, &table.rate) {
        (Spacing::Even, _) => even(from, until, count),
        (Spacing::Poisson, Some(rate)) => poisson(from, until, *rate.get_ref(), dice),
        (Spacing::Poisson, None) => scattered(from, until, count, dice),
    })
}

fn interval(table: &WorkTable, ends: Duration, dice: &mut Dice) -> Result<(Duration, Duration), Complaint> {
    let said = humantime::format_duration;
    let from = table.from.as_ref().map_or(Duration::ZERO, |from| whole(from.get_ref().draw(dice)));
    let until = table.until.as_ref().map_or(ends, |until| whole(until.get_ref().draw(dice)));
    let given = table.until.as_ref().or(table.from.as_ref()).map_or(0..0, Spanned::span);
    if until > ends {
        let message = format!(
            "work until {}, but the scenario ends at {}: lower `until`, or set `duration`",
            said(until),
            said(ends)
        );
        return Err(Complaint::new(given, message));
    }
    if until <= from {
        let message = format!("work from {} until {}: it must end after it begins", said(from), said(until));
        return Err(Complaint::new(given, message));
    }
    Ok((from, until))
}

fn rated(rate: &Spanned<f64>, time: Duration) -> Result<usize, Complaint> {
    let given = *rate.get_ref();
    if !(given > 0.0 && given.is_finite()) {
        let message = format!("`rate = {given}` means no work: take operations per second, above 0");
        return Err(Complaint::new(rate.span(), message));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is above 0, and may saturate"
    )]
    Ok((given * time.as_secs_f64()).ceil() as usize)
}

fn even(from: Duration, until: Duration, count: usize) -> Vec<Duration> {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    (0..count)
        .map(|number| whole(from + (until - from).mul_f64(f64::from(number) / f64::from(count))))
        .collect()
}

fn poisson(from: Duration, until: Duration, rate: f64, dice: &mut Dice) -> Vec<Duration> {
    let mean = Duration::from_secs_f64(1.0 / rate);
    let mut at = from;
    std::iter::from_fn(|| {
        at += dice.wait(mean);
        (at < until).then_some(whole(at))
    })
    .collect()
}

fn scattered(from: Duration, until: Duration, count: usize, dice: &mut Dice) -> Vec<Duration> {
    let mut times: Vec<_> = (0..count).map(|_| whole(dice.time(from, until))).collect();
    times.sort_unstable();
    times
}
