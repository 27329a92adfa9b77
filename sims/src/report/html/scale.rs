//! Where a value is in a drawing, and which values an axis names.

use std::iter::successors;

/// From values to places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    values: (f64, f64),
    places: (f64, f64),
    log: bool,
}

impl Scale {
    pub(super) fn linear(values: (f64, f64), places: (f64, f64)) -> Self {
        Self { values, places, log: false }
    }

    /// Each factor of ten is as wide as any other. Values must be above 0.
    pub(super) fn log(values: (f64, f64), places: (f64, f64)) -> Self {
        Self { values, places, log: true }
    }

    /// Where a value is; never beyond the ends.
    pub(super) fn at(&self, value: f64) -> f64 {
        let turn = |value: f64| if self.log { value.max(f64::MIN_POSITIVE).ln() } else { value };
        let (from, to) = (turn(self.values.0), turn(self.values.1));
        let share = (turn(value) - from) / (to - from);
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        self.places.0 + share * (self.places.1 - self.places.0)
    }
}

/// The steps 1, 2 and 5 of each factor of ten, up from the greatest that is not above `from`.
fn round_steps(from: f64) -> impl Iterator<Item = f64> {
    let decade = 10_f64.powf(from.log10().floor());
    let steps = successors(Some(decade), |decade| Some(decade * 10.0));
    let steps = steps.flat_map(|decade| [decade, 2.0 * decade, 5.0 * decade]);
    let all: Vec<f64> = steps.take(60).collect();
    let first = all.iter().rposition(|step| *step <= from * 1.000_001).unwrap_or(0).min(2);
    all.into_iter().skip(first)
}

/// About five values from 0 to at least `most`, at equal steps; the last ends the axis.
pub(super) fn ticks(most: f64) -> Vec<f64> {
    let most = if most.is_finite() && most > 0.0 { most } else { 1.0 };
    let step = round_steps(most / 50.0).find(|step| most / step <= 5.0).unwrap_or(most);
    let mut ticks = vec![0.0];
    while ticks[ticks.len() - 1] < most * 0.999_999 {
        ticks.push(step * super::number::size(ticks.len()));
    }
    ticks
}

/// Values around `least` and `most` for an axis where factors are distances.
pub(super) fn log_ticks(least: f64, most: f64) -> Vec<f64> {
    let (least, most) = (least.max(1e-3), most.max(least.max(1e-3) * 1.01));
    let mut ticks = Vec::new();
    for step in round_steps(least) {
        ticks.push(step);
        if step >= most * 0.999_999 {
            break;
        }
    }
    ticks
}

/// Times of an axis up to `end`, with what they are called, and the unit; all in seconds.
pub(super) fn time_ticks(end: f64) -> (Vec<(f64, String)>, &'static str) {
    let (unit, name) = match end {
        end if end <= 240.0 => (1.0, "s"),
        end if end <= 4.0 * 3_600.0 => (60.0, "min"),
        _ => (3_600.0, "h"),
    };
    let steps = [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 240.0];
    let step =
        steps.into_iter().find(|step| end / (step * unit) <= 10.0).unwrap_or(end / unit / 10.0).max(0.1);
    let ticks = successors(Some(0.0), |tick| Some(tick + step)).take_while(|tick| tick * unit <= end);
    (ticks.take(20).map(|tick| (tick * unit, super::number::short(tick))).collect(), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_keeps_to_its_ends() {
        let scale = Scale::linear((0.0, 10.0), (100.0, 0.0));
        let expected =
            [(0.0, 100.0), (5.0, 50.0), (10.0, 0.0), (11.0, 0.0), (-1.0, 100.0), (f64::NAN, 100.0)];
        for (at, place) in expected {
            assert!((scale.at(at) - place).abs() < 1e-9, "{at} is at {}", scale.at(at));
        }
        assert!((Scale::log((1.0, 100.0), (0.0, 10.0)).at(10.0) - 5.0).abs() < 1e-9);
        assert!(Scale::linear((0.0, 0.0), (3.0, 9.0)).at(0.0).is_finite());
    }

    #[test]
    fn ticks_are_round_and_reach_beyond_the_greatest_value() {
        assert_eq!(ticks(100.0), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(ticks(7.0), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(ticks(0.0).first(), Some(&0.0));
        assert_eq!(log_ticks(30.0, 400.0), [20.0, 50.0, 100.0, 200.0, 500.0]);
        assert!(log_ticks(0.0, 0.0).len() >= 2);
    }

    #[test]
    fn times_have_the_unit_that_fits() {
        let (ticks, unit) = time_ticks(180.0);
        assert_eq!((ticks.len(), unit), (10, "s"));
        let (ticks, unit) = time_ticks(600.0);
        assert_eq!((ticks[1].0, ticks[1].1.as_str(), unit), (60.0, "1", "min"));
    }
}
