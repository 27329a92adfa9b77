//! Which keys users name.

use tidings::types::Key;

use super::{
    file::{Distribution, WorkTable},
    problem::Complaint,
};
use crate::dice::Dice;

/// More keys are.
const KEYS_MAX: usize = 1_000_000;

/// Which keys are used how often.
pub(super) struct Keys {
    prefix: String,
    distribution: Distribution,
    hot: f64,
    /// The sums of the weights of all keys up to each: for `Zipf` only.
    sums: Vec<f64>,
    /// How many there are; for `Unique`, so far.
    count: usize,
}

impl Keys {
    pub(super) fn of(table: &WorkTable, number: usize) -> Result<Self, Complaint> {
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
        if let Some(given) = &table.prefix
            && let Err(error) = Key::new(format!("{}{KEYS_MAX}", given.get_ref()))
        {
            return Err(Complaint::new(given.span(), format!("keys with this `prefix` are none: {error}")));
        }
        Ok(Self {
            prefix: table.prefix.as_ref().map_or(prefix, |given| given.get_ref().clone()),
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
    pub(super) fn next(&mut self, dice: &mut Dice) -> String {
        if self.distribution == Distribution::Unique {
            self.count += 1;
            return self.name(self.count - 1);
        }
        self.name(self.draw(dice))
    }

    /// A key that may be there.
    pub(super) fn known(&self, dice: &mut Dice) -> String {
        self.name(self.draw(dice))
    }

    /// Different keys to write to.
    pub(super) fn several(&mut self, count: usize, dice: &mut Dice) -> Vec<String> {
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
