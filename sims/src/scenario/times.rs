//! When users do something.

use std::{ops::Range as Span, time::Duration};

use toml::Spanned;

use super::{
    draw::whole,
    file::{Spacing, WorkTable},
    problem::Complaint,
};
use crate::dice::Dice;

/// More operations are a mistake: a simulation holds all of them in memory, and its history.
const OPERATIONS_MAX: usize = 1_000_000;

/// When something is done.
pub(super) fn times(
    table: &WorkTable,
    span: Span<usize>,
    ends: Duration,
    dice: &mut Dice,
) -> Result<Vec<Duration>, Complaint> {
    let (from, until) = interval(table, ends, dice)?;
    let count = match (&table.rate, &table.count) {
        (Some(rate), None) => rated(rate, until.saturating_sub(from))?,
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
        .map(|number| {
            whole(from + (until.saturating_sub(from)).mul_f64(f64::from(number) / f64::from(count)))
        })
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
